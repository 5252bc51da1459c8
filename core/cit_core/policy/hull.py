"""The multiplier of a limit, exactly, for the last queries: a fractional multiple-choice knapsack.

Of each query the candidates are points (amount, utility). Only those on the upper hull can be chosen at any multiplier;
each step along it buys utility for amount at a slope. Taking the steepest steps of all queries until the limit is used
up is the best that any rule can do, and the slope of the last step is the multiplier (Sinha and Zoltners, 1979).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

import numpy as np

__all__ = ["Multiplier", "RecentQueries", "hull_steps"]

SAME = 1e-9
"""Relative difference of slopes that are one."""


class Multiplier(NamedTuple):
    """Price of the limit: utility per unit of the amount; and the share of queries at exactly it that take the step.

    `is_inner` is False where the limit binds nobody or cannot be kept.
    """

    value: float
    taken: float
    is_inner: bool


def hull_steps(points: Iterable[tuple[float, float]]) -> tuple[float, list[tuple[float, float]]]:
    """Return the least amount, and the steps (slope, amount) of the upper hull from there, steepest first."""
    hull: list[tuple[float, float]] = []
    for amount, utility in sorted(points, key=lambda point: (point[0], -point[1])):
        if hull and amount == hull[-1][0]:
            continue
        while len(hull) > 1 and _slope(hull[-2], hull[-1]) <= _slope(hull[-1], (amount, utility)):
            hull.pop()
        hull.append((amount, utility))
    steps = [(_slope(a, b), b[0] - a[0]) for a, b in pairwise(hull)]
    return hull[0][0], steps


def _slope(a: tuple[float, float], b: tuple[float, float]) -> float:
    return (b[1] - a[1]) / (b[0] - a[0])


class RecentQueries:
    """The last queries, as hulls; memory is bounded.

    Args:
        size: Queries that are remembered.
    """

    def __init__(self, size: int = 512) -> None:
        self._hulls: deque[tuple[float, list[tuple[float, float]]]] = deque(maxlen=size)

    def __copy__(self) -> RecentQueries:
        copied = RecentQueries()
        copied._hulls = self._hulls.copy()
        return copied

    def __len__(self) -> int:
        return len(self._hulls)

    def add(self, points: Iterable[tuple[float, float]]) -> None:
        """Remember a query by the points (amount, utility) of its candidates."""
        self._hulls.append(hull_steps(points))

    def multiplier(self, goal: float, *, is_exact: bool = False) -> Multiplier:
        """Return the multiplier at which the mean amount of these queries is the goal.

        Args:
            goal: Mean amount of a query.
            is_exact: Buy amount that has no use too, for a goal that must be reached; otherwise it is a limit.
        """
        pairs = [step for _, steps in self._hulls for step in steps if is_exact or step[0] > 0.0]
        if not pairs:
            return Multiplier(0.0, 1.0, False)
        slopes, amounts = np.array(pairs).T
        order = np.argsort(-slopes, kind="stable")
        slopes, used = slopes[order], np.cumsum(amounts[order])
        room = goal * len(self._hulls) - sum(least for least, _ in self._hulls)
        edge = SAME * max(abs(slopes[0]), abs(slopes[-1]))
        if room <= 0.0:
            return Multiplier(float(slopes[0] + edge) * (1.0 + SAME), 0.0, False)
        place = int(np.searchsorted(used, room, side="right"))
        if place == len(used):
            return Multiplier(float(slopes[-1] - edge) if is_exact else 0.0, 1.0, False)
        same = np.abs(slopes - slopes[place]) <= edge
        first, last = int(same.argmax()), len(same) - int(same[::-1].argmax()) - 1
        before = float(used[first - 1]) if first else 0.0
        return Multiplier(float(slopes[place]), (room - before) / (float(used[last]) - before), True)
