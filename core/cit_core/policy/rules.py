"""Policies that need no memory: each turns one candidate's numbers into a utility, and the highest wins.

All but `Threshold` are cases of one Lagrangian (`Tradeoff`): what an answer is worth, less what it costs in money and
time. Policies with a limit over many queries (`cit_core.policy.goals`) move its multiplier from query to query.
"""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Protocol, runtime_checkable

from cit_core.errors import CITError, InvalidInput, NoCandidate
from cit_core.messages import shown
from cit_core.records import Candidate, Ranked

__all__ = [
    "Best",
    "CostAware",
    "FunctionPolicy",
    "Policy",
    "Quality",
    "Scored",
    "Threshold",
    "Tradeoff",
    "rank",
    "within",
    "written",
]


def within(number: object, low: float, high: float) -> bool:
    """Return whether it is a number from low to high; NaN is not."""
    return isinstance(number, Real) and low <= number <= high  # type: ignore[operator]  # for mypy, Real has no order


def written(number: float) -> str:
    """Write a number short where that is exact, so that a policy's name can be read back."""
    return f"{number:g}" if float(f"{number:g}") == number else repr(float(number))


def options_written(**options: float) -> str:
    """Write the options of a policy that are not 0: `,risk:1`."""
    return "".join(f",{name}:{written(value)}" for name, value in options.items() if value)


@dataclass(frozen=True)
class Scored:
    """A candidate with its numbers for one query.

    Attributes:
        candidate: The candidate.
        probability: P(correct).
        cost: Expected cost [USD], None if unknown.
        latency_s: Expected time of its answer [s], None if unknown.
        deviation: Standard deviation of P(correct), from how well the candidate's level is known.
        basis: What the probability rests on, in words; None if nothing is said.
    """

    candidate: Candidate
    probability: float
    cost: float | None = None
    latency_s: float | None = None
    deviation: float = 0.0
    basis: str | None = None


@runtime_checkable
class Policy(Protocol):
    """Turns one candidate's numbers into a utility; the highest wins."""

    @property
    def name(self) -> str:
        """Return how the command line writes the policy, for example `threshold:0.7`."""
        ...

    @property
    def needs_prices(self) -> bool:
        """Return True if a candidate without a price cannot be compared."""
        ...

    def utility(self, scored: Scored) -> tuple[float, ...]:
        """Return a sort key, compared left to right, highest first; its first number is shown as the utility."""
        ...


def _check_risk(risk: object) -> None:
    if not within(risk, 0.0, sys.float_info.max):
        raise InvalidInput(f"risk needs a number of standard deviations, 0 or more, got {shown(risk)}; try risk:1")


@dataclass(frozen=True)
class Best:
    """The candidate most likely to be right (eq. 1 of the paper); the cheaper of two equals.

    Attributes:
        risk: Standard deviations that are taken off P(correct) of a candidate whose level is not well known.
    """

    risk: float = 0.0
    needs_prices = False

    def __post_init__(self) -> None:
        _check_risk(self.risk)

    @property
    def name(self) -> str:
        """Return `best`."""
        return f"best{options_written(risk=self.risk)}"

    def utility(self, scored: Scored) -> tuple[float, ...]:
        """Return P(correct), then the lower cost."""
        cost = math.inf if scored.cost is None else scored.cost
        return scored.probability - self.risk * scored.deviation, -cost


@dataclass(frozen=True)
class Threshold:
    """The cheapest candidate with P(correct) >= tau; the most likely one if none reaches it."""

    tau: float
    needs_prices = True

    def __post_init__(self) -> None:
        if not within(self.tau, 0.0, 1.0):
            raise InvalidInput(
                f"threshold needs a probability between 0 and 1, got {shown(self.tau)}; try threshold:0.7"
            )

    @property
    def name(self) -> str:
        """Return `threshold:TAU`."""
        return f"threshold:{written(self.tau)}"

    def utility(self, scored: Scored) -> tuple[float, ...]:
        """Return (1, -cost, P) for a candidate that is good enough, (0, P) for one that is not."""
        assert scored.cost is not None
        if scored.probability >= self.tau:
            return 1.0, -scored.cost, scored.probability
        return 0.0, scored.probability, -scored.cost


@dataclass(frozen=True)
class Tradeoff:
    """The Lagrangian of a query: value x (P - risk x deviation) - price x cost - delay x time + bonus.

    Attributes:
        value: Value of one correct answer, in the unit of the utility.
        price: Weight of a USD in it.
        delay: Weight of a second in it.
        risk: Standard deviations that are taken off P(correct).
        favoured: Id of the candidate with a bonus.
        bonus: What is added to its utility.
        assumed_s: Time of a candidate whose time is not known [s].
        name: Policy that it is a moment of.
        needs_prices: True if a candidate without a price cannot be compared.
    """

    value: float = 1.0
    price: float = 0.0
    delay: float = 0.0
    risk: float = 0.0
    favoured: str | None = None
    bonus: float = 0.0
    assumed_s: float = 0.0
    name: str = "tradeoff"
    needs_prices: bool = False

    def utility(self, scored: Scored) -> tuple[float, ...]:
        """Return the utility, then P, then the lower cost."""
        cost = math.inf if scored.cost is None else scored.cost
        total = self.value * (scored.probability - self.risk * scored.deviation)
        if self.price:
            total -= self.price * cost
        if self.delay:
            total -= self.delay * (self.assumed_s if scored.latency_s is None else scored.latency_s)
        if scored.candidate.id == self.favoured:
            total += self.bonus
        return total, scored.probability, -cost


@dataclass(frozen=True)
class CostAware:
    """The candidate with the highest value x P(correct) - expected cost.

    Attributes:
        value: Value of one correct answer [USD].
        risk: Standard deviations that are taken off P(correct) of a candidate whose level is not well known.
        time: Price of waiting [USD per second]; a candidate whose time is not known counts with the others' mean.
    """

    value: float
    risk: float = 0.0
    time: float = 0.0
    needs_prices = True

    def __post_init__(self) -> None:
        if not (within(self.value, 0.0, sys.float_info.max) and self.value > 0.0):
            raise InvalidInput(
                f"cost needs the worth of a correct answer in USD, above 0, got {shown(self.value)}; try cost:0.02"
            )
        _check_risk(self.risk)
        if not within(self.time, 0.0, sys.float_info.max):
            raise InvalidInput(f"time needs a price in USD per second, 0 or more, got {shown(self.time)}")

    @property
    def name(self) -> str:
        """Return `cost:VALUE`."""
        return f"cost:{written(self.value)}{options_written(risk=self.risk, time=self.time)}"

    def utility(self, scored: Scored) -> tuple[float, ...]:
        """Return expected value minus expected cost [USD], then P, then the lower cost."""
        assert scored.cost is not None
        return self._tradeoff(0.0).utility(scored)

    def of_query(self, scored: Sequence[Scored]) -> Policy:
        """Return the policy for a query, which knows the mean time of its candidates."""
        known = [one.latency_s for one in scored if one.latency_s is not None] if self.time else []
        return self._tradeoff(sum(known) / len(known)) if known else self

    def _tradeoff(self, assumed_s: float) -> Tradeoff:
        return Tradeoff(self.value, 1.0, self.time, self.risk, None, 0.0, assumed_s, self.name, needs_prices=True)


@dataclass(frozen=True)
class Quality:
    """The least cost that keeps a share of the expected quality of always the best.

    Without a value, on every query the cheapest candidate with at least this share of the highest P(correct): that
    keeps the share on each query, so on average more of it, and needs no calibration. With the value that
    `cit calibrate --quality` finds on one's own queries, the share is kept on average, for less.

    Attributes:
        share: Of the expected quality of always the best, 0 to 1.
        value: Calibrated value of one correct answer [USD].
    """

    share: float
    value: float | None = None
    needs_prices = True

    def __post_init__(self) -> None:
        if not within(self.share, 0.0, 1.0):
            raise InvalidInput(
                f"quality needs a share of the best model's between 0 and 1, got {shown(self.share)}; try quality:0.98"
            )
        if self.value is not None:
            CostAware(self.value)

    @property
    def name(self) -> str:
        """Return `quality:SHARE`, with the value if it was calibrated."""
        return f"quality:{written(self.share)}" + ("" if self.value is None else f",value:{written(self.value)}")

    def utility(self, scored: Scored) -> tuple[float, ...]:
        """Return the utility among what is not known: as if the best were certain to be right."""
        return self.of_query([Scored(scored.candidate, 1.0)]).utility(scored)

    def of_query(self, scored: Sequence[Scored]) -> Policy:
        """Return the policy for a query."""
        if self.value is not None:
            return Tradeoff(self.value, 1.0, name=self.name, needs_prices=True)
        return Threshold(self.share * max(one.probability for one in scored))


@dataclass(frozen=True)
class FunctionPolicy:
    """A policy that is a function of one's own, from `Scored` to a utility: a number, or a tuple of numbers."""

    function: Callable[[Scored], Any]
    needs_prices: bool = False

    @property
    def name(self) -> str:
        """Return the name of the function."""
        return f"function:{getattr(self.function, '__name__', type(self.function).__name__)}"

    def utility(self, scored: Scored) -> tuple[float, ...]:
        """Return what the function says.

        Raises:
            CITError: If it fails, or returns what is no number.
        """
        try:
            found = self.function(scored)
        except Exception as error:
            raise CITError(f"the policy {self.name} failed ({type(error).__name__})") from error
        key = found if isinstance(found, tuple) else (found,)
        if not key or not all(within(part, -math.inf, math.inf) for part in key):
            raise CITError(f"the policy {self.name} returned {shown(found)}; it must be a number or a tuple of numbers")
        return tuple(map(float, key))


def rank(scored: Sequence[Scored], policy: Policy, excluded: Mapping[str, str]) -> tuple[list[Ranked], dict[str, str]]:
    """Order candidates by a policy.

    Args:
        scored: The candidates that were scored for one query.
        policy: The policy.
        excluded: Candidates that are out already, with reasons; a policy that needs prices adds those without any.

    Returns:
        The ranking, best first, equals in order of id; and every excluded candidate with the reason.

    Raises:
        NoCandidate: If no candidate is left.
    """
    reasons = dict(excluded)
    if policy.needs_prices:
        for entry in scored:
            if entry.cost is None:
                help_ = (
                    f"give USD per 1M tokens, as in `cit models add {shlex.quote(entry.candidate.id)} --price-in 0.15 "
                    "--price-out 0.6`, and route with its store"
                )
                reasons.setdefault(entry.candidate.id, f"no price is known and policy {policy.name} needs one: {help_}")
    left = sorted(
        (entry for entry in scored if entry.candidate.id not in reasons), key=lambda entry: entry.candidate.id
    )
    if not left:
        raise NoCandidate(reasons)
    moment = policy.of_query(left) if hasattr(policy, "of_query") else policy
    keyed = sorted(((moment.utility(entry), entry) for entry in left), key=lambda pair: pair[0], reverse=True)
    return [
        Ranked(
            model=entry.candidate.id,
            probability=entry.probability,
            expected_cost_usd=entry.cost,
            expected_latency_s=entry.latency_s,
            utility=utility[0],
            basis=entry.basis,
        )
        for utility, entry in keyed
    ], reasons
