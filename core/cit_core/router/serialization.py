"""Routers and their helpers as JSON and back: addresses and settings, never outcomes, weights or passwords."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, PlainValidator, ValidationError

from cit_core.errors import CITError, InvalidInput
from cit_core.messages import closest, shown
from cit_core.policy import HELP, Best, Constraints, Policy, as_policy, parse_policy
from cit_core.records import Candidate, Suite
from cit_core.router.batching import Batching
from cit_core.router.fallback import Fallback
from cit_core.router.router import Router
from cit_core.router.sticky import Sticky
from cit_core.validation import Identifier, invalid

if TYPE_CHECKING:
    from cit_core.store import CapabilityStore

__all__ = [
    "fallback_from_config",
    "fallback_to_config",
    "router_from_config",
    "router_to_config",
    "sticky_from_config",
    "sticky_to_config",
]

Config = dict[str, Any]
"""Anything that JSON can hold."""


def router_to_config(router: Router) -> Config:
    """Return where a router was opened and how it decides, as JSON can hold it.

    Raises:
        InvalidInput: If it was put together from parts, or has a policy of its own making.
    """
    if router.origin is None:
        raise InvalidInput(
            "this router was put together from parts, which JSON cannot hold; "
            "open it with Router.from_pretrained or Router.from_store (without a scorer)"
        )
    origin = router.origin
    opened: Config = {"checkpoint": origin.checkpoint} if origin.store is None else {"store": origin.store}
    if origin.public:
        opened = {"checkpoint": origin.checkpoint, "store": origin.store, "public": True}
        opened["facts"] = {one.id: facts for one in origin.given if (facts := _facts(one))}
        opened["known_as"] = dict(origin.known_as)
    if origin.suite is not None:
        opened["suite"] = origin.suite.model_dump(mode="json")
    return {
        **opened,
        "evidence": origin.evidence,
        "models": [candidate.id for candidate in router.candidates],
        "policy": _policy_name(router.policy),
        "constraints": _constraints_to_config(router.constraints),
        "batching": None if router.batching is None else asdict(router.batching),
        "default": router.default,
        "strict": router.strict,
        **({} if router.explore is None else {"explore": router.explore.name}),
        **({} if router.pictures is None else {"pictures": router.pictures.to_config()}),
    }


def _policy(text: object) -> Policy:
    try:
        return as_policy(text)
    except InvalidInput:
        raise ValueError(f"use {HELP}") from None


class _RouterConfig(BaseModel):
    """The output of `router_to_config`."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    checkpoint: str | None = None
    store: str | None = None
    suite: Suite | None = None
    evidence: bool = True
    models: tuple[Identifier, ...] | None = None
    policy: Annotated[Policy, PlainValidator(_policy)] = Best()
    constraints: Constraints = Constraints()
    batching: Batching | None = None
    public: bool = False
    facts: Mapping[Identifier, Mapping[str, Any]] = {}
    known_as: Mapping[Identifier, Identifier] = {}
    default: str | None = None
    strict: bool = False
    explore: str | None = None
    pictures: dict[str, Any] | None = None


def router_from_config(config: Mapping[str, Any], store: CapabilityStore | str | None = None) -> Router:
    """Open a router again; from a store, at what is in it now.

    No error shows a value of the config: it may be an address with a password, or a key in the wrong place.

    Args:
        config: The output of `router_to_config`.
        store: The store or its address, if the address has a password: none was written down.

    Raises:
        InvalidInput: If the config is not of a router.
        StoreError: If the store cannot be opened.
    """
    if not isinstance(config, Mapping) or not ("checkpoint" in config or "store" in config):
        raise InvalidInput(
            f"no config of a router: {_keys(config)}; it needs 'checkpoint' or 'store', as to_config gives"
        )
    try:
        read = _RouterConfig.model_validate(dict(config))
    except ValidationError as error:
        raise invalid("the config of a router", error, _RouterConfig.model_fields, echo=False) from None
    options: dict[str, Any] = {
        "models": read.models,
        "policy": read.policy,
        "constraints": read.constraints,
        "evidence": read.evidence,
        "batching": read.batching,
        "default": read.default,
        "strict": read.strict,
    }
    opened = _opened(read, store, options)
    return opened.with_options(explore=read.explore, pictures=read.pictures)


def _opened(read: _RouterConfig, store: CapabilityStore | str | None, options: dict[str, Any]) -> Router:
    if read.public:
        del options["evidence"]
        address = read.store and _address(read.store)
        options["models"] = [_candidate(id_, read.facts.get(id_, {})) for id_ in read.models or ()]
        options |= {"checkpoint": read.checkpoint or "mini", "known_as": read.known_as}
        return Router.from_models(store=store or address, **options)
    if read.checkpoint is not None:
        return Router.from_pretrained(read.checkpoint, **options)
    return Router.from_store(store if store is not None else _address(read.store), suite=read.suite, **options)


def fallback_to_config(fallback: Fallback) -> Config:
    """Return the settings of a fallback, exception classes by name.

    Raises:
        InvalidInput: If `fallback_on` is a function.
    """
    on = fallback.fallback_on
    kinds = () if on is None else on if isinstance(on, tuple) else (on,)
    if not all(isinstance(kind, type) for kind in kinds):
        raise InvalidInput("fallback_on is a function, which JSON cannot hold; use exception classes")
    return {
        **fallback.settings,
        "fallback_on": None if on is None else [f"{kind.__module__}:{kind.__qualname__}" for kind in kinds],
    }


def fallback_from_config(config: Mapping[str, Any]) -> Fallback:
    """Make a fallback of its settings. Imports nothing: modules of named exceptions must be imported before.

    Raises:
        InvalidInput: If a name is not that of an exception class in a module that was imported.
    """
    options = _options(config, Fallback)
    names = options.pop("fallback_on", None)
    if not (names is None or (isinstance(names, list | tuple) and all(isinstance(name, str) for name in names))):
        raise InvalidInput(f"fallback_on is {shown(names)}; in a config it is a list of names, 'module:Class'")
    return Fallback(None if names is None else tuple(map(_exception, names)), **options)


def sticky_to_config(sticky: Sticky) -> Config:
    """Return the settings of a sticky memory; the conversations stay where they are."""
    return {"margin": sticky.margin, "remembered": sticky.remembered}


def sticky_from_config(config: Mapping[str, Any]) -> Sticky:
    """Make a sticky memory of its settings.

    Raises:
        InvalidInput: If they are not those of one.
    """
    return Sticky(**_options(config, Sticky))


def _facts(candidate: Candidate) -> Config:
    """Return the facts that were given of a model, as JSON can hold them."""
    given = candidate.model_fields_set - {"id"}
    return candidate.model_dump(mode="json", include=given, exclude_defaults=True)


def _candidate(id_: str, facts: Mapping[str, Any]) -> Candidate:
    try:
        return Candidate(**{**facts, "id": id_})
    except (InvalidInput, ValidationError):
        raise InvalidInput(f"the config of a router has facts of {shown(id_)} that cannot be used") from None


def _address(store: str | None) -> str:
    if store is None or "://" not in store:
        raise InvalidInput("the store in the config of a router is no address; it must be one: sqlite:///zoo.db")
    return store


def _keys(config: object) -> str:
    if not isinstance(config, Mapping):
        return type(config).__name__
    return f"a dict with {len(config)} keys" if config else "{}"


def _options(config: object, made: Callable[..., Any]) -> dict[str, Any]:
    """Return a config's settings, all of which a constructor takes.

    Raises:
        InvalidInput: If one is not taken; its value is not shown.
    """
    known = [name for name in inspect.signature(made).parameters if name != "clock"]
    if not isinstance(config, Mapping):
        raise InvalidInput(f"the config of a {made.__name__} is {shown(config)}; it must be what to_config gives")
    for name in config:
        if name not in known:
            close = ", ".join(closest(name, known))
            raise InvalidInput(f"the config of a {made.__name__} has no {shown(name)}; it takes {close}")
    return dict(config)


def _policy_name(policy: Policy) -> str:
    try:
        known = parse_policy(policy.name) == policy
    except CITError:
        known = False
    if not known:
        raise InvalidInput(f"policy {policy.name!r} is of your own making, which JSON cannot hold")
    return policy.name


def _constraints_to_config(constraints: Constraints) -> Config:
    given = {name: value for name, value in asdict(constraints).items() if value != getattr(Constraints(), name)}
    return {name: sorted(value) if isinstance(value, frozenset) else value for name, value in given.items()}


def _exception(name: str) -> type[Exception]:
    module, _, qualified = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in qualified.split("."):
        found = getattr(found, part, None)
    if not (isinstance(found, type) and issubclass(found, Exception)):
        help_ = f"`import {module}` before" if len(module) < 60 and module.isprintable() else "use 'module:Class'"
        raise InvalidInput(f"no exception class {shown(name)} among what is imported; {help_}")
    return found
