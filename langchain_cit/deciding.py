"""From LangChain inputs to decisions, and from a batch's decisions to each candidate's share of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cit_core.errors import CITError
from cit_core.policy import Constraints
from cit_core.records import Decision
from cit_core.router import Router
from langchain_cit.query import Query, read_query

__all__ = ["Decider", "decisions_in", "merge", "shares_of"]


@dataclass(frozen=True)
class Decider:
    """Asks the router about LangChain inputs.

    Attributes:
        router: What decides.
        among: Ids of the candidates that take part.
        query_key: For dict inputs, the key under which the query stands.
    """

    router: Router
    among: frozenset[str]
    query_key: str | None = None

    def one(self, value: Any, kwargs: Mapping[str, Any]) -> Decision:
        """Decide for one input.

        Args:
            value: The input.
            kwargs: What the candidate will be called with; tools or a schema in it narrow the choice.

        Raises:
            InvalidInput: If there is no query in the input.
            NoCandidate: If every candidate is excluded.
        """
        query = self._read(value, kwargs)
        return self.router.route(query.text, facts=query.facts, constraints=self._limits())

    def many(
        self, values: Sequence[Any], kwargs: Mapping[str, Any], return_exceptions: bool
    ) -> list[Decision | CITError]:
        """Decide for a batch, with one call of the scorer.

        With `return_exceptions` an input that cannot be routed has its error as its outcome and costs the others
        nothing; without, it ends the batch before any candidate is called.
        """
        if not return_exceptions:
            return list(self._route_many([self._read(value, kwargs) for value in values]))
        outcomes = [self._read_or_error(value, kwargs) for value in values]
        routed = iter(self._route_apart([outcome for outcome in outcomes if isinstance(outcome, Query)]))
        return [next(routed) if isinstance(outcome, Query) else outcome for outcome in outcomes]

    def _read(self, value: Any, kwargs: Mapping[str, Any]) -> Query:
        tools, schema = bool(kwargs.get("tools")), bool(kwargs.get("response_format"))
        return read_query(value, self.query_key, tools=tools, schema=schema)

    def _read_or_error(self, value: Any, kwargs: Mapping[str, Any]) -> Query | CITError:
        try:
            return self._read(value, kwargs)
        except CITError as error:
            return error

    def _route_many(self, queries: Sequence[Query]) -> list[Decision]:
        texts, facts = [query.text for query in queries], [query.facts for query in queries]
        return self.router.route_many(texts, facts=facts, constraints=self._limits())

    def _route_apart(self, queries: Sequence[Query]) -> list[Decision | CITError]:
        """As `_route_many`; queries are halved until one that cannot be routed stands alone."""
        try:
            return list(self._route_many(queries))
        except CITError as error:
            if len(queries) == 1:
                return [error]
        half = len(queries) // 2
        return self._route_apart(queries[:half]) + self._route_apart(queries[half:])

    def _limits(self) -> Constraints:
        """The router's own constraints, narrowed to those who take part."""
        limits = self.router.constraints
        return replace(limits, allow=self.among if limits.allow is None else limits.allow & self.among)


def decisions_in(outcomes: Sequence[Decision | CITError]) -> list[tuple[int, Decision]]:
    """The decisions, each with its place in the batch."""
    return [(place, outcome) for place, outcome in enumerate(outcomes) if isinstance(outcome, Decision)]


def shares_of(outcomes: Sequence[Decision | CITError]) -> dict[str, list[int]]:
    """Candidate id to the places of the inputs that it was chosen for."""
    shares: dict[str, list[int]] = {}
    for place, decision in decisions_in(outcomes):
        shares.setdefault(decision.model, []).append(place)
    return shares


def merge(
    outcomes: Sequence[Decision | CITError], shares: Mapping[str, list[int]], answers: Sequence[Sequence[Any]]
) -> list[Any]:
    """Answers in the order of the inputs; where routing failed, its error."""
    merged: list[Any] = list(outcomes)
    for places, share in zip(shares.values(), answers, strict=True):
        for place, answer in zip(places, share, strict=True):
            merged[place] = answer
    return merged
