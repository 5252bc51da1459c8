"""Options that several doors take, checked and made into what they work with; every error is an InvalidInput."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Mapping
from typing import TYPE_CHECKING, Any, Literal

from cit_core.arms import Arm
from cit_core.errors import InvalidInput, UnknownCandidate
from cit_core.messages import closest, shown
from cit_core.policy import as_constraints, as_policy
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
    "behind_names",
    "check_ids",
    "check_options",
    "named_models",
    "pick_default",
]


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
        InvalidInput: If there is none, it is no list, or two models have one name.
    """
    models = listed_models(given.items() if isinstance(given, Mapping) else given)
    if isinstance(given, Mapping):
        return {id_: _plain(model) for id_, model in models}
    models = [_plain(model) for model in models]
    names = [model if isinstance(model, str) else name(model) for model in models]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidInput(
            f"duplicate models: {', '.join(map(shown, repeated[:10]))}; give each model a name of its own: "
            "{'first': model, 'second': model}"
        )
    return dict(zip(names, models, strict=True))


def behind_names(named: Mapping[str, Any], name: Callable[[Any], str]) -> dict[str, str]:
    """Return the model behind each name of the user's own making: `known_as` of `Router.from_models`.

    Args:
        named: What `named_models` returned; a name that is a model's goes before what is behind it.
        name: Returns the name that a model tells of itself.
    """
    from cit_core.catalogue.candidates import public_candidate

    found = {}
    for id_, model in named.items():
        if model == id_ or public_candidate(id_) is not None:
            continue
        if isinstance(model, str):
            found[id_] = model
            continue
        try:
            told = name(model)
        except InvalidInput:  # a chain, or a model without a name
            continue
        if public_candidate(told) is not None:
            found[id_] = told
    return found


def _plain(model: Any) -> Any:
    return model.name if isinstance(model, Arm) else model
