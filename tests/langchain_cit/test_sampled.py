"""Of several answers of a chat model, the one that most agree with is given, and all are paid for."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from langchain_core._api import LangChainBetaWarning
from langchain_core.language_models import BaseChatModel, FakeListChatModel
from langchain_core.load import dumps, loads
from langchain_core.messages import AIMessage, BaseMessage, ToolCall
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from openai_server import Providers
from pydantic import BaseModel, Field, PrivateAttr, ValidationError

from cit_core.arms import Arm
from cit_core.errors import Transient
from cit_core.records import Candidate
from cit_core.router import FakeScorer, Router
from cit_core.router.decision_log import DecisionLog, read_log
from langchain_cit import ChatCIT
from langchain_cit._models import model_name
from langchain_cit.sampled import SampledChatModel


class Says(BaseChatModel):
    """Gives one message after the other, whoever asks; raises those that are errors."""

    script: list[Any]
    tools: list[Any] = Field(default_factory=list)
    _lock: Any = PrivateAttr(default_factory=threading.Lock)

    @property
    def _llm_type(self) -> str:
        return "says"

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        with self._lock:
            said = self.script.pop(0)
        if isinstance(said, Exception):
            raise said
        usage: Any = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
        message = said if isinstance(said, AIMessage) else AIMessage(said, usage_metadata=usage)
        return ChatResult(generations=[ChatGeneration(message=message)])

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, AIMessage]:
        return self.bind(tools=tools, **kwargs)


def says(*script: Any) -> SampledChatModel:
    return SampledChatModel(model=Says(script=list(script)), samples=len(script))


async def answer(model: Any, how: str) -> AIMessage:
    if how == "invoke":
        return model.invoke("q")
    if how == "ainvoke":
        return await model.ainvoke("q")
    pieces = list(model.stream("q")) if how == "stream" else [piece async for piece in model.astream("q")]
    assert [piece.text for piece in pieces if piece.text] == [pieces[0].text], "in one piece"
    return pieces[0]


WAYS = ["invoke", "ainvoke", "stream", "astream"]


@pytest.mark.parametrize("how", WAYS)
async def test_the_answer_of_most_is_given_and_all_are_counted(how: str) -> None:
    message = await answer(says("7", "Eight.", OSError("down"), " eight", "", ""), how)
    assert str(message.text) in ("Eight.", " eight")
    assert message.response_metadata["cit_samples"] == {"asked": 6, "agreed": 2}
    assert message.usage_metadata == {"input_tokens": 15, "output_tokens": 10, "total_tokens": 25}


@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
async def test_an_answer_that_was_broken_off_has_no_vote(how: str) -> None:
    half = AIMessage("half", response_metadata={"finish_reason": "error"})
    assert (await answer(says(half, half, "whole"), how)).text == "whole"
    with pytest.raises(Transient, match="broke off"):
        await answer(says(half, half), how)


async def test_the_first_of_equals_and_the_first_error() -> None:
    assert (await says("a", "b").ainvoke("q")).text == "a"
    for how in ("invoke", "ainvoke"):
        with pytest.raises(OSError, match="down"):
            await answer(says(OSError("down"), OSError("down")), how)
    for wrong in (1, 17):
        with pytest.raises(ValidationError):
            SampledChatModel(model=Says(script=[]), samples=wrong)


class Double(BaseModel):
    """Double a number."""

    number: int
    unit: str = "m"


def calls(**arguments: Any) -> AIMessage:
    return AIMessage("", tool_calls=[ToolCall(name="Double", args=arguments, id="1")])


def test_only_one_set_of_tool_calls_comes_out() -> None:
    script = calls(number=1), calls(number=2, unit="m"), "no tool", calls(unit="m", number=2)
    (call,) = says(*script).bind_tools([Double]).invoke("q").tool_calls
    assert call["args"] == {"number": 2, "unit": "m"}
    assert says(*script).with_structured_output(Double).invoke("q") == Double(number=2)
    router = Router(FakeScorer({"a": 0.9, "b": 0.1}), [Candidate(id="a"), Candidate(id="b")])
    unable = SampledChatModel(model=FakeListChatModel(responses=["x"]), samples=2)
    routed = ChatCIT({"a": unable, "b": says(*script)}, router)
    assert routed.with_structured_output(Double).invoke("q") == Double(number=2)


def test_it_is_copied_and_written_down_as_others_are() -> None:
    made = SampledChatModel(model=FakeListChatModel(responses=["x"]), samples=3)
    assert pickle.loads(pickle.dumps(made)).invoke("q").text == "x"
    assert made._get_llm_string() != SampledChatModel(model=made.model, samples=4)._get_llm_string()
    assert '"samples": 3' in dumps(made)
    openai = pytest.importorskip("langchain_openai", reason="pip install langchain-openai (the test group)")
    made = SampledChatModel(model=openai.ChatOpenAI(model="gpt-5-mini", api_key="sk-secret"), samples=3)
    assert "sk-secret" not in dumps(made)
    known = {"OPENAI_API_KEY": "sk-secret"}
    allowed = [SampledChatModel, openai.ChatOpenAI]
    with pytest.warns(LangChainBetaWarning):
        back = loads(dumps(made), allowed_objects=allowed, secrets_map=known, valid_namespaces=["langchain_cit"])
    assert (back.samples, back.model.model_name) == (3, "gpt-5-mini")
    assert model_name(made) == "openai:gpt-5-mini@samples=3"


@pytest.mark.parametrize("how", WAYS)
async def test_an_arm_is_asked_so_often_over_the_real_sdk(monkeypatch: Any, tmp_path: Any, how: str) -> None:
    pytest.importorskip("langchain_openai", reason="pip install langchain-openai (the test group)")
    log = DecisionLog(tmp_path / "log.jsonl")
    with Providers() as providers:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
        monkeypatch.setenv("OPENAI_BASE_URL", providers.url("fine"))
        arm = Arm("openai:gpt-5-mini", effort="low", samples=4)
        model = ChatCIT.from_models([arm], log=log)
        message = await answer(model, how)
        assert message.text == "fine answer"
        assert message.response_metadata["cit_samples"] == {"asked": 4, "agreed": 4}
        assert [body["reasoning_effort"] for body in providers.bodies] == ["low"] * 4
    assert log.flush()
    (bill,) = [record for record in read_log(log.target) if record["kind"] == "usage"]
    (candidate,) = model.router.candidates
    assert bill["model"] == arm.name
    assert bill["cost_usd"] == pytest.approx(candidate.expected_cost(4 * 1, 4 * 1))
