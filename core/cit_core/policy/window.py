"""A sliding window of spend: how much the next query may take, so that no window takes more than the limit.

The clock is time, or the number of queries. The window is a ring of buckets, so memory is bounded. For every moment up
to a window ahead, what will have left the window by then is room again; the traffic until then is forecast from the
same time one window ago, scaled to what it is now, or from the present rate where there is no such past. The goal is
the highest amount per query that fits at all of these moments.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

__all__ = ["BUCKETS", "SlidingWindow"]

BUCKETS = 96
"""Buckets of a window: quarters of an hour in a day."""
NEAREST = BUCKETS // 8
"""Buckets ahead that are looked at at least: nearer ones are noise."""
RECENT = BUCKETS // 24
"""Buckets whose traffic is the present rate."""
COMPARED = BUCKETS // 8
"""Buckets whose traffic is compared with that of one window ago."""
MOST_GROWTH = 4.0
"""Bounds of the present traffic, relative to one window ago."""


class SlidingWindow:
    """Amounts in a sliding window.

    Args:
        limit: Most of the amount in one window.
        length: Length of the window [clock].
        of_queries: True if the clock counts queries, so that the traffic ahead is known.
    """

    def __init__(self, limit: float, length: float, *, of_queries: bool = False) -> None:
        self.limit, self.width, self._of_queries = limit, length / BUCKETS, of_queries
        self._queries: dict[int, float] = {}
        self._amount: dict[int, float] = {}
        self._began: float | None = None

    def add(self, now: float, queries: float, amount: float) -> int:
        """Count queries and what they took; return the bucket."""
        bucket = int(now // self.width)
        self.add_to(bucket, queries, amount)
        self._began = now if self._began is None else min(self._began, now)
        return bucket

    def add_to(self, bucket: int, queries: float, amount: float) -> None:
        """Count in a bucket, as another process did; what is older than two windows is forgotten."""
        if bucket not in self._queries:
            for old in [one for one in self._queries if one <= bucket - 2 * BUCKETS]:
                del self._queries[old], self._amount[old]
        self._queries[bucket] = self._queries.get(bucket, 0.0) + queries
        self._amount[bucket] = self._amount.get(bucket, 0.0) + amount
        self._began = bucket * self.width if self._began is None else min(self._began, (bucket + 1) * self.width)

    def replace(self, rows: Mapping[int, tuple[float, float]]) -> None:
        """Take the buckets that all processes have filled in place of these."""
        self._queries, self._amount = {}, {}
        for bucket in sorted(rows):
            self.add_to(bucket, *rows[bucket])

    @property
    def total_queries(self) -> float:
        """Return the queries of all buckets that are remembered."""
        return sum(self._queries.values())

    @property
    def latest(self) -> int:
        """Return the newest bucket, 0 if there is none."""
        return max(self._queries, default=0)

    def spent(self, now: float) -> float:
        """Return the amount in the window that ends now."""
        current = int(now // self.width)
        return self._sum(self._amount, range(current - BUCKETS + 1, current + 1))

    def goal(self, now: float) -> float:
        """Return the mean amount that the coming queries may take; 0 where the limit is used up."""
        current = int(now // self.width)
        kept = self.spent(now)
        if self.limit <= kept:
            return 0.0
        rates = self._rates(now)
        growth = None if self._of_queries else self._growth(current)
        queries = (current + 1 - now / self.width) * rates[0]  # in what is left of the bucket under way
        lowest = float("inf")
        for ahead in range(1, BUCKETS):
            past = current + ahead - BUCKETS
            kept -= self._amount.get(past, 0.0)
            queries += rates[ahead] if growth is None else growth * self._queries.get(past, 0.0)
            if ahead >= NEAREST and queries > 0.0:
                lowest = min(lowest, max(0.0, self.limit - kept) / queries)
        return lowest

    def level(self, now: float) -> float:
        """Return the mean amount that makes up within half a window for what was too much or too little so far."""
        current = int(now // self.width)
        aim = self.limit / (self.width * BUCKETS)
        seen = self._sum(self._queries, range(current - BUCKETS + 1, current + 1))
        return max(0.0, aim + (aim * seen - self.spent(now)) / (self.width * BUCKETS / 2.0))

    def _growth(self, current: int) -> float | None:
        """Return the present traffic relative to one window ago; None where there is no such past."""
        began = current if self._began is None else int(self._began // self.width)
        before = self._sum(self._queries, range(current - COMPARED - BUCKETS, current - BUCKETS))
        if current - COMPARED - BUCKETS <= began or before <= 0.0:  # the first bucket was not there from its beginning
            return None
        lately = self._sum(self._queries, range(current - COMPARED, current))
        return min(MOST_GROWTH, max(1.0 / MOST_GROWTH, lately / before))

    def _rates(self, now: float) -> list[float]:
        """Return the queries to expect in the bucket under way and those after it, where no past says more.

        The present rate, and later the mean rate so far: what is unusual now will pass.
        """
        if self._of_queries:
            return [self.width] * BUCKETS
        began = now if self._began is None else self._began
        current = int(now // self.width)
        recent = range(current - RECENT, current + 1)
        present = self._sum(self._queries, recent) / max(now - max(recent[0] * self.width, began), self.width / 15.0)
        mean = sum(self._queries.values()) / max(now - began, self.width / 15.0)
        floor = 1.0 / self.width
        return [
            self.width * max(floor, min(present, mean + (present - mean) * math.exp(-ahead / COMPARED)))
            for ahead in range(BUCKETS)
        ]

    @staticmethod
    def _sum(buckets: Mapping[int, float], which: Iterable[int]) -> float:
        return sum(buckets.get(bucket, 0.0) for bucket in which)
