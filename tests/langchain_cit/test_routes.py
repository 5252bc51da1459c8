"""Routes are checked, and a model is handed no more than the call says."""

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.runnables import Runnable, RunnableLambda
from parrot import Parrot
from scripted import Scripted

from cit_core.errors import InvalidInput, UnknownCandidate
from langchain_cit._routes import Tools, as_chat_models, as_routes, bound, without_tools

TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {}}}


def test_routes_are_made_runnables(router) -> None:
    made = as_routes({"small": str.upper, "large": Parrot(called="l")}, router)
    assert all(isinstance(route, Runnable) for route in made.values())
    with pytest.raises(UnknownCandidate, match=r"'smal'.*closest: 'small'"):
        as_routes({"smal": str.upper}, router)
    with pytest.raises(InvalidInput, match="the route of 'small' is int; it must be a Runnable or callable"):
        as_routes({"small": 3}, router)


def test_chat_models_alone_are_routes_of_a_chat_model() -> None:
    model = Parrot(called="s")
    assert as_chat_models({"small": model}) == {"small": model}
    with pytest.raises(InvalidInput, match="it must be a chat model"):
        as_chat_models({"small": RunnableLambda(str.upper)})


def test_a_model_is_bound_to_the_tools_of_a_call() -> None:
    model = Scripted(model_name="s")
    assert bound(model, {"tools": [], "tool_choice": None, "stop": ["x"]}) == (model, {"stop": ["x"]})
    same, options = bound(model, {"tools": Tools([TOOL]), "tool_choice": "any"})
    assert same is model
    assert (options["tools"], options["tool_choice"]) == ([TOOL], "any")
    assert without_tools({"s": model, "l": FakeListChatModel(responses=["x"])}) == {
        "l": "its chat model, FakeListChatModel, has no bind_tools"
    }
