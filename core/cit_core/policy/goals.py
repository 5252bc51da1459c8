"""Limits over many queries: money, calls of one model, seconds. A pacer keeps each (`cit_core.policy.pacer`)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from cit_core.errors import InvalidInput
from cit_core.messages import shown
from cit_core.policy.rules import Best, CostAware, Policy, Scored, Tradeoff, options_written, within, written

__all__ = ["WINDOWS", "Budget", "Goal", "Latency", "Share"]

BEST = Best()

WINDOWS = {"minute": 60.0, "hour": 3_600.0, "day": 86_400.0, "week": 604_800.0, "month": 2_592_000.0}
"""Names of windows of time, and their lengths [s]; a month is 30 days."""
COUNTS = {"query": 1, "1k": 1_000, "10k": 10_000, "100k": 100_000, "1m": 1_000_000}
"""Names of windows of queries."""
SHORTEST = 1_000
"""Queries over which a mean is kept; fewer are too few to mean anything."""


@dataclass(frozen=True)
class Goal:
    """A policy with a limit on an amount over a sliding window: the best of what keeps it.

    Utility of the base policy minus a multiplier x amount. `BudgetPacer` finds the multiplier.

    Attributes:
        base: What is maximised within the limit: `Best`, or `CostAware`.
    """

    base: Best | CostAware = BEST
    is_exact: ClassVar[bool] = False
    """True if less than the limit is as wrong as more."""

    @property
    def name(self) -> str:
        """Return how the command line writes it."""
        raise NotImplementedError

    @property
    def needs_prices(self) -> bool:
        """Return whether a candidate without a price cannot be compared."""
        return self.base.needs_prices

    @property
    def limit(self) -> float:
        """Return the most of the amount in one window."""
        raise NotImplementedError

    @property
    def window_s(self) -> float | None:
        """Return the length of the window [s]; None if it is one of queries."""
        return None

    @property
    def window_queries(self) -> int:
        """Return the length of a window of queries."""
        return SHORTEST

    @property
    def by_tenant(self) -> bool:
        """Return whether every tenant has the limit for itself."""
        return False

    def amount(self, model: str, cost: float | None, latency_s: float | None) -> float:
        """Return how much of the limit one answer takes."""
        raise NotImplementedError

    def at(self, multiplier: float) -> Tradeoff:
        """Return the policy of one query at a multiplier."""
        value = self.base.value if isinstance(self.base, CostAware) else 1.0
        delay = self.base.time if isinstance(self.base, CostAware) else 0.0
        price = 1.0 if isinstance(self.base, CostAware) else 0.0
        start = Tradeoff(value, price, delay, self.base.risk, name=self.name, needs_prices=self.needs_prices)
        return self._with(start, multiplier)

    def _with(self, start: Tradeoff, multiplier: float) -> Tradeoff:
        raise NotImplementedError

    def of_query(self, scored: Sequence[Scored]) -> Policy:  # noqa: ARG002 - as all policies take them
        """Return the base: where no pacer was asked, nothing limits it."""
        return self.base

    def utility(self, scored: Scored) -> tuple[float, ...]:
        """Return the utility of the base."""
        return self.base.utility(scored)

    def _options(self) -> str:
        if isinstance(self.base, CostAware):
            return f",{self.base.name}"
        return options_written(risk=self.base.risk)


@dataclass(frozen=True)
class Budget(Goal):
    """The best within a budget.

    Attributes:
        usd: Most expected spend in one window [USD].
        per: The window: a time (`minute`, `hour`, `day`, `week`, `month`), or a number of queries (`1k`, `10k`,
            `100k`, `1m`).
        each: `tenant` if every tenant (key of the gateway) has the budget for itself.
    """

    usd: float = 0.0
    per: str = "day"
    each: str | None = None

    def __post_init__(self) -> None:
        if not (within(self.usd, 0.0, sys.float_info.max) and self.usd > 0.0):
            raise InvalidInput(f"budget needs USD above 0, got {shown(self.usd)}; try budget:1.50/1k or budget:20/day")
        if self.per not in WINDOWS and self.per not in COUNTS:
            known = ", ".join([*WINDOWS, *COUNTS])
            raise InvalidInput(f"budget is per {shown(self.per)}; there are {known}: budget:20/day, budget:1.50/1k")
        if self.each not in (None, "tenant"):
            raise InvalidInput(f"budget is for each {shown(self.each)}; it can be for each tenant: budget:5/day/tenant")

    @property
    def name(self) -> str:
        """Return `budget:USD/WINDOW`."""
        each = "" if self.each is None else f"/{self.each}"
        return f"budget:{written(self.usd)}/{self.per}{each}{self._options()}"

    @property
    def needs_prices(self) -> bool:
        """Return True."""
        return True

    @property
    def limit(self) -> float:
        """Return the most spend in one window [USD]."""
        return self.usd if self.per in WINDOWS else self.usd * self.window_queries / COUNTS[self.per]

    @property
    def window_s(self) -> float | None:
        """Return the length of the window [s]; None if it is one of queries."""
        return WINDOWS.get(self.per)

    @property
    def window_queries(self) -> int:
        """Return the length of a window of queries."""
        return max(SHORTEST, COUNTS.get(self.per, 0))

    @property
    def by_tenant(self) -> bool:
        """Return whether every tenant has the budget for itself."""
        return self.each == "tenant"

    def amount(self, model: str, cost: float | None, latency_s: float | None) -> float:  # noqa: ARG002
        """Return the cost of an answer [USD]."""
        return cost or 0.0

    def _with(self, start: Tradeoff, multiplier: float) -> Tradeoff:
        return replace(start, price=start.price + multiplier)


@dataclass(frozen=True)
class Share(Goal):
    """A fixed share of queries for one model, those where it helps most: what is paid for whether it is used or not.

    Attributes:
        model: Id of the candidate.
        share: Of all queries, 0 to 1.
    """

    model: str = ""
    share: float = 0.0
    is_exact: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (isinstance(self.model, str) and self.model):
            raise InvalidInput(f"share is of the model {shown(self.model)}; try share:gpt-5=20%")
        if not within(self.share, 0.0, 1.0):
            raise InvalidInput(f"share needs a part of all queries, 0 % to 100 %, got {shown(self.share)}")

    @property
    def name(self) -> str:
        """Return `share:MODEL=PERCENT%`."""
        return f"share:{self.model}={written(round(100 * self.share, 10))}%{self._options()}"

    @property
    def limit(self) -> float:
        """Return the calls of the model in one window."""
        return self.share * self.window_queries

    def amount(self, model: str, cost: float | None, latency_s: float | None) -> float:  # noqa: ARG002
        """Return 1 for a call of the model."""
        return float(model == self.model)

    def _with(self, start: Tradeoff, multiplier: float) -> Tradeoff:
        return replace(start, favoured=self.model, bonus=-multiplier)


@dataclass(frozen=True)
class Latency(Goal):
    """The best with answers that take at most some seconds on average.

    A candidate whose time is not known counts as one that takes exactly as long.

    Attributes:
        seconds: Longest mean time of an answer [s].
    """

    seconds: float = 0.0

    def __post_init__(self) -> None:
        if not (within(self.seconds, 0.0, sys.float_info.max) and self.seconds > 0.0):
            raise InvalidInput(f"latency needs seconds above 0, got {shown(self.seconds)}; try latency:2")

    @property
    def name(self) -> str:
        """Return `latency:SECONDS`."""
        return f"latency:{written(self.seconds)}{self._options()}"

    @property
    def limit(self) -> float:
        """Return the seconds in one window."""
        return self.seconds * self.window_queries

    def amount(self, model: str, cost: float | None, latency_s: float | None) -> float:  # noqa: ARG002
        """Return the time of an answer [s]."""
        return self.seconds if latency_s is None else latency_s

    def _with(self, start: Tradeoff, multiplier: float) -> Tradeoff:
        return replace(start, delay=start.delay + multiplier, assumed_s=self.seconds)
