"""What may be passed to RunnableRouter, checked and made into what it works with."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Literal

from langchain_core.runnables import Runnable
from langchain_core.runnables.base import coerce_to_runnable
from pydantic import BaseModel

from cit_core.errors import InvalidInput, UnknownCandidate
from cit_core.router import Fallback, Router, Sticky
from cit_core.router.serialization import fallback_from_config, router_from_config, sticky_from_config

__all__ = ["as_context", "as_fallback", "as_router", "as_routes", "as_sticky", "check_options"]


STANDARD = {"api_key", "base_url", "max_retries", "max_tokens", "model", "stop", "streaming", "temperature", "timeout"}
"""What LangChain passes to chat models of any kind; here each candidate has its own."""


def as_router(given: Any) -> Router:
    """A router, or the config of one.

    Raises:
        InvalidInput: If it is neither.
    """
    if isinstance(given, Mapping) and ("checkpoint" in given or "store" in given):
        return router_from_config(given)
    if not isinstance(given, Router):
        raise InvalidInput(f"router is {type(given).__name__}; it must be a cit_core.Router")
    return given


def as_routes(given: Any, router: Router) -> dict[str, Runnable[Any, Any]]:
    """Runnables by candidate id.

    Raises:
        UnknownCandidate: If an id is not a candidate of the router.
        InvalidInput: If there is none, or one is neither a Runnable nor callable.
    """
    if not isinstance(given, Mapping) or not given:
        raise InvalidInput("routes must be a dict with at least one entry: candidate id to Runnable or callable")
    known = [candidate.id for candidate in router.candidates]
    for id_ in given:
        if id_ not in known:
            raise UnknownCandidate(id_, known, "the router")
    return {id_: _as_runnable(id_, route) for id_, route in given.items()}


def as_context(given: Any) -> Literal["turn", "conversation"]:
    """What to route on.

    Raises:
        InvalidInput: If there is no such context.
    """
    if given not in ("turn", "conversation"):
        raise InvalidInput(f"context is {given!r}; use 'turn' (the last human turn) or 'conversation' (all of it)")
    context: Literal["turn", "conversation"] = given
    return context


def as_sticky(given: Any) -> Sticky | None:
    """Where conversations are remembered, if they are.

    Raises:
        InvalidInput: If it is none of what may be passed.
    """
    if given is None or isinstance(given, Sticky):
        return given
    if isinstance(given, Mapping):
        return sticky_from_config(given)
    if given == "conversation":
        return Sticky()
    raise InvalidInput(f"sticky is {given!r}; use 'conversation', or Sticky(margin=...) of cit_core.router")


def as_fallback(given: Any) -> Fallback:
    """Who is asked after a failure; by default the next-best.

    Raises:
        InvalidInput: If it is none of what may be passed.
    """
    if isinstance(given, Fallback):
        return given
    if given is None:
        return Fallback()
    if isinstance(given, Mapping):
        return fallback_from_config(given)
    raise InvalidInput(f"fallback is {given!r}; use Fallback(fallback_on=..., max_attempts=...) of cit_core.router")


def check_options(given: Mapping[str, Any], model: type[BaseModel]) -> None:
    """Refuse what pydantic would pass over in silence.

    Raises:
        InvalidInput: If an option is no field of the model; names the closest.
    """
    known = STANDARD | {alias for name, field in model.model_fields.items() for alias in (name, field.alias) if alias}
    for name in given:
        if name not in known and model.model_config.get("extra") != "allow":
            close = get_close_matches(name, known, n=3, cutoff=0.0)
            raise InvalidInput(f"{model.__name__} has no option {name!r}; closest: {', '.join(map(repr, close))}")


def _as_runnable(id_: str, route: Any) -> Runnable[Any, Any]:
    try:
        runnable: Runnable[Any, Any] = coerce_to_runnable(route)
    except TypeError as error:
        came = type(route).__name__
        raise InvalidInput(f"the route of {id_!r} is {came}; it must be a Runnable or callable") from error
    return runnable
