"""CITLLM over LlamaIndex's own OpenAI-compatible class and the openai SDK, asked over loopback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from llama_calls import CHATS, COMPLETIONS, WITH_TOOLS, call, drained, settled, user
from openai_server import BEFORE_THE_FIRST_TOKEN, NO_ANSWERS, STATUSES, Providers
from scripted_llm import ScriptedLLM
from small_suite import suite_of

from cit_core.aptitude.suites import save_suite
from cit_core.arms import Arm
from cit_core.errors import Transient
from cit_core.records import Candidate
from cit_core.router import FakeScorer, Fallback, Router
from cit_core.router.decision_log import DecisionLog, read_log
from cit_core.store import CapabilityStore
from llamaindex_cit import CITLLM
from llamaindex_cit.aptitude import aptitude_test

openai_like = pytest.importorskip("llama_index.llms.openai_like", reason="pip install llama-index-llms-openai-like")

METHODS = CHATS + COMPLETIONS + WITH_TOOLS
STREAMS = [method for method in METHODS if "stream" in method]
IN_ONE_PIECE = [method for method in METHODS if "stream" not in method]


@pytest.fixture(scope="module")
def providers() -> Iterator[Providers]:
    with Providers() as running:
        yield running


@pytest.fixture
def llm_of(providers: Providers) -> Callable[..., Any]:
    def make(behaviour: str, **options: Any) -> Any:
        given = {"timeout": 5.0, "max_retries": 0, "is_chat_model": True, "is_function_calling_model": True, **options}
        return openai_like.OpenAILike(model="m", api_base=providers.url(behaviour), api_key="sk-secret", **given)

    return make


@pytest.fixture
def routed(llm_of: Callable[..., Any]) -> Callable[..., CITLLM]:
    """Make a routed LLM whose candidates behave as they are called, the first of them the best."""

    def make(*behaviours: str, fallback: Fallback | None = None, **options: Any) -> CITLLM:
        scores = {behaviour: 0.9 - place / 10 for place, behaviour in enumerate(behaviours)}
        router = Router(FakeScorer(scores), [Candidate(id=behaviour) for behaviour in behaviours])
        return CITLLM({one: llm_of(one, **options) for one in behaviours}, router, fallback=fallback)

    return make


def answer(responses: list[Any]) -> str:
    last = responses[-1]
    return last.message.content or "" if hasattr(last, "message") else last.text


def require_fine(llm: CITLLM, method: str, responses: list[Any]) -> None:
    assert {response.additional_kwargs["cit_model"] for response in responses} == {"fine"}
    if "tools" in method:
        [called] = llm.get_tool_calls_from_response(responses[-1])
        assert (called.tool_name, called.tool_kwargs) == ("double", {"number": 21})
    else:
        assert answer(responses) == "fine answer"


@pytest.mark.parametrize("method", METHODS)
async def test_every_method_works_over_the_sdk(routed: Callable[..., CITLLM], method: str) -> None:
    llm = routed("fine")
    require_fine(llm, method, await call(llm, method, "q"))


@pytest.mark.parametrize("method", STREAMS)
@pytest.mark.parametrize("behaviour", BEFORE_THE_FIRST_TOKEN)
async def test_an_outage_inside_a_stream_before_its_first_token_falls_back(
    routed: Callable[..., CITLLM], behaviour: str, method: str
) -> None:
    llm = routed(behaviour, "fine", fallback=Fallback(failures=1))
    require_fine(llm, method, await call(llm, method, "q"))
    assert llm.fallback.state(behaviour) == "open"


@pytest.mark.parametrize("method", IN_ONE_PIECE)
@pytest.mark.parametrize("behaviour", NO_ANSWERS)
async def test_a_response_that_holds_no_answer_falls_back(
    routed: Callable[..., CITLLM], behaviour: str, method: str
) -> None:
    llm = routed(behaviour, "fine", fallback=Fallback(failures=1))
    require_fine(llm, method, await call(llm, method, "q"))
    assert llm.fallback.state(behaviour) == ("closed" if behaviour == "kept_back" else "open")


async def test_nothing_is_an_answer_where_nobody_has_more_to_say_and_half_of_one_is_none(
    routed: Callable[..., CITLLM],
) -> None:
    said = routed("nothing").complete("q")
    assert (said.text, said.additional_kwargs["cit_model"]) == ("", "nothing")
    last = list(routed("role_alone").stream_complete("q"))[-1]
    assert (last.text, last.additional_kwargs["cit_model"]) == ("", "role_alone")
    with pytest.raises(Transient, match="broke off its answer"):
        routed("half").complete("q")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("behaviour", STATUSES)
async def test_a_refusal_falls_back(routed: Callable[..., CITLLM], behaviour: str, method: str) -> None:
    llm = routed(behaviour, "fine")
    require_fine(llm, method, await call(llm, method, "q"))
    of_the_question = behaviour in ("context", "filtered")
    at_once = behaviour in ("401", "402", "403", "404", "429", "503")
    assert llm.fallback.state(behaviour) == ("open" if at_once and not of_the_question else "closed")


async def test_retry_after_is_honoured(routed: Callable[..., CITLLM], providers: Providers) -> None:
    now = [0.0]
    llm = routed("429", "fine", fallback=Fallback(cool_down_s=30.0, clock=lambda: now[0]))
    before = providers.asked["429"]
    for when, asked in ((0.0, 1), (6.0, 1), (7.5, 2)):
        now[0] = when
        llm.complete("q")
        assert providers.asked["429"] - before == asked
    decision = llm.complete("q").additional_kwargs["cit_route"]
    assert "429" in decision["cooling_down"], "a decision shows which candidates are cooling down"


@pytest.mark.parametrize("method", METHODS)
async def test_a_timeout_falls_back(routed: Callable[..., CITLLM], method: str) -> None:
    llm = routed("hangs", "fine", timeout=1.5)
    require_fine(llm, method, await call(llm, method, "q"))


@pytest.mark.parametrize("method", STREAMS)
async def test_a_stall_after_an_empty_first_chunk_falls_back(routed: Callable[..., CITLLM], method: str) -> None:
    llm = routed("stalls", "fine", timeout=1.5)
    require_fine(llm, method, await call(llm, method, "q"))


@pytest.mark.parametrize("method", METHODS)
async def test_the_routers_own_time_limits_hold_where_the_sdk_would_wait(
    routed: Callable[..., CITLLM], method: str
) -> None:
    limit = {"first_token_timeout_s": 1.5} if "stream" in method else {"attempt_timeout_s": 1.5}
    llm = routed("stalls", "fine", timeout=20.0, fallback=Fallback(**limit))
    require_fine(llm, method, await call(llm, method, "q"))


@pytest.mark.parametrize("method", [method for method in STREAMS if "tools" not in method])
@pytest.mark.parametrize(("behaviour", "error"), [("breaks", "APIError"), ("breaks_off", "Transient")])
async def test_a_stream_that_breaks_later_is_the_callers_and_counts(
    routed: Callable[..., CITLLM], behaviour: str, error: str, method: str
) -> None:
    llm = routed(behaviour, "fine", fallback=Fallback(failures=1))
    stream = await settled(getattr(llm, method)("q" if "complete" in method else [user("q")]))
    first = await anext(stream) if hasattr(stream, "__anext__") else next(stream)
    assert first.additional_kwargs["cit_model"] == behaviour
    with pytest.raises(Exception, match=r"SECRET|broke off") as broken:
        await drained(stream)
    assert type(broken.value).__name__ == error
    assert llm.fallback.state(behaviour) == "open"


@pytest.mark.parametrize("method", METHODS)
async def test_the_final_error_tells_every_attempt(routed: Callable[..., CITLLM], method: str) -> None:
    llm = routed("401", "404", "500", fallback=Fallback())
    with pytest.raises(Exception, match="SECRET") as last:
        await call(llm, method, "q")
    [note] = last.value.__notes__
    assert [one in note for one in ("401 (", "404 (", "500 (")] == [True] * 3
    assert "SECRET" not in note
    assert "sk-secret" not in note


# -- the aptitude test ------------------------------------------------------------------------------------------------


async def test_models_are_usable_before_between_and_after_their_aptitude_tests(tmp_path: Path) -> None:
    suite, items = suite_of(per_task=2)
    save_suite(suite, tmp_path / "suite.json")
    rows = [{"item_id": item.id, **item.model_dump(mode="json", exclude={"id"})} for item in items]
    (tmp_path / "texts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    where = {"suite": str(tmp_path / "suite.json"), "texts": tmp_path / "texts.jsonl"}
    with Providers(keep_alive=True) as providers:
        options = {"api_base": providers.url("fine"), "api_key": "x", "is_chat_model": True}
        models = [openai_like.OpenAILike(model=name, **options) for name in ("m0", "m1")]
        for model in models:
            assert (await model.acomplete("q")).text == "fine answer"
            with CapabilityStore(f"sqlite:///{tmp_path / 'zoo.db'}") as store:
                report = await asyncio.to_thread(aptitude_test, model, store=store, concurrency=2, **where)
            assert report.published
            assert not report.failed
            for usable in models:
                assert (await usable.acomplete("q")).text == usable.complete("q").text == "fine answer"
        for model in models:
            model._get_client().close()
            await model._get_aclient().close()


def test_arms_reach_the_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    """An LLM that is opened by name sends what its arm says, in the provider's words."""
    pytest.importorskip("llama_index.llms.openai", reason="pip install llama-index-llms-openai")
    with ScriptedLLM(lambda prompt: "fine") as server:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
        monkeypatch.setenv("OPENAI_API_BASE", server.base_url)
        llm = CITLLM.from_models([Arm("openai:gpt-5-mini", effort="low", max_tokens=500)])
        assert llm.complete("hi").text == "fine"
        (asked,) = server.requests
    assert (asked.body["reasoning_effort"], asked.body["max_completion_tokens"]) == ("low", 500)
    assert "max_tokens" not in asked.body


@pytest.mark.parametrize("method", IN_ONE_PIECE)
async def test_the_real_sdks_bill_is_settled(llm_of: Callable[..., Any], tmp_path: Path, method: str) -> None:
    zoo = [Candidate(id=id_, price_in=1.0, price_out=10.0) for id_ in ("503", "fine")]
    log = DecisionLog(tmp_path / "log.jsonl")
    llm = CITLLM({one.id: llm_of(one.id) for one in zoo}, Router(FakeScorer({"503": 0.9, "fine": 0.5}), zoo), log=log)
    require_fine(llm, method, await call(llm, method, "q"))
    assert log.flush()
    (bill,) = [record for record in read_log(log.target) if record["kind"] == "usage"]
    assert (bill["model"], bill["cost_usd"]) == ("fine", pytest.approx((1 * 1.0 + 1 * 10.0) / 1e6))
