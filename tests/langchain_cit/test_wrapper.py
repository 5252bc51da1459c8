"""ChatCIT takes chat models inside bind, with_config and with_retry, and keeps what these add."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from langchain_core.runnables import ConfigurableField, RunnableLambda
from pydantic import BaseModel
from scripted import Scripted

from cit_core.errors import InvalidInput
from cit_core.router import Fallback
from langchain_cit import ChatCIT, RunnableRouter
from langchain_cit._wrapper import unwrapped


class Flaky(Scripted):
    """Fails so many times, then answers."""

    left: int = 1

    def _generate(self, *args: Any, **kwargs: Any) -> Any:
        if self.left:
            self.left -= 1
            raise RuntimeError("flaky")
        return super()._generate(*args, **kwargs)


def test_all_that_stands_around_a_model_is_taken_off() -> None:
    model = Scripted(model_name="s")
    retry = model.bind(seed=1, top_p=0.5).with_retry(stop_after_attempt=4)
    inside, wrapper = unwrapped(retry.with_config(tags=["x"]).bind(seed=2))
    assert inside is model
    assert wrapper.kwargs == {"seed": 2, "top_p": 0.5}
    assert wrapper.retry is not None
    assert wrapper.retry.max_attempt_number == 4
    assert unwrapped(model)[1].kwargs == {}


async def test_bound_options_reach_the_candidate_and_those_of_a_call_go_before_them(router) -> None:
    small = Scripted(model_name="s")
    chat = ChatCIT({"small": small.bind(seed=1, temperature=0.5), "large": Scripted(model_name="l")}, router)
    chat.invoke("easy", seed=2)
    await chat.ainvoke("easy")
    list(chat.stream("easy"))
    assert [chunk async for chunk in chat.astream("easy")]
    bound = {"seed": 1, "temperature": 0.5}
    assert chat.routes["small"].heard == [{"seed": 2, "temperature": 0.5}, bound, bound, bound]
    for other in (pickle.loads(pickle.dumps(chat)), copy.copy(chat), chat.model_copy()):
        other.invoke("easy")
        assert other.routes["small"].heard[-1] == bound


@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
async def test_a_retry_asks_the_candidate_again_before_the_next_one_is(how: str, router) -> None:
    flaky = Flaky(model_name="s")
    chat = ChatCIT(
        {"small": flaky.with_retry(wait_exponential_jitter=False), "large": Scripted(model_name="l")},
        router,
        fallback=Fallback(RuntimeError),
    )
    answer = chat.invoke("easy") if how == "invoke" else await chat.ainvoke("easy")
    assert answer.response_metadata["model_name"] == "s"
    flaky.left = 3
    answer = chat.invoke("easy") if how == "invoke" else await chat.ainvoke("easy")
    assert answer.response_metadata["model_name"] == "l"


class Fact(BaseModel):
    """A fact."""

    number: int


@pytest.mark.parametrize("raw", [False, True])
def test_what_is_made_of_a_candidate_keeps_what_stands_around_it(raw: bool, router) -> None:
    flaky = Flaky(model_name="s")
    retried = flaky.bind(seed=1, top_p=0.5).with_retry(wait_exponential_jitter=False)
    routing = RunnableRouter({"small": retried.with_config(tags=["mine"]).bind(seed=2)}, router)
    routing.with_structured_output(Fact, include_raw=raw).invoke("easy 7")
    routing.bind_tools([Fact]).invoke("easy 7")
    assert [(heard["seed"], heard["top_p"], len(heard["tools"])) for heard in flaky.heard] == [(2, 0.5, 1)] * 2
    assert routing.bind_tools([Fact]).routes["small"].config["tags"] == ["mine"]


def test_a_router_that_langchain_makes_anew_of_its_fields_keeps_them(router) -> None:
    small = Scripted(model_name="s")
    chat = ChatCIT({"small": small.bind(seed=1)}, router, temperature=0)
    anew = chat.configurable_fields(context=ConfigurableField(id="context"))
    anew.invoke("easy", {"configurable": {"context": "conversation"}})
    chat.with_structured_output(Fact, method="json_schema", include_raw=True).invoke("easy 7")
    assert [(heard["seed"], heard["temperature"]) for heard in small.heard] == [(1, 0)] * 2


def test_what_is_no_chat_model_inside_is_refused(router) -> None:
    with pytest.raises(InvalidInput, match="must be a chat model"):
        ChatCIT({"small": RunnableLambda(str.upper).with_retry()}, router)
