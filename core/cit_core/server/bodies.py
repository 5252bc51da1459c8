"""JSON request bodies: read once, and passed on byte for byte but for the fields that say how a model is run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
        places: Start and end of each top-level value in the text, by name.
        end: End of the last one.
    """

    text: str
    fields: Mapping[str, Any]
    places: Mapping[str, Sequence[tuple[int, int]]]
    end: int

    def with_fields(self, changes: Mapping[str, Any]) -> bytes:
        """Return the bytes of the body with other values of some fields; every other byte is as it came."""
        edits = [(start, end, json.dumps(value)) for name, value in changes.items() for start, end in self._at(name)]
        added = [f", {json.dumps(name)}: {json.dumps(value)}" for name, value in changes.items() if not self._at(name)]
        parts, place = [], 0
        for start, end, value in sorted([*edits, (self.end, self.end, "".join(added))]):
            parts += [self.text[place:start], value]
            place = end
        return "".join([*parts, self.text[place:]]).encode("utf-8", "surrogatepass")

    def _at(self, name: str) -> Sequence[tuple[int, int]]:
        return self.places.get(name, ())


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
        return replace(body, fields={**body.fields, "model": model})
    if not isinstance(body.fields.get("model"), str):
        raise InvalidInput('the body needs a model: "cit" routes, an id of /v1/models asks for that one')
    return body


def _object(text: str) -> Body:
    """Read the members one by one: the standard parser does not say where a value is."""
    fields: dict[str, Any] = {}
    places: dict[str, list[tuple[int, int]]] = {}
    end = place = _skip(text, 0, "{")
    while True:
        place = _blank(text, place)
        if text[place : place + 1] == "}" and not fields:
            break
        name, place = scanstring(text, _skip(text, place, '"'))
        start = _blank(text, _skip(text, _blank(text, place), ":"))
        fields[name], place = _DECODER.raw_decode(text, start)
        places.setdefault(name, []).append((start, place))
        end, place = place, _blank(text, place)
        if text[place : place + 1] != ",":
            break
        place += 1
    if _blank(text, _skip(text, place, "}")) != len(text):
        raise json.JSONDecodeError("extra data", text, place)
    return Body(text, fields, places, end)


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
