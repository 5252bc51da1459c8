"""Metrics: functions from scores and outcomes to numbers, with 95 % bootstrap intervals over items.

Axes: N items, K candidates. Outcomes are in [0, 1]; NaN where a candidate was not measured.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cit_core.errors import InvalidInput

__all__ = [
    "Interval",
    "auroc",
    "bootstrap",
    "brier",
    "calibration_error",
    "mean_interval",
    "paired_interval",
    "ranking_accuracy",
    "ratio_interval",
    "routed",
]

Array = NDArray[np.floating]


MANY = 500
"""Values from which on a mean is as good as normal, however skewed."""


class Interval(NamedTuple):
    """A mean over items and its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float


def paired_interval(values_N: Array, resamples: int = 2000, seed: int = 0) -> Interval:
    """Return the mean over items with a percentile bootstrap interval; pass a difference to compare two routers.

    Args:
        values_N: One value for each item; NaN where the item has nothing to say.
        resamples: Bootstrap samples.
        seed: Seed of the resampling; equal seeds resample equal items.

    Raises:
        InvalidInput: If no item has anything to say.
    """
    values = values_N[~np.isnan(values_N)].astype(np.float64)
    if not len(values):
        raise InvalidInput(f"none of {len(values_N)} items tells these candidates apart; more outcomes are needed")
    generator = np.random.default_rng(seed)
    # Counting how often each item is drawn is the same bootstrap in far less memory.
    counts = generator.multinomial(len(values), np.full(len(values), 1.0 / len(values)), size=resamples)
    low, high = np.quantile(counts @ values / len(values), [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high))


def mean_interval(values_N: Array) -> Interval:
    """Return the mean with a 95 % interval: by bootstrap for few values, by its standard error for many.

    Args:
        values_N: NaN where there is none.

    Raises:
        InvalidInput: If there is no value at all.
    """
    values = values_N[~np.isnan(values_N)].astype(np.float64)
    if len(values) <= MANY:
        return paired_interval(values)
    mean, error = float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
    return Interval(mean, mean - 1.96 * error, mean + 1.96 * error)


def ratio_interval(top_N: Array, bottom_N: Array) -> Interval:
    """Return the ratio of two means over the same items with a 95 % interval, by the delta method."""
    base = float(bottom_N.mean())
    if base == 0.0:
        return Interval(float("nan"), float("nan"), float("nan"))
    ratio = float(top_N.mean()) / base
    error = float((top_N - ratio * bottom_N).std() / np.sqrt(len(top_N)) / abs(base))
    return Interval(ratio, ratio - 1.96 * error, ratio + 1.96 * error)


def bootstrap(metric: Callable[[NDArray[np.intp]], float], items: int, resamples: int = 200, seed: int = 0) -> Interval:
    """Return a statistic that is no mean of items (an AUROC, an ECE) with a percentile bootstrap interval.

    Args:
        metric: Function of the drawn rows, repeats included.
        items: N.
        resamples: Bootstrap samples.
        seed: Seed of the resampling; equal seeds resample equal items.
    """
    generator = np.random.default_rng(seed)
    drawn = [metric(generator.integers(items, size=items)) for _ in range(resamples)]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Interval(metric(np.arange(items)), float(low), float(high))


def routed(scores_NK: Array, correct_NK: Array) -> Array:
    """Return the outcome of the candidate with the highest score, for each item; candidates with equal scores share."""
    best_NK = scores_NK == scores_NK.max(axis=1, keepdims=True)
    shared_N: Array = (correct_NK * best_NK).sum(axis=1) / best_NK.sum(axis=1)
    return shared_N


def ranking_accuracy(scores_NK: Array, correct_NK: Array) -> Array:
    """Return the share of (right, wrong) pairs of candidates in which the right one has the higher score, per item.

    Ties count half. NaN for an item that all candidates get right or all get wrong: it says nothing about ranking.
    """
    better_NKK = correct_NK[:, :, None] > correct_NK[:, None, :]
    margin_NKK = scores_NK[:, :, None] - scores_NK[:, None, :]
    won_NKK = (margin_NKK > 0) + 0.5 * (margin_NKK == 0)
    pairs_N = better_NKK.sum(axis=(1, 2))
    return np.where(pairs_N > 0, (won_NKK * better_NKK).sum(axis=(1, 2)) / np.maximum(pairs_N, 1), np.nan)


def auroc(probability: Array, correct: Array) -> float:
    """Return the chance that a right answer has a higher probability than a wrong one, over all (item, candidate)."""
    p, y = _known(probability, correct)
    right = y > 0.5
    _, inverse, counts = np.unique(p, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2.0)[inverse]  # average rank of ties, from 1
    positives, negatives = right.sum(), (~right).sum()
    if not positives or not negatives:
        return float("nan")  # nothing to tell apart, as in a resample of a very small table
    return float((rank[right].sum() - positives * (positives + 1) / 2.0) / (positives * negatives))


def brier(probability: Array, correct: Array) -> float:
    """Return mean squared distance of probability and outcome; lower is better."""
    p, y = _known(probability, correct)
    return float(((p - y) ** 2).mean())


def calibration_error(probability: Array, correct: Array, bins: int = 15) -> float:
    """Return the ECE: mean gap between probability and accuracy over equal-width bins, weighted by their size."""
    p, y = _known(probability, correct)
    bin_of = np.minimum((p * bins).astype(int), bins - 1)
    size = np.bincount(bin_of, minlength=bins)
    gap = np.abs(np.bincount(bin_of, p, bins) - np.bincount(bin_of, y, bins))
    return float(gap.sum() / size.sum())


def _known(probability: Array, correct: Array) -> tuple[Array, Array]:
    known = ~np.isnan(correct)
    return probability[known], correct[known]
