"""Quality against cost: the field's own numbers, as functions of curves.

Axes: N items, K candidates, P points of a curve.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Curve",
    "aiq",
    "apgr",
    "arena_score",
    "call_share_for",
    "cost_at_quality",
    "cost_curve",
    "hull_mixture",
    "nauc",
    "queries_to_break_even",
    "two_model_curve",
]

Array = NDArray[np.float64]
ARENA_COSTS = 0.0044, 200.0
"""USD per 1,000 queries between which RouterArena's score counts cost."""
ARENA_BETA = 0.1
"""Weight of quality against cost in it."""


class Curve(NamedTuple):
    """Mean cost of a query and mean quality, one point for each value of a knob."""

    cost_P: Array
    quality_P: Array


def cost_curve(scores_NK: Array, correct_NK: Array, cost_K: Array, knobs: Array) -> Curve:
    """Return the curve of `CostAware` over values of a correct answer: it takes the highest value x P - cost.

    Args:
        scores_NK: Probabilities.
        correct_NK: Outcomes.
        cost_K: Cost of one query, for each candidate.
        knobs: Values of a correct answer, in the unit of cost.
    """
    rows = np.arange(len(scores_NK))
    chosen = [(value * scores_NK - cost_K).argmax(axis=1) for value in knobs]
    return Curve(
        np.array([cost_K[pick].mean() for pick in chosen]), np.array([correct_NK[rows, pick].mean() for pick in chosen])
    )


def aiq(curve: Curve, low: float, high: float) -> float:
    """Average improvement in quality (RouterBench): mean height, from cost `low` to `high`, of the curve's hull.

    The hull is the best that mixing points at random can do; below its cheapest point it is 0.
    """
    cost, quality = _hull(curve)
    grid = np.linspace(low, high, 1001)
    heights = np.interp(grid, cost, quality, left=0.0)
    return float(np.trapezoid(heights, grid) / (high - low)) if high > low else float(heights[-1])


def nauc(curve: Curve, cost: float, quality: float) -> float:
    """Normalised area under the curve of quality against cost, 0 to 1: no mixing, both axes in shares.

    Cost is in shares of the dearest model's, from 0 on; quality of the best model's. At each cost stands the best point
    that is no dearer; below the cheapest point it is 0.

    Args:
        curve: Points of a router.
        cost: Cost of the dearest model.
        quality: Quality of the best model.
    """
    order = np.argsort(curve.cost_P, kind="stable")
    edge_P = np.append(np.minimum(curve.cost_P[order], cost), cost)
    height_P = np.maximum.accumulate(curve.quality_P[order])
    area = float((np.diff(edge_P) * height_P).sum() / cost) if cost > 0.0 else float(height_P[-1])
    return area / quality


def hull_mixture(singles: Curve, cost: float) -> Array:
    """Shares (P,) of the points whose mixture is the hull's height at a cost; the dearest of the hull beyond it.

    Below the cheapest point there is no mixture: that point is taken.
    """
    hull = _hull(singles)
    place = [
        int(np.flatnonzero((singles.cost_P == c) & (singles.quality_P == q))[0]) for c, q in zip(*hull, strict=True)
    ]
    heights = np.interp(cost, hull.cost_P, np.arange(len(place)))
    below, above = int(np.floor(heights)), int(np.ceil(heights))
    share_P = np.zeros(len(singles.cost_P))
    share_P[place[below]] += 1.0 - (heights - below)
    share_P[place[above]] += heights - below
    return share_P


def _hull(curve: Curve) -> Curve:
    """Return upper concave, never falling envelope, by cost."""
    order = np.lexsort((-curve.quality_P, curve.cost_P))
    points: list[tuple[float, float]] = []
    for cost, quality in zip(curve.cost_P[order], curve.quality_P[order], strict=True):
        if points and quality <= points[-1][1]:
            continue
        while len(points) > 1 and _slope(points[-2], points[-1]) <= _slope(points[-1], (cost, quality)):
            points.pop()
        if points and cost == points[-1][0]:
            continue
        points.append((float(cost), float(quality)))
    return Curve(np.array([cost for cost, _ in points]), np.array([quality for _, quality in points]))


def _slope(a: tuple[float, float], b: tuple[float, float]) -> float:
    return (b[1] - a[1]) / (b[0] - a[0]) if b[0] > a[0] else float("inf")


def cost_at_quality(curve: Curve, quality: float) -> float:
    """Return the least cost at which the hull reaches a quality; infinite if it never does."""
    cost, height = _hull(curve)
    return float(np.interp(quality, height, cost)) if quality <= height[-1] else float("inf")


def two_model_curve(gain_N: Array, weak_N: Array, strong_N: Array) -> Curve:
    """Return quality against the share of queries for the strong model, those with the largest expected gain first.

    Equal gains share what they bring, so that no order of the queries makes a difference.
    """
    _, place_N, size = np.unique(-gain_N, return_inverse=True, return_counts=True)
    shared = np.bincount(place_N, strong_N - weak_N) / size
    total = np.concatenate([[0.0], np.cumsum(np.repeat(shared, size))])
    return Curve(np.linspace(0.0, 1.0, len(total)), weak_N.mean() + total / len(gain_N))


def apgr(curve: Curve) -> float:
    """Average performance gap recovered (RouteLLM): mean over the share of strong calls of the gap that is closed."""
    weak, strong = curve.quality_P[0], curve.quality_P[-1]
    return float(np.trapezoid((curve.quality_P - weak) / (strong - weak), curve.cost_P))


def call_share_for(curve: Curve, share: float) -> float:
    """Return the share of strong calls that closes this much of the gap (RouteLLM's call-performance threshold)."""
    weak, strong = curve.quality_P[0], curve.quality_P[-1]
    reached = np.flatnonzero(curve.quality_P >= weak + share * (strong - weak))
    return float(curve.cost_P[reached[0]])


def arena_score(accuracy: float, usd_per_1000: float) -> float:
    """Return RouterArena's score: accuracy and log-cost, joined by a weighted harmonic mean; 0 to 1."""
    low, high = np.log2(ARENA_COSTS)
    cheapness = float(np.clip((high - np.log2(max(usd_per_1000, ARENA_COSTS[0]))) / (high - low), 0.0, 1.0))
    if accuracy == 0.0 or cheapness == 0.0:
        return 0.0
    return (1.0 + ARENA_BETA) * accuracy * cheapness / (ARENA_BETA * accuracy + cheapness)


def queries_to_break_even(once: float, cost: float, other: float) -> float:
    """Return the queries after which a way that costs `once` and then `cost` a query is cheaper than `other` a query.

    Args:
        once: Cost before the first query, such as that of an aptitude test.
        cost: Cost of a query after it.
        other: Cost of a query of the way that needs no preparation.

    Returns:
        Infinity where it never is.
    """
    return once / (other - cost) if other > cost else np.inf
