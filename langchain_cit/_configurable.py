"""The entries of `config["configurable"]` that a call may set, read for the router."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.utils import ConfigurableFieldSpec

from cit_core.errors import InvalidInput
from cit_core.messages import closest, shown
from cit_core.policy import Constraints, CostAware, Policy, as_constraints, as_policy, parse_policy

__all__ = ["KNOBS", "THREAD_ID", "check_keys", "constraints_of", "forced_model", "policy_of", "thread_of"]


def _spec(id_: str, annotation: Any, name: str, description: str) -> ConfigurableFieldSpec:
    return ConfigurableFieldSpec(
        id=id_, annotation=annotation, name=name, description=description, default=None, is_shared=True
    )


THREAD_ID = _spec(
    "thread_id",
    str | None,
    "Conversation",
    "Which conversation the call belongs to; one conversation keeps its model.",
)
KNOBS = (
    _spec(
        "cit_policy", str | None, "Routing policy", "best, threshold:TAU or cost:VALUE, in place of the router's own."
    ),
    _spec("cit_tradeoff", float | None, "Worth of a right answer [USD]", "The same as the policy cost:VALUE."),
    _spec("cit_model", str | None, "Model", "Id of the one candidate that may be chosen."),
    _spec(
        "cit_constraints",
        dict | None,
        "Constraints",
        "Which candidates may be chosen, beside the router's own constraints: fields of cit_core.Constraints.",
    ),
)


def check_keys(config: RunnableConfig, routes: Iterable[Runnable[Any, Any]] = ()) -> None:
    """Refuse an entry that is named like one of ours and is none.

    Args:
        config: The config of a call.
        routes: May have declared entries of their own; they are looked at only where a name is in doubt.

    Raises:
        InvalidInput: If there is one; names the closest.
    """
    known = {spec.id for spec in KNOBS}
    doubtful = [key for key in _configurable(config) if str(key).startswith("cit_") and key not in known]
    if not doubtful:
        return
    declared = {spec.id for route in routes for spec in route.config_specs}
    for key in doubtful:
        if key not in declared:
            names = ", ".join(map(repr, closest(key, known)))
            raise InvalidInput(f"configurable has no entry {shown(key)}; closest: {names}")


def policy_of(config: RunnableConfig) -> Policy | None:
    """Return the policy that a call asks for, if any.

    Raises:
        InvalidInput: If there is no such policy, or two are given.
    """
    given = _configurable(config)
    policy, worth = given.get("cit_policy"), given.get("cit_tradeoff")
    if policy is not None and worth is not None:
        raise InvalidInput("configurable has both cit_policy and cit_tradeoff; pass one: cit_tradeoff=V is cost:V")
    if worth is not None:
        return CostAware(_number(worth))
    if isinstance(policy, str):
        return parse_policy(policy, files=False)  # a config may come from a caller elsewhere
    return None if policy is None else as_policy(policy)


def constraints_of(config: RunnableConfig) -> Constraints | None:
    """Return the constraints that a call asks for, if any.

    Raises:
        InvalidInput: If they are none.
    """
    constraints = _configurable(config).get("cit_constraints")
    return None if constraints is None else as_constraints(constraints)


def forced_model(config: RunnableConfig) -> str | None:
    """Return the candidate that a call asks for, if any.

    Raises:
        InvalidInput: If it is not an id.
    """
    model = _configurable(config).get("cit_model")
    if model is not None and not isinstance(model, str):
        raise InvalidInput(f"cit_model is {type(model).__name__}; it must be the id of a candidate")
    return model


def thread_of(config: RunnableConfig) -> str | None:
    """Return the conversation that a call belongs to, if it says so."""
    thread = _configurable(config).get("thread_id")
    return None if thread is None else str(thread)


def _configurable(config: RunnableConfig) -> Mapping[str, Any]:
    return config.get("configurable", {})


def _number(worth: object) -> float:
    try:
        return float(worth) if isinstance(worth, Real | str) else float("nan")
    except ValueError:
        return float("nan")  # which the policy refuses with the right sentence
