"""Decide on queries: exclude candidates by constraints, score the others, choose by the policy."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Strict, TypeAdapter

from cit_core.capability import assumed_tokens, level_deviation
from cit_core.errors import CITError, InvalidInput, NoCandidate, UnknownCandidate
from cit_core.lazy import cached_property
from cit_core.pictures import with_pictures
from cit_core.policy import Best, BudgetPacer, Constraints, Goal, Policy, Scored, as_constraints, as_policy, pacer_of
from cit_core.policy.exploration import Exploration, as_exploration
from cit_core.records import Candidate, Capability, Decision, Ranked
from cit_core.router.asked import TOLD_ONCE, Asked
from cit_core.router.choice import choose, limits_among, meant, policy_among
from cit_core.router.decision_log import DecisionLog, as_log
from cit_core.router.default_route import DefaultRoute, because
from cit_core.router.feedback import Feedback
from cit_core.router.query import Query, check_text, checked_queries, whole_characters
from cit_core.router.question import MAX_CHARACTERS, characters_read, find_question
from cit_core.router.scorer import Scorer, checked_zoo, in_level_order, scorer_name, scores_of
from cit_core.router.telemetry import Caller, tell_unpriced
from cit_core.runtime.picture_reader import Pictures, as_pictures_reader
from cit_core.shutdown import uninterrupted
from cit_core.validation import AtLeast0, validated

if TYPE_CHECKING:
    from pathlib import Path

    from cit_core.catalogue.resolve import Resolved
    from cit_core.evidence.answer_lengths import AnswerLengths
    from cit_core.store import CapabilityStore

__all__ = ["MAX_CHARACTERS", "Engine"]


_TOKENS: TypeAdapter[float] = TypeAdapter(AtLeast0)
_STRICT: TypeAdapter[bool] = TypeAdapter(Annotated[bool, Strict()])
_REASONS: TypeAdapter[dict[str, str]] = TypeAdapter(dict[str, str])


class Engine:
    """A zoo and what decides about it; never changes.

    Args:
        scorer: Predicts.
        candidates: The zoo: capabilities, or bare candidates for a scorer that needs no measurements.
        policy: What to maximise: an object, or as the command line writes it; `best` if not given.
        constraints: Limits on which candidates may be chosen: `Constraints`, or a dict of their fields.
        store_version: Version of what the capabilities were computed from; goes into every decision.
        completion_tokens: Length of an answer assumed where none was measured [tokens]; the mean of the candidates'
            answers that were, or 256, if not given.
        excluded: Candidates that are out of every decision, id to reason.
        feedback: Where feedback goes, so that decisions carry what it needs.
        default: Id of the candidate that answers what cannot be decided; the best by level if not given.
        strict: Have an error for what cannot be decided.
        log: Where decisions are logged: a `DecisionLog`, the path of a file, a store, or `store` for the router's own.
        explore: Way to try other candidates now and then: `epsilon:0.02`, `thompson`, or an object; never if not given.
        pictures: What is done with pictures of queries beyond their size and the user's words; nothing if not given.

    Raises:
        NoCandidate: If the zoo is empty.
        InvalidInput: If two candidates have the same id, or an option cannot be used.
    """

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
        default: str | None = None,
        strict: bool = False,
        log: DecisionLog | CapabilityStore | str | Path | None = None,
        explore: Exploration | str | None = None,
        pictures: Pictures | Mapping[str, Any] | None = None,
    ) -> None:
        self.capabilities = checked_zoo(candidates)
        if not isinstance(scorer, Scorer) or isinstance(scorer, type):
            raise InvalidInput(f"scorer is {type(scorer).__name__}; it must have score(instructions, capabilities)")
        self.scorer = scorer
        self.policy = policy_among(Best() if policy is None else as_policy(policy), self.candidates)
        given = Constraints() if constraints is None else as_constraints(constraints)
        self.constraints = limits_among(given, self.candidates)
        self.store_version = store_version
        assumed = assumed_tokens(self.capabilities) if completion_tokens is None else completion_tokens
        self.completion_tokens = validated(_TOKENS, assumed, "completion_tokens")
        self.basis: Mapping[str, Resolved] = {}
        """Candidate id to what its profile rests on, for a router made by `Router.from_models`."""
        self.by_level: frozenset[str] = frozenset()
        """Candidates that keep the order of their levels at every query, for such a router."""
        self.notes: tuple[str, ...] = ()
        """Warnings of every decision."""
        self.lengths: AnswerLengths | None = None
        """Lengths of answers to a query, as a store's outcomes tell them; the mean of each candidate if None."""
        self.excluded = validated(_REASONS, {} if excluded is None else excluded, "excluded")
        self._feedback = feedback
        self.default = self._known(default, "the router (in default=)")
        self.strict = validated(_STRICT, strict, "strict")
        self.explore = as_exploration(explore)
        self.pictures = None if pictures is None else as_pictures_reader(pictures)
        self.log = as_log(log, getattr(feedback, "store", None))
        self._told: frozenset[str] = frozenset()
        """What was logged once: policies whose prices are missing, texts that were cut."""

    def _known(self, name: str | None, where: str) -> str | None:
        """Return the id of the one candidate that a name means."""
        found = [None] if name is None else meant(name, self.candidates, where)
        if len(found) > 1:
            raise UnknownCandidate(name or "", [c.id for c in self.candidates], where)
        return found[0]

    @cached_property
    def candidates(self) -> tuple[Candidate, ...]:
        """The zoo without what was measured."""
        return tuple(capability.candidate for capability in self.capabilities)

    @cached_property
    def scorer_name(self) -> str:
        """Name of the scorer in decisions."""
        return scorer_name(self.scorer)

    @cached_property
    def _most_characters(self) -> int:
        """Characters of a query that the scorer is given at most."""
        return characters_read(self.scorer)

    @cached_property
    def _latencies(self) -> dict[str, float]:
        return {c.candidate.id: c.usage.latency_s for c in self.capabilities if c.usage.latency_s is not None}

    @cached_property
    def _rests_on(self) -> dict[str, str]:
        return {id_: found.in_short for id_, found in self.basis.items()}

    @cached_property
    def _deviations(self) -> dict[str, float]:
        """Standard deviation of each candidate's level [log-odds]."""
        linked = {id_ for id_, found in self.basis.items() if found.basis != "measured"}
        return {c.candidate.id: level_deviation(c, is_linked=c.candidate.id in linked) for c in self.capabilities}

    def decide_many(
        self, queries: Sequence[Query], callers: Sequence[Caller] | None = None
    ) -> list[Decision | CITError]:
        """Decide on queries with one call of the scorer, and record each decision in the telemetry.

        Args:
            queries: The queries.
            callers: The call that each is for; this one if not given.

        Returns:
            In order; a query that cannot be routed has its error, and costs the others nothing.
        """
        checked = checked_queries(queries)
        with uninterrupted():
            callers = callers or [Caller(time.time_ns())] * len(checked)
            asked = [self._ask(query) for query in checked]
            decided = iter(self._choose([one for one in asked if isinstance(one, Asked) and one.problem is None]))
            outcomes = [self._settled(one, decided) for one in asked]
            for caller, query, outcome in zip(callers, checked, outcomes, strict=True):
                if isinstance(outcome, Decision):
                    if self._feedback is not None:
                        self._feedback.remember(outcome)
                    caller.record(query, outcome, self._to_log(outcome))
                    if self.log is not None and not query.preview:
                        self.log.decision(outcome, query.text, query.known_facts.tokens)
            return outcomes

    def _to_log(self, decision: Decision) -> list[str]:
        """Return the warnings about this query; that a text was cut or is in another language is told once."""
        standing = self._standing(decision.model)
        own = [warning for warning in decision.warnings if warning not in standing]
        for end in TOLD_ONCE:
            if any(warning.endswith(end) for warning in own):
                own = [warning for warning in own if not (warning.endswith(end) and end in self._told)]
                self._told |= {end}
        return own

    def _ask(self, query: Query) -> Asked | CITError:
        """Find out which candidates may be chosen, before anything is scored; an error where the call is wrong."""
        try:
            named, default = self._known(query.model, "the router"), query.default
            query = replace(query, model=named, default=self._known(default, "the router (in default=)"))
            policy = self.policy if query.policy is None else policy_among(query.policy, self.candidates)
            limits = self.constraints if query.constraints is None else limits_among(query.constraints, self.candidates)
        except CITError as error:
            return error
        out = {**self.excluded, **query.excluded}
        if query.model is not None:
            # one that was not measured is out of guesses, not of what a caller asks for; among one no price is needed
            policy, limits, out = Best(), limits.among([query.model]), dict(query.excluded)
        facts = query.known_facts
        asked = [c.candidate for c in self.capabilities if c.candidate.id not in out]
        excluded = {**out, **limits.exclude(asked, facts, self._latencies)}
        text = whole_characters(query.text) if isinstance(query.text, str) else ""
        problem, pictures = self._problem(query, excluded), query.pictures
        if problem is None and pictures and self.pictures is not None:
            try:
                pictures = self.pictures.read(pictures)
            except CITError as error:
                problem = error
        reading = find_question(text, self._most_characters)
        by: Literal["policy", "caller"] = "policy" if query.model is None else "caller"
        return Asked(query, text, reading, pictures, facts, policy, limits, excluded, by, problem)

    def _problem(self, query: Query, excluded: Mapping[str, str]) -> CITError | None:
        """Return why a query cannot be decided, if so."""
        if query.unreadable is not None:
            return InvalidInput(query.unreadable)
        try:
            mends = isinstance(query.text, str) and not self._is_strict(query)
            check_text(whole_characters(query.text) if mends else query.text)
        except InvalidInput as error:
            return error
        return NoCandidate(excluded) if len(excluded) == len(self.capabilities) else None

    def _is_strict(self, query: Query) -> bool:
        return self.strict if query.strict is None else query.strict

    def _settled(self, asked: Asked | CITError, decided: Iterator[Decision | CITError]) -> Decision | CITError:
        """Return what became of a query: its decision, the default route, or its error."""
        if isinstance(asked, CITError):
            return asked
        outcome = next(decided) if asked.problem is None else asked.problem
        if isinstance(outcome, Decision) or self._is_strict(asked.query):
            return outcome
        return self._by_default(asked, outcome)

    def _by_default(self, asked: Asked, problem: CITError) -> Decision | CITError:
        """Return the default route; the error if no candidate may be asked at all, or the one that the call names."""
        if asked.query.model is not None and asked.query.model in asked.excluded:
            return problem
        default = DefaultRoute(self.capabilities, asked.query.default or self.default)
        ranking = default.ranking(asked.limits, asked.excluded, self._latencies)
        if not ranking:
            return NoCandidate(asked.excluded)
        ranked = {one.model for one in ranking}
        excluded = {id_: reason for id_, reason in asked.excluded.items() if id_ not in ranked}
        decision = self._decision(asked, ranking, "default", excluded)
        told = f"{because(problem)}: the default route, {decision.model}"
        return decision.model_copy(update={"warnings": (told, *self._standing(decision.model))})

    def _choose(self, asked: Sequence[Asked]) -> list[Decision | CITError]:
        """Score once and choose for each; a query with a policy that leaves no candidate gets that error."""
        if not asked:
            return []
        started = time.perf_counter()
        ids = {c.candidate.id for c in self.capabilities if any(c.candidate.id not in one.excluded for one in asked)}
        taking_part = tuple(c for c in self.capabilities if c.candidate.id in ids)
        try:
            texts, pictures = [one.read for one in asked], [one.pictures for one in asked]
            needed = self._feedback is not None or self.lengths is not None
            scores_NK, vectors_ND = scores_of(self.scorer, texts, taking_part, pictures, vectors=needed)
        except Exception as error:  # a scorer may be foreign code: no query fails for what it raises
            if any(self._is_strict(one.query) for one in asked):
                raise
            if len(asked) > 1:  # what one query does to the scorer costs the others nothing
                return [outcome for one in asked for outcome in self._choose([one])]
            known = isinstance(error, CITError)
            return [CITError(str(error) if known else f"the scorer {self.scorer_name} failed ({type(error).__name__})")]
        latency_ms = (time.perf_counter() - started) * 1e3 / len(asked)
        vectors = [None] * len(asked) if vectors_ND is None else vectors_ND
        lengths_NK = self._lengths(texts, vectors_ND, taking_part)
        return [
            self._decide(one, taking_part, scores_K, lengths_K, vector_D, latency_ms)
            for one, scores_K, lengths_K, vector_D in zip(asked, scores_NK, lengths_NK, vectors, strict=True)
        ]

    def _lengths(
        self, texts: Sequence[str], vectors_ND: NDArray[np.floating] | None, capabilities: Sequence[Capability]
    ) -> NDArray[np.float64]:
        """Return the expected length of each answer as a share of the candidate's mean one, (N, K)."""
        if self.lengths is None or vectors_ND is None:
            return np.ones((len(texts), len(capabilities)))
        return self.lengths.ratios(vectors_ND, texts, [capability.candidate.id for capability in capabilities])

    def _decide(
        self,
        asked: Asked,
        taking_part: Sequence[Capability],
        scores_K: NDArray[np.float64],
        lengths_K: NDArray[np.floating],
        vector_D: NDArray[np.floating] | None,
        latency_ms: float,
    ) -> Decision | CITError:
        scores_K = in_level_order(scores_K, taking_part, self.by_level - asked.excluded.keys())
        cached = asked.cached_tokens
        tokens = asked.facts.tokens, self.completion_tokens
        scored = [
            Scored(
                c.candidate,
                float(score),
                c.expected_cost(*tokens, float(length), cached.get(c.candidate.id, 0)),
                c.usage.latency_s,
                float(score * (1.0 - score)) * self._deviations[c.candidate.id],
                self._rests_on.get(c.candidate.id),
            )
            for c, score, length in zip(taking_part, scores_K, lengths_K, strict=True)
            if c.candidate.id not in asked.excluded
        ]
        self._tell_unpriced(asked.policy, scored)
        is_free = asked.chosen_by == "policy"
        try:
            choice = choose(
                scored,
                asked.policy,
                asked.excluded,
                pacer=self.pacer(asked.policy) if isinstance(asked.policy, Goal) else None,
                tenant=asked.query.tenant,
                preview=asked.query.preview,
                exploration=self.explore if is_free and asked.query.conversation is None else None,
            )
        except CITError as error:  # nobody is left, or a policy of the user's own fails
            return error
        decision = self._decision(
            asked,
            choice.ranking,
            "exploration" if choice.explored else asked.chosen_by,
            choice.excluded,
            propensity=choice.propensity,
            latency_ms=latency_ms,
            query=None
            if self._feedback is None
            else self._feedback.refer(with_pictures(asked.text, asked.pictures), vector_D),
        )
        chosen = next(candidate for candidate in self.candidates if candidate.id == decision.model)
        warnings = (*self._standing(decision.model), *asked.warnings(chosen, self.scorer, self.scorer_name))
        return decision.model_copy(update={"warnings": warnings})

    def _decision(
        self, asked: Asked, ranking: Sequence[Ranked], chosen_by: str, excluded: Mapping[str, str], **facts: Any
    ) -> Decision:
        """Return the decision for the first of a ranking; in a conversation, for the candidate that it keeps."""
        limited = () if asked.query.preview else (asked.policy, self.policy)
        goals = {goal.name: goal for goal in limited if isinstance(goal, Goal)}
        decision = Decision(
            model=ranking[0].model,
            probability=ranking[0].probability,
            ranking=ranking,
            chosen_by=chosen_by,
            excluded=excluded,
            policy=asked.policy.name,
            limits=tuple(goals),
            tenant=asked.query.tenant,
            scorer=self.scorer_name,
            store_version=self.store_version,
            **facts,
        )
        conversation = asked.query.conversation
        if conversation is not None:
            decision = conversation.memory.settle(conversation.key, decision)
        taken = decision.ranking[0]
        for goal in goals.values():
            self.pacer(goal).charge(taken.model, taken.expected_cost_usd, taken.expected_latency_s, decision.tenant)
        return decision

    def pacer(self, goal: Goal | None = None) -> BudgetPacer:
        """Return what keeps a limit, by default the router's own: how much of it is spent, and what was paid in truth.

        Raises:
            InvalidInput: If the router's policy has no limit.
        """
        chosen = self.policy if goal is None else goal
        if not isinstance(chosen, Goal):
            raise InvalidInput(f"policy {chosen.name} has no limit to keep; budget:20/day has one")
        return pacer_of(chosen, None if self._feedback is None else self._feedback.store)

    def _tell_unpriced(self, policy: Policy, scored: Sequence[Scored]) -> None:
        """Log once for a policy that it leaves out whose price is not known."""
        unpriced = [one.candidate.id for one in scored if one.cost is None]
        if unpriced and policy.needs_prices and policy.name not in self._told:
            self._told |= {policy.name}
            tell_unpriced(policy.name, unpriced)

    def _standing(self, model: str) -> tuple[str, ...]:
        """Return the warnings of every decision for a candidate."""
        basis = self.basis.get(model)
        if basis is None or basis.basis != "average":
            return self.notes
        return (*self.notes, f"{model}: {basis.because}; `cit aptitude run {shlex.quote(model)}` measures it")
