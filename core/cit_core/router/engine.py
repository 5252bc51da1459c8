"""From queries to decisions: who may be chosen, what the scorer says of them, whom the policy prefers."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cit_core.errors import CITError, InvalidInput, NoCandidate, UnknownCandidate
from cit_core.policy import Best, Constraints, Policy, QueryFacts, Scored, rank
from cit_core.records import Capability, Decision
from cit_core.router.query import Query, check_text, estimate_tokens
from cit_core.router.scorer import Scorer

__all__ = ["MAX_CHARACTERS", "Asked", "Decider"]

MAX_CHARACTERS = 20_000
"""What a scorer is given of a query at most, so that a megabyte costs no more than a page."""


@dataclass(frozen=True)
class Asked:
    """A query for which somebody is left.

    Attributes:
        query: What was asked.
        facts: Of the query.
        policy: What to maximise for it.
        excluded: Who is out, id to reason.
        chosen_by: `caller` where the query names the candidate.
    """

    query: Query
    facts: QueryFacts
    policy: Policy
    excluded: Mapping[str, str]
    chosen_by: Literal["policy", "caller"]


@dataclass(frozen=True)
class Decider:
    """A zoo and what decides about it; never changes. Attributes are those of `Router`."""

    scorer: Scorer
    capabilities: tuple[Capability, ...]
    policy: Policy
    constraints: Constraints
    store_version: str | None = None
    completion_tokens: int = 256
    excluded: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def scorer_name(self) -> str:
        """As decisions call the scorer."""
        return str(getattr(self.scorer, "name", type(self.scorer).__name__))

    @cached_property
    def _latencies(self) -> dict[str, float]:
        return {c.candidate.id: c.usage.latency_s for c in self.capabilities if c.usage.latency_s is not None}

    def ask(self, query: Query, place: int | None = None) -> Asked:
        """Find out who may be chosen, before anything is scored.

        Args:
            query: What is asked.
            place: In a batch, for the message of an error.

        Raises:
            InvalidInput: If there is no text to route on.
            UnknownCandidate: If the query names a candidate that there is not.
            NoCandidate: If nobody is left.
        """
        check_text(query.text, place)
        policy = query.policy if query.policy is not None else self.policy
        limits = query.constraints if query.constraints is not None else self.constraints
        out = {**self.excluded, **query.excluded}
        if query.model is not None:
            known = [c.candidate.id for c in self.capabilities]
            if query.model not in known:
                raise UnknownCandidate(query.model, known, "the router")
            # who was not measured is out of guesses, not of what a caller asks for; and among one no price is needed
            policy, limits, out = Best(), limits.among([query.model]), dict(query.excluded)
        facts = query.known_facts
        asked = [c.candidate for c in self.capabilities if c.candidate.id not in out]
        excluded = {**out, **limits.exclude(asked, facts, self._latencies)}
        if len(excluded) == len(self.capabilities):
            raise NoCandidate(excluded)
        return Asked(query, facts, policy, excluded, "policy" if query.model is None else "caller")

    def decide(self, asked: Sequence[Asked]) -> list[Decision | CITError]:
        """Score once and choose for each; whom a policy leaves without a candidate has that error."""
        if not asked:
            return []
        started = time.perf_counter()
        ids = {c.candidate.id for c in self.capabilities if any(c.candidate.id not in one.excluded for one in asked)}
        taking_part = tuple(c for c in self.capabilities if c.candidate.id in ids)
        scores_NK = self._score([one.query.text[:MAX_CHARACTERS] for one in asked], taking_part)
        latency_ms = (time.perf_counter() - started) * 1e3 / len(asked)
        return [
            self._decide(one, taking_part, scores_K, latency_ms) for one, scores_K in zip(asked, scores_NK, strict=True)
        ]

    def _score(self, texts: Sequence[str], capabilities: Sequence[Capability]) -> NDArray[np.floating]:
        expected = (len(texts), len(capabilities))
        given = self.scorer.score(texts, capabilities)
        try:
            scores_NK = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InvalidInput(
                f"the scorer {self.scorer_name!r} returned what is no array of numbers ({error}); "
                f"Scorer.score must return an array of probabilities of shape {expected}"
            ) from error
        if scores_NK.shape != expected or not ((scores_NK >= 0.0) & (scores_NK <= 1.0)).all():
            raise InvalidInput(
                f"the scorer {self.scorer_name!r} returned "
                f"{'values outside [0, 1]' if scores_NK.shape == expected else f'shape {scores_NK.shape}'}; "
                f"Scorer.score must return an array of probabilities of shape {expected}"
            )
        return scores_NK

    def _decide(
        self, asked: Asked, taking_part: Sequence[Capability], scores_K: NDArray[np.floating], latency_ms: float
    ) -> Decision | CITError:
        scored = [
            Scored(
                c.candidate,
                float(score),
                c.expected_cost(asked.facts.tokens, self.completion_tokens),
                c.usage.latency_s,
            )
            for c, score in zip(taking_part, scores_K, strict=True)
            if c.candidate.id not in asked.excluded
        ]
        try:
            ranking, reasons = rank(scored, asked.policy, asked.excluded)
        except NoCandidate as error:
            return error
        decision = Decision(
            model=ranking[0].model,
            probability=ranking[0].probability,
            ranking=tuple(ranking),
            chosen_by=asked.chosen_by,
            excluded=reasons,
            policy=asked.policy.name,
            scorer=self.scorer_name,
            store_version=self.store_version,
            latency_ms=latency_ms,
        )
        if (conversation := asked.query.conversation) is not None:
            decision = conversation.memory.settle(conversation.key, decision)
        warnings = self._warnings(asked, decision.model)
        return decision.model_copy(update={"warnings": warnings}) if warnings else decision

    def _warnings(self, asked: Asked, model: str) -> tuple[str, ...]:
        found = []
        characters, reads = len(asked.query.text), getattr(self.scorer, "max_tokens", None)
        length = 0 if reads is None else estimate_tokens(asked.query.text)
        if reads is not None and length > reads:
            found.append(f"the query has about {length:,} tokens; the first {reads:,} were read to decide")
        elif reads is None and characters > MAX_CHARACTERS:
            found.append(f"the query has {characters:,} characters; the first {MAX_CHARACTERS:,} were read to decide")
        window = next(c.candidate.context_window for c in self.capabilities if c.candidate.id == model)
        if window is not None and asked.facts.tokens > window:
            found.append(
                f"about {asked.facts.tokens:,} tokens; no candidate's context window is that long ({model}: {window:,})"
            )
        return tuple(found)
