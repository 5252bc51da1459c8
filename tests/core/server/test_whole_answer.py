"""Complete answers of the three protocols, whole and streamed, read as verifiers see them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from scripted_provider import anthropic_answer, anthropic_events, openai_answer, openai_chunk, sse

from cit_core.server.whole_answer import read_answer

CALL = {"index": 0, "function": {"name": "pay", "arguments": "{}"}}
TOKENS = {"content": [{"token": "a", "logprob": -1.0}, {"token": "b", "logprob": -3.0}]}
RESPONSE = {
    "id": "r",
    "output": [
        {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "hidden"}]},
        {"type": "message", "content": [{"type": "output_text", "text": "fine", "logprobs": TOKENS["content"]}]},
        {"type": "function_call", "name": "pay"},
    ],
}
DELTA = {"type": "response.output_text.delta", "delta": "fi"}
BLOCK = {"type": "content_block_start", "content_block": {"type": "tool_use", "name": "pay", "input": {}}}


def choice(**more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, **more}, {"index": 1, "message": {"content": "another"}}]}


def stream(*events: object) -> bytes:
    return b"".join(sse(*events))


@pytest.mark.parametrize(
    ("raw", "text", "tools", "logprob"),
    [
        (json.dumps(openai_answer("fine")).encode(), "fine", (), None),
        (json.dumps(choice(message={"content": None, "tool_calls": [CALL]})).encode(), "", ("pay",), None),
        (json.dumps(choice(message={"content": "fine"}, logprobs=TOKENS)).encode(), "fine", (), -2.0),
        (stream(openai_chunk({"content": "fi"}), openai_chunk({"content": "ne"}), "[DONE]"), "fine", (), None),
        (stream(openai_chunk({"tool_calls": [CALL]}), "[DONE]"), "", ("pay",), None),
        (json.dumps(RESPONSE).encode(), "fine", ("pay",), -2.0),
        (stream(DELTA, {"type": "response.completed", "response": RESPONSE}), "fine", ("pay",), -2.0),
        (json.dumps(anthropic_answer("fine")).encode(), "fine", (), None),
        (b"".join(sse(*anthropic_events("fine"), BLOCK, names=True)), "fine", ("pay",), None),
        (b"<html>", "", (), None),
        (b'{"choices": 3, "output": {}, "content": [1, null]}', "", (), None),
    ],
    ids=lambda value: "" if not isinstance(value, bytes) else value[:24].decode(),
)  # fmt: skip
def test_answers(raw: bytes, text: str, tools: tuple[str, ...], logprob: float | None) -> None:
    answer = read_answer(raw, "m")
    assert (answer.text, answer.tool_calls, answer.mean_logprob) == (text, tools, logprob)
