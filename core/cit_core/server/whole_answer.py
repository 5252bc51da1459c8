"""Read a complete answer of any protocol, streamed or not, as verifiers see it: its text, the calls of tools in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from cit_core.router.verifiers import Answer
from cit_core.server.protocols import EventReader

__all__ = ["read_answer"]

Fields = Mapping[str, Any]


def read_answer(raw: bytes, model: str, **more: Any) -> Answer:
    """Return an answer as verifiers see it; of several choices the first.

    Args:
        raw: The body of the response, or all events of a stream.
        model: The candidate's id.
        more: Further fields of the `Answer`.
    """
    texts: list[str] = []
    tools: list[str] = []
    logprobs: list[float] = []
    for part in _parts(raw):
        texts += _texts(part)
        tools += [name for name in _names(part) if isinstance(name, str)]
        tokens = _mapping(part.get("logprobs")).get("content") or part.get("logprobs")
        found = [_mapping(token).get("logprob") for token in _list(tokens)]
        logprobs += [float(one) for one in found if isinstance(one, int | float)]
    mean = sum(logprobs) / len(logprobs) if logprobs else None
    return Answer("".join(texts), model, mean_logprob=mean, tool_calls=tuple(tools), **more)


def _parts(raw: bytes) -> Iterator[Fields]:
    """Yield what holds texts and calls: choices, output items and their contents, blocks and their deltas."""
    for fields in _events(raw):
        for choice in _list(fields.get("choices")):
            if _mapping(choice).get("index", 0) == 0:
                yield {**_mapping(choice), **_mapping(choice.get("message") or choice.get("delta"))}
        if fields.get("type") in ("response.completed", "response.incomplete"):
            fields = _mapping(fields.get("response"))
        for item in _list(fields.get("output")):
            yield from ({**_mapping(item), "content": None}, *map(_mapping, _list(_mapping(item).get("content"))))
        yield from map(_mapping, _list(fields.get("content")))
        yield from (_mapping(fields.get(name)) for name in ("content_block", "delta"))


def _events(raw: bytes) -> Iterator[Fields]:
    for text in (raw.decode("utf-8", "replace"), *EventReader().feed(raw)):
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(fields, Mapping):
            yield fields


def _texts(part: Fields) -> Iterator[str]:
    """Yield the texts of a part; reasoning is none."""
    if part.get("type") in (None, "text", "output_text", "text_delta") and isinstance(part.get("text"), str):
        yield part["text"]
    content = part.get("content")
    if isinstance(content, str):
        yield content
    yield from (text for one in _list(content) if isinstance(text := _mapping(one).get("text"), str))


def _names(part: Fields) -> Iterator[Any]:
    if part.get("type") in ("tool_use", "function_call", "custom_tool_call"):
        yield part.get("name")
    for call in map(_mapping, _list(part.get("tool_calls"))):
        yield _mapping(call.get("function") or call.get("custom")).get("name")


def _mapping(value: object) -> Fields:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
