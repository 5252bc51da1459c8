"""CITSingleSelector: choices in, one index out, and with it the whole decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from llama_index.core.base.base_selector import BaseSelector, SelectorResult, SingleSelection
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.prompts.mixin import PromptDictType
from llama_index.core.schema import QueryBundle
from llama_index.core.tools.types import ToolMetadata
from llama_index_instrumentation import get_dispatcher

from cit_core.errors import InvalidInput, UnknownCandidate
from cit_core.policy import Constraints, QueryFacts
from cit_core.records import Decision
from cit_core.router import CHARACTERS_PER_TOKEN, Router
from llamaindex_cit.choices import candidates_of

__all__ = ["CITSelectionEvent", "CITSelectorResult", "CITSingleSelector"]

dispatcher = get_dispatcher(__name__)


class CITSelectionEvent(BaseEvent):
    """A selection was made. The query's text is not in it: LlamaIndex's own query events carry that."""

    candidates: list[str]
    """The candidate behind each choice, in order."""
    index: int
    """Place of the chosen one."""
    decision: Decision

    @classmethod
    def class_name(cls) -> str:
        """Name under which handlers know it."""
        return "CITSelectionEvent"


class CITSelectorResult(SelectorResult):
    """What LlamaIndex expects of a selection, and the decision behind it."""

    decision: Decision

    @property
    def scores(self) -> dict[str, float]:
        """Candidate id to P(correct), best first."""
        return self.decision.scores


class CITSingleSelector(BaseSelector):
    """Selects the choice whose candidate is most likely to get the query right.

    A choice stands for the candidate that `mapping` gives for its index or name, else for the one it is named after,
    else for the one that is its description. Candidates of the router that no choice stands for do not take part.

    Args:
        router: What decides.
        mapping: Tool name or index of a choice to candidate id.

    Raises:
        UnknownCandidate: If `mapping` names an id that is not a candidate of the router.
    """

    def __init__(self, router: Router, mapping: Mapping[str | int, str] | None = None) -> None:
        if not isinstance(router, Router):
            raise InvalidInput(f"router is {type(router).__name__}; it must be a cit_core.Router")
        self._router = router
        self._mapping = dict(mapping or {})
        self._known = [candidate.id for candidate in router.candidates]
        for id_ in self._mapping.values():
            if id_ not in self._known:
                raise UnknownCandidate(id_, self._known, "the router (in mapping=)")

    def _get_prompts(self) -> PromptDictType:
        return {}

    def _update_prompts(self, prompts: PromptDictType) -> None:
        """It asks no LLM, so it has no prompts."""

    def _select(self, choices: Sequence[ToolMetadata], query: QueryBundle) -> CITSelectorResult:
        ids = candidates_of(choices, self._known, self._mapping)
        decision = self._router.route(_text(query), constraints=self._limits(ids), facts=_facts(query))
        return _result(ids, decision)

    async def _aselect(self, choices: Sequence[ToolMetadata], query: QueryBundle) -> CITSelectorResult:
        ids = candidates_of(choices, self._known, self._mapping)
        decision = await self._router.aroute(_text(query), constraints=self._limits(ids), facts=_facts(query))
        return _result(ids, decision)

    def _limits(self, ids: Sequence[str]) -> Constraints:
        """The router's own constraints, narrowed to the candidates that a choice stands for."""
        limits = self._router.constraints
        allow = frozenset(ids) if limits.allow is None else limits.allow & frozenset(ids)
        return replace(limits, allow=allow)


def _text(query: QueryBundle) -> str:
    if query.image_path and not query.query_str.strip():
        return "Look at the attached image and answer."
    return query.query_str


def _facts(query: QueryBundle) -> QueryFacts:
    tokens = max(1, len(query.query_str) // CHARACTERS_PER_TOKEN)
    return QueryFacts(tokens=tokens, modalities=frozenset({"text", "image"} if query.image_path else {"text"}))


def _result(ids: Sequence[str], decision: Decision) -> CITSelectorResult:
    index = ids.index(decision.model)
    dispatcher.event(CITSelectionEvent(candidates=list(ids), index=index, decision=decision))
    return CITSelectorResult(selections=[SingleSelection(index=index, reason=_reason(decision))], decision=decision)


def _reason(decision: Decision) -> str:
    others = ", ".join(f"{ranked.model} {ranked.probability:.1%}" for ranked in decision.ranking[1:4])
    return (
        f"{decision.model} is {decision.probability:.1%} likely to get this right (policy {decision.policy}"
        f"{f'; then {others}' if others else ''})"
    )
