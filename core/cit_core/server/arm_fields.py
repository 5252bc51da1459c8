"""Arms in the words of the protocols: the fields of a request that set an effort and a limit.

A caller's own fields go first where they are tighter: a lower effort, fewer tokens, no thinking.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cit_core.arms import EFFORTS, Arm
from cit_core.catalogue.candidates import public_candidate
from cit_core.errors import InvalidInput
from cit_core.messages import shown
from cit_core.router.arm_options import BUDGETED, LEAST_BUDGET, reasoning_budget
from cit_core.server.protocols import MESSAGES, RESPONSES, Protocol
from cit_core.settings import ModelSettings

__all__ = ["ANTHROPIC_HOST", "arm_fields", "check_arm"]

ANTHROPIC_HOST = "anthropic.com"
LIMITS = ("max_completion_tokens", "max_tokens")
"""Names of a limit in chat completions."""
UNADAPTED = re.compile(r"claude-opus-4[-.]5")
"""Claude models that take an effort and do not think adaptively: Anthropic refuses it."""
LEAST_TOP_P = 0.95
"""Smallest `top_p` with which Claude may think."""

Fields = Mapping[str, Any]


def check_arm(arm: Arm, model: ModelSettings, api: str, host: str) -> None:
    """Refuse an effort that a server would refuse, or ignore.

    Args:
        arm: The model as its server calls it, its effort and limit.
        model: Its settings.
        api: Protocol of its server.
        host: Name of its server.

    Raises:
        InvalidInput: If the model does not reason, has no room for it, or its server takes no effort in this protocol.
    """
    if arm.effort is None:
        return
    known = public_candidate(arm.model) if model.reasoning is None else model
    if known is not None and known.reasoning is False:
        raise InvalidInput(
            f"model {shown(model.id)} has an effort, and {shown(arm.model)} does not reason; take the effort out"
        )
    if api == "openai" and host.endswith(ANTHROPIC_HOST):
        raise InvalidInput(
            f"model {shown(model.id)} has an effort, which Anthropic ignores in OpenAI's protocol; take it out, or add "
            'to the model: api = "anthropic"'
        )
    if api == "anthropic" and BUDGETED.search(arm.model):
        reasoning_budget(arm)


def arm_fields(arm: Arm, protocol: Protocol, fields: Fields, limit: str = "max_tokens") -> dict[str, Any]:
    """Return the top-level fields with which a request runs a model as its arm says, as far as they change.

    Args:
        arm: The model as its server calls it, its effort and limit.
        protocol: Protocol of the request.
        fields: The request.
        limit: Name of a limit in chat completions, where the caller has set none.
    """
    if protocol is MESSAGES:
        wanted = _of_messages(arm, fields)
        wanted |= _with_room(fields, wanted, "max_tokens", "thinking", "budget_tokens", {"type": "disabled"})
    elif protocol is RESPONSES:
        wanted = _limited(arm, fields, "max_output_tokens") | _reasoning(arm, fields)
    else:
        names = [name for name in LIMITS if fields.get(name)] or [limit]
        wanted = _limited(arm, fields, *names)
        if isinstance(fields.get("reasoning"), Mapping):  # as OpenRouter has it
            wanted |= _reasoning(arm, fields)
            wanted |= _with_room(fields, wanted, names[0], "reasoning", "max_tokens", {"enabled": False})
        elif arm.effort is not None:
            wanted["reasoning_effort"] = _lower(fields.get("reasoning_effort"), arm.effort)
    return {name: value for name, value in wanted.items() if fields.get(name) != value}


def _limited(arm: Arm, fields: Fields, *names: str) -> dict[str, Any]:
    return {} if arm.max_tokens is None else {name: _least(fields.get(name), arm.max_tokens) for name in names}


def _reasoning(arm: Arm, fields: Fields) -> dict[str, Any]:
    if arm.effort is None:
        return {}
    given = dict(_mapping(fields.get("reasoning")))
    if given.get("enabled") is False:  # OpenRouter's
        return {}
    budget = given.pop("max_tokens", None)  # OpenRouter's too, which takes it or an effort
    own = reasoning_budget(Arm(arm.model, arm.effort))[0]
    if isinstance(budget, int) and _least(budget, own) == budget:
        return {}
    return {"reasoning": {**given, "effort": _lower(given.get("effort"), arm.effort)}}


def _with_room(fields: Fields, wanted: Fields, limit: str, group: str, budget: str, off: Fields) -> dict[str, Any]:
    """Return a smaller budget of reasoning where a limit was lowered below it: servers refuse such a request."""
    held, tokens = _mapping({**fields, **wanted}.get(group)), wanted.get(limit)
    given = held.get(budget)
    if not isinstance(given, int) or tokens is None or tokens == fields.get(limit) or given < tokens:
        return {}
    return {group: {**held, budget: max(LEAST_BUDGET, tokens // 2)} if tokens > LEAST_BUDGET else off}


def _of_messages(arm: Arm, fields: Fields) -> dict[str, Any]:
    """Return the fields of Anthropic's protocol: newer models take an effort, the others a budget of tokens."""
    wanted = _limited(arm, fields, "max_tokens")
    thinking = _mapping(fields.get("thinking"))
    if arm.effort is None or thinking.get("type") == "disabled":
        return wanted
    if arm.effort == "none":
        return {**wanted, "thinking": {"type": "disabled"}}
    if not BUDGETED.search(arm.model):
        given = _mapping(fields.get("output_config"))
        effort = _lower(given.get("effort"), "low" if arm.effort == "minimal" else arm.effort)
        wanted["output_config"] = {**given, "effort": effort}
        if not thinking and _may_think(fields) and not UNADAPTED.search(arm.model):
            wanted["thinking"] = {"type": "adaptive"}
        return wanted
    limit = wanted.get("max_tokens", fields.get("max_tokens"))
    if isinstance(limit, int) and limit > LEAST_BUDGET and _may_think(fields):
        budget = _least(thinking.get("budget_tokens"), reasoning_budget(replace(arm, max_tokens=limit))[0])
        wanted["thinking"] = {"type": "enabled", "budget_tokens": budget}
    return wanted


def _may_think(fields: Fields) -> bool:
    """Return whether Claude may think, given what else is asked: with some settings Anthropic refuses a request."""
    forced = _mapping(fields.get("tool_choice")).get("type") in ("any", "tool")
    top_p = fields.get("top_p")
    sampled = fields.get("temperature") not in (None, 1) or fields.get("top_k") is not None
    sampled = sampled or (isinstance(top_p, int | float) and top_p < LEAST_TOP_P)
    given = fields.get("messages")
    turns = [_mapping(turn) for turn in given] if isinstance(given, list) else []
    said = [turn for turn in turns if turn.get("role") == "assistant"]
    parts = said[-1].get("content") if said else None
    kinds = {str(_mapping(part).get("type")) for part in parts} if isinstance(parts, list) else set()
    goes_on = "tool_use" in kinds or bool(said and turns[-1] is said[-1])  # calls, or a beginning set by the caller
    return not (forced or sampled or (goes_on and not {"thinking", "redacted_thinking"} & kinds))


def _least(given: object, own: int) -> int:
    return given if isinstance(given, int) and not isinstance(given, bool) and 0 < given < own else own


def _lower(given: object, own: str) -> str:
    return given if isinstance(given, str) and given in EFFORTS[: EFFORTS.index(own)] else own


def _mapping(value: object) -> Fields:
    return value if isinstance(value, Mapping) else {}
