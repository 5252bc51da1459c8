"""Selectors for LlamaIndex's router engines: choices in, indices out, and with them the whole decision."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llama_index.core.base.base_selector import BaseSelector, SelectorResult, SingleSelection
from llama_index.core.prompts.mixin import PromptDictType, PromptMixinType
from llama_index.core.schema import QueryBundle
from llama_index.core.selectors.llm_selectors import LLMSingleSelector
from llama_index.core.tools.types import ToolMetadata
from llama_index_instrumentation import get_dispatcher

from cit_core.errors import InvalidInput, UnknownCandidate
from cit_core.messages import shown
from cit_core.policy import Constraints, Policy, QueryFacts
from cit_core.records import Decision, Ranked
from cit_core.router import Query, Router, estimate_tokens
from cit_core.router.options import as_router, as_strict, pick_default
from cit_core.router.settlement import Settlement
from llamaindex_cit._choices import candidates_of, matches
from llamaindex_cit._models import Models, router_among
from llamaindex_cit._trail import EngineBill, follow, note, owe
from llamaindex_cit.events import CITSelectionEvent

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Self

    from cit_core.policy.exploration import Exploration
    from cit_core.router.decision_log import DecisionLog
    from cit_core.store import CapabilityStore

__all__ = ["CITMultiSelector", "CITSelectorResult", "CITSingleSelector"]

ROUNDING = 1e-9

dispatcher = get_dispatcher(__name__)


class CITSelectorResult(SelectorResult):
    """Result of a selection as LlamaIndex expects it, with the decision."""

    decision: Decision

    @property
    def scores(self) -> dict[str, float]:
        """P(correct) by candidate id, in order of the decision's ranking."""
        return self.decision.scores


class _CITSelector(BaseSelector):
    """Translate choices into candidates and a decision into indices; subclasses say how many of the ranking to take."""

    def __init__(
        self,
        router: Router,
        mapping: Mapping[str | int, str] | None = None,
        *,
        policy: Policy | str | None = None,
        constraints: Constraints | Mapping[str, Any] | None = None,
        fallback: BaseSelector | None = None,
        default: str | None = None,
        strict: bool | None = None,
        log: DecisionLog | CapabilityStore | str | Path | None = None,
        explore: Exploration | str | None = None,
    ) -> None:
        router = as_router(router, policy, constraints, log=log, explore=explore)
        if fallback is not None and not isinstance(fallback, BaseSelector):
            raise InvalidInput(f"fallback is {type(fallback).__name__}; it must be a LlamaIndex selector")
        if mapping is not None and not isinstance(mapping, Mapping):
            raise InvalidInput(
                f"mapping is {shown(mapping)}; it must be a dict: name or index of a tool to candidate id"
            )
        self._router = router
        follow()
        self._mapping = dict(mapping or {})
        self._fallback = fallback
        self._default = pick_default(default, {candidate.id: None for candidate in router.candidates}, router)
        self._strict = as_strict(strict)
        self._known = [candidate.id for candidate in router.candidates]
        for id_ in self._mapping.values():
            if id_ not in self._known:
                raise UnknownCandidate(id_, self._known, "the router (in mapping=)")

    @classmethod
    def from_models(
        cls,
        models: Models,
        *,
        policy: Policy | str | None = None,
        constraints: Constraints | Mapping[str, Any] | None = None,
        store: CapabilityStore | str | None = None,
        strict: bool = False,
        **options: Any,
    ) -> Self:
        """Select among engines by what is publicly known of their LLMs: offline, before any test. Opens no LLM.

        Args:
            models: Names as you call them (`openai:gpt-5-mini`), LLMs, known by `metadata.model_name`, or a mapping
                from names to either. A tool is named after its model, or `mapping` says which it is.
            policy: What to maximise.
            constraints: Limits on which candidates may be chosen.
            store: Outcomes of your own, which go before public scores; a store or its address.
            strict: Refuse a model of which nothing is known, and a query that cannot be decided.
            options: Options of the selector.

        Raises:
            InvalidInput: If there is no model, or one cannot be used.
        """
        return cls(router_among(models, policy, constraints, store, strict=strict), **options)

    # It asks no LLM, so all prompts are the fallback's, under the names that they have without this selector.

    def _get_prompts(self) -> PromptDictType:
        return {} if self._fallback is None else self._fallback._get_prompts()

    def _get_prompt_modules(self) -> PromptMixinType:
        return {} if self._fallback is None else self._fallback._get_prompt_modules()

    def _update_prompts(self, prompts: PromptDictType) -> None:
        if self._fallback is not None:
            self._fallback._update_prompts(prompts)

    def _select(self, choices: Sequence[ToolMetadata], query: QueryBundle) -> SelectorResult:
        if (fallback := self._in_place(choices)) is not None:
            return _delegated(fallback, fallback.select(choices, query), choices)
        ids = candidates_of(choices, self._known, self._mapping)
        return self._result(ids, self._router.decide(self._query(ids, query)))

    async def _aselect(self, choices: Sequence[ToolMetadata], query: QueryBundle) -> SelectorResult:
        if (fallback := self._in_place(choices)) is not None:
            return _delegated(fallback, await fallback.aselect(choices, query), choices)
        ids = candidates_of(choices, self._known, self._mapping)
        return self._result(ids, await self._router.adecide(self._query(ids, query)))

    def _in_place(self, choices: Sequence[ToolMetadata]) -> BaseSelector | None:
        """Return the fallback where no choice is an LLM. If only some are none, that is a mistake."""
        unknown = choices and not any(matches(choices, self._known, self._mapping))
        return self._fallback if unknown else None

    def _query(self, ids: Sequence[str], query: QueryBundle) -> Query:
        """Return the query, with the router's own constraints narrowed to the candidates of the choices."""
        limits = self._router.constraints.among(ids)
        return Query(_text(query), _facts(query), constraints=limits, default=self._default, strict=self._strict)

    def _result(self, ids: Sequence[str], decision: Decision) -> CITSelectorResult:
        selections = [
            SingleSelection(index=ids.index(ranked.model), reason=_reason(ranked, decision))
            for ranked in self._taken(decision)
        ]
        selected = [selection.index for selection in selections]
        dispatcher.event(CITSelectionEvent(candidates=list(ids), selected=selected, decision=decision))
        note(decision, decision.model)
        settlement = Settlement.of(self._router, decision) if len(selected) == 1 else None
        if settlement is not None:
            known = next(one for one in self._router.candidates if one.id == decision.model)
            owe(EngineBill(settlement, known))
        return CITSelectorResult(selections=selections, decision=decision)

    @abstractmethod
    def _taken(self, decision: Decision) -> Sequence[Ranked]:
        """Return the candidates that are selected, the best first; at least one."""


class CITSingleSelector(_CITSelector):
    """Selector of the choice with the candidate most likely to get the query right.

    The candidate of a choice is the one that `mapping` gives for its index or name, else the one it is named after,
    else the one that is its description. Candidates of the router without a choice do not take part.

    Args:
        router: The router, or the address of a store.
        mapping: Tool name or index of a choice to candidate id.
        policy: What to maximise, in place of the router's policy.
        constraints: Limits on which candidates may be chosen, in place of the router's.
        fallback: Selector for choices none of which is a candidate, such as engines over different texts; its result is
            returned as it is. Without one, such choices are an error.
        default: Id of the candidate that answers what cannot be decided: an empty query, none left, a scorer that
            fails. The router's own choice if not given.
        strict: Raise an error in such a case; as the router does if not given.
        log: Where decisions are logged, in place of the router's log.
        explore: Way to try other candidates now and then, in place of the router's.

    Raises:
        UnknownCandidate: If `mapping` names an id that is not a candidate of the router.
        InvalidInput: If an option cannot be used.

    Example:
        RouterQueryEngine(selector=CITSingleSelector(router), query_engine_tools=tools, llm=llm)
    """

    def _taken(self, decision: Decision) -> Sequence[Ranked]:
        return decision.ranking[:1]


# SQLJoinQueryEngine and SQLAutoVectorQueryEngine take any selector and then assert that it is one of LlamaIndex's own.
LLMSingleSelector.register(CITSingleSelector)


class CITMultiSelector(_CITSelector):
    """Selector of the best choice and of those about as likely to get the query right; LlamaIndex runs them all.

    Args:
        router: As for `CITSingleSelector`.
        mapping: As for `CITSingleSelector`.
        policy: As for `CITSingleSelector`.
        constraints: As for `CITSingleSelector`.
        margin: Largest difference to the best P(correct) with which a candidate is selected too; `math.inf` for all.
        max_outputs: Choices selected, at most; each costs an answer, and more than one costs another to combine them.
        fallback: As for `CITSingleSelector`.
        default: As for `CITSingleSelector`.
        strict: As for `CITSingleSelector`.
        log: As for `CITSingleSelector`.
        explore: As for `CITSingleSelector`.

    Raises:
        UnknownCandidate: If `mapping` names an id that is not a candidate of the router.
        InvalidInput: If an option cannot be used.
    """

    def __init__(
        self,
        router: Router,
        mapping: Mapping[str | int, str] | None = None,
        *,
        margin: float = 0.1,
        max_outputs: int = 3,
        **options: Any,
    ) -> None:
        super().__init__(router, mapping, **options)
        if not isinstance(margin, int | float) or not margin >= 0.0:
            raise InvalidInput(f"margin is {shown(margin)}; it must be a difference of probabilities, 0 or more")
        if not isinstance(max_outputs, int) or max_outputs < 1:
            raise InvalidInput(f"max_outputs is {shown(max_outputs)}; it must be 1 or more")
        self._margin = margin
        self._max_outputs = max_outputs

    def _taken(self, decision: Decision) -> Sequence[Ranked]:
        if decision.chosen_by == "default":
            return decision.ranking[:1]
        least = decision.probability - self._margin - ROUNDING
        return [ranked for ranked in decision.ranking if ranked.probability >= least][: self._max_outputs]


def _text(query: QueryBundle) -> str:
    if query.image_path and not query.query_str.strip():
        return "Look at the attached image and answer."
    return query.query_str


def _facts(query: QueryBundle) -> QueryFacts:
    tokens = estimate_tokens(query.query_str)
    return QueryFacts(tokens=tokens, modalities=frozenset({"text", "image"} if query.image_path else {"text"}))


def _reason(ranked: Ranked, decision: Decision) -> str:
    if decision.chosen_by == "default":
        return f"{ranked.model} by default ({decision.warnings[0]})"
    likely = f"{ranked.model} is {ranked.probability:.1%} likely to get this right"
    if ranked.model != decision.model:
        return f"{likely} (next to {decision.model}, {decision.probability:.1%})"
    others = ", ".join(f"{other.model} {other.probability:.1%}" for other in decision.ranking[1:4])
    return f"{likely} (policy {decision.policy}{f'; then {others}' if others else ''})"


def _delegated(fallback: BaseSelector, result: SelectorResult, choices: Sequence[ToolMetadata]) -> SelectorResult:
    """Return what the fallback selected; refuse an index on which LlamaIndex fails, or takes the last engine for -1."""
    name = type(fallback).__name__
    if not result.selections or not all(0 <= index < len(choices) for index in result.inds):
        what = f"index {', '.join(map(str, result.inds))}" if result.inds else "nothing"
        raise InvalidInput(f"the fallback {name} selected {what} of {len(choices)} choices; it must be one of them")
    dispatcher.event(CITSelectionEvent(candidates=[], selected=result.inds, decision=None, fallback=name))
    return result
