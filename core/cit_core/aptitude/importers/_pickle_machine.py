"""Read a pickle as a description of the object that it would build: nothing is imported, called or hashed.

Long texts and bytes are not read but noted as places in the file, so a description takes about a hundred bytes for each
value. Protocols 0 to 5 are understood as far as a DataFrame of texts and numbers needs them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Mapping
from typing import IO, Any, NamedTuple

from cit_core.errors import InvalidInput

__all__ = ["Call", "Name", "Span", "describe"]

SHORT = 64
"""Bytes of a text that is read at once."""
LONGEST_NUMBER = 64
"""Bytes of a whole number."""
LONGEST_LINE = 1_000
"""Bytes of an argument that ends with its line, in the old protocols."""


class Span(NamedTuple):
    """Text or bytes, as a place in the file."""

    start: int
    length: int
    is_text: bool


class Name(NamedTuple):
    """Class or function that a pickle names."""

    name: str


class Call:
    """Call that a pickle describes, and the state that it would set on the result."""

    __slots__ = ("arguments", "name", "state")

    def __init__(self, name: str, arguments: Any) -> None:
        self.name = name
        self.arguments = arguments
        self.state: Any = None


def describe(file: IO[bytes], needed: Mapping[str, Collection[str]], most: int, over: str) -> Any:
    """Return the description of what a pickle would build.

    Args:
        file: Open at its beginning; it can seek.
        needed: Module to the names in it that may be named.
        most: Values that the description may have.
        over: Message if there are more.

    Raises:
        InvalidInput: If it names something else, or has more values.
        ValueError: If it is damaged. (So are LookupError, TypeError, struct.error and UnicodeError.)
    """
    machine = _Machine(file, needed)
    count = 0
    while True:
        code = file.read(1)
        if code == b".":
            return machine.stack.pop()
        count += 1
        if count > 4 * most or len(machine.stack) > most or len(machine.memo) > most:
            raise InvalidInput(over)
        operation = _OPERATIONS.get(code)
        if operation is None:
            raise ValueError(f"no operation {code!r}" if code else "it ends too early")
        operation(machine)


class _Machine:
    """Stack and memo of a pickle that is described."""

    def __init__(self, file: IO[bytes], needed: Mapping[str, Collection[str]]) -> None:
        self.file = file
        self.needed = needed
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: list[Any] = []

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def read(self, size: int) -> bytes:
        piece = self.file.read(size)
        if len(piece) < size:
            raise ValueError("it ends too early")
        return piece

    def number(self, form: str) -> int:
        return int(struct.unpack(form, self.read(struct.calcsize(form)))[0])

    def line(self) -> bytes:
        line = self.file.readline(LONGEST_LINE)
        if not line.endswith(b"\n"):
            raise ValueError("a line does not end")
        return line[:-1]

    def span(self, length: int, is_text: bool) -> None:
        """Push a text or bytes of this length; what is long stays in the file."""
        if is_text and length <= SHORT:
            self.push(self.read(length).decode("utf-8", "surrogatepass"))
            return
        if not is_text and length <= SHORT:
            self.push(self.read(length))
            return
        start = self.file.tell()
        if self.file.seek(0, 1) + length > self._size():
            raise ValueError("it ends too early")
        self.file.seek(start + length)
        self.push(Span(start, length, is_text))

    def _size(self) -> int:
        if not hasattr(self, "_whole"):
            here = self.file.tell()
            self._whole = self.file.seek(0, 2)
            self.file.seek(here)
        return self._whole

    def since_mark(self) -> list[Any]:
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def tuple_of(self, count: int) -> None:
        values = tuple(self.stack[len(self.stack) - count :])
        if len(values) < count:
            raise ValueError("the stack is too short")
        del self.stack[len(self.stack) - count :]
        self.push(values)

    def name(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str) or name not in self.needed.get(module, ()):
            spelt = f"{module}.{name}" if isinstance(module, str) and isinstance(name, str) else "something"
            raise InvalidInput(
                f"the pickle names {spelt[:200]}, which a DataFrame of texts and numbers does not need; "
                "nothing in it was run. Save the frame as CSV instead, if you trust where it comes from"
            )
        self.push(Name(name))

    def call(self, function: Any, arguments: Any) -> None:
        if not isinstance(function, Name) or not isinstance(arguments, tuple):
            raise ValueError("it calls something that is not a class")
        self.push(Call(function.name, arguments))

    def build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if not isinstance(target, Call):
            raise ValueError("it changes what it has not made")
        target.state = state

    def set_items(self, pairs: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict) or len(pairs) % 2:
            raise ValueError("it puts items into something that is not a dict")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if type(key) not in (str, int):  # their hash takes no longer than they are
                raise ValueError("a key is neither a text nor a whole number")
            target[key] = value

    def extend(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise ValueError("it appends to something that is not a list")
        target.extend(values)

    def put(self, place: int) -> None:
        if place == len(self.memo):
            self.memo.append(self.stack[-1])
        elif 0 <= place < len(self.memo):
            self.memo[place] = self.stack[-1]
        else:  # every pickler counts up
            raise ValueError(f"it keeps a value in place {place:,} of {len(self.memo):,}")

    def get(self, place: int) -> None:
        if place < 0:
            raise ValueError("it takes a value from a place below 0")
        self.push(self.memo[place])

    def whole_number(self, length: int) -> None:
        if not 0 <= length <= LONGEST_NUMBER:
            raise ValueError("a whole number is too long")
        self.push(int.from_bytes(self.read(length), "little", signed=True))

    def plain_number(self) -> None:
        spelt = self.line()
        if len(spelt) > LONGEST_NUMBER:
            raise ValueError("a number is too long")
        self.push(True if spelt == b"01" else False if spelt == b"00" else int(spelt.rstrip(b"L")))


def _object(machine: _Machine) -> None:
    arguments = machine.stack.pop()
    machine.call(machine.stack.pop(), arguments)


def _object_with_keywords(machine: _Machine) -> None:
    machine.stack.pop()
    _object(machine)


def _stack_global(machine: _Machine) -> None:
    name = machine.stack.pop()
    machine.name(machine.stack.pop(), name)


def _global(machine: _Machine) -> None:
    module = machine.line().decode()
    machine.name(module, machine.line().decode())


def _instance(machine: _Machine) -> None:
    arguments = machine.since_mark()
    _global(machine)
    machine.call(machine.stack.pop(), tuple(arguments))


def _set_item(machine: _Machine) -> None:
    value = machine.stack.pop()
    key = machine.stack.pop()
    machine.set_items([key, value])


def _dict(machine: _Machine) -> None:
    pairs = machine.since_mark()
    machine.push({})
    machine.set_items(pairs)


def _quoted(machine: _Machine) -> None:
    machine.push(machine.line().strip(b"'\"").decode("latin-1"))


_OPERATIONS: dict[bytes, Callable[[_Machine], object]] = {
    b"\x80": lambda m: m.read(1),  # protocol
    b"\x95": lambda m: m.read(8),  # frame
    b"(": lambda m: m.marks.append(len(m.stack)),
    b"0": lambda m: m.stack.pop(),
    b"1": lambda m: m.since_mark(),
    b"2": lambda m: m.push(m.stack[-1]),
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"I": lambda m: m.plain_number(),
    b"L": lambda m: m.plain_number(),
    b"J": lambda m: m.push(m.number("<i")),
    b"K": lambda m: m.push(m.number("<B")),
    b"M": lambda m: m.push(m.number("<H")),
    b"\x8a": lambda m: m.whole_number(m.number("<B")),
    b"\x8b": lambda m: m.whole_number(m.number("<i")),
    b"F": lambda m: m.push(float(m.line())),
    b"G": lambda m: m.push(struct.unpack(">d", m.read(8))[0]),
    b"S": _quoted,
    b"V": lambda m: m.push(m.line().decode("raw-unicode-escape")),
    b"U": lambda m: m.span(m.number("<B"), True),
    b"T": lambda m: m.span(m.number("<I"), True),
    b"\x8c": lambda m: m.span(m.number("<B"), True),
    b"X": lambda m: m.span(m.number("<I"), True),
    b"\x8d": lambda m: m.span(m.number("<Q"), True),
    b"C": lambda m: m.span(m.number("<B"), False),
    b"B": lambda m: m.span(m.number("<I"), False),
    b"\x8e": lambda m: m.span(m.number("<Q"), False),
    b"\x96": lambda m: m.span(m.number("<Q"), False),  # bytearray
    b")": lambda m: m.push(()),
    b"t": lambda m: m.push(tuple(m.since_mark())),
    b"\x85": lambda m: m.tuple_of(1),
    b"\x86": lambda m: m.tuple_of(2),
    b"\x87": lambda m: m.tuple_of(3),
    b"]": lambda m: m.push([]),
    b"l": lambda m: m.push(m.since_mark()),
    b"a": lambda m: m.extend([m.stack.pop()]),
    b"e": lambda m: m.extend(m.since_mark()),
    b"}": lambda m: m.push({}),
    b"d": _dict,
    b"s": _set_item,
    b"u": lambda m: m.set_items(m.since_mark()),
    b"p": lambda m: m.put(int(m.line())),
    b"q": lambda m: m.put(m.number("<B")),
    b"r": lambda m: m.put(m.number("<I")),
    b"\x94": lambda m: m.put(len(m.memo)),
    b"g": lambda m: m.get(int(m.line())),
    b"h": lambda m: m.get(m.number("<B")),
    b"j": lambda m: m.get(m.number("<I")),
    b"c": _global,
    b"\x93": _stack_global,
    b"i": _instance,
    b"R": _object,
    b"\x81": _object,
    b"\x92": _object_with_keywords,
    b"b": lambda m: m.build(),
}
"""Operations of pickles; those that are missing make what no DataFrame needs."""
