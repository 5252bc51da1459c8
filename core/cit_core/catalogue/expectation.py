"""Expect an ability from facts alone: newer, dearer and reasoning models are more able.

    theta of a model ~ N(level + weight_F . (facts_F - center_F), variance)

Facts that are not known count as Gaussian given those that are. `cit_core.catalogue.link` fits the line together with
the abilities; it is their prior, and all that is known of a model that nobody has scored.

Axes: M models, F facts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import date
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cit_core.records import Candidate

__all__ = ["FACTS", "Expectation", "facts_of"]

Array = NDArray[np.floating]
T = TypeVar("T", float, date)

FACTS = ("price_out", "released", "reasoning", "context_window")
EPOCH = date(2025, 1, 1)
PRICES = (0.01, 200.0)
RELEASES = (date(2022, 11, 30), date(2026, 12, 31))
WINDOWS = (2_048, 2_097_152)
"""Ranges of what the line was fitted to: USD per 1M completion tokens, days, tokens; new data widens the second. What
lies beyond counts as the end of its range: a fact that is odd, or newer than all scores, must make nobody certain."""
FEWEST_MODELS = 20
"""Minimum number of models with every fact, without which nothing is expected from facts."""
RIDGE = 0.1
VARIANCE_PRIOR, VARIANCE_WEIGHT = 0.5, 2.0
"""Prior mean of the variance [squared units of ability], and its weight in models."""


def facts_of(candidate: Candidate, released: date | None = None) -> Array:
    """Return what ability is expected from, (F,); NaN where it is not known, and where nobody asks a price.

    Args:
        candidate: A model.
        released: Day of its release where the candidate says none.
    """
    released = candidate.released or released
    price, window, reasons = candidate.price_out, candidate.context_window, candidate.reasoning
    return np.array(
        [
            math.log(_within(price, PRICES)) if price else math.nan,
            (_within(released, RELEASES) - EPOCH).days / 365.25 if released else math.nan,
            math.nan if reasons is None else float(reasons),
            math.log(_within(window, WINDOWS)) if window else math.nan,
        ]
    )


def _within(value: T, ends: tuple[T, T]) -> T:
    return min(max(value, ends[0]), ends[1])


@dataclass(frozen=True)
class Expectation:
    """Line of ability over facts.

    Attributes:
        center_F: Mean of each fact.
        covariance_FF: Covariance of the facts.
        weight_F: Ability for each unit of a fact.
        level: Mean ability.
        variance: Variance of the ability of a model with every fact known [squared units of ability].
    """

    center_F: Array
    covariance_FF: Array
    weight_F: Array
    level: float
    variance: float

    @classmethod
    def of_facts(cls, facts_MF: Array) -> Expectation:
        """Return the line before any ability is known: flat, with the variance of models in general."""
        known_MF = facts_MF[~np.isnan(facts_MF).any(axis=1)]
        facts = facts_MF.shape[1]
        if len(known_MF) < FEWEST_MODELS:
            return cls(np.zeros(facts), np.eye(facts), np.zeros(facts), 0.0, 1.0)
        return cls(known_MF.mean(axis=0), np.cov(known_MF.T), np.zeros(facts), 0.0, 1.0)

    def of(self, facts_MF: Array) -> tuple[Array, Array]:
        """Return mean and variance of the ability of each model, both (M,)."""
        mean_M, variance_M = np.empty(len(facts_MF)), np.empty(len(facts_MF))
        missing_MF = np.isnan(facts_MF)
        for missing_F in np.unique(missing_MF, axis=0):
            rows, known_F = (missing_MF == missing_F).all(axis=1), ~missing_F
            # Regression of the missing facts on the known ones, folded into the weights of these.
            among, across = self.covariance_FF[known_F][:, known_F], self.covariance_FF[known_F][:, missing_F]
            slopes = np.linalg.solve(among, across) if known_F.any() else across
            left = self.covariance_FF[missing_F][:, missing_F] - across.T @ slopes
            weight_K = self.weight_F[known_F] + slopes @ self.weight_F[missing_F]
            mean_M[rows] = self.level + (facts_MF[rows][:, known_F] - self.center_F[known_F]) @ weight_K
            variance_M[rows] = self.variance + self.weight_F[missing_F] @ left @ self.weight_F[missing_F]
        return mean_M, variance_M

    def fitted(self, facts_MF: Array, mean_M: Array, variance_M: Array) -> Expectation:
        """Return the line through the abilities of the models of which every fact is known.

        Args:
            facts_MF: Facts; rows with a NaN are left out.
            mean_M: Mean of each ability.
            variance_M: Its variance.
        """
        known_M = ~np.isnan(facts_MF).any(axis=1)
        if known_M.sum() < FEWEST_MODELS:
            return self
        away_KF, ability_K = facts_MF[known_M] - self.center_F, mean_M[known_M]
        level = float(ability_K.mean())
        weight_F = np.linalg.solve(
            away_KF.T @ away_KF + RIDGE * np.eye(away_KF.shape[1]), away_KF.T @ (ability_K - level)
        )
        left_K = ability_K - level - away_KF @ weight_F
        total = float((left_K**2 + variance_M[known_M]).sum())
        variance = (total + VARIANCE_PRIOR * VARIANCE_WEIGHT) / (len(left_K) + VARIANCE_WEIGHT)
        return replace(self, weight_F=weight_F, level=level, variance=variance)
