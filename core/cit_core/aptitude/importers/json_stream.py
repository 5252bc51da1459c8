"""Read JSON from files of any size: one record at a time, and only the requested parts of a large object."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Protocol

from cit_core.aptitude.importers.limits import Limits
from cit_core.errors import InvalidInput

__all__ = ["JsonStream", "parse_json"]

CHUNK = 2**16
DIGITS = 300
"""Longest whole number; Python's own limit is larger than what a float can hold, and older releases have none."""
STRUCTURE = re.compile(r'["\[\]{}]')
VALUES = re.compile(r'[",\[\]{}]')
IN_STRING = re.compile(r'["\\]')
NUMBER_TAIL = re.compile(r"[-+.eE0-9]*")
SPACE = re.compile(r"[ \t\n\r\ufeff]*")


def parse_json(text: str, limits: Limits) -> Any:
    """Return the value of a JSON text.

    Raises:
        InvalidInput: If it is not JSON, or larger than the limits allow.
    """
    _check_size(text, limits)
    try:
        value = _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"is not JSON: {_short(error)}") from None
    _check_depth(text, value, limits)
    return value


class Readable(Protocol):
    """Source of text."""

    def read(self, size: int, /) -> str:
        """Return at most this number of characters; none at the end."""


class JsonStream:
    """Reader of one JSON text from a stream, from front to back.

    Args:
        stream: Source of the text.
        limits: Limits on the size of a record.
    """

    def __init__(self, stream: Readable, limits: Limits) -> None:
        self._stream = stream
        self._limits = limits
        self._text = ""
        self._at = 0

    def peek(self) -> str:
        """Return the next character that is not a space; the empty text at the end."""
        while True:
            self._at = SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def value(self) -> Any:
        """Read the next value as a whole.

        Raises:
            InvalidInput: If it is not JSON, or larger than the limits allow.
        """
        self.peek()
        while True:
            self._check_values()
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except RecursionError as error:
                raise InvalidInput(f"is not JSON: {_short(error)}") from None
            except ValueError as error:
                # A value that was cut looks like one that is wrong: with more text it may be neither.
                if self._length() <= self._limits.record_bytes and self._more(double=True):
                    continue
                _check_size(self._text[self._at :], self._limits)
                raise InvalidInput(f"is not JSON: {_short(error)}") from None
            if NUMBER_TAIL.fullmatch(self._text, end) and self._goes_on(value):
                continue
            text = self._text[self._at : end]
            _check_size(text, self._limits)
            _check_depth(text, value, self._limits)
            self._at = end
            return value

    def elements(self) -> Iterator[None]:
        """Go through a list: each time, one element is next and must be read or skipped.

        Raises:
            InvalidInput: If the next value is not a list, or is not ended as one.
        """
        self._take("[")
        if self.peek() != "]":
            yield
            while self.peek() == ",":
                self._at += 1
                yield
        self._take("]")

    def members(self) -> Iterator[str]:
        """Go through an object: each time, the value of the name that is yielded must be read or skipped.

        Raises:
            InvalidInput: If the next value is not an object, or is not ended as one.
        """
        self._take("{")
        if self.peek() != "}":
            yield self._name()
            while self.peek() == ",":
                self._at += 1
                yield self._name()
        self._take("}")

    def skip(self) -> None:
        """Pass over the next value, whatever its length, without holding it.

        Raises:
            InvalidInput: If the text ends within it.
        """
        if self.peek() not in ("[", "{", '"'):
            self.value()
            return
        depth = 0
        while True:
            found = STRUCTURE.search(self._text, self._at)
            if found is None:
                self._at = len(self._text)
                self._need()
                continue
            self._at = found.end()
            mark = found[0]
            if mark == '"':
                self._skip_string()
            else:
                depth += 1 if mark in "[{" else -1
            if depth <= 0:
                return

    def end(self) -> None:
        """Make sure that nothing follows.

        Raises:
            InvalidInput: If something does.
        """
        if self.peek():
            raise InvalidInput(f"is not JSON: {self._text[self._at]!r} follows after its end")

    def _goes_on(self, value: Any) -> bool:
        """Return whether a number at the end of what was read may be the beginning of a longer one."""
        return isinstance(value, (int, float)) and not isinstance(value, bool) and self._more()

    def _check_values(self) -> None:
        """Refuse a value with too many parts before it is built."""
        if _marks(self._text) > self._limits.record_values:
            _check_values(self._text[self._at :], self._limits)

    def _skip_string(self) -> None:
        while True:
            found = IN_STRING.search(self._text, self._at)
            if found is None:
                self._at = len(self._text)
                self._need()
                continue
            self._at = found.end()
            if found[0] == '"':
                return
            if self._at == len(self._text):
                self._need()
            self._at += 1

    def _name(self) -> str:
        if self.peek() != '"':
            raise InvalidInput(f"is not JSON: {self.peek()!r} where the name of a member is needed")
        name = self.value()
        self._take(":")
        return str(name)

    def _take(self, mark: str) -> None:
        if self.peek() != mark:
            came = repr(self.peek()) if self.peek() else "the end of the text"
            raise InvalidInput(f"is not JSON: {came} where {mark!r} is needed")
        self._at += 1

    def _need(self) -> None:
        if not self._more():
            raise InvalidInput("is not JSON: the text ends within a value")

    def _more(self, *, double: bool = False) -> bool:
        """Read on, dropping what has been read; with `double`, as much again, so that trying again stays cheap."""
        size = max(CHUNK, self._length()) if double else CHUNK
        piece = self._stream.read(size)
        self._text = self._text[self._at :] + piece
        self._at = 0
        return bool(piece)

    def _length(self) -> int:
        return len(self._text) - self._at


def _check_size(text: str, limits: Limits) -> None:
    length = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    limits.check("record_bytes", length, "is a JSON record of {n} bytes or more")
    if _marks(text) > limits.record_values:
        _check_values(text, limits)


def _marks(text: str) -> int:
    """Return an upper limit of the number of values in a text: a value ends with a comma or begins with a bracket."""
    return sum(map(text.count, ",[{"))


def _check_values(text: str, limits: Limits) -> None:
    """Count the values of the first record in a text, not what looks like some in its texts."""
    count = depth = at = 0
    while (found := VALUES.search(text, at)) is not None:
        at, mark = found.end(), found[0]
        if mark == '"':
            while (quote := IN_STRING.search(text, at)) is not None:
                at = quote.end() + (quote[0] != '"')
                if quote[0] == '"':
                    break
            continue
        count += mark not in "]}"
        depth += (mark in "[{") - (mark in "]}")
        if depth < 0 or (depth == 0 and mark != ","):
            return
        if count > limits.record_values:
            limits.check("record_values", count, "is a JSON record of {n} values or more")


def _check_depth(text: str, value: Any, limits: Limits) -> None:
    if text.count("[") + text.count("{") <= limits.depth:
        return
    level = [value]
    for _ in range(limits.depth + 1):
        level = [inner for outer in level for inner in _inner(outer) if isinstance(inner, (dict, list))]
        if not level:
            return
    raise InvalidInput(f"is a JSON record of more than {limits.depth} levels; {limits.hint('depth')}")


def _inner(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value


def _whole_number(digits: str) -> int:
    if len(digits) > DIGITS:
        raise ValueError(f"a number of {len(digits):,} digits; it may have {DIGITS}")
    return int(digits)


def _short(error: Exception) -> str:
    return f"{error!s:.200}"


_DECODER = json.JSONDecoder(parse_int=_whole_number)
