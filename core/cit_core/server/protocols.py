"""The protocols that the gateway speaks: where an answer begins, ends, fails, and what it used.

Answers are passed on byte for byte; what is read here only decides whether another candidate is asked, and is counted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from cit_core.tokens import counted_tokens, estimate_tokens

__all__ = [
    "CHAT",
    "MESSAGES",
    "RESPONSES",
    "EventReader",
    "Progress",
    "Protocol",
    "Usage",
    "identity_of",
    "is_error",
    "usage_in",
    "usage_of",
]

Step = Literal["nothing", "begun", "ended", "failed"]
"""Meaning of an event in a stream: nothing yet, a part of the answer, its end, an error."""
Steps = Iterable[tuple[Step, int]]
"""What an event means, and for which of the choices that were asked for."""
LONGEST_EVENT = 64_000_000
"""Bytes of one event that are kept until it is complete; a longer one is passed on unread. A picture that a model has
drawn is one event."""
WRITTEN = (
    *("content", "reasoning", "reasoning_content", "refusal", "text", "thinking", "partial_json"),
    *("name", "arguments"),
)
"""Fields of a part of an answer that hold what the model has written."""
PIECES = 1_000
"""Pieces of an answer of which the tokens are estimated at once."""
BLANK_LINE = re.compile(rb"\r?\n\r?\n")


class Usage(NamedTuple):
    """Tokens of an answer, as the provider counted them."""

    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    """Of those that were read, the ones that came from a cache."""
    tokens_stored: int = 0
    """Of those that were read, the ones that were written to a cache."""

    def or_more(self, other: Usage) -> Usage:
        """Return the larger of two counts: the events of a stream count up."""
        return Usage(*map(max, self, other))


@dataclass(frozen=True)
class Protocol:
    """One protocol.

    Attributes:
        name: Name in metrics.
        path: Behind `/v1`, here and at the upstream.
        api: API of the upstreams that use it.
        read: Returns the meaning of an event's data.
        failed: Returns True if a complete answer, begun with HTTP 200, is an error or empty.
        error: The body of an error, of a short name and a message.
        event: The data of an error in a stream, of the same.
    """

    name: str
    path: str
    api: Literal["openai", "anthropic"]
    read: Callable[[Mapping[str, Any]], Steps]
    failed: Callable[[Mapping[str, Any]], bool]
    error: Callable[[str, str], Mapping[str, Any]]
    event: Callable[[str, str], Mapping[str, Any]]

    def error_event(self, kind: str, message: str) -> bytes:
        """Return an error as a whole event, with its name where clients of the protocol go by it."""
        fields = self.event(kind, message)
        name = f"event: {fields['type']}\n" if "type" in fields else ""
        return f"{name}data: {json.dumps(fields)}\n\n".encode()


class Progress:
    """Which part of a streamed answer has come.

    Args:
        protocol: Of the stream.
        choices: Answers that were asked for, as the request says it; one if it does not.

    Attributes:
        begun: True once a part of the answer has come.
        failed: True once an error has come in it.
    """

    def __init__(self, protocol: Protocol, choices: object = None) -> None:
        self.begun = self.failed = False
        self._protocol = protocol
        self._counted = Usage()
        self._written: list[str] = []
        self._estimated = 0
        self._is_done = False
        self._choices = choices if isinstance(choices, int) else 1
        self._seen: set[int] = set()
        self._closed: set[int] = set()

    @property
    def ended(self) -> bool:
        """True once the end of every choice has come: some servers send no [DONE]."""
        return self._is_done or (len(self._closed) >= max(self._choices, 1) and self._seen <= self._closed)

    @property
    def is_over(self) -> bool:
        """True once nothing more can come, a count of tokens neither."""
        return self._is_done or (self.ended and self._protocol is not CHAT)

    @property
    def is_counted(self) -> bool:
        """True once the provider has counted the tokens of the whole answer."""
        return self.ended and self._counted.tokens_out > 0

    def usage(self, prompt_tokens: int) -> Usage:
        """Return the provider's count of tokens; where it does not cover the answer, an estimate of what has come.

        Args:
            prompt_tokens: Estimated tokens of the prompt.
        """
        counted = self._counted
        if self.is_counted:
            return counted
        self._estimate()
        written = max(counted.tokens_out, self._estimated)
        return counted._replace(tokens_in=counted.tokens_in or prompt_tokens, tokens_out=written)

    def _estimate(self) -> None:
        """Estimate the tokens of the texts that have come, and forget them."""
        if self._written:
            self._estimated += estimate_tokens("".join(self._written))
            self._written.clear()

    def take(self, data: str) -> None:
        """Note an event."""
        self._is_done = self._is_done or data.strip() == "[DONE]"
        fields = _fields(data) or {}
        self._counted = self._counted.or_more(usage_of(fields))
        self._written += _written(fields)
        if len(self._written) >= PIECES:
            self._estimate()
        for step, choice in self._protocol.read(fields):
            self._seen.add(choice)
            self.begun = self.begun or step == "begun"
            self.failed = self.failed or step == "failed"
            if step == "ended":
                self._closed.add(choice)


def usage_of(fields: Mapping[str, Any]) -> Usage:
    """Return what a body or an event says of usage, under any of the names that the protocols have for it."""
    holders = [fields, fields.get("response"), fields.get("message")]
    found = [holder["usage"] for holder in holders if isinstance(holder, Mapping) and holder.get("usage")]
    total = Usage()
    for usage in (one for one in found if isinstance(one, Mapping)):
        counted = counted_tokens(usage)
        total = total.or_more(Usage(counted.prompt or 0, counted.completion or 0, counted.cached, counted.stored))
    return total


def usage_in(raw: bytes) -> Usage:
    """Return what a complete body says of usage."""
    return usage_of(_fields(raw.decode("utf-8", "replace")) or {})


class EventReader:
    """Splits a stream of server-sent events, in pieces of any size, into events.

    Attributes:
        rest: The beginning of an event that is not complete.
        unread: True if an event was too long to be read.
    """

    def __init__(self) -> None:
        self.rest = bytearray()
        self.unread = False
        self._searched = 0

    def split(self, piece: bytes) -> Iterator[tuple[bytes, str | None]]:
        """Yield every event that is complete now: its bytes, and its data if it has any."""
        self.rest += piece
        while (end := BLANK_LINE.search(self.rest, max(0, self._searched - 3))) is not None:
            event = bytes(self.rest[: end.end()])
            del self.rest[: end.end()]
            self._searched = 0
            lines = [line[5:].removeprefix(b" ") for line in event.splitlines() if line.startswith(b"data:")]
            yield event, b"\n".join(lines).decode("utf-8", "replace") if lines else None
        self._searched = len(self.rest)
        if len(self.rest) > LONGEST_EVENT:
            self.unread = True
            yield bytes(self.rest), None
            self.rest.clear()
            self._searched = 0

    def feed(self, piece: bytes) -> Iterator[str]:
        """Yield the data of every event that is complete now."""
        return (data for _, data in self.split(piece) if data is not None)


def identity_of(held: bytes) -> tuple[str | None, str | None]:
    """Return the id and the model that an answer names, complete or begun."""
    for text in (held.decode("utf-8", "replace"), *EventReader().feed(held)):
        fields = _fields(text) or {}
        for holder in (fields.get("response"), fields.get("message"), fields):
            if isinstance(holder, Mapping) and isinstance(holder.get("id"), str):
                model = holder.get("model")
                return str(holder["id"]), model if isinstance(model, str) else None
    return None, None


def _fields(data: str) -> Mapping[str, Any] | None:
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def is_error(fields: object) -> bool:
    """Return whether a body or an event says by itself that it is an error."""
    return isinstance(fields, Mapping) and (
        bool(fields.get("error")) or fields.get("type") in ("error", "response.failed", "response.cancelled")
    )


def _read_chat(fields: Mapping[str, Any]) -> Iterator[tuple[Step, int]]:
    if is_error(fields):
        yield "failed", 0
    for choice in _choices(fields):
        place = choice.get("index")
        index = place if isinstance(place, int) else 0
        if _is_failed(choice):
            yield "failed", index
        yield "begun" if _has_content(choice.get("delta")) else "nothing", index
        if choice.get("finish_reason"):
            yield "ended", index


def _chat_failed(body: Mapping[str, Any]) -> bool:
    choices = _choices(body)
    empty = (not one.get("finish_reason") and not _has_content(one.get("message")) for one in choices)
    return is_error(body) or not choices or all(map(_is_failed, choices)) or all(empty)


def _choices(fields: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    choices = fields.get("choices")
    return [choice for choice in choices if isinstance(choice, Mapping)] if isinstance(choices, list) else []


def _is_failed(choice: Mapping[str, Any]) -> bool:
    """Return whether a choice is an error, as OpenRouter tells it."""
    return choice.get("finish_reason") == "error" or bool(choice.get("error"))


def _written(fields: Mapping[str, Any]) -> Iterator[str]:
    """Yield the texts that an event of any protocol adds to an answer: words, thoughts, calls of tools."""
    deltas = [fields.get("delta"), *(choice.get("delta") for choice in _choices(fields))]
    while deltas:
        delta = deltas.pop(0)
        if isinstance(delta, str):
            yield delta
        elif isinstance(delta, Mapping):
            yield from (text for name in WRITTEN if isinstance(text := delta.get(name), str))
            calls = given if isinstance(given := delta.get("tool_calls"), list) else []
            deltas += [call.get("function") for call in calls if isinstance(call, Mapping)]


def _has_content(message: object) -> bool:
    return isinstance(message, Mapping) and any(value for name, value in message.items() if name != "role")


def _read_responses(fields: Mapping[str, Any]) -> Steps:
    kind = str(fields.get("type", ""))
    if is_error(fields):
        return [("failed", 0)]
    if kind in ("response.completed", "response.incomplete"):
        return [("ended", 0)]
    return [("begun" if kind.endswith(".delta") or kind == "response.output_item.done" else "nothing", 0)]


def _response_failed(body: Mapping[str, Any]) -> bool:
    status = body.get("status")
    given = isinstance(body.get("output"), list) or status in ("queued", "in_progress")
    return is_error(body) or status in ("failed", "cancelled") or not given


def _read_messages(fields: Mapping[str, Any]) -> Steps:
    kind = fields.get("type")
    if is_error(fields):
        return [("failed", 0)]
    if kind == "message_stop":
        return [("ended", 0)]
    block = fields.get("content_block")
    calls = isinstance(block, Mapping) and block.get("type") not in ("text", "thinking")
    return [("begun" if kind == "content_block_delta" or calls else "nothing", 0)]


def _message_failed(body: Mapping[str, Any]) -> bool:
    content = body.get("content")
    return is_error(body) or not isinstance(content, list) or not (content or body.get("stop_reason"))


def _openai_error(kind: str, message: str) -> Mapping[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": kind}}


def _responses_event(kind: str, message: str) -> Mapping[str, Any]:
    """Return the event of this protocol, with what OpenAI's client raises an error for."""
    error = _openai_error(kind, message)
    return {**error["error"], "type": "error", **error}


def _anthropic_error(kind: str, message: str) -> Mapping[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}}


CHAT = Protocol("chat", "/chat/completions", "openai", _read_chat, _chat_failed, _openai_error, _openai_error)
RESPONSES = Protocol(
    "responses", "/responses", "openai", _read_responses, _response_failed, _openai_error, _responses_event
)
MESSAGES = Protocol(
    "messages", "/messages", "anthropic", _read_messages, _message_failed, _anthropic_error, _anthropic_error
)
