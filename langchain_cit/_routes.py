"""Routes: checked, and bound to the tools of a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import Runnable, RunnableBinding
from langchain_core.runnables.base import coerce_to_runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from cit_core.errors import InvalidInput
from cit_core.router import Router
from cit_core.router.options import check_ids
from langchain_cit.sampled import SampledChatModel

__all__ = ["AnyTool", "Tools", "as_chat_models", "as_routes", "bound", "without_tools"]

AnyTool = dict[str, Any] | type | Callable[..., Any] | BaseTool
"""A tool as any chat model takes it."""


class Tools(list[dict[str, Any]]):
    """Tools as JSON, for traces and the keys of caches, that remember what they were made of.

    A candidate is handed the originals: what only its provider understands, such as a tool's `extras`, is not in the
    JSON. Copies that leave the process are plain lists.

    Args:
        tools: Tools as any chat model takes them; a dict is JSON already.
    """

    def __init__(self, tools: Sequence[AnyTool]) -> None:
        super().__init__(tool if isinstance(tool, dict) else convert_to_openai_tool(tool) for tool in tools)
        self.originals = list(tools)

    def __reduce__(self) -> tuple[type[list[dict[str, Any]]], tuple[list[dict[str, Any]]]]:
        return list, (list(self),)


def as_routes(given: Any, router: Router) -> dict[str, Runnable[Any, Any]]:
    """Return runnables by candidate id.

    Raises:
        UnknownCandidate: If an id is not a candidate of the router.
        InvalidInput: If there is none, or one is neither a Runnable nor callable.
    """
    return {id_: _as_runnable(id_, route) for id_, route in check_ids(given, router).items()}


def as_chat_models(routes: Mapping[str, Runnable[Any, Any]]) -> dict[str, BaseChatModel]:
    """Return the routes, if all of them are chat models.

    Raises:
        InvalidInput: If one is something else.
    """
    models = {id_: route for id_, route in routes.items() if isinstance(route, BaseChatModel)}
    for id_, route in routes.items():
        if id_ not in models:
            raise InvalidInput(
                f"the route of {id_!r} is {type(route).__name__}; it must be a chat model (RunnableRouter takes chains)"
            )
    return models


def without_tools(models: Mapping[str, BaseChatModel]) -> dict[str, str]:
    """Return id and reason for every model that cannot be handed tools."""
    kinds = {id_: type(model.model if isinstance(model, SampledChatModel) else model) for id_, model in models.items()}
    unable = {id_: kind for id_, kind in kinds.items() if kind.bind_tools is BaseChatModel.bind_tools}
    return {id_: f"its chat model, {kind.__name__}, has no bind_tools" for id_, kind in unable.items()}


def bound(model: BaseChatModel, kwargs: Mapping[str, Any]) -> tuple[BaseChatModel, dict[str, Any]]:
    """Return the model to call and the options to call it with; tools in the provider's own format.

    Args:
        model: The candidate's model.
        kwargs: The options of the call; `tools` as any chat model takes them.

    Raises:
        InvalidInput: If the model makes more of itself than a bound chat model when it is handed tools.
    """
    options = {name: value for name, value in kwargs.items() if name != "tool_choice" or value is not None}
    if not options.get("tools"):
        return model, {name: value for name, value in options.items() if name != "tools"}
    tools = options["tools"]
    made: Any = model.bind_tools(**{**options, "tools": tools.originals if isinstance(tools, Tools) else tools})
    if isinstance(made, RunnableBinding) and isinstance(made.bound, BaseChatModel):
        return made.bound, dict(made.kwargs)
    if isinstance(made, BaseChatModel):  # as test doubles do, which know their tools
        return made, {name: value for name, value in options.items() if name not in {"tools", "tool_choice"}}
    raise InvalidInput(
        f"{type(model).__name__}.bind_tools made {type(made).__name__}; a chat model can only pass calls on to a bound "
        "chat model: use RunnableRouter, which takes any"
    )


def _as_runnable(id_: str, route: Any) -> Runnable[Any, Any]:
    try:
        runnable: Runnable[Any, Any] = coerce_to_runnable(route)
    except TypeError as error:
        came = type(route).__name__
        raise InvalidInput(f"the route of {id_!r} is {came}; it must be a Runnable or callable") from error
    return runnable
