"""Of several answers of an LLM, the one that most agree with is given, and all are paid for."""

from __future__ import annotations

import copy
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest
from llama_calls import CHATS, COMPLETIONS, WITH_TOOLS, call
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.llms import CompletionResponse, CompletionResponseGen, CustomLLM, LLMMetadata, MockLLM
from openai_server import Providers
from pydantic import PrivateAttr, ValidationError
from scripted_llm import ScriptedLLM

from cit_core.arms import Arm
from cit_core.errors import InvalidInput, Transient
from cit_core.records import Candidate
from cit_core.router import FakeScorer, Router
from cit_core.router.decision_log import DecisionLog, read_log
from llamaindex_cit import CITLLM
from llamaindex_cit.sampled import SampledLLM


class Says(CustomLLM):
    """Gives one text or response after the other, whoever asks; raises those that are errors."""

    script: list[Any]
    _lock: Any = PrivateAttr(default_factory=threading.Lock)

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="says")

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        with self._lock:
            said = self.script.pop(0)
        if isinstance(said, Exception):
            raise said
        if isinstance(said, CompletionResponse):
            return said
        return CompletionResponse(text=said, raw={"usage": {"prompt_tokens": 3, "completion_tokens": 2}})

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        raise NotImplementedError("never streamed")


def says(*script: Any) -> SampledLLM:
    return SampledLLM(Says(script=list(script)), len(script))


def text_of(response: Any) -> str:
    return response.message.content if hasattr(response, "message") else response.text


@pytest.mark.parametrize("method", CHATS + COMPLETIONS)
async def test_the_answer_of_most_is_given_and_all_are_counted(method: str) -> None:
    (response,) = await call(says("7", "Eight.", OSError("down"), " eight", "", ""), method, "q")
    assert text_of(response) in ("Eight.", " eight")
    assert response.delta == (text_of(response) if "stream" in method else None)
    told = response.additional_kwargs["cit_samples"]
    assert (told["asked"], told["agreed"]) == (6, 2)
    if method in COMPLETIONS:
        assert (told["prompt_tokens"], told["completion_tokens"]) == (15, 10)


@pytest.mark.parametrize("method", ["complete", "acomplete"])
async def test_an_answer_that_was_broken_off_has_no_vote(method: str) -> None:
    half = CompletionResponse(text="half", raw={"finish_reason": "error"})
    (response,) = await call(says(half, half, "whole"), method, "q")
    assert response.text == "whole"
    with pytest.raises(Transient, match="broke off"):
        await call(says(half, half), method, "q")


async def test_the_first_of_equals_and_the_first_error() -> None:
    assert (await says("a", "b").acomplete("q")).text == "a"
    for method in ("chat", "acomplete", "stream_complete"):
        with pytest.raises(OSError, match="down"):
            await call(says(OSError("down"), OSError("down")), method, "q")
    for wrong in (1, 17):
        with pytest.raises(ValidationError):
            SampledLLM(MockLLM(), wrong)
    with pytest.raises(InvalidInput, match="MockLLM cannot call functions"):
        await call(SampledLLM(MockLLM(), 2), "chat_with_tools", "q")


def test_it_is_copied_and_followed_as_others_are() -> None:
    made = SampledLLM(MockLLM(), 3)
    assert pickle.loads(pickle.dumps(made)).complete("q").text == "q"
    tokens = TokenCountingHandler(tokenizer=str.split)
    router = Router(FakeScorer({"a": 0.9}), [Candidate(id="a")])
    routed = CITLLM({"a": made}, router, callback_manager=CallbackManager([tokens]))
    assert routed.complete("q").text == "q"
    assert len(tokens.llm_token_counts) == 3, "every answer is an event"
    inside: Any = routed.models["a"]
    asked = inside.llm
    assert routed.complete("q").text == "q"
    assert inside.llm is asked, "a client is kept"
    assert asked is not made.llm
    assert copy.deepcopy(routed).complete("q").text == pickle.loads(pickle.dumps(inside)).complete("q").text == "q"


@pytest.mark.parametrize("method", CHATS + COMPLETIONS + WITH_TOOLS)
async def test_one_answer_comes_out_over_the_real_sdk(tmp_path: Path, method: str) -> None:
    openai_like = pytest.importorskip("llama_index.llms.openai_like", reason="pip install llama-index-llms-openai-like")
    zoo, log = [Candidate(id="m@samples=4", price_in=1.0, price_out=10.0)], DecisionLog(tmp_path / "log.jsonl")
    with Providers() as providers:
        given = {"api_base": providers.url("fine"), "api_key": "sk-secret", "max_retries": 0, "is_chat_model": True}
        asked = openai_like.OpenAILike(model="m", is_function_calling_model=True, **given)
        llm = CITLLM({"m@samples=4": SampledLLM(asked, 4)}, Router(FakeScorer({"m@samples=4": 0.9}), zoo), log=log)
        (response,) = await call(llm, method, "q")
        assert providers.asked["fine"] == 4
    if method in WITH_TOOLS:
        (called,) = llm.get_tool_calls_from_response(response)
        assert (called.tool_name, called.tool_kwargs) == ("double", {"number": 21})
    else:
        assert text_of(response) == "fine answer"
    assert log.flush()
    (bill,) = [record for record in read_log(log.target) if record["kind"] == "usage"]
    assert bill["cost_usd"] == pytest.approx(4 * (1 * 1.0 + 1 * 10.0) / 1e6)


def test_an_arm_is_opened_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llama_index.llms.openai", reason="pip install llama-index-llms-openai (the test group)")
    said = iter(["4", "5", "five", "5"])
    with ScriptedLLM(lambda prompt: next(said)) as server:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
        monkeypatch.setenv("OPENAI_API_BASE", server.base_url)
        llm = CITLLM.from_models([Arm("openai:gpt-5-mini", effort="low", samples=4)])
        assert llm.complete("hi").text == "5"
        assert [asked.body["reasoning_effort"] for asked in server.requests] == ["low"] * 4
    (made,) = llm.models.values()
    assert set(CITLLM.from_models([made]).models) == {"gpt-5-mini@low,samples=4"}
