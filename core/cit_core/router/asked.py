"""A query on its way to a decision, and what was found out about it before anything is scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cit_core.errors import CITError
from cit_core.pictures import Picture, with_pictures
from cit_core.policy import Constraints, Policy, QueryFacts
from cit_core.records import Candidate
from cit_core.router.query import Query, estimate_tokens
from cit_core.router.question import Reading
from cit_core.router.scorer import Scorer

__all__ = ["TOLD_ONCE", "Asked"]

CACHED_FROM = 1_024
"""Shortest prefix that providers keep in their caches [tokens]."""
CUT = "characters that ask were read to decide"
"""End of the warning that a text was cut."""
UNREAD = "of similar questions, if any"
"""End of the warning that a text is in a language that the scorer does not read."""
TOLD_ONCE = (CUT, UNREAD)
"""Warnings of which a log has one each: all queries of an application may have them."""


@dataclass(frozen=True)
class Asked:
    """A query, and what was found out about it before anything is scored.

    Attributes:
        query: The query.
        text: Its text, in whole characters.
        reading: The part of the text that the scorer reads.
        pictures: Pictures of the query, as far as they were read.
        facts: Facts of the query.
        policy: Policy for it.
        limits: Constraints for it.
        excluded: Candidates that are out, id to reason.
        chosen_by: `caller` where the query names the candidate.
        problem: Why it cannot be decided; None if it can.
    """

    query: Query
    text: str
    reading: Reading
    pictures: tuple[Picture, ...]
    facts: QueryFacts
    policy: Policy
    limits: Constraints
    excluded: Mapping[str, str]
    chosen_by: Literal["policy", "caller"]
    problem: CITError | None

    @property
    def read(self) -> str:
        """What the scorer reads: the question, and what is known of its pictures."""
        return with_pictures(self.reading.text, self.pictures)

    @property
    def cached_tokens(self) -> dict[str, int]:
        """Candidate that the conversation keeps, with the tokens before this turn, which its provider has read."""
        conversation = self.query.conversation
        known = None if conversation is None else conversation.memory.recall(conversation.key)
        before = self.facts.tokens - estimate_tokens(self.text)
        return {known[0]: before} if known is not None and before >= CACHED_FROM else {}

    def warnings(self, candidate: Candidate, scorer: Scorer, scorer_name: str) -> list[str]:
        """Return what a decision for a candidate did not know of the query, or cannot keep."""
        found = []
        if self.text != self.query.text:
            found.append("the query holds half characters, which are no Unicode; they were left out to decide")
        if self.reading.cut:
            length, read = estimate_tokens(self.text), len(self.reading.text)
            found.append(f"the query has about {length:,} tokens; the {read:,} {CUT}")
        reads = getattr(scorer, "reads", None)
        if reads is not None and not reads(self.reading.text):
            found.append(f"{scorer_name} does not read this language well; levels count more, and outcomes {UNREAD}")
        window = candidate.context_window
        if window is not None and self.facts.tokens > window:
            tokens = f"{self.facts.tokens:,} tokens"
            found.append(f"about {tokens}; no candidate's context window is that long ({candidate.id}: {window:,})")
        return found
