"""Real SDKs against a provider on loopback: a candidate that cannot serve is set aside and the next is asked."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from langchain_core.messages import AIMessageChunk, HumanMessage
from langchain_core.runnables import RunnableGenerator
from scripted_provider import ANSWER, ScriptedProvider

from cit_core.arms import Arm
from cit_core.records import Candidate
from cit_core.router import FakeScorer, Fallback, Router
from cit_core.router.decision_log import DecisionLog, read_log
from langchain_cit import ChatCIT, RunnableRouter

pytest.importorskip("langchain_openai", reason="pip install langchain-openai langchain-anthropic (the test group)")
pytest.importorskip("langchain_anthropic", reason="pip install langchain-openai langchain-anthropic (the test group)")

import openai
from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI

from langchain_cit.middleware import CITCallMiddleware, CITRunMiddleware

KEY = "sk-not-a-key-SECRET"


@pytest.fixture(scope="module")
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as started:
        yield started


@cache
def openai_model(url: str, behaviour: str, **options: Any) -> ChatOpenAI:
    settings = {"max_retries": 0, "timeout": 20, **options}
    return ChatOpenAI(base_url=f"{url}/{behaviour}/v1", api_key=KEY, model="gpt-4o", **settings)


@cache
def anthropic_model(url: str, behaviour: str) -> ChatAnthropic:
    return ChatAnthropic(base_url=f"{url}/{behaviour}", api_key=KEY, model="claude", max_retries=0, timeout=20)


@pytest.fixture
def router() -> Router:
    return Router(FakeScorer({"first": 0.9, "second": 0.5}), [Candidate(id="first"), Candidate(id="second")])


def routed(kind: str, routes: dict[str, Any], router: Router, fallback: Fallback) -> Any:
    if kind in ("RunnableRouter", "ChatCIT"):
        return {"RunnableRouter": RunnableRouter, "ChatCIT": ChatCIT}[kind](routes, router, fallback=fallback)
    middleware = {"run": CITRunMiddleware, "call": CITCallMiddleware}[kind](routes, router, fallback=fallback)
    return create_agent(routes["first"], middleware=[middleware])


async def answer(routing: Any, how: str) -> str:
    """What it says, when it is called in the way named."""
    value: Any = {"messages": [HumanMessage("hi")]} if hasattr(routing, "get_state") else "hi"
    options = {"stream_mode": "messages"} if hasattr(routing, "get_state") else {}
    match how:
        case "invoke":
            found = routing.invoke(value)
        case "ainvoke":
            found = await routing.ainvoke(value)
        case "stream":
            return "".join(map(text, routing.stream(value, **options)))
        case _:
            return "".join([text(piece) async for piece in routing.astream(value, **options)])
    return found["messages"][-1].text if isinstance(found, dict) else found.text


def text(piece: Any) -> str:
    message = piece[0] if isinstance(piece, tuple) else piece
    return message.text if isinstance(message, AIMessageChunk) else ""


ALWAYS = ["unauthorized", "no-credit", "forbidden", "retired", "too-long", "too-long-in-words", "filtered", "quota"]
ALWAYS += ["rate-limit", "down", "page", "cut", "kept-back"]
STREAMED = ["server-error", "stream-rate-limit", "code-as-number", "code-as-text", "after-an-empty-chunk", "empty"]
STREAMED += ["empty-chunk-alone", "cut-after-an-empty-chunk"]
WHOLE = ["error-in-200", "error-in-200-null-choices", "no-choices"]
WAYS = ["invoke", "stream", "ainvoke", "astream"]
KINDS = ["ChatCIT", "run", "call"]
FAULTS = [("RunnableRouter", behaviour, way) for behaviour in ALWAYS for way in WAYS]
FAULTS += [("RunnableRouter", behaviour, way) for behaviour in STREAMED for way in ("stream", "astream")]
FAULTS += [("RunnableRouter", behaviour, way) for behaviour in WHOLE for way in ("invoke", "ainvoke")]
FAULTS += [(kind, behaviour, way) for kind in KINDS for behaviour in ("unauthorized", "cut") for way in WAYS]
FAULTS += [(kind, behaviour, way) for kind in KINDS for behaviour in STREAMED for way in ("stream", "astream")]
FAULTS += [(kind, behaviour, "invoke") for kind in KINDS for behaviour in WHOLE]


@pytest.mark.parametrize(("kind", "behaviour", "how"), FAULTS)
async def test_the_next_best_answers_for_openai(provider, router, kind: str, behaviour: str, how: str) -> None:
    routes = {"first": openai_model(provider.url, behaviour), "second": openai_model(provider.url, "ok")}
    fallback = Fallback(failures=1)
    assert await answer(routed(kind, routes, router, fallback), how) == ANSWER
    of_the_question = behaviour in {"too-long", "too-long-in-words", "filtered", "kept-back"}
    assert fallback.state("first") == ("closed" if of_the_question else "open")


ANTHROPIC = [
    f"{kind}{when}"
    for kind in ("overloaded_error", "rate_limit_error", "api_error")
    for when in ("", "-after-the-beginning")
]
ANTHROPIC += ["refusal", *(f"status-{status}" for status in (400, 401, 403, 404, 413))]


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("behaviour", ANTHROPIC)
async def test_the_next_best_answers_for_anthropic(provider, router, behaviour: str, how: str) -> None:
    routes = {"first": anthropic_model(provider.url, behaviour), "second": anthropic_model(provider.url, "ok")}
    assert await answer(RunnableRouter(routes, router), how) == ANSWER


@pytest.mark.parametrize("how", ["stream", "astream"])
@pytest.mark.parametrize("kind", KINDS)
async def test_an_overloaded_anthropic_is_set_aside_everywhere(provider, router, kind: str, how: str) -> None:
    routes = {
        "first": anthropic_model(provider.url, "overloaded_error-after-the-beginning"),
        "second": openai_model(provider.url, "ok"),
    }
    assert await answer(routed(kind, routes, router, Fallback()), how) == ANSWER


@pytest.mark.parametrize("kind", ["RunnableRouter", *KINDS])
@pytest.mark.parametrize("how", WAYS)
async def test_a_bad_request_is_the_callers(provider, router, kind: str, how: str) -> None:
    routes = {"first": openai_model(provider.url, "bad-request"), "second": openai_model(provider.url, "ok")}
    with pytest.raises(openai.BadRequestError, match="temperature"):
        await answer(routed(kind, routes, router, Fallback()), how)


@pytest.mark.parametrize("kind", ["RunnableRouter", "ChatCIT"])
@pytest.mark.parametrize("how", ["stream", "astream"])
@pytest.mark.parametrize("behaviour", ["stall", "stall-after-an-empty-chunk"])
async def test_a_stall_before_the_first_token_ends_at_the_routers_limit(
    provider, router, kind: str, how: str, behaviour: str
) -> None:
    routes = {"first": openai_model(provider.url, behaviour), "second": openai_model(provider.url, "ok")}
    fallback = Fallback(failures=1, first_token_timeout_s=1.5)
    assert await answer(routed(kind, routes, router, fallback), how) == ANSWER
    assert fallback.state("first") == "open"


@pytest.mark.parametrize("kind", ["RunnableRouter", "ChatCIT"])
@pytest.mark.parametrize("how", ["stream", "astream"])
async def test_a_stall_ends_at_the_sdks_own_limit(provider, router, kind: str, how: str) -> None:
    stalling = openai_model(provider.url, "stall-after-an-empty-chunk", timeout=1, stream_chunk_timeout=0)
    routes = {"first": stalling, "second": openai_model(provider.url, "ok")}
    assert await answer(routed(kind, routes, router, Fallback()), how) == ANSWER


@pytest.mark.parametrize("kind", ["RunnableRouter", "ChatCIT"])
@pytest.mark.parametrize("how", ["stream", "astream"])
async def test_a_stream_that_breaks_later_is_the_callers_and_counts(provider, router, kind: str, how: str) -> None:
    routes = {"first": openai_model(provider.url, "breaks-later"), "second": openai_model(provider.url, "ok")}
    fallback = Fallback(failures=1)
    before = provider.hits["ok"]
    with pytest.raises(openai.APIError, match="broken"):
        await answer(routed(kind, routes, router, fallback), how)
    assert (fallback.state("first"), provider.hits["ok"]) == ("open", before)


def test_retry_after_is_honoured(router) -> None:
    now = [0.0]
    with ScriptedProvider(retry_after="90") as provider:
        routes = {"first": openai_model(provider.url, "rate-limit"), "second": openai_model(provider.url, "ok")}
        routing = RunnableRouter(routes, router, fallback=Fallback(clock=lambda: now[0]))
        assert [routing.invoke("hi").text for _ in range(3)] == [ANSWER] * 3
        assert provider.hits["rate-limit"] == 1
        now[0] = 89.0
        assert routing.pick().invoke("hi").cooling_down == {"first": "rate limit, HTTP 429; 1 s left"}
        now[0] = 91.0
        routing.invoke("hi")
        assert provider.hits["rate-limit"] == 2


@pytest.mark.parametrize("kind", ["RunnableRouter", "ChatCIT"])
def test_the_last_error_tells_every_attempt_and_no_key(provider, router, kind: str) -> None:
    routes = {"first": openai_model(provider.url, "unauthorized"), "second": openai_model(provider.url, "down")}
    with pytest.raises(openai.InternalServerError) as caught:
        routed(kind, routes, router, Fallback()).invoke("a prompt")
    (note,) = caught.value.__notes__
    assert note.startswith("asked: first (OpenAIAuthenticationError: key refused, HTTP 401), second (")
    assert "SECRET" not in note
    assert "a prompt" not in note


def test_the_bare_sdk_in_a_chain(provider, router) -> None:
    """As an application that has no LangChain model: the OpenAI SDK in a generator."""
    client = openai.OpenAI(base_url=f"{provider.url}/server-error/v1", api_key=KEY, max_retries=0)
    empty = openai.OpenAI(base_url=f"{provider.url}/empty/v1", api_key=KEY, max_retries=0)

    def asking(sdk: openai.OpenAI) -> RunnableGenerator[Any, str]:
        def ask(questions: Iterator[Any]) -> Iterator[str]:
            for question in questions:
                turns: Any = [{"role": "user", "content": question}]
                for chunk in sdk.chat.completions.create(model="m", messages=turns, stream=True):
                    if chunk.choices and chunk.choices[0].delta.content:
                        yield chunk.choices[0].delta.content

        return RunnableGenerator(ask)

    for sdk in (client, empty):
        routing = RunnableRouter({"first": asking(sdk), "second": lambda _: "second answers"}, router)
        assert "".join(routing.stream("hi")) == "second answers"


def test_arms_reach_the_provider(provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models that are opened by name send what their arm says, each in its provider's words."""
    for name in ("OPENAI", "ANTHROPIC"):
        monkeypatch.setenv(f"{name}_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{provider.url}/ok/v1")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", f"{provider.url}/ok")
    arms = [
        Arm("openai:gpt-5-mini", effort="low", max_tokens=500),
        Arm("anthropic:claude-haiku-4-5", effort="low", max_tokens=4000),
        Arm("anthropic:claude-opus-4-6", effort="high"),
    ]
    model = ChatCIT.from_models(arms)
    sent = {}
    for arm in arms:
        assert model.invoke("hi", model=arm.name).text == ANSWER
        sent[arm.model] = json.loads(provider.bodies[-1])
    small, budgeted, named = sent.values()
    assert (small["reasoning_effort"], small["max_completion_tokens"]) == ("low", 500)
    assert "max_tokens" not in small
    assert (budgeted["thinking"], budgeted["max_tokens"]) == ({"type": "enabled", "budget_tokens": 2000}, 4000)
    assert named["output_config"] == {"effort": "high"}


def test_options_of_every_candidate_are_left_out_where_its_class_knows_that_its_model_refuses_them(
    provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI", "ANTHROPIC"):
        monkeypatch.setenv(f"{name}_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{provider.url}/ok/v1")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", f"{provider.url}/ok")
    own = {"own": ChatOpenAI(model="gpt-4o-mini"), "new": ChatOpenAI(model="gpt-5-mini")}
    names = ["openai:gpt-5-mini", "openai:gpt-4o", "openai:o3", "anthropic:claude-haiku-4-5@low"]
    model = ChatCIT.from_models({**dict(zip(names, names, strict=True)), **own}, temperature=0, max_tokens=7)
    sent = {}
    for name in (*names, *own):
        assert model.invoke("hi", model=name).text == ANSWER
        sent[name] = json.loads(provider.bodies[-1])
    assert [body.get("temperature") for body in sent.values()] == [None, 0, None, None, 0, None]
    budgeted = sent.pop(names[3])
    assert budgeted["max_tokens"] > budgeted["thinking"]["budget_tokens"], "the arm's own limit goes before"
    assert [body["max_completion_tokens"] for body in sent.values()] == [7] * 5


def test_a_limit_has_the_name_that_a_class_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """ChatOllama overlooks `max_tokens`, in silence."""
    given = {}

    def opened(name: str, **options: Any) -> ChatOpenAI:
        given[name] = options
        return ChatOpenAI(model="gpt-4o-mini", api_key=KEY)

    monkeypatch.setattr("langchain.chat_models.init_chat_model", opened)
    ChatCIT.from_models(["ollama:llama3.1:8b", "openai:gpt-4o"], max_tokens=7)
    ChatCIT.from_models([Arm("ollama:qwen3:8b", max_tokens=9), "openai:gpt-4o"], max_tokens=7)
    limits = {"ollama:llama3.1:8b": {"num_predict": 7}, "ollama:qwen3:8b": {"num_predict": 9}}
    assert given == {**limits, "openai:gpt-4o": {"max_tokens": 7}}


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("kind", [*KINDS[:2], "RunnableRouter"])
async def test_the_real_sdks_bill_is_settled(provider, tmp_path, kind: str, how: str) -> None:
    log = DecisionLog(tmp_path / "log.jsonl")
    zoo = [Candidate(id=id_, price_in=1.0, price_out=10.0) for id_ in ("first", "second")]
    router = Router(FakeScorer({"first": 0.9, "second": 0.5}), zoo, log=log)
    routes = {"first": anthropic_model(provider.url, "overloaded_error"), "second": anthropic_model(provider.url, "ok")}
    assert await answer(routed(kind, routes, router, Fallback()), how) == ANSWER
    assert log.flush()
    (bill,) = [record for record in read_log(log.target) if record["kind"] == "usage"]
    assert (bill["model"], bill["cost_usd"]) == ("second", pytest.approx((1 * 1.0 + 2 * 10.0) / 1e6))
