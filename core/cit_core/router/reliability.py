"""Reliability of a verifier: what its verdict on an answer says about the answer being right.

By Bayes, the odds that an answer is right are multiplied with P(verdict | right) / P(verdict | wrong). That ratio is
measured on answers of which both the verdict and the truth are known; until then each verifier has an assumed one.

Axes: V kinds of verdict.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from cit_core.errors import InvalidInput
from cit_core.messages import shown

__all__ = ["Rates", "Reliability", "ScoreRatio", "fit_reliability", "posterior"]

Array = NDArray[np.float64]
NORMAL = NormalDist()
EDGES = (-3.0, -1.5, -0.5, 0.5, 1.5, 3.0)
"""Log ratios between which a score counts as one kind of verdict when a step is planned."""
CLIP = 0.01
"""A score that is a probability is taken to be at least this far from 0 and 1."""
SHRINKAGE = 1.0
"""Weight of a slope of 0 in a fit, in answers: with few of them a score says little."""
LEAST = 2
"""Right and wrong answers that a fit needs."""
MOST_RATIO = 12.0
"""Largest log ratio: no verdict is beyond doubt."""


@runtime_checkable
class Reliability(Protocol):
    """What verdicts of a verifier are worth."""

    def log_ratio(self, score: float) -> float:
        """Return log P(score | right) - log P(score | wrong)."""
        ...

    @property
    def verdicts(self) -> tuple[Array, Array]:
        """Kinds of verdict that may come: P(V | right) and P(V | wrong)."""
        ...


@dataclass(frozen=True)
class Rates:
    """Reliability of a verifier that says yes or no: a score of 0.5 or more is yes.

    Attributes:
        true_positive: P(yes | right), between 0 and 1.
        false_positive: P(yes | wrong), between 0 and 1.
    """

    true_positive: float
    false_positive: float

    def __post_init__(self) -> None:
        for rate in (self.true_positive, self.false_positive):
            if not isinstance(rate, int | float) or not 0.0 < rate < 1.0:
                raise InvalidInput(f"a rate is {shown(rate)}; it must be between 0 and 1, neither included")

    def log_ratio(self, score: float) -> float:
        """Return the log ratio of yes, or of no."""
        right_V, wrong_V = self.verdicts
        place = 0 if score >= 0.5 else 1
        return float(np.log(right_V[place] / wrong_V[place]))

    @property
    def verdicts(self) -> tuple[Array, Array]:
        """Yes and no."""
        return (
            np.array([self.true_positive, 1.0 - self.true_positive]),
            np.array([self.false_positive, 1.0 - self.false_positive]),
        )


@dataclass(frozen=True)
class ScoreRatio:
    """Reliability of a verifier that gives a number: its log ratio is linear in the score.

    That is so for scores of right and of wrong answers that are normal with one variance; their distance in standard
    deviations, d, is what the AUROC says: AUROC = Phi(d / sqrt 2).

    Attributes:
        slope: Log ratio per unit of score, or of its log-odds.
        intercept: Log ratio at 0.
        distance: d; for plans, which have no score yet.
        log_odds: True for scores between 0 and 1, of which the log-odds are taken.
    """

    slope: float
    intercept: float
    distance: float
    log_odds: bool = False

    @classmethod
    def from_auroc(cls, auroc: float) -> ScoreRatio:
        """Return the reliability of a score that is N(0, 1) for wrong answers and N(d, 1) for right ones."""
        distance = math.sqrt(2.0) * NORMAL.inv_cdf(min(max(auroc, 0.5), 1.0 - 1e-12))
        return cls(distance, -(distance**2) / 2.0, distance)

    def log_ratio(self, score: float) -> float:
        """Return the log ratio of a score."""
        x = _log_odds(score) if self.log_odds else score
        return float(np.clip(self.intercept + self.slope * x, -MOST_RATIO, MOST_RATIO))

    @property
    def verdicts(self) -> tuple[Array, Array]:
        """Ranges of the log ratio, which is N(d^2 / 2, d^2) for right answers and N(-d^2 / 2, d^2) for wrong ones."""
        if self.distance <= 0.0:
            return np.ones(1), np.ones(1)
        at = np.array([NORMAL.cdf(edge / self.distance - self.distance / 2.0) for edge in EDGES])
        other = np.array([NORMAL.cdf(edge / self.distance + self.distance / 2.0) for edge in EDGES])
        return np.diff(at, prepend=0.0, append=1.0), np.diff(other, prepend=0.0, append=1.0)


def posterior(probability: float, log_ratio: float) -> float:
    """Return P(right) after a verdict, by Bayes."""
    prior = min(max(probability, 1e-9), 1.0 - 1e-9)
    return 1.0 / (1.0 + math.exp(-(math.log(prior / (1.0 - prior)) + log_ratio)))


def fit_reliability(pairs: Iterable[tuple[float | bool, float | bool]]) -> Reliability:
    """Return the reliability of a verifier, measured on answers.

    Args:
        pairs: Its score (or True and False) and how right the answer was, 0 to 1. The answers must be all that were
            verified, or a random part of them: not the accepted ones alone.

    Returns:
        `Rates` where all scores are yes or no, else a `ScoreRatio`; few pairs are shrunk to no information.

    Raises:
        InvalidInput: If a pair is no two numbers, or there are fewer than two right or two wrong answers.
    """
    score_N, right_N = _columns(pairs)
    right, wrong = float(right_N.sum()), float((1.0 - right_N).sum())
    if right < LEAST or wrong < LEAST:
        raise InvalidInput(
            f"there are {right:g} right and {wrong:g} wrong answers; at least {LEAST} of each must have been verified"
        )
    if set(np.unique(score_N)) <= {0.0, 1.0}:
        yes = float((score_N * right_N).sum()), float((score_N * (1.0 - right_N)).sum())
        return Rates((yes[0] + 0.5) / (right + 1.0), (yes[1] + 0.5) / (wrong + 1.0))
    log_odds = bool((score_N >= 0.0).all() and (score_N <= 1.0).all())
    x_N = np.array([_log_odds(score) for score in score_N]) if log_odds else score_N
    center, spread = float(x_N.mean()), float(x_N.std()) or 1.0
    slope, level = _logistic((x_N - center) / spread, right_N)
    if slope <= 0.0:  # a higher score for a worse answer is chance, or a verifier to be mended
        return ScoreRatio(0.0, 0.0, 0.0, log_odds)
    slope /= spread
    intercept = level - math.log(right / wrong) - slope * center
    ratio_N = intercept + slope * x_N
    apart = (ratio_N * right_N).sum() / right - (ratio_N * (1.0 - right_N)).sum() / wrong
    return ScoreRatio(slope, intercept, math.sqrt(max(float(apart), 0.0)), log_odds)


def _columns(pairs: Iterable[tuple[float | bool, float | bool]]) -> tuple[Array, Array]:
    try:
        table = np.array([(float(score), float(right)) for score, right in pairs], np.float64).reshape(-1, 2)
    except (TypeError, ValueError):
        raise InvalidInput("a pair is no two numbers; each must be (score, how right the answer was)") from None
    if not np.isfinite(table).all() or ((table[:, 1] < 0.0) | (table[:, 1] > 1.0)).any():
        raise InvalidInput("a score is not finite, or an answer's mark is outside 0 to 1")
    return table[:, 0], table[:, 1]


def _log_odds(score: float) -> float:
    inside = min(max(score, CLIP), 1.0 - CLIP)
    return math.log(inside / (1.0 - inside))


def _logistic(x_N: Array, y_N: Array) -> tuple[float, float]:
    """Return slope and intercept of a logistic regression, the slope with a ridge; by Newton's steps."""
    design, ridge = np.stack([x_N, np.ones_like(x_N)], axis=1), np.diag([SHRINKAGE, 1e-6])
    weights = np.array([0.0, math.log(y_N.mean() / (1.0 - y_N.mean()))])
    for _ in range(25):
        p_N = 1.0 / (1.0 + np.exp(-np.clip(design @ weights, -30.0, 30.0)))
        slope = design.T @ (y_N - p_N) - ridge @ np.array([weights[0], 0.0])
        curvature = (design * (p_N * (1.0 - p_N))[:, None]).T @ design + ridge
        weights = weights + np.linalg.solve(curvature, slope)
    return float(weights[0]), float(weights[1])
