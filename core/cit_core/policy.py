"""Choose a candidate by probabilities: constraints say which candidates may be chosen, a policy says which one is.

Pure functions of numbers and facts; nothing here sees the text of a query.
"""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Protocol, runtime_checkable

from pydantic.dataclasses import dataclass as pydantic_dataclass

from cit_core.errors import InvalidInput, NoCandidate
from cit_core.messages import shown
from cit_core.records import Candidate, Ranked
from cit_core.validation import OPTIONS, AtLeast0, Count, Identifiers, our_errors

__all__ = [
    "Best",
    "Constraints",
    "CostAware",
    "Policy",
    "QueryFacts",
    "Scored",
    "Threshold",
    "as_constraints",
    "as_policy",
    "parse_policy",
    "rank",
]


def _within(number: object, low: float, high: float) -> bool:
    """Return whether it is a number from low to high; NaN is not."""
    return isinstance(number, Real) and low <= number <= high  # type: ignore[operator]  # for mypy, Real has no order


def _written(number: float) -> str:
    """Write a number short where that is exact, so that a policy's name can be read back."""
    return f"{number:g}" if float(f"{number:g}") == number else repr(float(number))


@our_errors
@pydantic_dataclass(frozen=True, config=OPTIONS)
class QueryFacts:
    """Facts about a query that constraints may use.

    Attributes:
        tokens: Its estimated length [tokens].
        modalities: Modalities in the query.
        tools: True if the answer needs tool calls.
        structured_output: True if the answer must follow a schema.
    """

    tokens: Count = 0
    modalities: Identifiers = frozenset({"text"})
    tools: bool = False
    structured_output: bool = False


PLAIN_TEXT = QueryFacts()
"""A query of which nothing is known."""


@dataclass(frozen=True)
class Scored:
    """A candidate with its numbers for one query: P(correct), expected cost [USD] and time [s], None if unknown."""

    candidate: Candidate
    probability: float
    cost: float | None = None
    latency_s: float | None = None


@our_errors
@pydantic_dataclass(frozen=True, config=OPTIONS)
class Constraints:
    """Limits on which candidates may be chosen.

    A fact that is not known never excludes a candidate; context windows are always respected.

    Attributes:
        allow: Only these ids, if given.
        deny: Never these ids.
        max_price_in: Highest price per 1M prompt tokens [USD].
        max_price_out: Highest price per 1M completion tokens [USD].
        tools: Every query needs tool calls.
        structured_output: Every answer must follow a schema.
        modalities: Every query holds these.
        max_latency_s: Longest time that answers took on average where they were measured [s].
    """

    allow: Identifiers | None = None
    deny: Identifiers = frozenset()
    max_price_in: AtLeast0 | None = None
    max_price_out: AtLeast0 | None = None
    tools: bool = False
    structured_output: bool = False
    modalities: Identifiers = frozenset()
    max_latency_s: AtLeast0 | None = None

    def among(self, ids: Iterable[str]) -> Constraints:
        """Return these constraints, narrowed to some candidates."""
        some = frozenset(ids)
        return replace(self, allow=some if self.allow is None else self.allow & some)

    def reason_against(
        self, candidate: Candidate, query: QueryFacts = PLAIN_TEXT, latency_s: float | None = None
    ) -> str | None:
        """Return why the candidate, with mean latency `latency_s`, may not take the query; None if it may."""
        return next(self._reasons(candidate, query, latency_s), None)

    def _reasons(self, candidate: Candidate, query: QueryFacts, latency_s: float | None) -> Iterator[str]:
        if self.allow is not None and candidate.id not in self.allow:
            yield "not in the allowed list"
        if candidate.id in self.deny:
            yield "denied"
        if _above(candidate.price_in, self.max_price_in):
            yield f"price_in {candidate.price_in} is above {self.max_price_in} USD per 1M tokens"
        if _above(candidate.price_out, self.max_price_out):
            yield f"price_out {candidate.price_out} is above {self.max_price_out} USD per 1M tokens"
        if _above(latency_s, self.max_latency_s):
            yield f"its answers took {latency_s:.3g} s on average, above {self.max_latency_s:g} s"
        if candidate.tools is False and (self.tools or query.tools):
            yield "cannot call tools"
        if candidate.structured_output is False and (self.structured_output or query.structured_output):
            yield "cannot follow a schema"
        if candidate.modalities is not None:
            missing = (self.modalities | query.modalities) - set(candidate.modalities)
            if missing:
                yield f"cannot read {', '.join(sorted(missing))}"

    def exclude(
        self,
        candidates: Sequence[Candidate],
        query: QueryFacts = PLAIN_TEXT,
        latencies: Mapping[str, float] | None = None,
    ) -> dict[str, str]:
        """Return candidate id to reason for every candidate that may not take this query.

        A query's length is an estimate, so it never refuses alone: if it is too long for every candidate that is left,
        none is excluded for it.

        Args:
            candidates: Candidates to check.
            query: Facts about the query.
            latencies: Seconds by candidate id.
        """
        took = latencies or {}
        reasons = {
            c.id: reason for c in candidates if (reason := self.reason_against(c, query, took.get(c.id))) is not None
        }
        left = [c for c in candidates if c.id not in reasons]
        short = {
            c.id: f"context window of {c.context_window} tokens is shorter than the query (about {query.tokens})"
            for c in left
            if c.context_window is not None and c.context_window < query.tokens
        }
        return reasons if len(short) == len(left) else reasons | short


def _above(price: float | None, limit: float | None) -> bool:
    return price is not None and limit is not None and price > limit


@runtime_checkable
class Policy(Protocol):
    """Turns one candidate's numbers into a utility; the highest wins."""

    @property
    def name(self) -> str:
        """Return how the command line writes the policy, for example `threshold:0.7`."""
        ...

    needs_prices: bool

    def utility(self, scored: Scored) -> tuple[float, ...]:
        """Return a sort key, compared left to right, highest first; its first number is shown as the utility."""
        ...


@dataclass(frozen=True)
class Best:
    """The candidate most likely to be right (eq. 1 of the paper); the cheaper of two equals."""

    needs_prices = False

    @property
    def name(self) -> str:
        """Return `best`."""
        return "best"

    def utility(self, scored: Scored) -> tuple[float, ...]:
        """Return P(correct), then the lower cost."""
        return scored.probability, -(math.inf if scored.cost is None else scored.cost)


@dataclass(frozen=True)
class Threshold:
    """The cheapest candidate with P(correct) >= tau; the most likely one if none reaches it."""

    tau: float
    needs_prices = True

    def __post_init__(self) -> None:
        if not _within(self.tau, 0.0, 1.0):
            raise InvalidInput(
                f"threshold needs a probability between 0 and 1, got {shown(self.tau)}; try threshold:0.7"
            )

    @property
    def name(self) -> str:
        """Return `threshold:TAU`."""
        return f"threshold:{_written(self.tau)}"

    def utility(self, scored: Scored) -> tuple[float, ...]:
        """Return (1, -cost, P) for a candidate that is good enough, (0, P) for one that is not."""
        assert scored.cost is not None
        if scored.probability >= self.tau:
            return 1.0, -scored.cost, scored.probability
        return 0.0, scored.probability, -scored.cost


@dataclass(frozen=True)
class CostAware:
    """The candidate with the highest value x P(correct) - expected cost.

    Attributes:
        value: Value of one correct answer [USD].
    """

    value: float
    needs_prices = True

    def __post_init__(self) -> None:
        if not (_within(self.value, 0.0, sys.float_info.max) and self.value > 0.0):
            raise InvalidInput(
                f"cost needs the worth of a correct answer in USD, above 0, got {shown(self.value)}; try cost:0.02"
            )

    @property
    def name(self) -> str:
        """Return `cost:VALUE`."""
        return f"cost:{_written(self.value)}"

    def utility(self, scored: Scored) -> tuple[float, ...]:
        """Return expected value minus expected cost [USD], then P, then the lower cost."""
        assert scored.cost is not None
        return self.value * scored.probability - scored.cost, scored.probability, -scored.cost


def parse_policy(text: str) -> Policy:
    """Read a policy as the command line writes it: `best`, `threshold:0.7` or `cost:0.02`.

    Raises:
        InvalidInput: If it is none of these.
    """
    kind, _, number = text.partition(":") if isinstance(text, str) else ("", "", "")
    if kind == "best" and not number:
        return Best()
    makers: dict[str, Callable[[float], Policy]] = {"threshold": Threshold, "cost": CostAware}
    try:
        value = float(number)
    except ValueError:
        kind = ""
    if kind in makers:
        return makers[kind](value)
    raise InvalidInput(f"no policy {shown(text)}; use best, threshold:TAU (0..1) or cost:VALUE (USD)")


def as_policy(given: object) -> Policy:
    """Return a policy, whether it came as one or as the command line writes it: `cost:0.02`.

    Raises:
        InvalidInput: If it is neither.
    """
    if isinstance(given, str):
        return parse_policy(given)
    if isinstance(given, Policy) and not isinstance(given, type):
        return given
    raise InvalidInput(
        f"policy is {shown(given)}; use 'best', 'threshold:TAU' (0..1), 'cost:VALUE' (USD), or an object with a name, "
        "needs_prices and utility(scored)"
    )


def as_constraints(given: object) -> Constraints:
    """Return constraints, whether they came as such or as a mapping of their fields.

    Raises:
        InvalidInput: If it is neither.
    """
    if isinstance(given, Constraints):
        return given
    if isinstance(given, Mapping) and all(isinstance(name, str) for name in given):
        return Constraints(**given)
    raise InvalidInput(f"constraints is {shown(given)}; use Constraints(...) of cit_core, or a dict of its fields")


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
    keyed = sorted(((policy.utility(entry), entry) for entry in left), key=lambda pair: pair[0], reverse=True)
    return [
        Ranked(
            model=entry.candidate.id,
            probability=entry.probability,
            expected_cost_usd=entry.cost,
            expected_latency_s=entry.latency_s,
            utility=utility[0],
        )
        for utility, entry in keyed
    ], reasons
