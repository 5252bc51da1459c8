"""A candidate's model is called as LangChain itself would, and a response without an answer is a fault."""

from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage
from langchain_core.outputs import ChatResult
from scripted import Scripted

from cit_core.router import Attempts, Fallback
from cit_core.router.empty_answer import EmptyAnswer
from langchain_cit import ChatCIT
from langchain_cit._model_calls import agenerate, generate, split_options, stream


@pytest.fixture
def attempts(router) -> Attempts:
    return Fallback().attempts(router.route("easy"))


def test_options_of_the_router_and_of_the_candidate_are_told_apart() -> None:
    config, rest = split_options({"model": "small", "configurable": {"cit_policy": "best"}, "stop": ["x"]})
    assert config == {"configurable": {"cit_policy": "best", "cit_model": "small"}}
    assert rest == {"stop": ["x"]}


class Silent(BaseChatModel):
    """Its provider sends no choices."""

    @property
    def _llm_type(self) -> str:
        return "silent"

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        return ChatResult(generations=[])


async def test_a_response_without_choices_is_a_fault(attempts: Attempts, router) -> None:
    turn = [HumanMessage("easy")]
    with pytest.raises(EmptyAnswer):
        generate(Silent(), attempts, turn, None, None, {})
    with pytest.raises(EmptyAnswer):
        await agenerate(Silent(), attempts, turn, None, None, {})
    chat = ChatCIT({"small": Silent(), "large": Scripted(model_name="l")}, router)
    assert chat.invoke("easy").text == "l says: easy"
    assert (await chat.ainvoke("easy")).text == "l says: easy"
    with pytest.raises(EmptyAnswer):
        ChatCIT({"small": Silent(), "large": Silent()}, router).invoke("easy")


def test_a_model_that_has_no_stream_gives_one_piece() -> None:
    turn = [HumanMessage("easy")]
    assert [piece.text for piece in stream(Scripted(model_name="s", disable_streaming=True), turn, None, None, {})] == [
        "s says: easy"
    ]
