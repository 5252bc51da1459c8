"""What engines and agents return says which candidate answered, and by which decision."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from llama_index.core import Document, SummaryIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.chat_engine import ContextChatEngine
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.llms import MockLLM
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.query_engine import RouterQueryEngine
from llama_index.core.tools import FunctionTool, QueryEngineTool

from cit_core.router import Fallback
from llamaindex_cit import CITLLM, CITRouteEvent, CITSingleSelector, _trail

pytestmark = pytest.mark.filterwarnings(
    "ignore::pydantic.PydanticDeprecatedSince20",
    "ignore::pydantic.PydanticDeprecatedSince211",
    "ignore:is_running called:DeprecationWarning",
)
INDEX = SummaryIndex.from_documents([Document(text="A text. " * 20)])


def decided(events: list[Any]) -> list[str]:
    return [event.decision.id for event in events if isinstance(event, CITRouteEvent)]


def require_trail(metadata: dict[str, Any], model: str, decision: str) -> None:
    assert {name: value for name, value in metadata.items() if name.startswith("cit_") and name != "cit_calls"} == {
        "cit_model": model,
        "cit_decision": decision,
        "cit_probability": 0.9,
        "cit_policy": "best",
        "cit_reason": "policy",
    }


async def test_query_engines(llm, events) -> None:
    engine = INDEX.as_query_engine(llm=llm)
    for text, model in (("easy?", "small"), ("hard?", "large")):
        require_trail(engine.query(text).metadata, model, decided(events)[-1])
        require_trail((await engine.aquery(text)).metadata, model, decided(events)[-1])


async def test_a_streamed_response_tells_once_it_is_read(llm, events) -> None:
    engine = INDEX.as_query_engine(llm=llm, streaming=True)
    easy, hard = engine.query("easy?"), await engine.aquery("hard?")
    assert next(easy.response_gen)
    require_trail(easy.metadata, "small", decided(events)[-1])
    assert "".join([token async for token in hard.async_response_gen()]).startswith("large: ")
    require_trail(hard.metadata, "large", decided(events)[-1])
    assert "".join(easy.response_gen)
    assert easy.metadata["cit_model"] == "small"


def test_several_calls_for_one_answer_are_all_told(llm, events) -> None:
    index = SummaryIndex.from_documents([Document(text="A text. " * 40) for _ in range(3)])
    metadata = index.as_query_engine(llm=llm, response_mode="accumulate").query("hard?").metadata
    assert [call["cit_decision"] for call in metadata["cit_calls"]] == decided(events)
    assert len(decided(events)) == 3


async def test_queries_at_once_are_told_apart(llm) -> None:
    engine = INDEX.as_query_engine(llm=llm)
    texts = [f"{'hard' if number % 2 else 'easy'} {number}?" for number in range(20)]
    responses = await asyncio.gather(*map(engine.aquery, texts))
    models = [response.metadata["cit_model"] for response in responses]
    assert models == ["small", "large"] * 10
    assert not any("cit_calls" in response.metadata for response in responses)


def test_a_router_engine_tells_the_selectors_decision(router) -> None:
    tools = [
        QueryEngineTool.from_defaults(INDEX.as_query_engine(llm=MockLLM()), name=id_) for id_ in ("small", "large")
    ]
    engine = RouterQueryEngine(selector=CITSingleSelector(router), query_engine_tools=tools, llm=MockLLM())
    metadata = engine.query("hard?").metadata
    require_trail(metadata, "large", metadata["selector_result"].decision.id)


def test_a_fallback_names_the_candidate_that_answered(voices, router) -> None:
    voices["large"].fails_with = TimeoutError("no answer")
    llm = CITLLM(voices, router, fallback=Fallback())
    metadata = INDEX.as_query_engine(llm=llm).query("hard?").metadata
    told = [metadata[name] for name in ("cit_model", "cit_probability", "cit_reason", "cit_fallback_from")]
    assert told == ["small", 0.4, "fallback", "large"]


async def test_chat_engines(llm, events) -> None:
    memory = ChatMemoryBuffer.from_defaults(token_limit=3000)
    engine = ContextChatEngine.from_defaults(INDEX.as_retriever(), memory=memory, llm=llm)
    require_trail(engine.chat("easy?").metadata, "small", decided(events)[-1])
    require_trail((await engine.achat("hard?")).metadata, "large", decided(events)[-1])


async def test_agents(llm, events) -> None:
    tool = FunctionTool.from_defaults(lambda number=0: number + 1, name="double", description="One more.")
    agent = FunctionAgent(tools=[tool], llm=llm)
    output = await agent.run("hard?", memory=ChatMemoryBuffer.from_defaults(token_limit=3000))
    require_trail(output.metadata, "large", decided(events)[-1])


def test_failures_and_endless_spans_leave_nothing_behind(llm, voices, router, monkeypatch) -> None:
    voices["large"].fails_with = KeyError("a mistake")
    broken = INDEX.as_query_engine(llm=CITLLM(voices, router))
    with pytest.raises(KeyError, match="a mistake"):
        broken.query("hard?")
    assert not _trail._trail._spans
    monkeypatch.setattr(_trail, "OPEN", 5)
    for number in range(9):
        _trail._trail.span_enter(str(number))
    assert list(_trail._trail._spans) == ["4", "5", "6", "7", "8"]
    _trail._trail._spans.clear()


def test_it_is_followed_once(llm, voices, router) -> None:
    CITLLM(voices, router)
    CITSingleSelector(router)
    assert sum(handler is _trail._trail for handler in get_dispatcher().span_handlers) == 1
