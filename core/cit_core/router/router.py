"""The router: a frozen snapshot of a zoo, a scorer that predicts, a policy that chooses.

Routing writes nothing and calls nobody; `feedback` alone writes, to the store that the snapshot is of.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cit_core.errors import InvalidInput, NoCandidate, UnknownCandidate
from cit_core.policy import Best, Constraints, Policy, QueryFacts, Scored, rank
from cit_core.records import Candidate, Capability, Decision, Item, Outcome, Suite, require_unique
from cit_core.router.feedback import Feedback
from cit_core.router.opening import from_catalogue, from_store
from cit_core.router.scorer import Scorer

if TYPE_CHECKING:
    from cit_core.store import CapabilityStore

__all__ = ["CHARACTERS_PER_TOKEN", "MAX_CHARACTERS", "Router"]

MAX_CHARACTERS = 20_000
"""What a scorer is given of a query at most, so that a megabyte costs no more than a page."""
CHARACTERS_PER_TOKEN = 4
"""Rough length of a token in English text, for context windows and expected cost."""


class Router:
    """Chooses one candidate for every query.

    Args:
        scorer: What predicts.
        candidates: The zoo: capabilities, or bare candidates for a scorer that needs no measurements.
        policy: What to maximise.
        constraints: Who may be chosen at all.
        store_version: What the capabilities were computed from; goes into every decision.
        completion_tokens: Length of an answer assumed for expected costs [tokens].
        excluded: Who is out of every decision, id to reason.
        feedback: Where `feedback` goes; a router that has none refuses it.

    Raises:
        NoCandidate: If the zoo is empty.
        InvalidInput: If two candidates have the same id, or `completion_tokens` is negative.
    """

    def __init__(
        self,
        scorer: Scorer,
        candidates: Sequence[Candidate | Capability],
        *,
        policy: Policy | None = None,
        constraints: Constraints | None = None,
        store_version: str | None = None,
        completion_tokens: int = 256,
        excluded: Mapping[str, str] | None = None,
        feedback: Feedback | None = None,
    ) -> None:
        self._capabilities = tuple(c if isinstance(c, Capability) else Capability(candidate=c) for c in candidates)
        if not self._capabilities:
            raise NoCandidate
        require_unique((c.candidate.id for c in self._capabilities), "candidate ids")
        if not completion_tokens >= 0:
            raise InvalidInput(f"completion_tokens is {completion_tokens!r}; it must be 0 or more")
        self.scorer = scorer
        self.policy = policy if policy is not None else Best()
        self.constraints = constraints if constraints is not None else Constraints()
        self.store_version = store_version
        self.completion_tokens = completion_tokens
        self._excluded = dict(excluded or {})
        self._feedback = feedback

    @classmethod
    def from_pretrained(
        cls,
        checkpoint: str | Path = "mini",
        *,
        models: Iterable[str] | None = None,
        policy: Policy | None = None,
        constraints: Constraints | None = None,
        evidence: bool = True,
    ) -> Router:
        """The shipped network over the shipped catalogue: offline, on the CPU, without a key.

        Args:
            checkpoint: Name of a shipped checkpoint, or a folder that holds one.
            models: Ids from the catalogue; all of it if not given.
            policy: What to maximise.
            constraints: Who may be chosen at all.
            evidence: Let the catalogue's answers to similar questions correct the network.

        Raises:
            UnknownCandidate: If a model is not in the catalogue; the message names the closest ids.
            CheckpointError: If the checkpoint is missing or damaged.
        """
        opened = from_catalogue(checkpoint, evidence=evidence)
        zoo = _pick(opened.capabilities, models, "the catalogue")
        return cls(opened.scorer, zoo, policy=policy, constraints=constraints, store_version=opened.version)

    @classmethod
    def from_store(
        cls,
        store: CapabilityStore,
        scorer: Scorer | None = None,
        *,
        suite: Suite | None = None,
        models: Iterable[str] | None = None,
        policy: Policy | None = None,
        constraints: Constraints | None = None,
        evidence: bool = True,
    ) -> Router:
        """A snapshot of the candidates in a store, with capabilities computed from its outcomes.

        Where some candidates were measured, those that were not are excluded, with that reason.

        Args:
            store: Where the outcomes are, and where feedback goes.
            scorer: What predicts; the shipped checkpoint if not given.
            suite: Compute capabilities over its items alone; over every item in the store if not given.
            models: Ids in the store; all of them if not given.
            policy: What to maximise.
            constraints: Who may be chosen at all.
            evidence: Let outcomes on similar questions correct a scorer that can be (`cit_core.runtime.evidence`).

        Raises:
            UnknownCandidate: If a model is not in the store; the message names the closest ids.
            NoCandidate: If the store holds no candidate.
        """
        opened = from_store(store, scorer, suite, evidence=evidence)
        zoo = _pick(opened.capabilities, models, store.url)
        feedback, unmeasured = Feedback(store, opened.network), dict(opened.unmeasured)
        if all(capability.candidate.id in unmeasured for capability in zoo):
            unmeasured = {}  # whoever asks for these alone shall have them
        return cls(
            opened.scorer,
            zoo,
            policy=policy,
            constraints=constraints,
            store_version=opened.version,
            excluded=unmeasured,
            feedback=feedback,
        )

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The zoo."""
        return tuple(capability.candidate for capability in self._capabilities)

    @property
    def capabilities(self) -> tuple[Capability, ...]:
        """The zoo with what each candidate was measured to be able to do."""
        return self._capabilities

    def route(
        self,
        instruction: str,
        *,
        policy: Policy | None = None,
        constraints: Constraints | None = None,
        facts: QueryFacts | None = None,
    ) -> Decision:
        """Choose a candidate for one query.

        Args:
            instruction: The query.
            policy: In place of the router's own.
            constraints: In place of the router's own.
            facts: What the query holds beyond text; its length is estimated if not given.

        Raises:
            InvalidInput: If the query is not a text or is empty.
            NoCandidate: If every candidate is excluded; the message gives each reason.
        """
        return self.route_many([instruction], policy=policy, constraints=constraints, facts=[facts])[0]

    def route_many(
        self,
        instructions: Sequence[str],
        *,
        policy: Policy | None = None,
        constraints: Constraints | None = None,
        facts: Sequence[QueryFacts | None] | None = None,
    ) -> list[Decision]:
        """Choose a candidate for every query, with one call of the scorer.

        Args:
            instructions: The queries.
            policy: In place of the router's own.
            constraints: In place of the router's own.
            facts: One for each query, as in `route`.

        Raises:
            InvalidInput: If a query is not a text or is empty, or `facts` has another length.
            NoCandidate: If every candidate is excluded for a query.
        """
        if isinstance(instructions, str):
            raise InvalidInput("route_many needs a sequence of texts and got one text; use route for a single query")
        started = time.perf_counter()
        instructions = list(instructions)  # an array of texts has no truth value
        for place, instruction in enumerate(instructions):
            _check_query(instruction, place if len(instructions) > 1 else None)
        if facts is not None and len(facts) != len(instructions):
            raise InvalidInput(f"got {len(facts)} facts for {len(instructions)} queries; pass one for each")
        if not instructions:
            return []
        per_query = [
            given if given is not None else QueryFacts(tokens=max(1, len(text) // CHARACTERS_PER_TOKEN))
            for text, given in zip(instructions, facts or [None] * len(instructions), strict=True)
        ]
        limits = constraints if constraints is not None else self.constraints
        took = {c.candidate.id: c.usage.latency_s for c in self._capabilities if c.usage.latency_s is not None}
        asked = [candidate for candidate in self.candidates if candidate.id not in self._excluded]
        excluded = [{**self._excluded, **limits.exclude(asked, query, took)} for query in per_query]
        for reasons in excluded:  # before scoring: no work for a query that nobody may take
            if len(reasons) == len(self._capabilities):
                raise NoCandidate(reasons)
        taking_part = tuple(c for c in self._capabilities if any(c.candidate.id not in out for out in excluded))
        scores = self._score([text[:MAX_CHARACTERS] for text in instructions], taking_part)
        latency_ms = (time.perf_counter() - started) * 1e3 / len(instructions)
        chosen = policy if policy is not None else self.policy
        decisions = [
            self._decide(text, query, taking_part, row, out, chosen, latency_ms)
            for text, query, row, out in zip(instructions, per_query, scores, excluded, strict=True)
        ]
        if self._feedback is not None:
            self._feedback.remember(decisions, instructions)
        return decisions

    async def aroute(
        self,
        instruction: str,
        *,
        policy: Policy | None = None,
        constraints: Constraints | None = None,
        facts: QueryFacts | None = None,
    ) -> Decision:
        """As `route`, in a worker thread: the event loop is never blocked."""
        return await asyncio.to_thread(self.route, instruction, policy=policy, constraints=constraints, facts=facts)

    async def aroute_many(
        self,
        instructions: Sequence[str],
        *,
        policy: Policy | None = None,
        constraints: Constraints | None = None,
        facts: Sequence[QueryFacts | None] | None = None,
    ) -> list[Decision]:
        """As `route_many`, in a worker thread: the event loop is never blocked."""
        return await asyncio.to_thread(
            self.route_many, instructions, policy=policy, constraints=constraints, facts=facts
        )

    def feedback(self, about: Decision | str | Item, candidate: str, correct: float) -> Outcome:
        """Keep how well a candidate answered, as an outcome in the store; it counts from the next snapshot on.

        Args:
            about: What was asked: a decision of this router, the id of one of its last decisions, or an item.
            candidate: Who answered; any candidate of the store.
            correct: How well, 0 to 1.

        Returns:
            The outcome that was added.

        Raises:
            InvalidInput: If this router is of no store, does not remember the decision, or `correct` is no number in
                [0, 1]; nothing is written.
            UnknownCandidate: If the candidate is not in the store.
        """
        if self._feedback is None:
            raise InvalidInput("this router is of no store that could keep feedback; make it with Router.from_store")
        return self._feedback.add(about, candidate, correct)

    async def afeedback(self, about: Decision | str | Item, candidate: str, correct: float) -> Outcome:
        """As `feedback`, in a worker thread: the event loop is never blocked."""
        return await asyncio.to_thread(self.feedback, about, candidate, correct)

    def _score(self, instructions: Sequence[str], capabilities: Sequence[Capability]) -> NDArray[np.floating]:
        expected = (len(instructions), len(capabilities))
        given = self.scorer.score(instructions, capabilities)
        try:
            scores = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InvalidInput(
                f"the scorer {_name(self.scorer)!r} returned what is no array of numbers ({error}); "
                f"Scorer.score must return an array of probabilities of shape {expected}"
            ) from error
        if scores.shape != expected or not ((scores >= 0.0) & (scores <= 1.0)).all():
            raise InvalidInput(
                f"the scorer {_name(self.scorer)!r} returned "
                f"{'values outside [0, 1]' if scores.shape == expected else f'shape {scores.shape}'}; "
                f"Scorer.score must return an array of probabilities of shape {expected}"
            )
        return scores

    def _decide(
        self,
        instruction: str,
        query: QueryFacts,
        taking_part: Sequence[Capability],
        scores: NDArray[np.floating],
        excluded: Mapping[str, str],
        policy: Policy,
        latency_ms: float,
    ) -> Decision:
        scored = [
            Scored(
                c.candidate,
                float(score),
                c.expected_cost(query.tokens, self.completion_tokens),
                c.usage.latency_s,
            )
            for c, score in zip(taking_part, scores, strict=True)
            if c.candidate.id not in excluded
        ]
        ranking, reasons = rank(scored, policy, excluded)
        return Decision(
            model=ranking[0].model,
            probability=ranking[0].probability,
            ranking=tuple(ranking),
            excluded=reasons,
            policy=policy.name,
            scorer=_name(self.scorer),
            store_version=self.store_version,
            latency_ms=latency_ms,
            warnings=self._warnings(instruction, query, ranking[0].model),
        )

    def _warnings(self, instruction: str, query: QueryFacts, model: str) -> tuple[str, ...]:
        found = []
        length, reads = len(instruction) // CHARACTERS_PER_TOKEN, getattr(self.scorer, "max_tokens", None)
        if reads is not None and length > reads:
            found.append(f"the query has about {length:,} tokens; the first {reads:,} were read to decide")
        elif reads is None and len(instruction) > MAX_CHARACTERS:
            found.append(
                f"the query has {len(instruction):,} characters; the first {MAX_CHARACTERS:,} were read to decide"
            )
        window = next(c.context_window for c in self.candidates if c.id == model)
        if window is not None and query.tokens > window:
            found.append(
                f"about {query.tokens:,} tokens; no candidate's context window is that long ({model}: {window:,})"
            )
        return tuple(found)


def _name(scorer: Scorer) -> str:
    return str(getattr(scorer, "name", type(scorer).__name__))


def _check_query(instruction: object, place: int | None) -> None:
    where = "the query" if place is None else f"query {place}"
    if not isinstance(instruction, str):
        raise InvalidInput(f"{where} is {type(instruction).__name__}; it must be a text (str)")
    if not instruction.strip():
        raise InvalidInput(f"{where} is empty; pass the text that the LLM will be asked")
    try:
        instruction.encode()
    except UnicodeEncodeError as error:
        broken = instruction[error.start : error.end]
        raise InvalidInput(f"{where} is not valid Unicode: {broken!r} at character {error.start}") from None


def _pick(capabilities: Iterable[Capability], models: Iterable[str] | None, where: str) -> list[Capability]:
    known = {capability.candidate.id: capability for capability in capabilities}
    if models is None:
        return list(known.values())
    if isinstance(models, str):
        raise InvalidInput(f"models is one text, {models!r}; it must be a list of ids: [{models!r}]")
    wanted = list(models)
    for id_ in wanted:
        if id_ not in known:
            raise UnknownCandidate(id_, known, where)
    return [known[id_] for id_ in wanted]
