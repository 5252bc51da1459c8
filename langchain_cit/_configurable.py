"""What a call may set in `config["configurable"]`, and what that means for the router."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.utils import ConfigurableFieldSpec

from cit_core.errors import InvalidInput
from cit_core.policy import CostAware, Policy, parse_policy

__all__ = ["KNOBS", "THREAD_ID", "forced_model", "policy_of", "thread_of"]

THREAD_ID = ConfigurableFieldSpec(
    id="thread_id",
    annotation=str | None,
    name="Conversation",
    description="Which conversation the call belongs to; one conversation keeps its model.",
    default=None,
    is_shared=True,
)
KNOBS = (
    ConfigurableFieldSpec(
        id="cit_policy",
        annotation=str | None,
        name="Routing policy",
        description="best, threshold:TAU or cost:VALUE, in place of the router's own.",
        default=None,
        is_shared=True,
    ),
    ConfigurableFieldSpec(
        id="cit_tradeoff",
        annotation=float | None,
        name="Worth of a right answer [USD]",
        description="The same as the policy cost:VALUE.",
        default=None,
        is_shared=True,
    ),
    ConfigurableFieldSpec(
        id="cit_model",
        annotation=str | None,
        name="Model",
        description="Id of the one candidate that may be chosen.",
        default=None,
        is_shared=True,
    ),
)


def policy_of(config: RunnableConfig) -> Policy | None:
    """The policy that a call asks for, if any.

    Raises:
        InvalidInput: If there is no such policy, or two are given.
    """
    given = _configurable(config)
    policy, worth = given.get("cit_policy"), given.get("cit_tradeoff")
    if policy is not None and worth is not None:
        raise InvalidInput("configurable has both cit_policy and cit_tradeoff; pass one: cit_tradeoff=V is cost:V")
    if worth is not None:
        return CostAware(_number(worth))
    if policy is None or not isinstance(policy, str):
        return policy
    return parse_policy(policy)


def forced_model(config: RunnableConfig) -> str | None:
    """The candidate that a call asks for, if any.

    Raises:
        InvalidInput: If it is not an id.
    """
    model = _configurable(config).get("cit_model")
    if model is not None and not isinstance(model, str):
        raise InvalidInput(f"cit_model is {type(model).__name__}; it must be the id of a candidate")
    return model


def thread_of(config: RunnableConfig) -> str | None:
    """The conversation that a call belongs to, if it says so."""
    thread = _configurable(config).get("thread_id")
    return None if thread is None else str(thread)


def _configurable(config: RunnableConfig) -> Mapping[str, Any]:
    return config.get("configurable", {})


def _number(worth: object) -> float:
    try:
        return float(worth) if isinstance(worth, Real | str) else float("nan")
    except ValueError:
        return float("nan")  # which the policy refuses with the right sentence
