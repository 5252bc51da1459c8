"""The retries of SDKs are bounded where the object allows it; the user's own model is left as it is."""

from typing import Any

import openai
import pytest
from parrot import Parrot
from scripted_provider import ANSWER, ScriptedProvider

from cit_core.errors import InvalidInput
from cit_core.router import Fallback
from langchain_cit import ChatCIT, RunnableRouter
from langchain_cit._retries import with_sdk_retries
from langchain_cit.sampled import SampledChatModel


class Model(Parrot):
    """Holds a client of the OpenAI SDK and a part of its API, as LangChain's models do."""

    root: Any = None
    part: Any = None
    max_retries: int | None = None


@pytest.fixture
def model() -> Model:
    client = openai.OpenAI(api_key="x", base_url="http://127.0.0.1:1")
    return Model(called="m", root=client, part=client.chat.completions)


def test_a_model_is_copied_with_clients_that_retry_less(model) -> None:
    bounded = with_sdk_retries({"m": model, "bound": model.bind(stop=["x"]), "f": str.upper}, Fallback(sdk_retries=1))
    for copy in (bounded["m"], bounded["bound"].bound):
        assert (copy.root.max_retries, copy.part._client.max_retries, copy.max_retries) == (1, 1, 1)
        assert copy.part._client is copy.root
    sampled = with_sdk_retries({"m": SampledChatModel(model=model, samples=2)}, Fallback(sdk_retries=1))["m"]
    assert sampled.model.max_retries == 1
    assert (model.root.max_retries, model.part._client.max_retries, model.max_retries) == (2, 2, None)
    assert bounded["f"] is str.upper


def test_nothing_is_copied_where_nothing_is_to_be_bounded(model) -> None:
    assert with_sdk_retries({"m": model}, Fallback()) == {"m": model}
    plain = Parrot(called="p")
    assert with_sdk_retries({"p": plain}, Fallback(sdk_retries=0))["p"] is plain
    with pytest.raises(InvalidInput, match="sdk_retries is -1; it must be a whole number, 0 or more"):
        Fallback(sdk_retries=-1)


@pytest.mark.parametrize("kind", [RunnableRouter, ChatCIT])
async def test_a_real_model_asks_once(kind: Any, router) -> None:
    chat_openai = pytest.importorskip("langchain_openai", reason="pip install langchain-openai (the test group)")
    chat_anthropic = pytest.importorskip("langchain_anthropic", reason="pip install langchain-anthropic")
    with ScriptedProvider() as provider:
        down = chat_openai.ChatOpenAI(base_url=f"{provider.url}/down/v1", api_key="x", model="m")
        overloaded = chat_anthropic.ChatAnthropic(
            base_url=f"{provider.url}/overloaded_error", api_key="x", model="claude", max_retries=2
        )
        assert overloaded._client.max_retries == 2
        up = chat_openai.ChatOpenAI(base_url=f"{provider.url}/ok/v1", api_key="x", model="m")
        for first in (down, overloaded):
            routing = kind({"small": first, "large": up}, router, fallback=Fallback(sdk_retries=0))
            assert routing.invoke("easy").text == ANSWER
            assert (await routing.ainvoke("easy")).text == ANSWER
        assert (provider.hits["down"], provider.hits["overloaded_error"]) == (2, 2)
