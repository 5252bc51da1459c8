"""An effort reaches a provider in its own words, and is read back from a model that is set to one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from cit_core.arms import Arm
from cit_core.errors import InvalidInput
from cit_core.router.arm_options import BUDGETED, arm_options, gemini_thinking, told_effort, with_reasoning_effort

SETTERS = {"openai": with_reasoning_effort, "google_genai": lambda arm: gemini_thinking(arm)[0]}


@pytest.mark.parametrize(
    ("settings", "effort"),
    [
        ({"reasoning_effort": "high"}, "high"),
        ({"effort": "LOW"}, "low"),
        ({"reasoning": {"effort": "minimal", "summary": "auto"}}, "minimal"),
        ({"reasoning_options": {"effort": "medium"}}, "medium"),
        ({"output_config": {"effort": "max"}}, "max"),
        ({"thinking": {"type": "enabled", "budget_tokens": 16_000}, "max_tokens": 20_000}, "high"),
        ({"thinking_dict": {"type": "enabled", "budget_tokens": 2_000}}, "low"),
        ({"thinking": {"type": "disabled"}}, "none"),
        ({"thinking": {"type": "adaptive"}}, None),
        ({"thinking_budget": 0}, "none"),
        ({"thinking_budget": -1}, None),
        ({"thinking_level": "high"}, "high"),
        ({"_generation_config": {"thinking_config": {"thinking_budget": 8192}}}, "medium"),
        ({"generation_config": SimpleNamespace(thinking_config=SimpleNamespace(thinking_level="LOW"))}, "low"),
        ({"extra_body": {"reasoning": {"effort": "low"}}}, "low"),
        ({"model_kwargs": {"reasoning_effort": "high"}}, "high"),
        ({"additional_kwargs": {"reasoning_effort": "minimal"}}, "minimal"),
        ({"additional_kwargs": {"extra_body": {"thinking": {"type": "disabled"}}}}, "none"),
        ({"reasoning": True, "reasoning_effort": None}, None),
        ({"reasoning_effort": "default"}, None),
        ({}, None),
    ],
)
def test_the_effort_that_a_model_is_set_to_is_read_whatever_its_class_calls_it(
    settings: dict[str, Any], effort: str | None
) -> None:
    assert told_effort(SimpleNamespace(**settings)) == told_effort(settings) == effort


@pytest.mark.parametrize("effort", ["none", "minimal", "low", "medium", "high", "xhigh"])
def test_an_effort_that_was_set_is_the_one_that_is_read(effort: str) -> None:
    for model in ("openai:gpt-5", "google_genai:gemini-2.5-flash"):
        assert told_effort(arm_options(f"{model}@{effort}", SETTERS, "LLM")[1]) == effort


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gpt-5-mini@low", "does not say its provider; write openai:gpt-5-mini@low$"),
        ("gemini-2.5-pro@low", "write google_genai:gemini-2.5-pro@low$"),
        ("my-model@low", "write provider:my-model@low$"),
        ("cohere:command-a@low", "how an effort is set is not known of 'cohere'; make the LLM yourself"),
        ("openai:gpt-4o@high", "'openai:gpt-4o' does not reason, so it has no effort"),
    ],
)
def test_an_effort_that_cannot_be_set_is_refused_with_what_helps(name: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        arm_options(name, SETTERS, "LLM")
    assert arm_options(Arm.of(name).model, SETTERS, "LLM")[1] == {}


@pytest.mark.parametrize(
    ("name", "is_budgeted"),
    [
        ("claude-3-7-sonnet-20250219", True),
        ("claude-sonnet-4@20250514", True),
        ("anthropic.claude-opus-4-20250514-v1:0", True),
        ("anthropic/claude-sonnet-4.5", True),
        ("anthropic/claude-opus-4.1", True),
        ("claude-opus-4-5", False),
        ("anthropic/claude-sonnet-4.6", False),
        ("claude-opus-5", False),
    ],
)
def test_claude_models_that_take_a_budget_in_the_names_of_hosts(name: str, is_budgeted: bool) -> None:
    assert bool(BUDGETED.search(name)) == is_budgeted
