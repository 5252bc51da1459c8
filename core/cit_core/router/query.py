"""One question to a router, with all that a call may set in place of the router's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cit_core.errors import InvalidInput
from cit_core.policy import Constraints, Policy, QueryFacts
from cit_core.router.sticky import Conversation
from cit_core.tokens import estimate_tokens

__all__ = ["CHARACTERS_PER_TOKEN", "Query", "check_text", "estimate_tokens"]

CHARACTERS_PER_TOKEN = 4
"""Rough length of a token in English text; `estimate_tokens` knows other scripts."""


@dataclass(frozen=True)
class Query:
    """One question to a router.

    Attributes:
        text: What to route on.
        facts: What the query holds beyond text; its length is estimated if not given.
        policy: In place of the router's own.
        constraints: In place of the router's own.
        model: Only this candidate may be chosen, whatever the policy. Constraints stay: they may be somebody else's.
        conversation: Keeps to the candidate that it began with.
        excluded: Who is out of this decision, id to reason: an adapter's own constraints.
    """

    text: str
    facts: QueryFacts | None = None
    policy: Policy | None = None
    constraints: Constraints | None = None
    model: str | None = None
    conversation: Conversation | None = None
    excluded: Mapping[str, str] = field(default_factory=dict)

    @property
    def known_facts(self) -> QueryFacts:
        """The facts that were given, or what the text says about itself."""
        return self.facts if self.facts is not None else QueryFacts(tokens=estimate_tokens(self.text))


def check_text(text: object, place: int | None = None) -> None:
    """Refuse what is no text to route on.

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
