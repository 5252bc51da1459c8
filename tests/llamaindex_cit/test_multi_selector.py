"""CITMultiSelector: the best, and whoever is about as good, up to a number; LlamaIndex asks them all and combines."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core import Document, SummaryIndex
from llama_index.core.base.base_selector import SelectorResult
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RouterQueryEngine
from llama_index.core.retrievers import RouterRetriever
from llama_index.core.tools import QueryEngineTool, RetrieverTool

from cit_core.errors import InvalidInput
from cit_core.policy import Threshold
from cit_core.records import Candidate
from cit_core.router import FakeScorer, Router
from llamaindex_cit import CITMultiSelector, CITSelectionEvent, CITSelectorResult

SCORES = {"a": 0.7, "b": 0.9, "c": 0.8, "d": 0.79}


def router(**options: object) -> Router:
    prices = {"a": 1.0, "b": 9.0, "c": 5.0, "d": 4.0}
    zoo = [Candidate(id=id_, price_in=prices[id_], price_out=prices[id_]) for id_ in SCORES]
    return Router(FakeScorer(SCORES), zoo, **options)


@pytest.mark.parametrize(
    ("margin", "max_outputs", "chosen"),
    [
        (0.0, 4, "b"),
        (0.1, 4, "bc"),  # 0.9 - 0.8 is a little more than 0.1 in binary
        (0.11, 4, "bcd"),
        (math.inf, 4, "bcda"),
        (math.inf, 2, "bc"),
        (math.inf, 1, "b"),
    ],
)
def test_all_within_the_margin_up_to_a_number(margin: float, max_outputs: int, chosen: str) -> None:
    result = CITMultiSelector(router(), margin=margin, max_outputs=max_outputs).select(list("abcd"), "q")
    assert [list("abcd")[index] for index in result.inds] == list(chosen)


def test_the_policys_choice_comes_first_and_the_margin_is_from_it() -> None:
    result = CITMultiSelector(router(policy=Threshold(0.75)), margin=0.05).select(list("abcd"), "q")
    assert [list("abcd")[index] for index in result.inds] == ["d", "c", "b"]  # the cheapest that is good enough, ...


def test_each_selection_has_its_own_reason_and_all_share_the_decision(events) -> None:
    result = CITMultiSelector(router()).select(list("abcd"), "q")
    assert isinstance(result, CITSelectorResult)
    assert result.reasons == [
        "b is 90.0% likely to get this right (policy best; then c 80.0%, d 79.0%, a 70.0%)",
        "c is 80.0% likely to get this right (next to b, 90.0%)",
    ]
    assert result.scores == {"b": 0.9, "c": 0.8, "d": 0.79, "a": 0.7}
    (event,) = [event for event in events if isinstance(event, CITSelectionEvent)]
    assert (event.selected, event.candidates, event.decision) == ([1, 2], list("abcd"), result.decision)


async def test_a_query_engine_asks_them_all_and_the_result_survives() -> None:
    llm = MockLLM()
    tools = [
        QueryEngineTool.from_defaults(
            SummaryIndex.from_documents([Document(text=f"kept by {id_}")]).as_query_engine(llm=llm), name=id_
        )
        for id_ in SCORES
    ]
    engine = RouterQueryEngine(selector=CITMultiSelector(router()), query_engine_tools=tools, llm=llm)
    for response in (engine.query("q"), await engine.aquery("q")):
        asked = {id_ for id_ in SCORES if f"kept by {id_}" in str(response)}
        assert asked == {"b", "c"}
        assert [node.text for node in response.source_nodes] == ["kept by b", "kept by c"]
        assert response.metadata["selector_result"].decision.model == "b"


async def test_a_retriever_asks_them_all() -> None:
    tools = [
        RetrieverTool.from_defaults(
            SummaryIndex.from_documents([Document(text=id_)]).as_retriever(), name=id_, description="texts"
        )
        for id_ in SCORES
    ]
    retriever = RouterRetriever(selector=CITMultiSelector(router()), retriever_tools=tools, llm=MockLLM())
    assert sorted(node.text for node in retriever.retrieve("q")) == ["b", "c"]
    assert sorted(node.text for node in await retriever.aretrieve("q")) == ["b", "c"]


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 1), min_size=1),
    st.floats(0, 1),
    st.integers(1, 6),
)
def test_never_empty_never_twice_never_outside(scores: dict[str, float], margin: float, max_outputs: int) -> None:
    choices = sorted(scores)
    zoo = Router(FakeScorer(scores), [Candidate(id=id_) for id_ in choices])
    result = CITMultiSelector(zoo, margin=margin, max_outputs=max_outputs).select(choices, "q")
    assert 1 <= len(result.inds) == len(set(result.inds)) <= max_outputs
    assert all(0 <= index < len(choices) for index in result.inds)
    assert scores[choices[result.inds[0]]] == max(scores.values())
    within = [id_ for id_ in choices if scores[id_] >= max(scores.values()) - margin - 1e-9]
    assert len(result.inds) == min(max_outputs, len(within))
    assert {choices[index] for index in result.inds} <= set(within)
    assert isinstance(result, SelectorResult)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"margin": -0.1}, r"margin is -0\.1; it must be a difference of probabilities, 0 or more"),
        ({"margin": math.nan}, "margin is nan"),
        ({"max_outputs": 0}, "max_outputs is 0; it must be 1 or more"),
    ],
)
def test_what_cannot_work_is_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        CITMultiSelector(router(), **options)
