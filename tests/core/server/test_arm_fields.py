"""Arms in the words of three protocols; what a caller sets more tightly stays."""

from __future__ import annotations

from typing import Any

import pytest

from cit_core.arms import Arm
from cit_core.errors import InvalidInput
from cit_core.server.arm_fields import arm_fields, check_arm
from cit_core.server.protocols import CHAT, MESSAGES, RESPONSES, Protocol
from cit_core.settings import ModelSettings

GPT, OLD, NEW = "gpt-5-mini", "claude-sonnet-4-5", "claude-opus-5"
THINKING = {"type": "enabled", "budget_tokens": 2048}
CALL = {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "f", "input": {}}]}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "42"}]}
PREFILL = {"role": "assistant", "content": "{"}
LARGE = {"max_tokens": 16000, "thinking": {"type": "enabled", "budget_tokens": 10000, "display": "omitted"}}


@pytest.mark.parametrize(
    ("protocol", "arm", "fields", "changed"),
    [
        (CHAT, Arm(GPT), {"max_tokens": 9, "reasoning_effort": "high"}, {}),
        (CHAT, Arm(GPT, "low", 500), {}, {"max_tokens": 500, "reasoning_effort": "low"}),
        (CHAT, Arm(GPT, "low", 500), {"max_completion_tokens": 9, "reasoning_effort": "minimal"}, {}),
        (
            CHAT,
            Arm(GPT, "low", 500),
            {"max_completion_tokens": 900, "reasoning_effort": "low"},
            {"max_completion_tokens": 500},
        ),
        (
            CHAT,
            Arm(GPT, "low"),
            {"reasoning": {"effort": "high", "exclude": True}},
            {"reasoning": {"effort": "low", "exclude": True}},
        ),
        (CHAT, Arm(GPT, "high"), {"reasoning": {"enabled": False}}, {}),
        (CHAT, Arm(GPT, "high"), {"reasoning": {"max_tokens": 2000}}, {}),
        (CHAT, Arm(GPT, "low"), {"reasoning": {"max_tokens": 9000}}, {"reasoning": {"effort": "low"}}),
        (
            CHAT,
            Arm(GPT, None, 3000),
            {"max_tokens": 9000, "reasoning": {"max_tokens": 4000}},
            {"max_tokens": 3000, "reasoning": {"max_tokens": 1500}},
        ),
        (RESPONSES, Arm(GPT, "high", 500), {}, {"max_output_tokens": 500, "reasoning": {"effort": "high"}}),
        (RESPONSES, Arm(GPT, "high"), {"reasoning": {"effort": "low"}}, {}),
        (
            RESPONSES,
            Arm(GPT, "low"),
            {"reasoning": {"summary": "auto"}},
            {"reasoning": {"summary": "auto", "effort": "low"}},
        ),
        (MESSAGES, Arm(OLD, "low"), {"max_tokens": 9000}, {"thinking": THINKING}),
        (MESSAGES, Arm(OLD, "low", 4096), {"max_tokens": 9000}, {"thinking": THINKING, "max_tokens": 4096}),
        (MESSAGES, Arm(OLD, "high"), {"max_tokens": 9000, "thinking": THINKING}, {}),
        (MESSAGES, Arm(OLD, "high"), {"max_tokens": 9000, "thinking": {"type": "disabled"}}, {}),
        (MESSAGES, Arm(OLD, "none"), {"max_tokens": 9000}, {"thinking": {"type": "disabled"}}),
        (MESSAGES, Arm(OLD, "low"), {"max_tokens": 500}, {}),
        (MESSAGES, Arm(OLD, "low"), {"max_tokens": 9000, "temperature": 0}, {}),
        (MESSAGES, Arm(OLD, "low"), {"max_tokens": 9000, "tool_choice": {"type": "any"}}, {}),
        (MESSAGES, Arm(OLD, "low"), {"max_tokens": 9000, "messages": [CALL, RESULT]}, {}),
        (MESSAGES, Arm(OLD, "low"), {"max_tokens": 9000, "messages": [PREFILL]}, {}),
        (MESSAGES, Arm(OLD, "low"), {"max_tokens": 9000, "messages": [PREFILL, RESULT]}, {"thinking": THINKING}),
        (MESSAGES, Arm(OLD, "low"), {"max_tokens": 9000, "top_p": 0.9}, {}),
        (MESSAGES, Arm(OLD, "low"), {"max_tokens": 9000, "top_p": 0.95}, {"thinking": THINKING}),
        (
            MESSAGES,
            Arm(OLD, None, 4000),
            LARGE,
            {"max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 2000, "display": "omitted"}},
        ),
        (MESSAGES, Arm(OLD, "low", 1000), LARGE, {"max_tokens": 1000, "thinking": {"type": "disabled"}}),
        (
            MESSAGES,
            Arm("claude-opus-4-6", "high", 1500),
            {**LARGE, "output_config": {"effort": "low"}},
            {"max_tokens": 1500, "thinking": {"type": "enabled", "budget_tokens": 1024, "display": "omitted"}},
        ),
        (MESSAGES, Arm(OLD, None, 20000), {**LARGE, "max_tokens": 8000}, {}),  # interleaved: a budget for several turns
        (MESSAGES, Arm("claude-opus-4-5", "high"), {"max_tokens": 9}, {"output_config": {"effort": "high"}}),
        (MESSAGES, Arm("anthropic/claude-opus-4.5", "high"), {"max_tokens": 9}, {"output_config": {"effort": "high"}}),
        (
            MESSAGES,
            Arm(NEW, "minimal"),
            {"max_tokens": 9},
            {"output_config": {"effort": "low"}, "thinking": {"type": "adaptive"}},
        ),
        (
            MESSAGES,
            Arm(NEW, "high"),
            {"max_tokens": 9, "output_config": {"effort": "low"}, "thinking": {"type": "disabled"}},
            {},
        ),
    ],
)
def test_fields(protocol: Protocol, arm: Arm, fields: dict[str, Any], changed: dict[str, Any]) -> None:
    assert arm_fields(arm, protocol, fields) == changed


@pytest.mark.parametrize(
    ("id_", "upstream", "said"),
    [
        ("anthropic:claude-opus-5@low", "https://api.anthropic.com/v1", 'add to the model: api = "anthropic"'),
        ("openai:gpt-4.1@low", "https://api.openai.com/v1", "does not reason"),
    ],
)
def test_efforts_that_cannot_be_said(id_: str, upstream: str, said: str) -> None:
    arm = Arm.of(id_)
    model = ModelSettings(id=id_, upstream=upstream)
    with pytest.raises(InvalidInput, match=said):
        check_arm(arm, model, "openai", upstream.split("/")[2])
    check_arm(Arm(arm.model, None, 500), model, "openai", "x")


def test_a_limit_without_room_to_think_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no room to reason"):
        check_arm(Arm(OLD, "low", 500), ModelSettings(id=OLD), "anthropic", "api.anthropic.com")
