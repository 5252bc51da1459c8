"""JSON request bodies: read once, and passed on byte for byte with another model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

from cit_core.errors import InvalidInput
from cit_core.messages import shown

__all__ = ["Body", "read_body"]

BLANK = " \t\r\n"
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class Body:
    """A JSON object as it came.

    Attributes:
        text: All of it.
        fields: Its content.
        models: Start and end of the value of each top-level `model` in the text.
    """

    text: str
    fields: Mapping[str, Any]
    models: tuple[tuple[int, int], ...]

    def with_model(self, model: str) -> bytes:
        """Return the bytes of the body with another model; every other byte is as it came."""
        parts, place = [], 0
        for start, end in self.models:
            parts += [self.text[place:start], json.dumps(model)]
            place = end
        return "".join([*parts, self.text[place:]]).encode("utf-8", "surrogatepass")


def read_body(raw: bytes, *, model: str | None = None) -> Body:
    """Read a JSON object.

    Args:
        raw: The bytes of the body.
        model: The `model` of a body that names none; such a body is refused if not given.

    Raises:
        InvalidInput: If it is not one, is nested too deeply, has no `model`, or a `stream` that is neither true nor
            false: servers do not agree on its meaning.
    """
    try:
        text = raw.decode("utf-8")
        body = _object(text)
    except RecursionError:
        raise InvalidInput("the body is nested too deeply") from None
    except ValueError as error:  # no UTF-8, no JSON, a number of thousands of digits
        raise InvalidInput(f"the body is no JSON object: {_place(error)}") from None
    if (stream := body.fields.get("stream")) is not None and not isinstance(stream, bool):
        raise InvalidInput(f'stream is {shown(stream)}; it must be true or false: {{"stream": true}}')
    if model is not None and "model" not in body.fields:
        return Body(text, {**body.fields, "model": model}, ())
    if not isinstance(body.fields.get("model"), str):
        raise InvalidInput('the body needs a model: "cit" routes, an id of /v1/models asks for that one')
    return body


def _object(text: str) -> Body:
    """Read the members one by one: the standard parser does not say where a value is."""
    fields: dict[str, Any] = {}
    models: list[tuple[int, int]] = []
    place = _skip(text, 0, "{")
    while True:
        place = _blank(text, place)
        if text[place : place + 1] == "}" and not fields:
            break
        name, place = scanstring(text, _skip(text, place, '"'))
        start = _blank(text, _skip(text, _blank(text, place), ":"))
        fields[name], place = _DECODER.raw_decode(text, start)
        if name == "model":
            models.append((start, place))
        place = _blank(text, place)
        if text[place : place + 1] != ",":
            break
        place += 1
    if _blank(text, _skip(text, place, "}")) != len(text):
        raise json.JSONDecodeError("extra data", text, place)
    return Body(text, fields, tuple(models))


def _blank(text: str, place: int) -> int:
    while place < len(text) and text[place] in BLANK:
        place += 1
    return place


def _skip(text: str, place: int, expected: str) -> int:
    place = _blank(text, place)
    if text[place : place + 1] != expected:
        raise json.JSONDecodeError(f"expected {expected}", text, place)
    return place + 1


def _place(error: ValueError) -> str:
    """Say what is wrong without the text around it."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg.lower()} at character {error.pos}"
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else "a number is too long"
