"""Chat models as routes: checked, bound to the tools of a call, and told apart by what they can be bound to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import Runnable, RunnableBinding

from cit_core.errors import InvalidInput

__all__ = ["as_chat_models", "bound", "without_tools"]


def as_chat_models(routes: Mapping[str, Runnable[Any, Any]]) -> dict[str, BaseChatModel]:
    """The routes, if all of them are chat models.

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
    """Id to reason for every model that has no way to be handed tools."""
    unable = {id_: type(model) for id_, model in models.items() if type(model).bind_tools is BaseChatModel.bind_tools}
    return {id_: f"its chat model, {kind.__name__}, has no bind_tools" for id_, kind in unable.items()}


def bound(model: BaseChatModel, kwargs: Mapping[str, Any]) -> tuple[BaseChatModel, dict[str, Any]]:
    """The model to call and what to call it with; tools in the provider's own format.

    Args:
        model: Whose turn it is.
        kwargs: Of the call; `tools` as any chat model takes them.

    Raises:
        InvalidInput: If the model makes more of itself than a bound chat model when it is handed tools.
    """
    options = {name: value for name, value in kwargs.items() if name != "tool_choice" or value is not None}
    if not options.get("tools"):
        return model, {name: value for name, value in options.items() if name != "tools"}
    made: Any = model.bind_tools(**options)
    if isinstance(made, RunnableBinding) and isinstance(made.bound, BaseChatModel):
        return made.bound, dict(made.kwargs)
    if isinstance(made, BaseChatModel):  # as test doubles do, which know their tools
        return made, {name: value for name, value in options.items() if name not in {"tools", "tool_choice"}}
    raise InvalidInput(
        f"{type(model).__name__}.bind_tools made {type(made).__name__}; a chat model can only pass calls on to a bound "
        "chat model: use RunnableRouter, which takes any"
    )
