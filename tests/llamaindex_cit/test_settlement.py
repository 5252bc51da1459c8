"""Whatever way LlamaIndex calls, the bill of an answer is in the log, and a shadow sees it in the background."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from llama_calls import CHATS, COMPLETIONS, WITH_TOOLS, call, user
from llama_index.core import Document, SummaryIndex
from llama_index.core.base.llms.types import CompletionResponse
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RouterQueryEngine
from llama_index.core.tools import QueryEngineTool
from llama_voice import Voice

from cit_core.records import Candidate
from cit_core.router import FakeScorer, Router
from cit_core.router.decision_log import DecisionLog, read_log
from cit_core.router.shadow import Shadow
from cit_core.tokens import Counted
from llamaindex_cit import CITLLM, CITSingleSelector
from llamaindex_cit._response_metadata import billed_tokens

pytestmark = pytest.mark.filterwarnings(
    "ignore::pydantic.PydanticDeprecatedSince20", "ignore::pydantic.PydanticDeprecatedSince211"
)
ALL = CHATS + COMPLETIONS + WITH_TOOLS


@pytest.fixture
def log(tmp_path: Path) -> DecisionLog:
    return DecisionLog(tmp_path / "decisions.jsonl")


@pytest.fixture
def router() -> Router:
    zoo = [Candidate(id="small", price_in=1.0, price_out=1.0), Candidate(id="large", price_in=10.0, price_out=20.0)]
    return Router(FakeScorer({"small": 0.7, "large": 0.9}), zoo)


def records(log: DecisionLog, kind: str) -> list[dict[str, Any]]:
    assert log.flush()
    return [record for record in read_log(log.target) if record["kind"] == kind]


@pytest.mark.parametrize("method", ALL)
async def test_every_way_to_call_is_billed_once(voices: dict[str, Voice], router, method, log) -> None:
    await call(CITLLM(voices, router, log=log), method, "a question")
    (bill,) = records(log, "usage")
    assert (bill["model"], bill["decision"]) == ("large", records(log, "decision")[0]["id"])
    assert bill["latency_s"] >= 0.0
    if "chat" in method and "stream" not in method:  # the tokens that this candidate counts
        assert bill["cost_usd"] == pytest.approx((7 * 10.0 + 3 * 20.0) / 1e6)


async def test_a_stream_that_is_broken_off_is_a_signal(voices, router, log) -> None:
    llm = CITLLM(voices, router, log=log)
    chunks = llm.stream_chat([user("a question")])
    next(chunks)
    chunks.close()
    achunks = await llm.astream_chat([user("a question")])
    await anext(achunks)
    await achunks.aclose()
    assert [one["signal"] for one in records(log, "signal")] == ["aborted", "aborted"]


@pytest.mark.parametrize("method", ALL)
async def test_a_shadow_asks_its_own_candidate_in_the_same_way(voices, router, method, log) -> None:
    seen = []

    def judge(question: str, one: str, other: str) -> float:
        seen.append((question, {one, other}))
        return 0.5

    shadow = Shadow("small", judge=judge, rate=1.0)
    await call(CITLLM(voices, router, log=log, shadow=shadow), method, "a question")
    assert shadow.flush()
    if "tools" in method:
        assert all("small: a question" in answers for _, answers in seen), "an answer that calls tools is passed over"
    else:
        assert seen == [("a question", {"small: a question", "large: a question"})]
        assert [one["score"] for one in records(log, "shadow")] == [0.5]
    assert shadow.failed == 0
    assert len(records(log, "decision")) == 1


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}, (9, 2, 4)),
        ({"input_tokens": 9, "output_tokens": 2, "cache_read_input_tokens": 4}, (13, 2, 4)),
        (SimpleNamespace(input_tokens=9, output_tokens=2, cache_creation_input_tokens=5), (14, 2, 0, 5)),
        ({}, (None, None, 0)),
    ],
)
def test_what_providers_count_as_cached(usage, expected) -> None:
    assert billed_tokens(CompletionResponse(text="", raw={"usage": usage})) == Counted(*expected)


def engine_over(voices, selector) -> RouterQueryEngine:
    index = SummaryIndex.from_documents([Document(text="Some text.")])
    tools = [
        QueryEngineTool.from_defaults(index.as_query_engine(llm=voice), name=id_, description="An engine.")
        for id_, voice in voices.items()
    ]
    return RouterQueryEngine.from_defaults(tools, selector=selector, llm=MockLLM())


async def test_an_engine_that_a_selector_chose_is_billed_when_it_answers(voices, router, log) -> None:
    engine = engine_over(voices, CITSingleSelector(router, log=log))
    engine.query("a question")
    await engine.aquery("another question")
    bills = records(log, "usage")
    assert [one["model"] for one in bills] == ["large", "large"]
    assert [one["decision"] for one in bills] == [one["id"] for one in records(log, "decision")]
    assert all(one["cost_usd"] == pytest.approx((7 * 10.0 + 3 * 20.0) / 1e6) for one in bills)


async def test_an_engine_that_fails_is_not_paid(voices, router) -> None:
    limited = router.with_options(policy="budget:10.28/day")
    for voice in voices.values():
        voice.fails_with = ConnectionError("down")
    engine, before = engine_over(voices, CITSingleSelector(limited)), limited.pacer().spent()
    with pytest.raises(ConnectionError):
        engine.query("a question")
    with pytest.raises(ConnectionError):
        await engine.aquery("another question")
    assert limited.pacer().spent() == pytest.approx(before)
