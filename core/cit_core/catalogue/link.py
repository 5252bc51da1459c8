"""Link published scores: one ability of each model and effort explains its accuracy on every benchmark.

    logit(accuracy of arm m on column c) = b_c + a_c theta_m + u_{m, benchmark of c} + e_mc

An arm is a model at one effort: theta_m = theta of the model + d of the effort + v_m, and a model is expected to be as
able as its facts say (`cit_core.catalogue.expectation`). The columns of one benchmark share the residual u, so that 25
columns of one leaderboard do not count as 25 independent witnesses. Fitted by expectation maximisation: abilities have
Gaussian posteriors; columns, efforts and facts are regressions on them.

Axes: M arms, N models, E efforts, F facts, C columns, O observations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cit_core.calibration import sigmoid
from cit_core.catalogue.expectation import FACTS, Expectation

__all__ = [
    "Link",
    "Observations",
    "deviations_from",
    "fit_link",
    "held_out_blocks",
    "interval_scale",
    "left_out_deviations",
]

Array = NDArray[np.floating]

ROUNDS = 40
EFFORT_VARIANCE = 0.05
"""Variance of v, the difference between an effort and its model [squared units of ability]."""
EFFORT_WEIGHT = 2.0
"""Number of arms that the prior of d is worth, which is 0."""
BENCHMARK_VARIANCE = 0.055
"""Variance of u [squared units of ability: it is scaled by the slope]."""
SLOPE_PRIOR, SLOPE_WEIGHT = 1.0, 4.0
"""Prior mean of a_c, and its weight [inverse squared logits]."""
NOISE_PRIOR, NOISE_WEIGHT = 0.2, 3.0
"""Prior mean of the variance of e, and its weight in observations."""
FLATTEST = 0.05
MOST_CERTAIN = 4.6
"""Log-odds beyond which no accuracy is expected, about 99 %."""


@dataclass(frozen=True)
class Observations:
    """Published accuracies in logits.

    Attributes:
        arms: Names (model, effort) of the M arms.
        columns: Names (source, benchmark, task) of the C columns.
        arm_O: Arm of each observation.
        column_O: Column of each observation.
        logit_O: Accuracy [logits].
        variance_O: Sampling variance, from the number of items [squared logits].
        facts_MF: Facts of each arm's model, as `facts_of` gives them; nothing is known of any if None.
    """

    arms: tuple[tuple[str, str], ...]
    columns: tuple[tuple[str, str, str], ...]
    arm_O: NDArray[np.intp]
    column_O: NDArray[np.intp]
    logit_O: Array
    variance_O: Array
    facts_MF: Array | None = None

    def only(self, kept_O: NDArray[np.bool_]) -> Observations:
        """Keep some observations; arms and columns stay numbered as they are."""
        return replace(
            self,
            arm_O=self.arm_O[kept_O],
            column_O=self.column_O[kept_O],
            logit_O=self.logit_O[kept_O],
            variance_O=self.variance_O[kept_O],
        )


@dataclass(frozen=True)
class Link:
    """Abilities with their uncertainty, and columns as lines over ability.

    Attributes:
        effort: Mean of d for each effort but the one that makers set, which is 0.
        expectation: Ability by facts.
    """

    ability_M: Array
    variance_M: Array
    slope_C: Array
    offset_C: Array
    noise_C: Array
    effort: dict[str, float]
    expectation: Expectation


def fit_link(observed: Observations) -> Link:
    """Fit abilities and columns.

    Args:
        observed: At least one observation for each column that is to mean anything.

    Returns:
        Abilities have mean about 0 and variance about 1 over models; an arm without observations has its model's, moved
        by its effort.
    """
    columns, column_O = len(observed.columns), observed.column_O
    slope_C: Array = np.ones(columns)
    noise_C: Array = np.full(columns, 0.3)
    offset_C: Array = np.array([_median(observed.logit_O[column_O == column]) for column in range(columns)])
    mean_M: Array = np.zeros(len(observed.arms))
    posterior = _Posterior(observed)
    for _ in range(ROUNDS):
        variance_O = _sampling_variance(observed, offset_C[column_O] + slope_C[column_O] * mean_M[observed.arm_O])
        mean_M, variance_M = posterior.abilities(slope_C, offset_C, noise_C, variance_O)
        slope_C, offset_C, noise_C = _columns(observed, mean_M, variance_M, noise_C, variance_O)
    mean_M, variance_M = posterior.abilities(slope_C, offset_C, noise_C, variance_O)
    effort = dict(zip(posterior.efforts, posterior.effort_E.tolist(), strict=True))
    return Link(mean_M, variance_M, slope_C, offset_C, noise_C, effort, posterior.expectation)


def _sampling_variance(observed: Observations, expected_O: Array) -> Array:
    """Return the sampling variance of logits that are expected, not of those that were seen.

    By its own share of right answers a model that happened to get all of 20 right would count a tenth of one that got
    half of them, and every line over ability would be too flat.
    """
    told = np.array([sigmoid(observed.logit_O), sigmoid(np.clip(expected_O, -MOST_CERTAIN, MOST_CERTAIN))])
    seen_O, due_O = told * (1.0 - told)
    return np.asarray(observed.variance_O * seen_O / due_O)


class _Posterior:
    """Posterior of the abilities, given the columns; each time, efforts and facts learn from it."""

    def __init__(self, observed: Observations) -> None:
        self._observed = observed
        benchmarks = _codes([f"{source}\n{benchmark}" for source, benchmark, _ in observed.columns])
        group_O = observed.arm_O * (benchmarks.max(initial=0) + 1) + benchmarks[observed.column_O]
        groups, self._group_O = np.unique(group_O, return_inverse=True)
        self._arm_G = groups // (benchmarks.max(initial=0) + 1)
        self._seen_M = np.isin(np.arange(len(observed.arms)), observed.arm_O)
        _, first_N, self._model_M = np.unique([model for model, _ in observed.arms], True, True)
        self.efforts = sorted({effort for _, effort in observed.arms if effort})
        self._effort_M = np.array([self.efforts.index(effort) if effort else -1 for _, effort in observed.arms])
        self.effort_E: Array = np.zeros(len(self.efforts))
        facts_MF = np.full((len(observed.arms), len(FACTS)), np.nan) if observed.facts_MF is None else observed.facts_MF
        self._facts_NF = facts_MF[first_N]
        self._known_N = ~np.isnan(self._facts_NF).all(axis=1)
        self._seen_N = np.bincount(self._model_M, self._seen_M) > 0
        self.expectation = Expectation.of_facts(self._facts_NF[self._seen_N])

    def abilities(self, slope_C: Array, offset_C: Array, noise_C: Array, variance_O: Array) -> tuple[Array, Array]:
        seen, arms = self._observed, len(self._observed.arms)
        weight_O = 1.0 / (variance_O + noise_C[seen.column_O])
        slope_O = slope_C[seen.column_O]
        precision_G = np.bincount(self._group_O, weight_O * slope_O**2)
        pull_G = np.bincount(self._group_O, weight_O * slope_O * (seen.logit_O - offset_C[seen.column_O]))
        shared_G = 1.0 / (1.0 + precision_G * BENCHMARK_VARIANCE)
        precision_M = np.bincount(self._arm_G, precision_G * shared_G, arms)
        pull_M = np.bincount(self._arm_G, pull_G * shared_G, arms)
        # Of the model itself: each arm speaks of it through its own effort d and difference v.
        effort_M = np.where(self._effort_M < 0, 0.0, np.append(self.effort_E, 0.0)[self._effort_M])
        about_M = 1.0 / (1.0 + precision_M * EFFORT_VARIANCE)
        expected_N, doubt_N = self.expectation.of(self._facts_NF)
        # Of models without any fact, most are old: not as able as those that are served today.
        expected_N, doubt_N = np.where(self._known_N, (expected_N, doubt_N), ([0.0], [1.0]))
        model_variance = 1.0 / (1.0 / doubt_N + np.bincount(self._model_M, precision_M * about_M))
        told_N = np.bincount(self._model_M, (pull_M - precision_M * effort_M) * about_M)
        model_mean = model_variance * (expected_N / doubt_N + told_N)
        own_M = 1.0 / (precision_M + 1.0 / EFFORT_VARIANCE)
        mean_M = own_M * (pull_M + (model_mean[self._model_M] + effort_M) / EFFORT_VARIANCE)
        variance_M = own_M + (own_M / EFFORT_VARIANCE) ** 2 * model_variance[self._model_M]
        self._learn(mean_M, model_mean, model_variance)
        return mean_M, variance_M

    def _learn(self, mean_M: Array, model_mean: Array, model_variance: Array) -> None:
        told_M = self._seen_M & (self._effort_M >= 0)
        place, apart = self._effort_M[told_M], (mean_M - model_mean[self._model_M])[told_M]
        number_E = np.bincount(place, minlength=len(self.efforts)) + EFFORT_WEIGHT
        self.effort_E = np.bincount(place, apart, len(self.efforts)) / number_E
        seen_N = self._seen_N
        self.expectation = self.expectation.fitted(self._facts_NF[seen_N], model_mean[seen_N], model_variance[seen_N])


def _columns(
    observed: Observations, mean_M: Array, variance_M: Array, noise_C: Array, variance_O: Array
) -> tuple[Array, Array, Array]:
    """Regress each column on the abilities, with regard to their uncertainty (errors in variables)."""
    column_O, columns = observed.column_O, len(observed.columns)
    ability_O, spread_O = mean_M[observed.arm_O], variance_M[observed.arm_O]
    weight_O = 1.0 / (variance_O + noise_C[column_O])

    def total(values_O: Array) -> Array:
        return np.bincount(column_O, weight_O * values_O, columns).astype(np.float64)

    count_C, first_C = total(np.ones_like(ability_O)) + 0.1, total(ability_O)
    second_C = total(ability_O**2 + spread_O) + SLOPE_WEIGHT
    sum_C = total(observed.logit_O)
    cross_C = total(ability_O * observed.logit_O) + SLOPE_WEIGHT * SLOPE_PRIOR
    determinant_C = count_C * second_C - first_C**2
    slope_C = np.maximum((count_C * cross_C - first_C * sum_C) / determinant_C, FLATTEST)
    offset_C = (second_C * sum_C - first_C * cross_C) / determinant_C
    left_O = observed.logit_O - offset_C[column_O] - slope_C[column_O] * ability_O
    beyond_O = np.maximum(left_O**2 + slope_C[column_O] ** 2 * spread_O - variance_O, 0.0)
    number_C = np.bincount(column_O, minlength=columns)
    noise_C = (np.bincount(column_O, beyond_O, columns) + NOISE_WEIGHT * NOISE_PRIOR) / (number_C + NOISE_WEIGHT)
    return slope_C, offset_C, noise_C


def _codes(names: Sequence[str]) -> NDArray[np.intp]:
    return np.unique(np.array(names, dtype=object).astype(str), return_inverse=True)[1].astype(np.intp)


def _median(values: Array) -> float:
    return float(np.median(values)) if len(values) else 0.0


def interval_scale(observed: Observations, *, folds: int = 5, seed: int = 0, level: float = 0.8) -> float:
    """Fit what the predicted standard deviations are multiplied by, so that intervals hold as often as they say.

    Whole (model, benchmark) blocks are left out in turn; blocks of models that are seen nowhere else are not judged.

    Args:
        observed: All observations.
        folds: Parts of the blocks.
        seed: Seed of the parts.
        level: Share of left-out accuracies that an interval of this level is to hold.
    """
    deviations = np.concatenate(
        [left_out_deviations(observed, held_O) for held_O in held_out_blocks(observed, folds, seed)]
    )
    return float(np.quantile(np.abs(deviations), level) / 1.2815515655446004) if len(deviations) else 1.0


def held_out_blocks(observed: Observations, folds: int = 5, seed: int = 0) -> list[NDArray[np.bool_]]:
    """Return which observations are left out in each of the folds: whole (model, benchmark) blocks."""
    model_O = _codes([model for model, _ in observed.arms])[observed.arm_O]
    benchmark_O = _codes([f"{source}\n{benchmark}" for source, benchmark, _ in observed.columns])[observed.column_O]
    _, block_O = np.unique(model_O * (benchmark_O.max(initial=0) + 1) + benchmark_O, return_inverse=True)
    fold_of = np.random.default_rng(seed).permutation(block_O.max(initial=0) + 1) % folds
    return [fold_of[block_O] == fold for fold in range(folds)]


def left_out_deviations(observed: Observations, held_O: NDArray[np.bool_]) -> Array:
    """Return residuals of left-out observations in units of their predicted standard deviation."""
    kept = observed.only(~held_O)
    model_M = _codes([model for model, _ in observed.arms])
    judged_O = held_O & np.isin(model_M[observed.arm_O], model_M[kept.arm_O])
    return deviations_from(fit_link(kept), observed, judged_O & np.isin(observed.column_O, kept.column_O))


def deviations_from(link: Link, observed: Observations, judged_O: NDArray[np.bool_]) -> Array:
    """Return residuals of some observations from a link, in units of their predicted standard deviation."""
    arm, column = observed.arm_O[judged_O], observed.column_O[judged_O]
    expected_O = link.offset_C[observed.column_O] + link.slope_C[observed.column_O] * link.ability_M[observed.arm_O]
    left = (observed.logit_O - expected_O)[judged_O]
    sampling = _sampling_variance(observed, expected_O)[judged_O]
    spread = link.slope_C[column] ** 2 * link.variance_M[arm] + link.noise_C[column] + sampling
    deviations: Array = left / np.sqrt(spread)
    return deviations
