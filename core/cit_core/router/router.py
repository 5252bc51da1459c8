"""The router: a frozen snapshot of a zoo, a scorer that predicts, a policy that chooses.

Routing writes nothing and calls nobody; `feedback` alone writes, to the store that the snapshot is of.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cit_core.errors import CITError, InvalidInput, NoCandidate, UnknownCandidate
from cit_core.policy import Best, Constraints, Policy, QueryFacts, as_constraints, as_policy
from cit_core.records import Candidate, Capability, Decision, Item, Outcome, Suite, require_unique
from cit_core.router.batching import Batcher, Batching
from cit_core.router.concurrency import aside
from cit_core.router.engine import Asked, Decider
from cit_core.router.feedback import Feedback
from cit_core.router.loading import Origin, from_catalogue, from_store, open_store
from cit_core.router.query import Query
from cit_core.router.scorer import Scorer
from cit_core.router.telemetry import tell_decision

if TYPE_CHECKING:
    from cit_core.store import CapabilityStore

__all__ = ["Router"]


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
        batching: Score calls that coincide together; each call by itself if not given.

    Raises:
        NoCandidate: If the zoo is empty.
        InvalidInput: If two candidates have the same id, or `completion_tokens` is negative.
    """

    def __init__(
        self,
        scorer: Scorer,
        candidates: Sequence[Candidate | Capability],
        *,
        policy: Policy | str | None = None,
        constraints: Constraints | Mapping[str, Any] | None = None,
        store_version: str | None = None,
        completion_tokens: int = 256,
        excluded: Mapping[str, str] | None = None,
        feedback: Feedback | None = None,
        batching: Batching | None = None,
    ) -> None:
        capabilities = tuple(c if isinstance(c, Capability) else Capability(candidate=c) for c in candidates)
        if not capabilities:
            raise NoCandidate
        require_unique((c.candidate.id for c in capabilities), "candidate ids")
        if not completion_tokens >= 0:
            raise InvalidInput(f"completion_tokens is {completion_tokens!r}; it must be 0 or more")
        self._decider = Decider(
            scorer,
            capabilities,
            Best() if policy is None else as_policy(policy),
            Constraints() if constraints is None else as_constraints(constraints),
            store_version,
            completion_tokens,
            dict(excluded or {}),
        )
        self._feedback = feedback
        self.batching = batching
        self.origin: Origin | None = None
        """Where it was opened; None for one that was put together by hand."""
        self._batcher = None if batching is None else Batcher(batching, self._decide_each)

    @classmethod
    def from_pretrained(
        cls,
        checkpoint: str | Path = "mini",
        *,
        models: Iterable[str] | None = None,
        policy: Policy | str | None = None,
        constraints: Constraints | Mapping[str, Any] | None = None,
        evidence: bool = True,
        batching: Batching | None = None,
    ) -> Router:
        """The shipped network over the shipped catalogue: offline, on the CPU, without a key.

        Args:
            checkpoint: Name of a shipped checkpoint, or a folder: one that was exported, or a paper-style run.
            models: Ids from the catalogue; all of it if not given.
            policy: What to maximise.
            constraints: Who may be chosen at all.
            evidence: Let the catalogue's answers to similar questions correct the network.
            batching: Score calls that coincide together.

        Raises:
            UnknownCandidate: If a model is not in the catalogue; the message names the closest ids.
            CheckpointError: If the checkpoint is missing or damaged.
            MissingExtra: If it is a run and torch is not installed.
        """
        opened = from_catalogue(checkpoint, evidence=evidence)
        zoo = _pick(opened.capabilities, models, "the catalogue")
        router = cls(
            opened.scorer,
            zoo,
            policy=policy,
            constraints=constraints,
            store_version=opened.version,
            batching=batching,
        )
        router.origin = Origin(checkpoint=str(checkpoint), evidence=evidence)
        return router

    @classmethod
    def from_store(
        cls,
        store: CapabilityStore | str,
        scorer: Scorer | None = None,
        *,
        suite: Suite | None = None,
        models: Iterable[str] | None = None,
        policy: Policy | str | None = None,
        constraints: Constraints | Mapping[str, Any] | None = None,
        evidence: bool = True,
        batching: Batching | None = None,
    ) -> Router:
        """A snapshot of the candidates in a store, with capabilities computed from its outcomes.

        Where some candidates were measured, those that were not are excluded, with that reason.

        Args:
            store: Where the outcomes are, and where feedback goes; a store or its address.
            scorer: What predicts; the shipped checkpoint if not given.
            suite: Compute capabilities over its items alone; over every item in the store if not given.
            models: Ids in the store; all of them if not given.
            policy: What to maximise.
            constraints: Who may be chosen at all.
            evidence: Let outcomes on similar questions correct a scorer that can be (`cit_core.evidence.scorer`).
            batching: Score calls that coincide together.

        Raises:
            UnknownCandidate: If a model is not in the store; the message names the closest ids.
            NoCandidate: If the store holds no candidate.
        """
        store = open_store(store)
        opened = from_store(store, scorer, suite, evidence=evidence)
        zoo = _pick(opened.capabilities, models, store.url)
        feedback, unmeasured = Feedback(store, opened.network), dict(opened.unmeasured)
        if all(capability.candidate.id in unmeasured for capability in zoo):
            unmeasured = {}  # whoever asks for these alone shall have them
        router = cls(
            opened.scorer,
            zoo,
            policy=policy,
            constraints=constraints,
            store_version=opened.version,
            excluded=unmeasured,
            feedback=feedback,
            batching=batching,
        )
        router.origin = Origin(store=store.url, suite=suite, evidence=evidence) if scorer is None else None
        return router

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The zoo."""
        return tuple(capability.candidate for capability in self.capabilities)

    @property
    def capabilities(self) -> tuple[Capability, ...]:
        """The zoo with what each candidate was measured to be able to do."""
        return self._decider.capabilities

    @property
    def scorer(self) -> Scorer:
        """What predicts."""
        return self._decider.scorer

    @property
    def policy(self) -> Policy:
        """What is maximised where a call says nothing else."""
        return self._decider.policy

    @property
    def constraints(self) -> Constraints:
        """Who may be chosen where a call says nothing else."""
        return self._decider.constraints

    @property
    def store_version(self) -> str | None:
        """What the capabilities were computed from."""
        return self._decider.store_version

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
        return self.decide(Query(instruction, facts, policy, constraints))

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
        instructions = list(instructions)  # an array of texts has no truth value
        if facts is not None and len(facts) != len(instructions):
            raise InvalidInput(f"got {len(facts)} facts for {len(instructions)} queries; pass one for each")
        started = time.time_ns()
        asked = [
            self._decider.ask(Query(text, given, policy, constraints), place if len(instructions) > 1 else None)
            for place, (text, given) in enumerate(zip(instructions, facts or [None] * len(instructions), strict=True))
        ]
        decisions = [_or_raise(outcome) for outcome in self._decide(asked)]
        for one, decision in zip(asked, decisions, strict=True):
            tell_decision(one.query, decision, started)
        return decisions

    def decide(self, query: Query) -> Decision:
        """As `route`, for a query with all that a call may set.

        Raises:
            InvalidInput: If its text is empty, or `model` is no candidate.
            NoCandidate: If every candidate is excluded, or the one that was asked for.
        """
        if self._batcher is not None:
            return self._batcher.submit(query).result()
        return _or_raise(self.decide_each([query])[0])

    def decide_each(self, queries: Sequence[Query]) -> list[Decision | CITError]:
        """Decide for many queries with one call of the scorer.

        Returns:
            In order; who cannot be routed has its error, and costs the others nothing.
        """
        started = time.time_ns()
        outcomes = self._decide_each(queries)
        for query, outcome in zip(queries, outcomes, strict=True):
            if isinstance(outcome, Decision):
                tell_decision(query, outcome, started)
        return outcomes

    async def adecide(self, query: Query) -> Decision:
        """As `decide`; the event loop is never blocked."""
        if self._batcher is not None:
            return await asyncio.wrap_future(self._batcher.submit(query))
        return await aside("decisions", self.decide, query)

    async def adecide_each(self, queries: Sequence[Query]) -> list[Decision | CITError]:
        """As `decide_each`, in a worker thread: the event loop is never blocked."""
        return await aside("decisions", self.decide_each, queries)

    async def aroute(
        self,
        instruction: str,
        *,
        policy: Policy | None = None,
        constraints: Constraints | None = None,
        facts: QueryFacts | None = None,
    ) -> Decision:
        """As `route`, in a worker thread: the event loop is never blocked."""
        return await self.adecide(Query(instruction, facts, policy, constraints))

    async def aroute_many(
        self,
        instructions: Sequence[str],
        *,
        policy: Policy | None = None,
        constraints: Constraints | None = None,
        facts: Sequence[QueryFacts | None] | None = None,
    ) -> list[Decision]:
        """As `route_many`, in a worker thread: the event loop is never blocked."""
        return await aside(
            "decisions", self.route_many, instructions, policy=policy, constraints=constraints, facts=facts
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
        return await aside("feedback", self.feedback, about, candidate, correct)

    def _decide_each(self, queries: Sequence[Query]) -> list[Decision | CITError]:
        outcomes = [self._ask(query) for query in queries]
        decided = iter(self._decide([outcome for outcome in outcomes if isinstance(outcome, Asked)]))
        return [next(decided) if isinstance(outcome, Asked) else outcome for outcome in outcomes]

    def _ask(self, query: Query) -> Asked | CITError:
        try:
            return self._decider.ask(query)
        except CITError as error:
            return error

    def _decide(self, asked: Sequence[Asked]) -> list[Decision | CITError]:
        outcomes = self._decider.decide(asked)
        if self._feedback is not None:
            texts = [one.query.text for one in asked]
            made = [(d, text) for d, text in zip(outcomes, texts, strict=True) if isinstance(d, Decision)]
            self._feedback.remember([d for d, _ in made], [text for _, text in made])
        return outcomes


def _or_raise(outcome: Decision | CITError) -> Decision:
    if isinstance(outcome, CITError):
        raise outcome
    return outcome


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
