"""Whatever way LangChain calls, the bill of an answer is in the log, and a shadow sees the answer in the background."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.caches import InMemoryCache
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.tools import tool
from pydantic import BaseModel
from scripted import Scripted

from cit_core.errors import InvalidInput
from cit_core.records import Candidate
from cit_core.router import FakeScorer, Router
from cit_core.router.decision_log import DecisionLog, read_log
from cit_core.router.shadow import Shadow
from langchain_cit import ChatCIT, RunnableRouter
from langchain_cit.middleware import CITCallMiddleware, CITRunMiddleware

WAYS = ("invoke", "ainvoke", "stream", "astream", "batch", "abatch", "batch_as_completed")
HELLO = {"messages": [HumanMessage("hi")]}
BOTH = pytest.mark.parametrize("kind", [RunnableRouter, ChatCIT])


class Metered(Scripted):
    """Counts 1,000 tokens read, 800 of them cached, and 100 written."""

    def _answer(self, messages: Any, kwargs: Any) -> AIMessage:
        usage = {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100}
        told = {**usage, "input_token_details": {"cache_read": 800}, "output_token_details": {"reasoning": 60}}
        return super()._answer(messages, kwargs).model_copy(update={"usage_metadata": told})


PAID = (200 * 10.0 + 800 * 1.0 + 100 * 20.0) / 1e6


@pytest.fixture
def log(tmp_path: Path) -> DecisionLog:
    return DecisionLog(tmp_path / "decisions.jsonl")


def router_of(**options: Any) -> Router:
    small = Candidate(id="small", price_in=1.0, price_out=1.0, tools=True)
    large = Candidate(id="large", price_in=10.0, price_out=20.0, price_cached=1.0, tools=True)
    return Router(FakeScorer({"small": 0.7, "large": 0.9}), [small, large], **options)


def models() -> dict[str, Metered]:
    return {name: Metered(model_name=name) for name in ("small", "large")}


def call(routing: Any, way: str) -> None:
    async def later() -> None:
        if way == "astream":
            assert [chunk async for chunk in routing.astream("hi")]
        else:
            await (routing.ainvoke("hi") if way == "ainvoke" else routing.abatch(["hi"]))

    if way.startswith("a"):
        asyncio.run(later())
    elif way in ("stream", "batch_as_completed"):
        assert list(getattr(routing, way)("hi" if way == "stream" else ["hi"]))
    else:
        getattr(routing, way)("hi" if way == "invoke" else ["hi"])


def records(log: DecisionLog, kind: str) -> list[dict[str, Any]]:
    assert log.flush()
    return [record for record in read_log(log.target) if record["kind"] == kind]


@BOTH
@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_call_is_billed_once(kind, way, log) -> None:
    call(kind(models(), router_of(), log=log), way)
    (bill,) = records(log, "usage")
    assert (bill["model"], bill["cost_usd"]) == ("large", pytest.approx(PAID))
    assert bill["decision"] == records(log, "decision")[0]["id"]


@pytest.mark.parametrize("way", WAYS)
def test_all_chat_models_in_a_chain_are_billed_whatever_it_gives(way, log) -> None:
    chains = {name: model | StrOutputParser() | model | str for name, model in models().items()}
    call(RunnableRouter(chains, router_of(), log=log), way)
    assert [bill["cost_usd"] for bill in records(log, "usage")] == [pytest.approx(2 * PAID)]


def test_a_chain_that_is_left_in_its_second_model_counts_as_expected(log) -> None:
    chains = {name: model | StrOutputParser() | model | StrOutputParser() for name, model in models().items()}
    stream = RunnableRouter(chains, router_of(), log=log).stream("hi")
    next(stream)
    stream.close()
    assert records(log, "usage") == [], "the first alone is not what it took"
    assert [record["signal"] for record in records(log, "signal")] == ["aborted"]


def test_several_answers_to_one_prompt_are_billed_once(log) -> None:
    class Several(Metered):
        """Gives two answers, each with the usage of both, as OpenAI's class does of `n=2`."""

        def _generate(self, *given: Any, **kwargs: Any) -> Any:
            made = super()._generate(*given, **kwargs)
            return made.model_copy(update={"generations": made.generations * 2})

    chains = {name: Several(model_name=name) | StrOutputParser() for name in ("small", "large")}
    RunnableRouter(chains, router_of(), log=log).invoke("hi")
    assert [bill["cost_usd"] for bill in records(log, "usage")] == [pytest.approx(PAID)]


class Fact(BaseModel):
    """A fact."""

    number: int


@BOTH
def test_a_structured_output_is_billed(kind, log) -> None:
    options = {"method": "json_schema"} if kind is ChatCIT else {}
    kind(models(), router_of(), log=log).with_structured_output(Fact, **options).invoke("7")
    assert [bill["cost_usd"] for bill in records(log, "usage")] == [pytest.approx(PAID)]


@BOTH
@pytest.mark.parametrize("later", [False, True])
def test_a_stream_that_is_broken_off_is_a_signal(kind, later, log) -> None:
    routing = kind(models(), router_of(log=log))

    async def first() -> None:
        stream = routing.astream("hi")
        await anext(stream)
        await stream.aclose()

    if later:
        asyncio.run(first())
    else:
        stream = routing.stream("hi")
        next(stream)
        stream.close()
    assert [one["signal"] for one in records(log, "signal")] == ["aborted"]


@BOTH
def test_a_limit_counts_what_was_paid(kind) -> None:
    routing = kind(models(), router_of(policy="budget:10.25/day"))
    before = routing.router.pacer().spent()  # all routers of a process share a budget
    routing.invoke("hi")
    assert routing.router.pacer().spent() - before == pytest.approx(PAID)


@BOTH
@pytest.mark.parametrize("way", ["invoke", "ainvoke", "batch", "abatch"])
def test_an_answer_from_the_candidates_cache_is_not_paid_again(kind, way, log) -> None:
    kept = {name: Metered(model_name=name, cache=InMemoryCache()) for name in ("small", "large")}
    routing = kind(kept, router_of(log=log))
    call(routing, way)
    call(routing, way)
    assert [bill["cost_usd"] for bill in records(log, "usage")] == [pytest.approx(PAID), 0.0]


def down() -> dict[str, Metered]:
    return {name: Metered(model_name=name, fails=ConnectionError("down")) for name in ("small", "large")}


@BOTH
@pytest.mark.parametrize("way", WAYS)
def test_a_call_that_everybody_failed_is_not_paid(kind, way) -> None:
    routing = kind(down(), router_of(policy="budget:10.26/day"))
    before = routing.router.pacer().spent()
    with pytest.raises(ConnectionError):
        call(routing, way)
    assert routing.router.pacer().spent() == pytest.approx(before)


@pytest.mark.parametrize("middleware", [CITCallMiddleware, CITRunMiddleware])
@pytest.mark.parametrize("later", [False, True])
def test_an_agent_s_call_that_everybody_failed_is_not_paid(middleware, later) -> None:
    routing = middleware(down(), router_of(policy="budget:10.27/day"))
    agent = create_agent(models()["small"], tools=[add], middleware=[routing])
    before = routing.router.pacer().spent()
    with pytest.raises(ConnectionError):
        asyncio.run(agent.ainvoke(HELLO)) if later else agent.invoke(HELLO)
    assert routing.router.pacer().spent() == pytest.approx(before)


@BOTH
@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "batch"])
def test_a_shadow_asks_its_own_candidate_and_compares_texts(kind, way, log) -> None:
    seen: list[Any] = []

    def judge(question: str, one: str, other: str) -> float:
        seen.append((question, {one, other}))
        return 0.5

    shadow = Shadow("small", judge=judge, rate=1.0)
    call(kind(models(), router_of(), log=log, shadow=shadow), way)
    assert shadow.flush()
    assert len(seen) == 1
    question, answers = seen[0]
    assert question == "hi"
    assert all(isinstance(answer, str) and answer for answer in answers)
    assert (shadow.compared, shadow.failed) == (1, 0)
    assert [one["reference"] for one in records(log, "shadow")] == ["small"]
    assert len(records(log, "decision")) == len(records(log, "usage")) == 1, "what a shadow asks is no traffic"


@BOTH
def test_a_shadow_is_refused_where_it_could_not_work(kind, log) -> None:
    for shadow, options, what in (
        (Shadow("gpt-5", metric=lambda *_: 1.0), {"log": log}, "no candidate here"),
        (Shadow("small", metric=lambda *_: 1.0), {}, "needs a log"),
        ("small", {"log": log}, "use Shadow"),
    ):
        with pytest.raises(InvalidInput, match=what):
            kind(models(), router_of(), shadow=shadow, **options)


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@pytest.mark.parametrize("middleware", [CITCallMiddleware, CITRunMiddleware])
def test_every_model_call_of_an_agent_is_billed(middleware, log) -> None:
    agent = create_agent(models()["small"], tools=[add], middleware=[middleware(models(), router_of(), log=log)])
    result = agent.invoke({"messages": [HumanMessage("call add")]})
    calls = [message for message in result["messages"] if isinstance(message, AIMessage)]
    bills = records(log, "usage")
    assert len(bills) == len(calls)
    assert sum(one["cost_usd"] for one in bills) == pytest.approx(len(calls) * PAID)
    if middleware is CITRunMiddleware:
        assert [one.get("again", False) for one in bills] == [False] + [True] * (len(calls) - 1)
