"""Routers and their helpers as JSON and back: addresses and settings, never outcomes, weights or passwords."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cit_core.errors import CITError, InvalidInput
from cit_core.messages import shown
from cit_core.policy import Constraints, Policy, parse_policy
from cit_core.records import Suite
from cit_core.router.batching import Batching
from cit_core.router.fallback import Fallback
from cit_core.router.router import Router
from cit_core.router.sticky import Sticky

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
"""What JSON can hold."""


def router_to_config(router: Router) -> Config:
    """Where a router was opened and how it decides.

    Raises:
        InvalidInput: If it was put together from parts, or has a policy of its own making.
    """
    if router.origin is None:
        raise InvalidInput(
            "this router was put together from parts, which JSON cannot hold; "
            "open it with Router.from_pretrained or Router.from_store (without a scorer)"
        )
    origin = router.origin
    opened = {"checkpoint": origin.checkpoint} if origin.store is None else {"store": origin.store}
    if origin.suite is not None:
        opened["suite"] = origin.suite.model_dump(mode="json")  # type: ignore[assignment]
    return {
        **opened,
        "evidence": origin.evidence,
        "models": [candidate.id for candidate in router.candidates],
        "policy": _policy_name(router.policy),
        "constraints": _constraints_to_config(router.constraints),
        "batching": None if router.batching is None else asdict(router.batching),
    }


def router_from_config(config: Mapping[str, Any], store: CapabilityStore | None = None) -> Router:
    """Open a router again; from a store, at what is in it now.

    Args:
        config: What `router_to_config` gave.
        store: The store, if its address has a password: none was written down.

    Raises:
        InvalidInput: If the config is not of a router.
        StoreError: If the store cannot be opened.
    """
    if not isinstance(config, Mapping) or not ("checkpoint" in config or "store" in config):
        raise InvalidInput(
            f"router is {shown(config)}; it must be a cit_core.Router, or the config of one with 'checkpoint' or "
            "'store', as to_config gives"
        )
    options: dict[str, Any] = {
        "models": config.get("models"),
        "policy": parse_policy(config.get("policy", "best")),
        "constraints": Constraints(**config.get("constraints", {})),
        "evidence": config.get("evidence", True),
        "batching": None if config.get("batching") is None else Batching(**config["batching"]),
    }
    if "checkpoint" in config:
        return Router.from_pretrained(config["checkpoint"], **options)
    if store is None:
        from cit_core.store import CapabilityStore

        store = CapabilityStore(config["store"])
    suite = config.get("suite")
    return Router.from_store(store, suite=None if suite is None else Suite.model_validate(suite), **options)


def fallback_to_config(fallback: Fallback) -> Config:
    """Its settings; exception classes by name.

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
    """As `fallback_to_config` wrote it. Imports nothing: whose exceptions are named must have been imported before.

    Raises:
        InvalidInput: If a name is not that of an exception class in a module that was imported.
    """
    names = config.get("fallback_on")
    on = None if names is None else tuple(map(_exception, names))
    return Fallback(on, **{name: value for name, value in config.items() if name != "fallback_on"})


def sticky_to_config(sticky: Sticky) -> Config:
    """Its settings; the conversations stay where they are."""
    return {"margin": sticky.margin, "remembered": sticky.remembered}


def sticky_from_config(config: Mapping[str, Any]) -> Sticky:
    """As `sticky_to_config` wrote it."""
    return Sticky(**config)


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
        raise InvalidInput(f"no exception class {name!r} among what is imported; `import {module}` before")
    return found
