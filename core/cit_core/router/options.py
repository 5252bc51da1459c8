"""Options that several doors take, checked and made into what they work with; every error is an InvalidInput."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Container, Mapping
from typing import TYPE_CHECKING, Any, Literal

from cit_core.arms import Arm
from cit_core.errors import InvalidInput, UnknownCandidate
from cit_core.messages import closest, shown
from cit_core.policy import as_constraints, as_policy
from cit_core.records import require_unique
from cit_core.router.batching import as_batching
from cit_core.router.cascade import Cascade
from cit_core.router.fallback import Fallback
from cit_core.router.loading import is_store, listed_models
from cit_core.router.router import Router
from cit_core.router.serialization import fallback_from_config, router_from_config, sticky_from_config
from cit_core.router.shadow import Shadow
from cit_core.router.sticky import Sticky

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = [
    "arm_options",
    "as_batching",
    "as_cascade",
    "as_constraints",
    "as_context",
    "as_fallback",
    "as_policy",
    "as_router",
    "as_shadow",
    "as_sticky",
    "as_strict",
    "check_ids",
    "check_options",
    "gemini_thinking",
    "limited",
    "named_models",
    "pick_default",
    "reasoning_budget",
    "with_reasoning_effort",
]

LEAST_BUDGET, ANSWER_TOKENS = 1_024, 4_096
"""Smallest budget of reasoning that providers take, and the tokens of an answer beside it [tokens]."""
GEMINI = re.compile(r"gemini-(?:[3-9]|\d\d)")
"""Gemini models that take a level of thinking by its name; those before take a budget of tokens."""
BUDGETS = {
    "none": 0,
    "minimal": 1_024,
    "low": 2_048,
    "medium": 8_192,
    "high": 16_384,
    "xhigh": 32_000,
    "max": 32_000,
}
"""Budget of hidden reasoning for an effort, where a provider takes tokens and no names [tokens]."""


def as_router(
    given: Any, policy: Any = None, constraints: Any = None, *, log: Any = None, explore: Any = None
) -> Router:
    """Return a router, whether it came as one, as its config, or as a store or its address.

    Args:
        given: The router.
        policy: In place of its own policy, if given.
        constraints: In place of its own, if given.
        log: In place of its own, if given.
        explore: In place of its own, if given.

    Raises:
        InvalidInput: If it is none of these, or a policy or constraints cannot be read.
        StoreError: If a store cannot be opened.
    """
    if isinstance(given, Mapping):
        given = router_from_config(given)
    elif is_store(given):
        given = Router.from_store(given)
    if not isinstance(given, Router):
        raise InvalidInput(
            f"router is {shown(given)}; it must be a cit_core.Router, for example Router.from_pretrained(), or the "
            "address of a store: sqlite:///zoo.db"
        )
    changed = {"policy": policy, "constraints": constraints, "log": log, "explore": explore}
    changed = {name: value for name, value in changed.items() if value is not None}
    return given.with_options(**changed) if changed else given


def as_sticky(given: Any) -> Sticky | None:
    """Return where conversations are remembered, or None if they are not.

    Args:
        given: None, `conversation` for the defaults, a `Sticky`, or its config.

    Raises:
        InvalidInput: If it is none of these.
    """
    if given is None or isinstance(given, Sticky):
        return given
    if isinstance(given, Mapping):
        return sticky_from_config(given)
    if isinstance(given, str) and given == "conversation":
        return Sticky()
    raise InvalidInput(f"sticky is {shown(given)}; use 'conversation', or Sticky(margin=...) of cit_core.router")


def as_fallback(given: Any) -> Fallback:
    """Return what decides after a failure; the next-best candidate is asked if nothing is given.

    Args:
        given: None, a `Fallback`, or its config.

    Raises:
        InvalidInput: If it is none of these.
    """
    if isinstance(given, Fallback):
        return given
    if given is None:
        return Fallback()
    if isinstance(given, Mapping):
        return fallback_from_config(given)
    raise InvalidInput(
        f"fallback is {shown(given)}; use Fallback(fallback_on=..., max_attempts=...) of cit_core.router"
    )


def as_cascade(given: Any) -> Cascade | None:
    """Return the cascade, if there is one.

    Raises:
        InvalidInput: If it is none.
    """
    if given is None or isinstance(given, Cascade):
        return given
    raise InvalidInput(
        f"cascade is {shown(given)}; use Cascade(verify) of cit_core.router, "
        "where verify is a function of a question and an Answer"
    )


def as_shadow(given: Any, router: Router, routes: Container[str]) -> Shadow | None:
    """Return the shadow, if there is one, with the router's log where it has none.

    Raises:
        InvalidInput: If it is none, has no log, or nothing says how its reference model is asked.
    """
    if given is None:
        return None
    if not isinstance(given, Shadow):
        raise InvalidInput(f"shadow is {shown(given)}; use Shadow(MODEL, judge=...) of cit_core.router.shadow")
    if not given.asks(routes):
        raise InvalidInput(
            f"the shadow's reference {shown(given.reference)} is no candidate here; pass Shadow(..., ask=function), "
            "or the id of a candidate"
        )
    return given.with_log(router.log)


def as_strict(given: Any) -> bool | None:
    """Return whether what cannot be decided is an error; None for what the router does.

    Raises:
        InvalidInput: If it is neither True, False nor None.
    """
    if given is None or isinstance(given, bool):
        return given
    raise InvalidInput(f"strict is {shown(given)}; it must be True, False or None")


def as_context(given: Any) -> Literal["turn", "conversation"]:
    """Return what of a conversation is routed on.

    Raises:
        InvalidInput: If there is no such context.
    """
    if given in ("turn", "conversation") and isinstance(given, str):
        context: Literal["turn", "conversation"] = "turn" if given == "turn" else "conversation"
        return context
    raise InvalidInput(f"context is {shown(given)}; use 'turn' (the last human turn) or 'conversation' (all of it)")


def check_ids(
    given: Any, router: Router, *, what: str = "routes", kind: str = "Runnable or callable"
) -> dict[str, Any]:
    """Return what answers for each candidate, if all ids are of the router.

    Args:
        given: Candidate id to what answers for it.
        router: Knows the candidates.
        what: Name of the option, for the message.
        kind: What its values must be, for the message.

    Raises:
        UnknownCandidate: If an id is not a candidate of the router.
        InvalidInput: If it is no mapping, or there is nothing in it.
    """
    if not isinstance(given, Mapping) or not given:
        raise InvalidInput(f"{what} must be a dict with at least one entry: candidate id to {kind}")
    known = [candidate.id for candidate in router.candidates]
    for id_ in given:
        if id_ not in known:
            raise UnknownCandidate(id_, known, "the router")
    return dict(given)


def check_options(given: Mapping[str, Any], model: type[BaseModel], also: Collection[str] = ()) -> None:
    """Refuse an option that pydantic would ignore.

    Args:
        given: Options by name.
        model: Has the options as fields.
        also: Names that are accepted besides its fields.

    Raises:
        InvalidInput: If an option is no field of the model; names the closest.
    """
    if model.model_config.get("extra") == "allow":
        return
    known = {*also, *model.model_fields, *(f.alias for f in model.model_fields.values() if f.alias)}
    for name in given:
        if name not in known:
            hint = ", ".join(map(repr, closest(name, known)))
            raise InvalidInput(f"{model.__name__} has no option {shown(name)}" + (f"; closest: {hint}" if hint else ""))


def pick_default(given: Any, routes: Mapping[str, Any], router: Router) -> str | None:
    """Return the id of the candidate that answers what cannot be decided, or None for the router's own choice.

    Args:
        given: Its id, or its route: one of the objects in `routes`.
        routes: As they were given, by id.
        router: Knows the candidates.

    Raises:
        UnknownCandidate: If there is no route of this id.
        InvalidInput: If it is neither an id nor one of the routes.
    """
    if given is None:
        return None
    ids = list(routes) if isinstance(routes, Mapping) else [candidate.id for candidate in router.candidates]
    if isinstance(given, str):
        if given not in ids:
            raise UnknownCandidate(given, ids, "the routes (in default=)")
        return given
    found = [id_ for id_ in ids if isinstance(routes, Mapping) and routes[id_] is given]
    if not found:
        raise InvalidInput(f"default is {shown(given)}; it must be the id of a route, or one of the routes itself")
    return found[0]


def named_models(given: Any, name: Callable[[Any], str]) -> dict[str, Any]:
    """Return what `from_models` was given, by name.

    Args:
        given: Names and models, or a mapping from names to either.
        name: Returns the name that a model tells of itself; called for what is no name.

    Raises:
        InvalidInput: If there is none, or it is no list.
    """
    models = listed_models(given.items() if isinstance(given, Mapping) else given)
    if isinstance(given, Mapping):
        return {id_: _plain(model) for id_, model in models}
    models = [_plain(model) for model in models]
    names = [model if isinstance(model, str) else name(model) for model in models]
    require_unique(names, "models")
    return dict(zip(names, models, strict=True))


def _plain(model: Any) -> Any:
    return model.name if isinstance(model, Arm) else model


def arm_options(
    model: str, setters: Mapping[str, Callable[[Arm], dict[str, Any]]], kind: str
) -> tuple[str, dict[str, Any]]:
    """Split `openai:gpt-5-mini@low` into what a framework opens and the options that run it so.

    Args:
        model: Name of a model, or of an arm.
        setters: Provider to the options of its class for an arm.
        kind: What the framework calls a model, for the message.

    Raises:
        InvalidInput: If there is an effort, and how it is set is not known of the provider.
    """
    arm = Arm.of(model)
    provider = arm.model.partition(":")[0]
    if provider in setters:
        return arm.model, setters[provider](arm)
    if arm.effort is not None:
        raise InvalidInput(
            f"how an effort is set is not known of {shown(provider)}; make the {kind} yourself and pass "
            f"{{{shown(model)}: it}}"
        )
    return arm.model, limited(arm)


def limited(arm: Arm) -> dict[str, Any]:
    """Return the limit of an arm by the name that most classes take."""
    return {} if arm.max_tokens is None else {"max_tokens": arm.max_tokens}


def with_reasoning_effort(arm: Arm) -> dict[str, Any]:
    """Return the options of classes that take an effort by its name."""
    return limited(arm) if arm.effort is None else {"reasoning_effort": arm.effort, **limited(arm)}


def gemini_thinking(arm: Arm) -> tuple[dict[str, Any], int | None]:
    """Return how a Gemini model is told an effort, and the limit on the whole answer [tokens]; {} without an effort."""
    if arm.effort is None:
        return {}, arm.max_tokens
    if not GEMINI.search(arm.model):
        budget, limit = reasoning_budget(arm)
        return {"thinking_budget": budget}, limit
    level = {"none": "minimal", "xhigh": "high", "max": "high"}.get(arm.effort, arm.effort)
    if "gemini-3-pro" in arm.model:  # knows two
        level = {"minimal": "low", "medium": "high"}.get(level, level)
    return {"thinking_level": level}, arm.max_tokens


def reasoning_budget(arm: Arm) -> tuple[int, int]:
    """Return the budget of hidden reasoning for an effort, and the limit on the whole answer [tokens].

    Raises:
        InvalidInput: If the limit of the arm leaves no room for reasoning.
    """
    budget = BUDGETS[arm.effort or "none"]
    if arm.max_tokens is None:
        return budget, budget + ANSWER_TOKENS
    if budget and arm.max_tokens <= LEAST_BUDGET:
        raise InvalidInput(
            f"{shown(arm.name)} has no room to reason; max_tokens counts the reasoning and must be above {LEAST_BUDGET}"
        )
    return min(budget, max(LEAST_BUDGET, arm.max_tokens // 2)) if budget else 0, arm.max_tokens
