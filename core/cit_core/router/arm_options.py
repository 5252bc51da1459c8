"""Arms in the words of frameworks: the options that set an effort or a limit, and the effort that a model is set to."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from cit_core.arms import EFFORTS, Arm
from cit_core.errors import InvalidInput
from cit_core.messages import shown

__all__ = [
    "BUDGETED",
    "LEAST_BUDGET",
    "arm_options",
    "gemini_thinking",
    "limited",
    "reasoning_budget",
    "told_effort",
    "with_reasoning_effort",
]

LEAST_BUDGET, ANSWER_TOKENS = 1_024, 4_096
"""Smallest budget of reasoning that providers take, and the tokens of an answer beside it [tokens]."""
GEMINI = re.compile(r"gemini-(?:[3-9]|\d\d)")
"""Gemini models that take a level of thinking by its name; those before take a budget of tokens."""
BUDGETED = re.compile(r"claude-(?:3[-.]7|haiku-4[-.]5|sonnet-4(?:[-.][05]|-20|@|$)|opus-4(?:[-.][01]|-20|@|$))")
"""Claude models that take a budget of thinking and no name of an effort."""
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
SETTINGS = ("reasoning_effort", "effort", "thinking_level", "reasoning", "thinking_budget", "budget_tokens")
"""Names of the options that set an effort or a budget of reasoning, in the classes of LangChain and LlamaIndex."""
GROUPS = ("reasoning", "reasoning_options", "thinking", "thinking_dict", "thinking_config", "output_config")
"""Names of the options that hold such options."""
BODIES = ("generation_config", "_generation_config", "extra_body", "model_kwargs", "additional_kwargs")
"""Names of the options that hold what a class does not know by name, and hands to its provider."""


def arm_options(
    model: str, setters: Mapping[str, Callable[[Arm], dict[str, Any]]], kind: str
) -> tuple[str, dict[str, Any]]:
    """Split `openai:gpt-5-mini@low` into what a framework opens and the options that run it so.

    Args:
        model: Name of a model, or of an arm.
        setters: Provider to the options of its class for an arm.
        kind: What the framework calls a model, for the message.

    Raises:
        InvalidInput: If there is an effort, and the model does not reason, or how it is set is not known of the
            provider.
    """
    from cit_core.catalogue.candidates import public_candidate

    arm = Arm.of(model)
    known = None if arm.effort is None else public_candidate(arm.model)
    if known is not None and known.reasoning is False:
        raise InvalidInput(
            f"{shown(arm.model)} does not reason, so it has no effort and its provider refuses one; write "
            f"{shown(arm.model)}, or make the {kind} yourself and pass {{{shown(model)}: it}}"
        )
    provider = arm.model.partition(":")[0]
    if provider in setters:
        return arm.model, setters[provider](arm)
    if arm.effort is not None and ":" not in arm.model:
        raise InvalidInput(f"{shown(model)} does not say its provider; write {_with_provider(model, setters)}")
    if arm.effort is not None:
        raise InvalidInput(
            f"how an effort is set is not known of {shown(provider)}; make the {kind} yourself and pass "
            f"{{{shown(model)}: it}}"
        )
    return arm.model, limited(arm)


def _with_provider(model: str, setters: Collection[str]) -> str:
    """Return the name of a model with its provider, where the catalogue knows it, as this framework calls that."""
    from cit_core.catalogue.facts import find_model, maker_of

    found = find_model(model)
    provider = next((own for own in setters if found is not None and maker_of(own) == found.provider), "provider")
    return f"{provider}:{model}"


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


def told_effort(model: object) -> str | None:
    """Return the effort that a model is set to; None if it says none.

    Args:
        model: Has the options of its provider as attributes or items: an effort by its name, or a budget [tokens].
    """
    bodies = [body for name in BODIES if (body := _option(model, name)) is not None]
    inner = (_option(body, "extra_body") for body in bodies)  # LlamaIndex keeps OpenAI's among the others
    holders = [model, *bodies, *(body for body in inner if body is not None)]
    holders += [_option(holder, group) for holder in holders for group in GROUPS]
    if any(_option(holder, "type") == "disabled" for holder in holders[1:]):
        return "none"
    for value in (_option(holder, name) for holder in holders for name in SETTINGS):
        if isinstance(value, str) and value.lower() in EFFORTS:
            return value.lower()
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return "none" if value == 0 else min(list(BUDGETS)[1:], key=lambda one: abs(math.log(value / BUDGETS[one])))
    return None


def _option(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)
