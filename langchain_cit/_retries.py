"""Retries inside the SDKs of providers: if other candidates are left, they only delay the next one's answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import Runnable
from langchain_core.runnables.base import RunnableBindingBase

from cit_core.router import Fallback
from langchain_cit.sampled import SampledChatModel

__all__ = ["with_sdk_retries"]


def with_sdk_retries(routes: Mapping[str, Any], fallback: Fallback) -> dict[str, Any]:
    """Return the routes, with models that retry no more than the fallback allows.

    A model is copied if its object allows that: if it holds clients with `with_options`, as those of OpenAI, Anthropic
    and others do, or a setting `max_retries` that is read when a client is made. Any other is left as it is.
    """
    most = fallback.sdk_retries
    return dict(routes) if most is None else {id_: _bounded(route, most) for id_, route in routes.items()}


def _bounded(route: Runnable[Any, Any], most: int) -> Runnable[Any, Any]:
    if isinstance(route, RunnableBindingBase):
        return route.model_copy(update={"bound": _bounded(route.bound, most)})
    if isinstance(route, SampledChatModel):
        return route.model_copy(update={"model": _bounded(route.model, most)})
    if not isinstance(route, BaseChatModel):
        return route
    held = dict(vars(route))
    clients = {id(value): value.with_options(max_retries=most) for value in held.values() if _retries(value) > most}
    update: dict[str, Any] = {name: clients[id(value)] for name, value in held.items() if id(value) in clients}
    for name, value in held.items():
        client = clients.get(id(getattr(value, "_client", None)))
        if client is not None:  # a part of the client's API, such as its chat completions
            update[name] = type(value)(client)
    for name, value in held.items():
        if isinstance(value, dict) and "max_retries" in value and name not in type(route).model_fields:
            update[name] = {**value, "max_retries": most}  # options kept for a client that is made later
    given = held.get("max_retries", 0)
    if "max_retries" in type(route).model_fields and (given is None or given > most):
        update["max_retries"] = most
    return route.model_copy(update=update) if update else route


def _retries(client: object) -> int:
    retries = getattr(client, "max_retries", None)
    return retries if hasattr(client, "with_options") and isinstance(retries, int) else 0
