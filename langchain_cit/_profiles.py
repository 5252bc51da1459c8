"""Exclude routes that cannot do what a call needs, by LangChain's model profiles and by binding them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

from langchain_core.language_models import ModelProfile
from langchain_core.runnables import Runnable
from langchain_core.runnables.base import RunnableBindingBase

from cit_core.errors import NoCandidate
from cit_core.policy import Constraints, QueryFacts
from cit_core.records import Candidate

__all__ = ["bind_each", "conjunction", "reasons_against", "windows_of"]

PROFILE_OF_MODALITY = {
    "image": "image_inputs",
    "audio": "audio_inputs",
    "video": "video_inputs",
    "pdf": "pdf_inputs",
}


def reasons_against(routes: Mapping[str, Runnable[Any, Any]], facts: QueryFacts) -> dict[str, str]:
    """Return id and reason for every route with a model profile that rules a query out; a missing profile never does.

    The length of a query is an estimate: if it is too long for every route that is left, none is excluded for it.

    Args:
        routes: Model or chain of each candidate.
        facts: The facts of the query.
    """
    profiles = {id_: profile for id_, route in routes.items() if (profile := _profile(route))}
    reasons = {id_: next(_shortcomings(profile, facts), None) for id_, profile in profiles.items()}
    unable = {id_: reason for id_, reason in reasons.items() if reason is not None}
    windows = windows_of({id_: route for id_, route in routes.items() if id_ not in unable})
    short = {
        id_: f"its input limit of {window} tokens is shorter than the query (about {facts.tokens})"
        for id_, window in windows.items()
        if window < facts.tokens
    }
    return unable if len(short) + len(unable) == len(routes) else {**unable, **short}


def windows_of(routes: Mapping[str, Runnable[Any, Any]]) -> dict[str, int]:
    """Return the longest input of each route with a model profile that states it [tokens]."""
    limits = {id_: _profile(route).get("max_input_tokens") for id_, route in routes.items()}
    return {id_: limit for id_, limit in limits.items() if isinstance(limit, int) and limit > 0}


def bind_each(
    routes: Mapping[str, Runnable[Any, Any]],
    candidates: Mapping[str, Candidate],
    facts: QueryFacts,
    bind: Callable[[Any], Runnable[Any, Any]],
) -> tuple[dict[str, Runnable[Any, Any]], dict[str, str]]:
    """Bind every route that can be bound.

    Args:
        routes: Model or chain of each candidate.
        candidates: The router's candidates.
        facts: Needs of the query.
        bind: Binds one route; AttributeError and NotImplementedError mean that it cannot be bound.

    Returns:
        The bound routes, and for the others why not.

    Raises:
        NoCandidate: If no route can be bound; names each reason.
    """
    bound: dict[str, Runnable[Any, Any]] = {}
    unable: dict[str, str] = reasons_against(routes, facts)
    for id_, route in routes.items():
        reason = unable.get(id_) or Constraints().reason_against(candidates[id_], facts)
        made = None if reason else _bound(route, bind)
        if made is None:
            unable[id_] = reason or f"its route, {type(route).__name__}, cannot be bound"
        else:
            bound[id_] = made
    if not bound:
        raise NoCandidate(unable)
    return bound, unable


def _bound(route: Runnable[Any, Any], bind: Callable[[Any], Runnable[Any, Any]]) -> Runnable[Any, Any] | None:
    try:
        return bind(route)
    except NotImplementedError:
        return None
    except AttributeError as error:
        if error.obj is route or error.name in {"bind_tools", "with_structured_output"}:
            return None
        raise  # of the tools, not of the route


def _profile(route: Runnable[Any, Any]) -> Mapping[str, Any]:
    while isinstance(route, RunnableBindingBase):
        route = route.bound
    profile = getattr(route, "profile", None)
    return profile if isinstance(profile, Mapping) else {}


def _shortcomings(profile: Mapping[str, Any], facts: QueryFacts) -> Iterator[str]:
    for modality in sorted(facts.modalities):
        if profile.get(PROFILE_OF_MODALITY.get(modality, "")) is False:
            yield f"cannot read {modality}"
    no_tools = profile.get("tool_calling") is False
    if facts.tools and no_tools:
        yield "cannot call tools"
    if facts.structured_output and no_tools and profile.get("structured_output") is False:
        yield "cannot follow a schema"


def conjunction(profiles: Iterable[ModelProfile | None]) -> ModelProfile | None:
    """Return what holds for every model: nothing is promised that one of them cannot do.

    Args:
        profiles: The models' profiles, None for one that is not known.

    Returns:
        True where all say so, False where one does, nothing where one is silent; the lowest of limits. None if nothing
        is known of one of the models.
    """
    known: list[Mapping[str, Any]] = []
    for profile in profiles:
        if profile is None:
            return None
        known.append(profile)
    names = dict.fromkeys(name for profile in known for name in profile)
    together = {name: _together([profile.get(name) for profile in known]) for name in names}
    return cast("ModelProfile", {name: value for name, value in together.items() if value is not None})


def _together(values: list[Any]) -> bool | int | None:
    if any(value is False for value in values):
        return False
    if all(value is True for value in values):
        return True
    numbers = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
    return min(numbers) if numbers else None
