"""Calibrate the network's log-odds: of queries with a probability of 0.8, 80 % are answered correctly."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from numbers import Real
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from cit_core.errors import InvalidInput
from cit_core.messages import shown

__all__ = [
    "Calibration",
    "fit_calibration",
    "log_loss",
    "log_odds",
    "population_stability",
    "sigmoid",
    "stability_of_counts",
]

Floating = TypeVar("Floating", bound=np.floating)
BINS = 10
"""Bins of a population stability index."""
EDGE = 1e-3
"""Lowest probability of `log_odds`: ten wrong answers of ten do not mean never."""


@dataclass(frozen=True)
class Calibration:
    """Platt scaling (Platt, 1999): P = sigmoid(slope x log-odds + intercept). The order of candidates is kept."""

    slope: float = 1.0
    intercept: float = 0.0

    def __post_init__(self) -> None:
        if not (_finite(self.slope) and _finite(self.intercept) and self.slope > 0.0):
            came = f"slope {shown(self.slope)} and intercept {shown(self.intercept)}"
            raise InvalidInput(f"a calibration needs a finite slope above 0 and a finite intercept, got {came}")

    def __call__(self, odds: NDArray[np.floating]) -> NDArray[np.float64]:
        """Turn log-odds of any shape into probabilities."""
        return sigmoid(self.log_odds(odds))

    def log_odds(self, odds: NDArray[np.floating]) -> NDArray[np.float64]:
        """Turn log-odds of any shape into log-odds that mean what they say."""
        return self.slope * odds.astype(np.float64) + self.intercept


def _finite(number: object) -> bool:
    return isinstance(number, Real) and abs(cast("float", number)) <= sys.float_info.max


def sigmoid(z: NDArray[Floating]) -> NDArray[Floating]:
    """Turn log-odds into probabilities."""
    return np.exp(-np.logaddexp(0.0, -z))  # type: ignore[no-any-return]  # no overflow, however large z is


def log_odds(probability: NDArray[np.floating]) -> NDArray[np.float64]:
    """Turn probabilities of any shape into log-odds, clipped to [`EDGE`, 1 - `EDGE`]."""
    inside = np.clip(probability.astype(np.float64), EDGE, 1.0 - EDGE)
    return np.log(inside) - np.log1p(-inside)


def fit_calibration(odds: NDArray[np.floating], correct: NDArray[np.floating]) -> Calibration:
    """Fit on held-out outcomes by Newton's method on the log-loss, each step halved until it helps.

    Args:
        odds: Log-odds, any shape.
        correct: Outcomes in [0, 1], the same shape; NaN where there is none.

    Raises:
        InvalidInput: If the outcomes do not hold both right and wrong answers, or higher log-odds do not go with more
            right ones.
    """
    known = ~np.isnan(correct)
    x, y = odds[known].astype(np.float64), correct[known].astype(np.float64)
    if not 0.0 < (y.mean() if len(y) else 0.0) < 1.0:
        raise InvalidInput(f"a calibration needs right and wrong outcomes, got {len(y)} with only one of them")
    design = np.stack([x, np.ones_like(x)], axis=1)
    weights = np.zeros(2)
    for _ in range(50):
        p = sigmoid(design @ weights)
        hessian = (design * (p * (1.0 - p))[:, None]).T @ design + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, design.T @ (y - p))
        while log_loss(design @ (weights + step), y) > log_loss(design @ weights, y) and np.abs(step).max() > 1e-10:
            step /= 2.0
        weights += step
        if np.abs(step).max() <= 1e-10:
            break
    return Calibration(slope=float(weights[0]), intercept=float(weights[1]))


def log_loss(z: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Return the negative log-likelihood of outcomes y in [0, 1] under log-odds z [nats], summed."""
    return float((np.logaddexp(0.0, z) - y * z).sum())


def population_stability(before: NDArray[np.float64], after: NDArray[np.float64], bins: int = BINS) -> float:
    """Return the population stability index: sum of (q - p) ln(q / p) over bins of equal mass before.

    Below 0.1 nothing has changed, from 0.25 on the distribution is another one. Half a count is added to each bin.
    """
    edges = np.unique(np.quantile(before, np.linspace(0.0, 1.0, bins + 1)[1:-1]))
    places = (np.searchsorted(edges, values, side="right") for values in (before, after))
    return stability_of_counts(*(np.bincount(place, minlength=len(edges) + 1) for place in places))


def stability_of_counts(before: NDArray[np.intp], after: NDArray[np.intp]) -> float:
    """Return the same index of counts of the same kinds."""
    p, q = before + 0.5, after + 0.5
    p, q = p / p.sum(), q / q.sum()
    return float(((q - p) * np.log(q / p)).sum())
