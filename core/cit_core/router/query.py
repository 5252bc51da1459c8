"""A query to a router, with all that a call may set in place of the router's own."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from typing import Annotated

from pydantic import BeforeValidator, PlainValidator, SkipValidation, TypeAdapter
from pydantic.dataclasses import dataclass as pydantic_dataclass

from cit_core.errors import InvalidInput
from cit_core.messages import shown
from cit_core.pictures import Picture, as_pictures
from cit_core.policy import Constraints, Policy, QueryFacts, as_policy
from cit_core.router.inputs import read_input
from cit_core.router.sticky import Conversation
from cit_core.tokens import estimate_tokens
from cit_core.validation import OPTIONS, each, our_errors, validated

__all__ = [
    "CHARACTERS_PER_TOKEN",
    "Query",
    "check_text",
    "checked_queries",
    "estimate_tokens",
    "policy_or_none",
    "queries_of",
    "query_of",
    "whole_characters",
]

CHARACTERS_PER_TOKEN = 4
"""Rough length of a token in English text; `estimate_tokens` knows other scripts."""
UTF_16 = codecs.lookup("utf-16-le")
"""Found now: Python would import it at the first query, and a process that is forked meanwhile waits for ever."""


def policy_or_none(given: object) -> Policy | None:
    """Return a policy, whether it came as one or as text, or None for the router's own."""
    return None if given is None else as_policy(given)


@our_errors
@pydantic_dataclass(frozen=True, config=OPTIONS)
class Query:
    """A query to a router.

    Attributes:
        text: Text to route on; checked when it is decided on.
        facts: Facts beyond the text; the length is estimated if not given.
        policy: Policy in place of the router's own: an object, or as the command line writes it.
        constraints: Constraints in place of the router's own.
        model: Only this candidate may be chosen, whatever the policy. Constraints stay in force.
        conversation: Conversation that keeps to the candidate that it began with.
        excluded: Candidates that are out of this decision, id to reason: an adapter's own constraints.
        default: Candidate that answers where nothing can be decided, in place of the router's own.
        strict: Whether what cannot be decided is an error, in place of the router's own.
        tenant: Whose query it is, for budgets that every tenant has for itself.
        pictures: Pictures that go with the text: a scorer is told what is known of them in words.
        preview: True if no model is going to be asked: the decision counts in no limit and no log.
        unreadable: Why there is no text, where an adapter found none in what it was given.
    """

    text: Annotated[str, SkipValidation]
    facts: QueryFacts | None = None
    policy: Annotated[Policy | None, PlainValidator(policy_or_none)] = None
    constraints: Constraints | None = None
    model: str | None = None
    conversation: Conversation | None = None
    excluded: Mapping[str, str] = field(default_factory=dict)
    default: str | None = None
    strict: bool | None = None
    unreadable: str | None = None
    tenant: str | None = None
    pictures: Annotated[tuple[Picture, ...], PlainValidator(as_pictures)] = ()
    preview: bool = False

    @property
    def known_facts(self) -> QueryFacts:
        """Return the facts that were given, or what the text says about itself."""
        if self.facts is not None:
            return self.facts
        return QueryFacts(tokens=estimate_tokens(self.text)) if isinstance(self.text, str) else QueryFacts()


def _as_query(given: object) -> object:
    if isinstance(given, Query):
        return given
    raise ValueError("must be a cit_core.router.Query; route takes a text")


_QUERIES: TypeAdapter[Sequence[Query]] = TypeAdapter(
    Annotated[tuple[Annotated[Query, BeforeValidator(_as_query)], ...], BeforeValidator(each)]
)


def checked_queries(given: object) -> Sequence[Query]:
    """Return what came, if all of it are queries.

    Raises:
        InvalidInput: If one is something else.
    """
    return validated(_QUERIES, given, "queries")


def check_text(text: object, place: int | None = None) -> None:
    """Refuse a query that is no text to route on.

    Args:
        text: The query.
        place: In a batch, for the message.

    Raises:
        InvalidInput: If it is not a text, is empty, or is not valid Unicode.
    """
    where = "the query" if place is None else f"query {place}"
    if not isinstance(text, str):
        raise InvalidInput(f"{where} is {type(text).__name__}; it must be a text (str)")
    if not text.strip():
        raise InvalidInput(f"{where} is empty; pass the text that the LLM will be asked")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        broken = text[error.start : error.end]
        raise InvalidInput(f"{where} is not valid Unicode: {broken!r} at character {error.start}") from None


def whole_characters(text: str) -> str:
    """Return a text without half characters: two halves are joined, a lone one becomes U+FFFD."""
    return UTF_16.decode(UTF_16.encode(text, "surrogatepass")[0], "replace")[0]


def query_of(
    given: object,
    facts: QueryFacts | None = None,
    policy: Policy | None = None,
    constraints: Constraints | None = None,
) -> Query:
    """Return the query in whatever holds one (`cit_core.router.inputs`); one without text says why it has none."""
    try:
        text, found, pictures = read_input(given)
    except InvalidInput as error:
        return Query("", facts, policy, constraints, unreadable=str(error))
    return Query(text, found if facts is None else facts, policy, constraints, pictures=pictures)


def queries_of(
    instructions: Sequence[object],
    policy: Policy | str | None,
    constraints: Constraints | None,
    facts: Sequence[QueryFacts | None] | None,
    *,
    strict: bool,
) -> list[Query]:
    """Return the queries of a batch; where it is strict, their texts are checked before anything is scored."""
    if isinstance(instructions, str):
        raise InvalidInput("route_many needs a sequence of texts and got one text; use route for a single query")
    if not isinstance(instructions, Iterable) or not (facts is None or isinstance(facts, Sequence)):
        raise InvalidInput(f"route_many got {shown(instructions)} and facts {shown(facts)}; it needs lists")
    given = list(instructions)  # an array of texts has no truth value
    if facts is not None and len(facts) != len(given):
        raise InvalidInput(f"got {len(facts)} facts for {len(given)} queries; pass one for each")
    chosen = policy_or_none(policy)
    queries = [
        query_of(one, known, chosen, constraints)
        for one, known in zip(given, facts or [None] * len(given), strict=True)
    ]
    for place, query in enumerate(queries if strict else ()):
        where = place if len(queries) > 1 else None
        if query.unreadable is not None:
            raise InvalidInput(query.unreadable if where is None else f"query {place}: {query.unreadable}")
        check_text(query.text, where)
    return queries
