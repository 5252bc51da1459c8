"""The protocols that the gateway speaks: where an answer begins, ends, fails, and what it used.

Answers are passed on byte for byte; what is read here only decides whether another candidate is asked, and is counted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from cit_core.tokens import counted_tokens

__all__ = ["CHAT", "MESSAGES", "RESPONSES", "EventReader", "Protocol", "Usage", "identity_of", "usage_in", "usage_of"]

Step = Literal["nothing", "begun", "ended", "failed"]
"""Meaning of an event in a stream: nothing yet, a part of the answer, its end, an error."""
LONGEST_EVENT = 4_000_000
"""Bytes of one event that are kept until it is complete; a longer one is passed on unread."""


class Usage(NamedTuple):
    """Tokens of an answer, as the provider counted them."""

    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    """Of those that were read, the ones that came from a cache."""

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
    """

    name: str
    path: str
    api: Literal["openai", "anthropic"]
    read: Callable[[Mapping[str, Any]], Step]
    failed: Callable[[Mapping[str, Any]], bool]
    error: Callable[[str, str], Mapping[str, Any]]

    def step(self, data: str) -> tuple[Step, Usage]:
        """Return what an event of a stream means, and what it says of usage."""
        if data.strip() == "[DONE]":
            return "ended", Usage()
        fields = _fields(data)
        return ("nothing", Usage()) if fields is None else (self.read(fields), usage_of(fields))


def usage_of(fields: Mapping[str, Any]) -> Usage:
    """Return what a body or an event says of usage, under any of the names that the protocols have for it."""
    holders = [fields, fields.get("response"), fields.get("message")]
    found = [holder["usage"] for holder in holders if isinstance(holder, Mapping) and holder.get("usage")]
    total = Usage()
    for usage in (one for one in found if isinstance(one, Mapping)):
        counted = counted_tokens(usage)
        total = total.or_more(Usage(counted.prompt or 0, counted.completion or 0, counted.cached))
    return total


def usage_in(raw: bytes) -> Usage:
    """Return what a complete body says of usage."""
    return usage_of(_fields(raw.decode("utf-8", "replace")) or {})


class EventReader:
    """Splits a stream of server-sent events, in pieces of any size, into the data of each event."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> Iterator[str]:
        """Yield the data of every event that is complete now."""
        self._rest = (self._rest + piece).replace(b"\r\n", b"\n")
        while (end := self._rest.find(b"\n\n")) >= 0:
            event, self._rest = self._rest[:end], self._rest[end + 2 :]
            lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
            if lines:
                yield b"\n".join(lines).decode("utf-8", "replace")
        if len(self._rest) > LONGEST_EVENT:
            self._rest = b""


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


def _is_error(fields: Mapping[str, Any]) -> bool:
    return bool(fields.get("error")) or fields.get("type") == "error"


def _read_chat(fields: Mapping[str, Any]) -> Step:
    if _is_error(fields):
        return "failed"
    choices = fields.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        delta = choice.get("delta") if isinstance(choice, Mapping) else None
        if isinstance(delta, Mapping) and any(value for name, value in delta.items() if name != "role"):
            return "begun"
        if isinstance(choice, Mapping) and choice.get("finish_reason"):
            return "ended"  # some servers send no [DONE]
    return "nothing"


def _read_responses(fields: Mapping[str, Any]) -> Step:
    kind = str(fields.get("type", ""))
    if _is_error(fields) or kind == "response.failed":
        return "failed"
    if kind in ("response.completed", "response.incomplete"):
        return "ended"
    return "begun" if kind.endswith(".delta") or kind == "response.output_item.done" else "nothing"


def _read_messages(fields: Mapping[str, Any]) -> Step:
    kind = fields.get("type")
    if _is_error(fields):
        return "failed"
    if kind == "message_stop":
        return "ended"
    block = fields.get("content_block")
    calls = isinstance(block, Mapping) and block.get("type") not in ("text", "thinking")
    return "begun" if kind == "content_block_delta" or calls else "nothing"


def _openai_error(kind: str, message: str) -> Mapping[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": kind}}


def _anthropic_error(kind: str, message: str) -> Mapping[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}}


CHAT = Protocol(
    "chat",
    "/chat/completions",
    "openai",
    _read_chat,
    lambda body: _is_error(body) or not body.get("choices"),
    _openai_error,
)
RESPONSES = Protocol(
    "responses",
    "/responses",
    "openai",
    _read_responses,
    lambda body: _is_error(body) or body.get("status") == "failed",
    _openai_error,
)
MESSAGES = Protocol("messages", "/messages", "anthropic", _read_messages, _is_error, _anthropic_error)
