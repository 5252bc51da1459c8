"""The gateway's cascade: made from the settings, and kept from requests of which two copies do more than one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cit_core.errors import InvalidInput
from cit_core.messages import shown
from cit_core.records import Candidate
from cit_core.router import Agreement, Cascade, FollowsSchema, Judge, Matches, MeanLogprob, Rates
from cit_core.router.verifiers import Verifier
from cit_core.settings import CascadeSettings

__all__ = ["cascade_of", "is_repeatable"]

JUDGEMENT = (800, 200)
"""Assumed size of one judgement, read and written [tokens]."""
OF_THE_CALLER = ("function", "custom")
"""Types of tools that the caller runs, once it has the answer; the provider runs any other."""
STATEFUL = ("background", "container", "conversation", "mcp_servers", "previous_response_id", "prompt")
"""Fields by which a request does more than ask: runs something, or goes on from what the provider keeps."""


def cascade_of(settings: CascadeSettings, candidates: Mapping[str, Candidate]) -> Cascade:
    """Return the cascade of the settings. A judge is filled in for each request.

    Args:
        settings: The table `[cascade]`.
        candidates: The models by id.

    Raises:
        InvalidInput: If an option is missing or cannot be used.
    """
    rates = (settings.true_positive, settings.false_positive)
    if (rates[0] is None) != (rates[1] is None):
        raise InvalidInput("[cascade] true_positive and false_positive are measured together; give both or none")
    reliability = None if rates[0] is None or rates[1] is None else Rates(rates[0], rates[1])
    names = ("max_steps", "value", "tolerance", "dependence", "limit_usd")
    options = {name: getattr(settings, name) for name in names}
    return Cascade(_verifier(settings, candidates), reliability=reliability, **options)


def is_repeatable(fields: Mapping[str, Any]) -> bool:
    """Return whether two candidates may be asked a request: it does nothing but ask for one answer.

    Tools that the caller runs are safe, since it gets one answer; those that a provider runs would run twice.
    """
    tools = fields.get("tools")
    kinds = [tool.get("type", "custom") for tool in tools if isinstance(tool, Mapping)] if tools else []
    return (
        all(kind in OF_THE_CALLER for kind in kinds)
        and not any(fields.get(name) for name in STATEFUL)
        and fields.get("n") in (None, 1)
    )


def _verifier(settings: CascadeSettings, candidates: Mapping[str, Candidate]) -> Verifier:
    if settings.verify == "logprob":
        return MeanLogprob()
    if settings.verify == "agreement":
        return Agreement(settings.samples)
    if settings.verify == "pattern":
        return Matches(_needed(settings.pattern, 'pattern = "[0-9]+"'))
    if settings.verify == "schema":
        return FollowsSchema(_schema(_needed(settings.schema_file, 'schema_file = "answer.schema.json"')))
    judge = _needed(settings.judge, "judge = the id of a table [[models]]")
    if judge not in candidates:
        raise InvalidInput(f"[cascade] judge is {shown(judge)}, which has no table [[models]]")
    cost = candidates[judge].expected_cost(*JUDGEMENT) if settings.judge_cost_usd is None else settings.judge_cost_usd
    return Judge(_unasked, cost_usd=cost or 0.0)


def _needed(value: str | None, how: str) -> str:
    if value is None:
        raise InvalidInput(f"[cascade] needs {how}")
    return value


def _schema(path: str) -> dict[str, Any]:
    try:
        schema = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"[cascade] schema_file {shown(path, 512)} holds no JSON: {type(error).__name__}") from None
    if not isinstance(schema, dict):
        raise InvalidInput(f"[cascade] schema_file {shown(path, 512)} holds no JSON schema")
    return schema


async def _unasked(_prompt: str) -> str:
    return ""
