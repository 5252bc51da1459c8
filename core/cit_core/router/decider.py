"""Deciding in every way that callers and adapters ask for: one query or many, sync or async, in a batch of others."""

from __future__ import annotations

import asyncio
import copy
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cit_core.errors import CITError, InvalidInput
from cit_core.policy import Constraints, Goal, Policy, QueryFacts, as_constraints, as_policy, parse_policy
from cit_core.policy.exploration import Exploration, as_exploration
from cit_core.policy.rules import within
from cit_core.records import Candidate, Capability, Decision, Ranked
from cit_core.router.batching import Batcher, Batching, as_batching
from cit_core.router.choice import limits_among, policy_among
from cit_core.router.concurrency import aside
from cit_core.router.decision_log import DecisionLog, as_log
from cit_core.router.engine import Engine
from cit_core.router.feedback import Feedback
from cit_core.router.loading import notes_of
from cit_core.router.query import Query, policy_or_none, queries_of, query_of
from cit_core.router.scorer import Scorer
from cit_core.runtime.picture_reader import Pictures, as_pictures_reader

if TYPE_CHECKING:
    from typing_extensions import Self

    from cit_core.store import CapabilityStore

__all__ = ["Decider", "or_raise"]


class Decider(Engine):
    """An engine and the calls of it. Args and errors are those of `Router`."""

    def __init__(
        self,
        scorer: Scorer,
        candidates: Iterable[Candidate | Capability],
        *,
        policy: Policy | str | None = None,
        constraints: Constraints | Mapping[str, Any] | None = None,
        store_version: str | None = None,
        completion_tokens: float | None = None,
        excluded: Mapping[str, str] | None = None,
        feedback: Feedback | None = None,
        batching: Batching | Mapping[str, Any] | None = None,
        default: str | None = None,
        strict: bool = False,
        log: DecisionLog | CapabilityStore | str | Path | None = None,
        explore: Exploration | str | None = None,
        pictures: Pictures | Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            scorer,
            candidates,
            policy=policy,
            constraints=constraints,
            store_version=store_version,
            completion_tokens=completion_tokens,
            excluded=excluded,
            feedback=feedback,
            default=default,
            strict=strict,
            log=log,
            explore=explore,
            pictures=pictures,
        )
        self.batching = as_batching(batching)
        self.notes = notes_of(scorer, self.capabilities)
        self._batcher = None if self.batching is None else Batcher(self.batching, self.decide_many)

    def route(
        self,
        instruction: object,
        *,
        policy: Policy | str | None = None,
        constraints: Constraints | None = None,
        facts: QueryFacts | None = None,
    ) -> Decision:
        """Choose a candidate for one query.

        Args:
            instruction: The query, or what holds it: a text, a prompt value, a message, a list of messages, a dict with
                one text, a query bundle; of LangChain, of LlamaIndex or as JSON.
            policy: In place of the router's own.
            constraints: In place of the router's own.
            facts: Facts beyond the text; read from the instruction if not given.

        Raises:
            InvalidInput: If the router is strict and there is no text in the query.
            NoCandidate: If every candidate is excluded, and the router is strict or nobody is allowed at all; the
                message gives each reason.
        """
        return self.decide(query_of(instruction, facts, policy_or_none(policy), constraints))

    async def aroute(
        self,
        instruction: object,
        *,
        policy: Policy | str | None = None,
        constraints: Constraints | None = None,
        facts: QueryFacts | None = None,
    ) -> Decision:
        """Choose a candidate as `route` does; the event loop is never blocked."""
        return await self.adecide(query_of(instruction, facts, policy_or_none(policy), constraints))

    def route_many(
        self,
        instructions: Sequence[object],
        *,
        policy: Policy | str | None = None,
        constraints: Constraints | None = None,
        facts: Sequence[QueryFacts | None] | None = None,
    ) -> list[Decision]:
        """Choose a candidate for every query, with one call of the scorer.

        Args:
            instructions: The queries, or what holds them.
            policy: In place of the router's own.
            constraints: In place of the router's own.
            facts: One for each query, as in `route`.

        Raises:
            InvalidInput: If `facts` has another length; else as in `route`.
            NoCandidate: As in `route`.
        """
        outcomes = self.decide_many(queries_of(instructions, policy, constraints, facts, strict=self.strict))
        return [or_raise(outcome) for outcome in outcomes]

    async def aroute_many(
        self,
        instructions: Sequence[object],
        *,
        policy: Policy | str | None = None,
        constraints: Constraints | None = None,
        facts: Sequence[QueryFacts | None] | None = None,
    ) -> list[Decision]:
        """Choose candidates as `route_many` does; the event loop is never blocked."""
        outcomes = await self.adecide_many(queries_of(instructions, policy, constraints, facts, strict=self.strict))
        return [or_raise(outcome) for outcome in outcomes]

    def decide(self, query: Query) -> Decision:
        """Choose a candidate for a query with all that a call may set.

        Raises:
            InvalidInput: If its text is empty, or `model` is no candidate.
            NoCandidate: If every candidate is excluded, or the one that was asked for.
        """
        if self._batcher is not None:
            return or_raise(self._batcher.submit(query).result())
        return or_raise(self.decide_many([query])[0])

    async def adecide(self, query: Query) -> Decision:
        """Choose a candidate as `decide` does; the event loop is never blocked."""
        if self._batcher is not None:
            return or_raise(await asyncio.wrap_future(self._batcher.submit(query)))
        return or_raise((await self.adecide_many([query]))[0])

    async def adecide_many(self, queries: Sequence[Query]) -> list[Decision | CITError]:
        """Decide as `decide_many` does, in a worker thread: the event loop is never blocked."""
        return await aside("decisions", self.decide_many, queries)

    def with_options(
        self,
        *,
        policy: Policy | str | None = None,
        constraints: Constraints | Mapping[str, Any] | None = None,
        log: DecisionLog | CapabilityStore | str | Path | None = None,
        explore: Exploration | str | None = None,
        pictures: Pictures | Mapping[str, Any] | None = None,
    ) -> Self:
        """Return this router with other options; what is not given stays, and scorer and zoo are shared.

        Args:
            policy: What to maximise.
            constraints: Limits on which candidates may be chosen.
            log: A `DecisionLog`, the path of a file, a store, or `store` for the router's own.
            explore: Way to try other candidates now and then: `epsilon:0.02`, `thompson`, or an object.
            pictures: What is done with pictures of queries: `Pictures(ocr=True)`, or a dict of its options.
        """
        changed = copy.copy(self)
        if policy is not None:
            changed.policy = policy_among(as_policy(policy), self.candidates)
        if constraints is not None:
            changed.constraints = limits_among(as_constraints(constraints), self.candidates)
        if log is not None:
            changed.log = as_log(log, None if self._feedback is None else self._feedback.store)
        if explore is not None:
            changed.explore = as_exploration(explore)
        if pictures is not None:
            changed.pictures = as_pictures_reader(pictures)
        if changed.batching is not None:
            changed._batcher = Batcher(changed.batching, changed.decide_many)
        return changed

    def signal(self, decision: Decision | str, signal: str) -> None:
        """Log an implicit signal that an answer did not serve: `retried`, `aborted` or `switched` (by hand).

        Raises:
            InvalidInput: If there is no such signal, or this router has no log.
        """
        if self.log is None:
            raise InvalidInput(
                "this router has no log; make it with Router(log='decisions.jsonl') or with_options(log=...)"
            )
        self.log.signal(decision if isinstance(decision, str) else decision.id, signal)

    def settle(
        self,
        decision: Decision,
        *,
        model: str | None = None,
        cost_usd: float | None = None,
        latency_s: float | None = None,
        prompt_tokens: int | None = None,
        completion_tokens: int | None = None,
        again: bool = False,
    ) -> None:
        """Count what an answer cost in truth in place of what was expected: in the log, and in the policy's limit.

        Feedback on the answer that comes later, in this process, keeps it in the store's outcome. `RunnableRouter`,
        `ChatCIT`, `CITLLM`, `CITCallMiddleware` and the gateway settle by themselves.

        Args:
            decision: The decision, of this router or another one of its store.
            model: Candidate that answered, where it was not the chosen one.
            cost_usd: What it cost [USD]; as expected if not given, or no number of 0 or more.
            latency_s: How long it took [s]; the same.
            prompt_tokens: Tokens that were read.
            completion_tokens: Tokens that were written, hidden reasoning included.
            again: Count it beside what was settled of this decision before, as the model calls of an agent's run are.
        """
        cost_usd, latency_s = _amount(cost_usd), _amount(latency_s)
        told = {"cost_usd": cost_usd, "latency_s": latency_s}
        bill = {**told, "prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}
        if self._feedback is not None:
            self._feedback.remember_bill(decision.id, model or decision.model, bill)
        if self.log is not None and not (cost_usd is None and latency_s is None):
            self.log.usage(decision.id, model or decision.model, cost_usd, latency_s, again=again)
        chosen = _charged(decision)
        answered = next((one for one in decision.ranking if one.model == (model or decision.model)), chosen)
        cost = answered.expected_cost_usd if cost_usd is None else cost_usd
        took = answered.expected_latency_s if latency_s is None else latency_s
        for goal in _goals_of(decision):
            if again and not goal.needs_prices:
                continue
            expected = goal.amount(chosen.model, chosen.expected_cost_usd, chosen.expected_latency_s)
            actual = goal.amount(answered.model, cost, took)
            self.pacer(goal).settle(expected, actual, decision.tenant, of=decision.id, again=again)

    def refund(self, decision: Decision) -> None:
        """Take a decision out of its limits: no candidate has answered, so nothing was paid.

        The adapters and the gateway do this by themselves.

        Args:
            decision: The decision, of this router or another one of its store.
        """
        chosen = _charged(decision)
        for goal in _goals_of(decision):
            expected = goal.amount(chosen.model, chosen.expected_cost_usd, chosen.expected_latency_s)
            self.pacer(goal).settle(expected, 0.0, decision.tenant, of=decision.id)

    def settles(self, decision: Decision) -> bool:
        """Return whether `settle` changes anything for a decision: there is a log, a store or a limit."""
        return self.log is not None or self._feedback is not None or next(_goals_of(decision), None) is not None

    def decide_each(self, queries: Sequence[Query]) -> list[Decision | CITError]:
        """Decide as `decide_many` does: its earlier name."""
        return self.decide_many(queries)

    async def adecide_each(self, queries: Sequence[Query]) -> list[Decision | CITError]:
        """Decide as `adecide_many` does: its earlier name."""
        return await self.adecide_many(queries)


def _goals_of(decision: Decision) -> Iterator[Goal]:
    """Yield the limits in which a decision is counted, but those of the user's own making."""
    for name in (decision.policy,) if decision.limits is None else decision.limits:
        with suppress(InvalidInput):
            goal = parse_policy(name, files=False)
            if isinstance(goal, Goal):
                yield goal


def _amount(given: object) -> float | None:
    """Return a number of 0 or more; None for what a limit cannot count: NaN would be its sum from then on."""
    try:
        number = float(given)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return number if within(number, 0.0, sys.float_info.max) else None


def _charged(decision: Decision) -> Ranked:
    """Return what was charged: the policy's choice, which is counted before a cascade is planned."""
    planned = decision.chosen_by == "cascade" and len(decision.ranking) > 1
    return decision.ranking[1 if planned else 0]


def or_raise(outcome: Decision | CITError) -> Decision:
    """Return a decision; raise what is none."""
    if isinstance(outcome, CITError):
        raise outcome
    return outcome
