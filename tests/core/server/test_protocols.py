"""Streams in pieces of any size, and where an answer begins, ends and fails."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cit_core.server.protocols import CHAT, MESSAGES, RESPONSES, EventReader, Progress, Protocol, Usage, usage_of

EVENTS = ["one", '{"a": "ü\\n"}', "[DONE]"]


@given(st.lists(st.integers(0, 80), max_size=6), st.sampled_from(["\n", "\r\n"]))
def test_pieces_of_any_size(cuts: list[int], end: str) -> None:
    raw = "".join(f": note{end}event: e{end}data: {event}{end}{end}" for event in EVENTS).encode()
    places = sorted({0, len(raw), *(min(cut, len(raw)) for cut in cuts)})
    reader = EventReader()
    found = [data for a, b in itertools.pairwise(places) for data in reader.feed(raw[a:b])]
    assert found == EVENTS


def delta(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields}]}


@pytest.mark.parametrize(
    ("protocol", "event", "step"),
    [
        (CHAT, delta(role="assistant", content=""), "nothing"),
        (CHAT, delta(content="x"), "begun"),
        (CHAT, delta(tool_calls=[{"id": "1"}]), "begun"),
        (CHAT, delta(reasoning_content="x"), "begun"),
        (CHAT, {"choices": [{"delta": {}, "finish_reason": "stop"}]}, "ended"),
        (CHAT, {"choices": [{"delta": {"content": "x"}, "finish_reason": "stop"}]}, "begun ended"),
        (CHAT, {"choices": [{"delta": {}, "finish_reason": None, "error": {"code": 502}}]}, "failed"),
        (CHAT, {"choices": [], "usage": {"prompt_tokens": 1}}, "nothing"),
        (CHAT, {"error": {"message": "x", "code": 502}}, "failed"),
        (CHAT, {"choices": None, "error": None}, "nothing"),
        (RESPONSES, {"type": "response.created", "response": {"id": "r", "error": None}}, "nothing"),
        (RESPONSES, {"type": "response.output_text.delta", "delta": "x"}, "begun"),
        (RESPONSES, {"type": "response.failed", "response": {}}, "failed"),
        (RESPONSES, {"type": "error", "code": "server_error"}, "failed"),
        (RESPONSES, {"type": "response.completed", "response": {}}, "ended"),
        (MESSAGES, {"type": "message_start", "message": {"usage": {"input_tokens": 3}}}, "nothing"),
        (MESSAGES, {"type": "content_block_start", "content_block": {"type": "text", "text": ""}}, "nothing"),
        (MESSAGES, {"type": "content_block_start", "content_block": {"type": "tool_use"}}, "begun"),
        (MESSAGES, {"type": "content_block_delta", "delta": {"text": "x"}}, "begun"),
        (MESSAGES, {"type": "error", "error": {"type": "overloaded_error"}}, "failed"),
        (MESSAGES, {"type": "message_stop"}, "ended"),
        (MESSAGES, {"type": "ping"}, "nothing"),
    ],
)
def test_steps(protocol: Protocol, event: dict[str, Any], step: str) -> None:
    progress = Progress(protocol)
    progress.take(json.dumps(event))
    assert [name for name in ("begun", "ended", "failed") if getattr(progress, name)] == (
        [] if step == "nothing" else step.split()
    )


COUNT = {"prompt_tokens": 3, "completion_tokens": 4}
LONG = "seven times eight is fifty-six " * 20


@pytest.mark.parametrize(
    ("protocol", "events", "usage"),
    [
        (CHAT, [delta(content="x"), {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": COUNT}], (3, 4)),
        (CHAT, [delta(content="x"), {"choices": [{"delta": {}, "finish_reason": "stop"}]}], (70, 1)),
        (CHAT, [{**delta(content="x"), "usage": COUNT}], (3, 4)),
        (CHAT, [delta(content="x"), delta(reasoning=LONG)], (70, 142)),
        (CHAT, [delta(tool_calls=7, content=["x"]), delta(tool_calls=[7, {"function": 7}])], (70, 0)),
        (CHAT, [delta(tool_calls=[{"index": 0, "id": "c", "function": {"name": "f", "arguments": LONG}}])], (70, 142)),
        (RESPONSES, [{"type": "response.output_text.delta", "delta": LONG}], (70, 142)),
        (MESSAGES, [{"type": "message_start", "message": {"usage": {"input_tokens": 5, "output_tokens": 1}}}], (5, 1)),
        (
            MESSAGES,
            [
                {"type": "message_start", "message": {"usage": {"input_tokens": 5, "output_tokens": 1}}},
                {"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": LONG}},
                {"type": "content_block_delta", "delta": {"type": "signature_delta", "signature": "x" * 9_000}},
            ],
            (5, 142),
        ),
    ],
)
def test_what_nobody_counted_is_estimated_from_what_has_come(
    protocol: Protocol, events: list[dict[str, Any]], usage: tuple[int, int]
) -> None:
    progress = Progress(protocol)
    for event in events:
        progress.take(json.dumps(event))
    assert progress.usage(70)[:2] == pytest.approx(usage, abs=2)
    assert progress.is_counted == (progress.ended and usage == (3, 4))


def test_what_is_no_event_means_nothing() -> None:
    progress = Progress(CHAT)
    progress.take("not json")
    assert not any((progress.begun, progress.ended, progress.failed, *progress.usage(0)))
    progress.take(" [DONE] ")
    assert progress.ended


def test_an_answer_of_several_choices_ends_with_the_last() -> None:
    progress = Progress(CHAT)
    for index, ended in ((0, False), (1, False), (0, True)):
        choice = {"index": index, "delta": {"content": "x"}, "finish_reason": "stop" if ended else None}
        progress.take(json.dumps({"choices": [choice]}))
        assert not progress.ended
    progress.take(json.dumps({"choices": [{"index": 1, "delta": {}, "finish_reason": "length"}]}))
    assert progress.ended


@pytest.mark.parametrize(("asked", "is_whole"), [(2, False), (1, True), (0, True), (None, True), ("2", True)])
def test_a_choice_that_was_asked_for_and_never_began_is_missed(asked: object, is_whole: bool) -> None:
    progress = Progress(CHAT, asked)
    progress.take(json.dumps({"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"}]}))
    assert progress.ended == is_whole
    progress.take("[DONE]")
    assert progress.ended


@pytest.mark.parametrize(
    ("fields", "usage"),
    [
        ({"usage": {"prompt_tokens": 3, "completion_tokens": 4}}, (3, 4, 0)),
        ({"usage": {"input_tokens": 3, "output_tokens": 4, "cache_read_input_tokens": 10}}, (13, 4, 10)),
        ({"message": {"usage": {"input_tokens": 3}}}, (3, 0, 0)),
        ({"response": {"usage": {"input_tokens": 3, "output_tokens": 4}}}, (3, 4, 0)),
        ({"usage": {"prompt_tokens": -1, "completion_tokens": "x"}}, (0, 0, 0)),
        ({"usage": {"prompt_tokens": 10**400, "completion_tokens": 4}}, (0, 4, 0)),
        ({"usage": None}, (0, 0, 0)),
    ],
)
def test_usage(fields: dict[str, Any], usage: tuple[int, ...]) -> None:
    assert usage_of(fields) == Usage(*usage)
