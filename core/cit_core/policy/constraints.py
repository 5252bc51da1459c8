"""Constraints: which candidates may be chosen for a query, each exclusion with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from pydantic.dataclasses import dataclass as pydantic_dataclass

from cit_core.errors import InvalidInput
from cit_core.messages import shown
from cit_core.records import Candidate
from cit_core.validation import OPTIONS, AtLeast0, Count, Identifiers, our_errors

__all__ = ["PLAIN_TEXT", "Constraints", "QueryFacts", "as_constraints"]


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


@our_errors
@pydantic_dataclass(frozen=True, config=OPTIONS)
class Constraints:
    """Limits on which candidates may be chosen.

    A fact that is not known never excludes a candidate; context windows are always respected.

    Attributes:
        allow: Only these ids, if given.
        deny: Never these ids.
        max_price_in: Highest price per 1M prompt tokens [USD], for a prompt of the query's length.
        max_price_out: Highest price per 1M completion tokens [USD], likewise.
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
        prices = candidate.prices(query.tokens)
        if _above(prices.price_in, self.max_price_in):
            yield f"price_in {prices.price_in} is above {self.max_price_in} USD per 1M tokens"
        if _above(prices.price_out, self.max_price_out):
            yield f"price_out {prices.price_out} is above {self.max_price_out} USD per 1M tokens"
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
