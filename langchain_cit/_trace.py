"""The trace of a run of the router: events about decisions, tags and metadata about the candidate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from langchain_core.callbacks import (
    AsyncCallbackManagerForChainRun,
    CallbackManagerForChainRun,
    adispatch_custom_event,
    dispatch_custom_event,
)
from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config, merge_configs, patch_config, var_child_runnable_config

from cit_core.records import Decision
from cit_core.router import Attempts
from langchain_cit._first_token import FirstToken, followed, hush

__all__ = [
    "CIT_CASCADE",
    "CIT_FALLBACK",
    "CIT_MODEL",
    "CIT_ROUTE",
    "as_route",
    "atell",
    "consumed",
    "fallback_event",
    "for_child",
    "metadata_of",
    "route_event",
    "tag_of",
    "tell",
]

CIT_ROUTE = "cit_route"
"""Name of a decision as JSON: of the custom event, in a message's metadata, in an agent's state."""
CIT_MODEL = "cit_model"
"""Name of a candidate's id alone: the tag (`cit_model:ID`) and the metadata entry of its run."""
CIT_FALLBACK = "cit_fallback"
"""Name of the custom event before another candidate than the chosen one is asked."""
CIT_CASCADE = "cit_cascade"
"""Name of the steps of a cascade as JSON: of the custom event after each of them, and in a message's metadata."""
OF_ONE_CALL = (CIT_MODEL, "__cit_decision")
"""Configurable entries that are about this router alone: a router within a candidate has candidates of its own."""


def route_event(decision: Decision) -> dict[str, Any]:
    """Return a decision as JSON; the text of the query is not in it."""
    return decision.model_dump(mode="json")


def fallback_event(decision: Decision, attempts: Attempts) -> dict[str, Any]:
    """Return which candidate is asked in place of the chosen one, and which failed before; no text of an error."""
    failures = [
        {"model": failure.model, "error": failure.error, "reason": failure.reason} for failure in attempts.failures
    ]
    return {"decision": decision.id, "chosen": decision.model, "model": attempts.model, "failures": failures}


def tag_of(model: str) -> str:
    """Return the tag of a candidate's run."""
    return f"{CIT_MODEL}:{model}"


def metadata_of(decision: Decision, attempts: Attempts) -> dict[str, Any]:
    """Return the metadata of a candidate's run: its id, the decision's id, and why it is the one that is asked."""
    model = attempts.model
    told = {
        CIT_MODEL: model,
        "cit_decision": decision.id,
        "cit_probability": decision.scores.get(model),
        "cit_policy": decision.policy,
        "cit_reason": "fallback" if attempts.fell_back else decision.chosen_by,
    }
    return told | ({"cit_fallback_from": decision.model} if attempts.fell_back else {})


def for_child(
    config: RunnableConfig,
    run: CallbackManagerForChainRun | AsyncCallbackManagerForChainRun,
    decision: Decision,
    attempts: Attempts,
    *,
    listening: object = None,
    hushed: bool = False,
) -> RunnableConfig:
    """Return the config for a candidate's run inside the router's.

    Args:
        config: The config of the router's run.
        run: The router's run.
        decision: The decision.
        attempts: The attempts at the answer.
        listening: The candidate, where the answer is asked for in one piece and yet may be followed token by token
            (LangGraph's `stream_mode="messages"`, `astream_events`, callbacks of its own): its first token is noticed.
        hushed: Whether the answer is verified before it is handed on, so that nobody may follow it token by token.
    """
    callbacks = run.get_child(tag_of(attempts.model))
    if hushed:
        hush(callbacks)
    elif listening is not None and followed(callbacks, listening):
        callbacks.add_handler(FirstToken(attempts, callbacks, listening))
    child = patch_config(config, callbacks=callbacks)
    return consumed({**child, "metadata": {**child.get("metadata", {}), **metadata_of(decision, attempts)}})


def consumed(config: RunnableConfig) -> RunnableConfig:
    """Return the config without what was meant for this router alone."""
    configurable = config.get("configurable", {})
    if not any(key in configurable for key in OF_ONE_CALL):
        return config
    return {**config, "configurable": {k: v for k, v in configurable.items() if k not in OF_ONE_CALL}}


@contextmanager
def as_route(decision: Decision, attempts: Attempts, model: BaseChatModel, *, tools: bool) -> Iterator[None]:
    """Give the run of the model that is called within the candidate's id; notice its first token, if followed."""
    around = ensure_config()
    outer = around.get("callbacks")
    more: RunnableConfig = {
        "callbacks": [FirstToken(attempts, outer, model, tools=tools)] if followed(outer, model) else [],
        "tags": [tag_of(attempts.model)],
        "metadata": metadata_of(decision, attempts),
    }
    before = var_child_runnable_config.set(merge_configs(around, more))
    try:
        yield
    finally:
        var_child_runnable_config.reset(before)


def tell(name: str, data: dict[str, Any]) -> None:
    """Send a custom event from inside a run, if somebody may listen."""
    config = ensure_config()
    if _in_a_run(config):
        dispatch_custom_event(name, data, config=config)


async def atell(name: str, data: dict[str, Any]) -> None:
    """Send asynchronously; see `tell`."""
    config = ensure_config()
    if _in_a_run(config):
        await adispatch_custom_event(name, data, config=config)


def _in_a_run(config: RunnableConfig) -> bool:
    """Return False where a middleware is called by hand, and in async nodes before Python 3.11: nothing listens."""
    return getattr(config.get("callbacks"), "parent_run_id", None) is not None
