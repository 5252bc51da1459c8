"""CITSingleSelector inside LlamaIndex's own engines: real indexes in memory, LlamaIndex's mock LLM, no network."""

import asyncio
import json
import pickle
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core import Document, SummaryIndex
from llama_index.core.base.base_selector import SelectorResult
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RouterQueryEngine
from llama_index.core.retrievers import RouterRetriever
from llama_index.core.schema import QueryBundle
from llama_index.core.tools import QueryEngineTool, RetrieverTool, ToolMetadata
from llama_zoo import IDS

from cit_core.errors import InvalidInput, NoCandidate, UnknownCandidate
from cit_core.policy import Constraints, Threshold
from cit_core.records import Candidate
from cit_core.router import FakeScorer, Router
from llamaindex_cit import CITLLM, CITMultiSelector, CITSelectionEvent, CITSelectorResult, CITSingleSelector


def index(text: str) -> SummaryIndex:
    return SummaryIndex.from_documents([Document(text=text)])


def engine(selector: CITSingleSelector, names: list[str | None] | None = None) -> RouterQueryEngine:
    """Two engines over real indexes; MockLLM repeats its prompt, so the answer shows which of them was asked."""
    llm = MockLLM()
    tools = [
        QueryEngineTool.from_defaults(index(f"kept by {id_}").as_query_engine(llm=llm), name=name)
        for id_, name in zip(IDS, IDS if names is None else names, strict=True)
    ]
    return RouterQueryEngine(selector=selector, query_engine_tools=tools, llm=llm)


# -- inside LlamaIndex ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("query", "chosen"), [("a hard question", "large"), ("an easy question", "small")])
async def test_router_query_engine_asks_the_chosen_engine(router, query: str, chosen: str) -> None:
    routed = engine(CITSingleSelector(router))
    for response in (routed.query(query), await routed.aquery(query)):
        assert f"kept by {chosen}" in str(response)
        result = response.metadata["selector_result"]
        assert isinstance(result, CITSelectorResult)
        assert (result.ind, result.decision.model) == (IDS.index(chosen), chosen)
        assert list(result.scores.items()) == [(chosen, 0.9), (IDS[1 - result.ind], 0.4)]
        assert f"{chosen} is 90.0% likely to get this right (policy best; then " in result.reason


def test_unnamed_tools_need_a_mapping(router) -> None:
    with pytest.raises(InvalidInput, match="all named 'query_engine_tool'"):
        engine(CITSingleSelector(router), names=[None, None]).query("hard")
    mapped = engine(CITSingleSelector(router, mapping={0: "small", 1: "large"}), names=[None, None])
    assert "kept by large" in str(mapped.query("hard"))


async def test_router_retriever_asks_the_chosen_retriever(router) -> None:
    tools = [
        RetrieverTool.from_defaults(index(f"kept by {id_}").as_retriever(), name=id_, description="d") for id_ in IDS
    ]
    retriever = RouterRetriever(selector=CITSingleSelector(router), retriever_tools=tools, llm=MockLLM())
    assert [node.text for node in retriever.retrieve("hard")] == ["kept by large"]
    assert [node.text for node in await retriever.aretrieve("easy")] == ["kept by small"]


async def test_one_event_for_a_selection(router, events) -> None:
    routed = engine(CITSingleSelector(router))
    routed.query("a hard and secret question")
    await routed.aquery("an easy and secret question")
    mine = [event for event in events if isinstance(event, CITSelectionEvent)]
    assert [(event.selected, event.candidates, event.decision.model) for event in mine] == [
        ([1], IDS, "large"),
        ([0], IDS, "small"),
    ]
    assert all(event.span_id and "._" in event.span_id for event in mine)
    assert "secret" not in "".join(event.model_dump_json() for event in mine)


async def test_one_span_for_a_selection_and_none_left_open(router) -> None:
    root, spans = get_dispatcher(), SimpleSpanHandler()
    root.add_span_handler(spans)
    routed = engine(CITSingleSelector(router))
    try:
        routed.query("hard")
        await routed.aquery("easy")
        with pytest.raises(InvalidInput):
            CITSingleSelector(router).select([], "q")
    finally:
        root.span_handlers.remove(spans)
    for kept, counts in ((spans.completed_spans, (1, 1)), (spans.dropped_spans, (1, 0)), (spans.open_spans, (0, 0))):
        ids = [getattr(span, "id_", span) for span in kept]
        found = tuple(
            sum(id_.startswith(f"CITSingleSelector.{name}-") for id_ in ids) for name in ("_select", "_aselect")
        )
        assert found == counts
    assert len({span.id_ for span in spans.completed_spans}) == len(spans.completed_spans)


def test_prompts_are_empty_but_complete(router) -> None:
    selector = CITSingleSelector(router)
    assert selector.get_prompts() == {}
    selector.update_prompts({})
    routed = engine(selector)
    assert not [name for name in routed.get_prompts() if name.startswith("selector")]


# -- on its own -------------------------------------------------------------------------------------------------------


async def test_choices_may_be_texts_or_tools(router) -> None:
    selector = CITSingleSelector(router)
    assert selector.select(IDS, "hard").ind == 1
    assert (await selector.aselect(IDS[::-1], QueryBundle("hard"))).ind == 0
    tools = [ToolMetadata(name="b", description="large"), ToolMetadata(name="small", description="x")]
    assert selector.select(tools, "hard").ind == 0


def test_parameter_names_are_those_llamaindex_calls(router) -> None:
    choices, query = [ToolMetadata(description="large")], QueryBundle("q")
    result = CITSingleSelector(router)._select(choices=choices, query=query)
    assert result.inds == [0]
    assert asyncio.run(CITSingleSelector(router)._aselect(choices=choices, query=query)).inds == [0]


def test_candidates_without_a_choice_do_not_take_part(router) -> None:
    result = CITSingleSelector(router).select(["small"], "hard")
    assert (result.ind, result.decision.excluded) == (0, {"large": "not in the allowed list"})


def test_the_routers_own_constraints_stay(scorer) -> None:
    zoo = [Candidate(id="small"), Candidate(id="large")]
    denying = Router(scorer, zoo, constraints=Constraints(deny=frozenset({"large"})))
    assert CITSingleSelector(denying).select(IDS, "hard").ind == 0
    allowing = Router(scorer, zoo, constraints=Constraints(allow=frozenset({"small"})))
    assert CITSingleSelector(allowing).select(IDS, "hard").ind == 0
    with pytest.raises(NoCandidate, match="not in the allowed list"):
        CITSingleSelector(allowing).select(["large"], "hard")


def test_every_constructor_takes_a_policy_and_constraints(router) -> None:
    given = {"policy": "threshold:0.1", "constraints": {"allow": ["small"]}}
    for selector in (CITSingleSelector(router, **given), CITMultiSelector(router, **given)):
        assert selector.select(IDS, "hard").inds == [0]
        assert selector._router.policy == Threshold(0.1)
    llms = {"small": MockLLM(), "large": MockLLM()}
    assert CITLLM(llms, router, **given).router.route("hard").model == "small"


def test_a_picture_goes_to_those_who_can_see(router) -> None:
    selector = CITSingleSelector(router)
    for text in ("easy", " "):
        result = selector.select(IDS, QueryBundle(text, image_path="picture.png"))
        assert result.ind == 1
        assert result.decision.excluded == {"small": "cannot read image"}
    blind = selector.select(["small"], QueryBundle("easy", image_path="picture.png"))
    assert blind.decision.chosen_by == "default"
    with pytest.raises(NoCandidate, match="cannot read image"):
        CITSingleSelector(router, strict=True).select(["small"], QueryBundle("easy", image_path="picture.png"))


def test_the_result_can_be_shown_and_kept(router) -> None:
    result = CITSingleSelector(router).select(IDS, "hard")
    assert "model='large'" in repr(result)
    assert isinstance(result, SelectorResult)
    again = CITSelectorResult.model_validate_json(result.model_dump_json())
    assert again == result
    assert json.loads(result.model_dump_json())["decision"]["model"] == "large"


def test_the_reason_follows_the_policy(scorer) -> None:
    zoo = [Candidate(id="small", price_in=1, price_out=1), Candidate(id="large", price_in=9, price_out=9)]
    selector = CITSingleSelector(Router(scorer, zoo, policy=Threshold(0.3)))
    assert selector.select(IDS, "hard").reason == (
        "small is 40.0% likely to get this right (policy threshold:0.3; then large 90.0%)"
    )
    assert selector.select(["small"], "easy").reason == "small is 90.0% likely to get this right (policy threshold:0.3)"


async def test_scoring_never_runs_on_the_event_loop() -> None:
    threads = set()

    def score(_: str, __: str) -> float:
        threads.add(threading.get_ident())
        return 0.5

    selector = CITSingleSelector(Router(FakeScorer(score), [Candidate(id=id_) for id_ in IDS]))
    await selector.aselect(IDS, "q")
    assert threads
    assert threading.get_ident() not in threads


async def test_many_at_once_do_not_mix(router, events) -> None:
    selector = CITSingleSelector(router)
    results = await asyncio.gather(*(selector.aselect(IDS, text) for text in ["hard", "easy"] * 10))
    assert [result.ind for result in results] == [1, 0] * 10
    assert len([event for event in events if isinstance(event, CITSelectionEvent)]) == 20


@settings(deadline=None)
@given(st.permutations(["a", "b", "c", "d"]), st.integers(1, 4), st.text(min_size=1).filter(str.strip))
def test_the_index_is_always_that_of_the_chosen_candidate(order: list[str], count: int, query: str) -> None:
    scorer = FakeScorer(lambda text, id_: (hash((text, id_)) % 1000) / 1000)
    choices = order[:count]
    result = CITSingleSelector(Router(scorer, [Candidate(id=id_) for id_ in "abcd"])).select(choices, query)
    assert choices[result.ind] == result.decision.model


def test_what_cannot_work_is_refused(router) -> None:
    with pytest.raises(UnknownCandidate, match=r"no candidate 'larg' among the 2 in the router \(in mapping=\)"):
        CITSingleSelector(router, mapping={"x": "larg"})
    with pytest.raises(InvalidInput, match=r"no config of a router"):
        CITSingleSelector({})
    with pytest.raises(InvalidInput, match="no choices"):
        CITSingleSelector(router).select([], "q")
    with pytest.raises(InvalidInput, match="empty"):
        CITSingleSelector(router, strict=True).select(IDS, " ")


async def test_a_query_without_a_text_goes_to_the_default(router) -> None:
    selector = CITSingleSelector(router, default="large")
    for result in (selector.select(IDS, " "), await selector.aselect(IDS, QueryBundle(""))):
        assert (result.ind, result.decision.chosen_by) == (1, "default")
        assert "the default route, large" in result.decision.warnings[0]
        assert result.reason.startswith("large by default")
    with pytest.raises(UnknownCandidate, match=r"\(in default=\)"):
        CITSingleSelector(router, default="larg")
    multi = CITMultiSelector(router, default="large", margin=1.0).select(IDS, "")
    assert multi.inds == [1], "one answer to an empty query is enough"


def test_it_pickles() -> None:
    router = Router(FakeScorer({"small": 0.2, "large": 0.8}), [Candidate(id=id_) for id_ in IDS])
    assert pickle.loads(pickle.dumps(CITSingleSelector(router))).select(IDS, "q").ind == 1
