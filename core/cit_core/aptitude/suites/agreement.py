"""Validate a short test: does it rank held-out models as all the questions do?

Axes: I items, M models, R resamples.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cit_core.core_suite import core_suite_from_outcomes
from cit_core.errors import InvalidInput
from cit_core.outcomes import OutcomeMatrix
from cit_core.records import Suite, Task

__all__ = ["Agreement", "agreement", "held_out_agreement", "spearman"]

RESAMPLES = 1000
FEWEST = 3
"""Minimum number of models: two rankings of two models are equal or reversed."""
DECIMALS = 9
"""Decimals of an accuracy and of a correlation, so that the order of a sum breaks no tie."""


@dataclass(frozen=True)
class Agreement:
    """Spearman's correlation of two rankings of the same models: by a short test, and by questions not in it."""

    rho: float
    low: float
    """Lower end of the 95 % interval, a bootstrap over the items in the test and outside it; the models stay fixed.

    A resample is noisier than the data, which makes rankings agree less: the interval errs to the low side.
    """
    high: float
    models: tuple[str, ...]
    """The ranked models."""
    short: int
    """Items of the test."""
    others: int
    """Items outside it."""


def agreement(responses: OutcomeMatrix, suite: Suite, models: Collection[str], *, seed: int = 0) -> Agreement:
    """Compare the ranking of models by a suite with their ranking by every item that is not in the suite.

    A model's accuracy is the mean over tasks, each counting once, in both.

    Args:
        responses: Outcomes of models on items.
        suite: The short test.
        models: Models to rank; the suite must not be sampled from them.
        seed: Seed of the resampling.

    Raises:
        InvalidInput: If there is no number: no item is outside the suite, too few models have answers in every task of
            both parts, or all do equally well.
    """
    chosen = responses.of_models([id_ for id_ in responses.candidates if id_ in models])
    short_I = np.isin(responses.item_ids, suite.item_ids)
    if short_I.all():
        raise InvalidInput("the suite takes every item; there is no other to compare its ranking with")
    generator = np.random.default_rng(seed)
    parts = [(chosen.correct_IK[rows], np.array(chosen.tasks)[rows]) for rows in (short_I, ~short_I)]
    exact_1M, other_1M = (_accuracies(correct_IM, tasks_I, None) for correct_IM, tasks_I in parts)
    ranked = np.flatnonzero(~np.isnan(exact_1M[0] + other_1M[0]))
    if len(ranked) < FEWEST:
        raise InvalidInput(
            f"{len(ranked)} models that the suite was not sampled from have answers in every task, inside and outside "
            f"it; a ranking needs {FEWEST}"
        )
    rho = spearman(exact_1M[0, ranked], other_1M[0, ranked])
    if np.isnan(rho):
        raise InvalidInput(f"the {len(ranked)} held-out models do equally well; there is no ranking to compare")
    short_RM, other_RM = (_accuracies(correct_IM[:, ranked], tasks_I, generator) for correct_IM, tasks_I in parts)
    resampled = [spearman(*pair) for pair in zip(short_RM, other_RM, strict=True)]
    low, high = np.nanpercentile(resampled, [2.5, 97.5])
    return Agreement(
        rho=rho,
        low=min(float(low), rho),
        high=max(float(high), rho),
        models=tuple(chosen.candidates[column] for column in ranked),
        short=int(short_I.sum()),
        others=int((~short_I).sum()),
    )


def held_out_agreement(
    responses: OutcomeMatrix,
    tasks: Sequence[Task],
    *,
    share: float = 0.3,
    number_of_tasks: int = 50,
    shots: int = 20,
    seed: int = 0,
) -> Agreement:
    """Measure how well a suite that is sampled on some models ranks the others.

    Args:
        responses: Outcomes of models on items.
        tasks: Tasks; see `core_suite_from_outcomes`.
        share: Share of the models that are held out: those with the lowest seeded hash of their names.
        number_of_tasks: Tasks in the suite.
        shots: Items of each task.
        seed: Seed of the split, the sampling and the interval.

    Raises:
        InvalidInput: If there is no number; the message says why.
    """
    order = sorted(responses.candidates, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
    number = round(share * len(order))
    if number < FEWEST:
        raise InvalidInput(f"{number} of {len(order)} models are held out; a ranking needs {FEWEST}")
    fitted = responses.of_models([id_ for id_ in responses.candidates if id_ not in order[:number]])
    suite = core_suite_from_outcomes(
        "fitted",
        fitted.item_ids,
        fitted.tasks,
        fitted.correct_IK,
        tasks,
        number_of_tasks=number_of_tasks,
        shots=shots,
        seed=seed,
    )
    return agreement(responses, suite, order[:number], seed=seed)


def spearman(a_M: NDArray[np.floating], b_M: NDArray[np.floating]) -> float:
    """Return Spearman's rank correlation, ties sharing their mean rank; NaN if one side is all ties."""
    a, b = _ranks(a_M), _ranks(b_M)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return round(float(np.corrcoef(a, b)[0, 1]), DECIMALS)


def _ranks(values_M: NDArray[np.floating]) -> NDArray[np.float64]:
    _, place_M, count = np.unique(values_M, return_inverse=True, return_counts=True)
    rank: NDArray[np.float64] = count.cumsum() - (count - 1) / 2
    return rank[place_M]


def _accuracies(
    correct_IM: NDArray[np.floating], tasks_I: NDArray[np.str_], generator: np.random.Generator | None
) -> NDArray[np.float64]:
    """Return mean over tasks, R x M: once as it is, or with the items weighted anew for every resample.

    The weights are exponential (Rubin's Bayesian bootstrap, 1981), so that no resample loses the last item of a task.
    NaN for a model that lacks a task: its mean could not be compared with the others'.
    """
    resamples = 1 if generator is None else RESAMPLES
    tasks = np.unique(tasks_I)
    sum_RM = np.zeros((resamples, correct_IM.shape[1]))
    for task in tasks:
        mark_IM = correct_IM[tasks_I == task]
        known_IM = ~np.isnan(mark_IM)
        shape = (resamples, len(mark_IM))
        weight_RI = np.ones(shape) if generator is None else generator.standard_exponential(shape)
        total_RM = weight_RI @ known_IM
        total_RM[total_RM == 0] = np.nan
        sum_RM += weight_RI @ np.where(known_IM, mark_IM, 0.0) / total_RM
    mean_RM: NDArray[np.float64] = np.round(sum_RM / len(tasks), DECIMALS)
    return mean_RM
