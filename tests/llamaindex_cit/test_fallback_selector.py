"""Choices that are no LLMs: another selector decides, and what it says is checked."""

from collections.abc import Sequence
from typing import Any

import pytest
from llama_index.core import MockEmbedding
from llama_index.core.base.base_selector import BaseSelector, SelectorResult, SingleSelection
from llama_index.core.llms import MockLLM
from llama_index.core.prompts import PromptTemplate
from llama_index.core.query_engine import CustomQueryEngine, RouterQueryEngine
from llama_index.core.selectors import EmbeddingSingleSelector, LLMMultiSelector, LLMSingleSelector
from llama_index.core.tools import QueryEngineTool, ToolMetadata
from llama_zoo import IDS

from cit_core.errors import InvalidInput, NoCandidate, UnknownCandidate
from cit_core.policy import Constraints
from llamaindex_cit import CITMultiSelector, CITSelectionEvent, CITSelectorResult, CITSingleSelector

CORPORA = ["Questions about wages and holidays", "Questions about the machines"]


class Words(MockEmbedding):
    """A vector that tells whether a text is about machines."""

    def _vector(self, text: str) -> list[float]:
        return [1.0, 0.0] if "machine" in text else [0.0, 1.0]

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._vector(text)

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._vector(query)


class Says(BaseSelector):
    """Selects what it is told to select."""

    def __init__(self, *indices: int) -> None:
        self.indices = indices

    def _get_prompts(self) -> dict[str, Any]:
        return {}

    def _update_prompts(self, prompts: dict[str, Any]) -> None: ...

    def _select(self, choices: Sequence[ToolMetadata], query: Any) -> SelectorResult:
        return SelectorResult(selections=[SingleSelection(index=index, reason="told") for index in self.indices])

    async def _aselect(self, choices: Sequence[ToolMetadata], query: Any) -> SelectorResult:
        return self._select(choices, query)


class Corpus(CustomQueryEngine):
    """Answers with its text."""

    text: str

    def custom_query(self, query_str: str) -> str:
        return self.text


@pytest.fixture
def by_meaning() -> EmbeddingSingleSelector:
    return EmbeddingSingleSelector.from_defaults(Words(embed_dim=2))


async def test_engines_over_different_texts_are_left_to_the_fallback(router, by_meaning, events) -> None:
    selector = CITSingleSelector(router, fallback=by_meaning)
    tools = [  # unnamed, as many have them: all are called query_engine_tool
        QueryEngineTool.from_defaults(Corpus(text=text), description=text) for text in CORPORA
    ]
    engine = RouterQueryEngine(selector=selector, query_engine_tools=tools, llm=MockLLM())
    for response in (engine.query("Which machine is it?"), await engine.aquery("Which machine is it?")):
        assert str(response) == CORPORA[1]
        result = response.metadata["selector_result"]
        assert result.reason.startswith("Top similarity match")
        assert not isinstance(result, CITSelectorResult)
    sent = [event for event in events if isinstance(event, CITSelectionEvent)]
    assert [(event.selected, event.fallback, event.decision, event.candidates) for event in sent] == [
        ([1], "EmbeddingSingleSelector", None, [])
    ] * 2


async def test_where_choices_are_llms_the_router_decides(router, events) -> None:
    selector = CITSingleSelector(router, fallback=Says(0))
    assert (selector.select(IDS, "hard").ind, (await selector.aselect(IDS, "hard")).ind) == (1, 1)
    assert all(event.fallback is None for event in events if isinstance(event, CITSelectionEvent))


def test_if_only_some_are_llms_that_is_a_mistake(router) -> None:
    with pytest.raises(UnknownCandidate, match="no candidate 'larg'"):
        CITSingleSelector(router, fallback=Says(0)).select(["small", "larg"], "q")


def test_llms_that_may_not_be_chosen_are_not_left_to_the_fallback(router) -> None:
    router = type(router)(router.scorer, router.candidates, constraints=Constraints(deny=frozenset(IDS)))
    with pytest.raises(NoCandidate, match="denied"):
        CITSingleSelector(router, fallback=Says(0)).select(IDS, "q")


def test_without_a_fallback_it_is_an_error_that_says_what_helps(router) -> None:
    with pytest.raises(UnknownCandidate, match="name the tool after its candidate"):
        CITSingleSelector(router).select(CORPORA, "q")


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ((-1,), r"the fallback Says selected index -1 of 2 choices"),  # LlamaIndex would take the last engine
        ((2,), "selected index 2 of 2 choices"),
        ((0, 7), "selected index 0, 7 of 2 choices"),
        ((), "selected nothing of 2 choices"),
    ],
)
async def test_never_an_index_outside_and_never_nothing(router, events, indices, message) -> None:
    selector = CITSingleSelector(router, fallback=Says(*indices))
    with pytest.raises(InvalidInput, match=message):
        selector.select(CORPORA, "q")
    with pytest.raises(InvalidInput, match=message):
        await selector.aselect(CORPORA, "q")
    assert not [event for event in events if isinstance(event, CITSelectionEvent)]


def test_nothing_to_select_from_is_refused_before_anybody_is_asked(router) -> None:
    with pytest.raises(InvalidInput, match="there are no choices"):
        CITSingleSelector(router, fallback=Says()).select([], "q")


def test_multi_delegates_too(router) -> None:
    assert CITMultiSelector(router, fallback=Says(1, 0)).select(CORPORA, "q").inds == [1, 0]


@pytest.mark.parametrize("kind", [LLMSingleSelector, LLMMultiSelector])
def test_the_fallbacks_prompts_can_be_read_and_set_through_an_engine(router, kind) -> None:
    fallback = kind.from_defaults(MockLLM())
    selector = CITSingleSelector(router, fallback=fallback)
    tools = [QueryEngineTool.from_defaults(Corpus(text=text), description=text) for text in CORPORA]
    engine = RouterQueryEngine(selector=selector, query_engine_tools=tools, llm=MockLLM())
    assert engine.get_prompts().keys() >= {"selector:prompt"}
    new = PromptTemplate("{num_choices} {context_list} {query_str}", output_parser=fallback._prompt.output_parser)
    engine.update_prompts({"selector:prompt": new})
    assert fallback.get_prompts()["prompt"].template == new.template


def test_a_fallback_must_be_a_selector(router) -> None:
    with pytest.raises(InvalidInput, match="fallback is MockLLM; it must be a LlamaIndex selector"):
        CITSingleSelector(router, fallback=MockLLM())
