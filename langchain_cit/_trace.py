"""What a run of the router leaves in a trace: events that tell of decisions, tags and metadata that tell who ran."""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForChainRun, CallbackManagerForChainRun
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import patch_config

from cit_core.records import Decision
from cit_core.router import Attempts
from langchain_cit._streams import FirstToken, followed

__all__ = ["CIT_FALLBACK", "CIT_ROUTE", "consumed", "fallback_event", "for_child", "route_event"]

CIT_ROUTE = "cit_route"
"""Name of the custom event, of the tag (`cit_route:ID`) and of the metadata entry on a candidate's run."""
CIT_FALLBACK = "cit_fallback"
"""Name of the custom event that comes before another candidate than the chosen one is asked."""
OF_ONE_CALL = ("cit_model", "__cit_decision")
"""Configurable entries that are about this router alone: a router within a candidate has candidates of its own."""


def route_event(decision: Decision) -> dict[str, Any]:
    """The decision as JSON; the text of the query is not in it."""
    return decision.model_dump(mode="json")


def fallback_event(decision: Decision, attempts: Attempts) -> dict[str, Any]:
    """Who is asked in place of the chosen one, and who failed before with what; no text of an error."""
    failures = [{"model": failure.model, "error": failure.error} for failure in attempts.failures]
    return {"decision": decision.id, "chosen": decision.model, "model": attempts.model, "failures": failures}


def for_child(
    config: RunnableConfig,
    run: CallbackManagerForChainRun | AsyncCallbackManagerForChainRun,
    model: str,
    *,
    listening: Attempts | None = None,
    route: object = None,
) -> RunnableConfig:
    """The config for a candidate's run inside the router's.

    Args:
        config: Of the router's run.
        run: The router's.
        model: Whose turn it is.
        listening: The attempts that end with its first token, where the answer is asked for in one piece and yet
            somebody may follow it token by token (LangGraph's `stream_mode="messages"`, `astream_events`).
        route: The candidate itself, whose own callbacks may be what follows it.
    """
    callbacks = run.get_child(f"{CIT_ROUTE}:{model}")
    if listening is not None and followed(callbacks, route):
        callbacks.add_handler(FirstToken(listening))
    child = patch_config(config, callbacks=callbacks)
    return consumed({**child, "metadata": {**child.get("metadata", {}), CIT_ROUTE: model}})


def consumed(config: RunnableConfig) -> RunnableConfig:
    """The config without what was meant for this router alone."""
    configurable = config.get("configurable", {})
    if not any(key in configurable for key in OF_ONE_CALL):
        return config
    return {**config, "configurable": {k: v for k, v in configurable.items() if k not in OF_ONE_CALL}}
