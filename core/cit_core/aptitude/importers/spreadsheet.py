"""Untrusted Excel sheets (.xlsx) as rows, in bounded memory: a zip of XML, of which cells and their texts are read.

No formula is computed and no macro, link or image is looked at. A document type, by which XML can grow without end or
name other files, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.parsers import expat

from cit_core.aptitude.importers.archive import Archive, open_archive
from cit_core.aptitude.importers.fields import Fields
from cit_core.aptitude.importers.limits import MIB, Limits
from cit_core.errors import InvalidInput

__all__ = ["read_sheet"]

SHEET = re.compile(r"xl/worksheets/sheet(\d+)\.xml")
TEXTS = "xl/sharedStrings.xml"
MOST_TEXTS = 64 * MIB
"""Characters of the texts that cells share; they are held in memory."""
CHUNK = 2**16
PLACE = re.compile(r"([A-Z]{1,3})\d+")
ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
"""A control character as Excel writes it."""


def read_sheet(
    path: Path, limits: Limits, check: Callable[[Sequence[str]], None]
) -> Iterator[tuple[int, Fields | str]]:
    """Yield the rows of the first sheet below its names of columns, each with its number.

    Args:
        path: File.
        limits: Limits on its size.
        check: Given the names of the columns.

    Raises:
        InvalidInput: If it is no such file, or larger than the limits.
    """
    with open_archive(path, limits, "Excel sheet (.xlsx)") as archive:
        sheets = sorted((int(found[1]), name) for name in archive.names() if (found := SHEET.fullmatch(name)))
        if not sheets:
            raise InvalidInput(f"{path} holds no sheet; save it as .xlsx or .csv")
        shared = _texts(archive, path, limits) if TEXTS in archive.names() else []
        header: list[str] | None = None
        for number, row in _rows(archive, sheets[0][1], path, limits, shared):
            if header is None:
                header = ["" if cell is None else str(cell) for cell in row]
                while header and not header[-1]:
                    header.pop()
                limits.check("columns", len(header), f"{path} has {{n}} columns")
                check([name for name in header if name])
            elif any(cell is not None for cell in row):
                yield number, {name: row[at] if at < len(row) else None for at, name in enumerate(header) if name}


class _Parser:
    """Parses one member; what it finds is queued."""

    def __init__(self, path: Path) -> None:
        self._expat = expat.ParserCreate()
        self._expat.buffer_text = True
        self._expat.StartElementHandler = self._start
        self._expat.EndElementHandler = self._end
        self._expat.CharacterDataHandler = self._characters
        self._expat.StartDoctypeDeclHandler = self._doctype
        self._path, self._said, self._keep = path, list[str](), False

    def feed(self, piece: str, *, last: bool = False) -> None:
        try:
            self._expat.Parse(piece, last)
        except expat.ExpatError as error:
            raise InvalidInput(f"{self._path} is not a readable Excel sheet: {error}") from error

    def _doctype(self, *_: object) -> None:
        raise InvalidInput(f"{self._path} holds a document type, which no sheet needs; save it again as .xlsx or .csv")

    def _characters(self, text: str) -> None:
        if self._keep:
            self._said.append(text)

    def _taken(self) -> str:
        text, self._said = "".join(self._said), []
        return ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        raise NotImplementedError

    def _end(self, name: str) -> None:
        raise NotImplementedError


class _SharedTexts(_Parser):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.found: list[str] = []
        self._reading_aid = False

    def _start(self, name: str, attributes: dict[str, str]) -> None:  # noqa: ARG002
        name = _local(name)
        self._reading_aid = self._reading_aid or name == "rPh"
        self._keep = name == "t" and not self._reading_aid

    def _end(self, name: str) -> None:
        name = _local(name)
        self._keep = False
        if name == "rPh":
            self._reading_aid = False
        elif name == "si":
            self.found.append(self._taken())


class _Cells(_Parser):
    def __init__(self, path: Path, limits: Limits, shared: Sequence[str]) -> None:
        super().__init__(path)
        self._limits, self._shared = limits, shared
        self.rows: list[tuple[int, list[Any]]] = []
        self._row: list[Any] = []
        self._number = self._at = self._length = 0
        self._kind = "n"

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = _local(name)
        if name == "row":
            given = attributes.get("r", "")
            self._number = int(given) if given.isdecimal() and len(given) < 10 else self._number + 1
            self._row, self._length = [], 0
        elif name == "c":
            place = PLACE.fullmatch(attributes.get("r", ""))
            self._at = len(self._row) if place is None else _column(place[1])
            self._limits.check("columns", self._at + 1, f"{self._path} has {{n}} columns")
            self._kind, self._said = attributes.get("t", "n"), []
        self._keep = name in ("v", "t")

    def _end(self, name: str) -> None:
        name = _local(name)
        self._keep = False
        if name == "c":
            self._row += [None] * (self._at + 1 - len(self._row))
            self._row[self._at] = value = self._value(self._taken())
            self._length += len(value) if isinstance(value, str) else 8
            self._limits.check(
                "record_bytes", self._length, f"{self._path}:{self._number} is a row of {{n}} characters"
            )
        elif name == "row":
            self.rows.append((self._number, self._row))

    def _value(self, said: str) -> Any:
        if self._kind == "s":
            place = int(said) if said.isdecimal() and len(said) < 10 else -1
            if not 0 <= place < len(self._shared):
                raise InvalidInput(f"{self._path}:{self._number}: a cell has text {said[:20]!r}, which the file lacks")
            return self._shared[place]
        if self._kind == "b":
            return said.strip() == "1"
        if self._kind in ("n", "d") and said:
            try:
                number = float(said)
            except ValueError:
                return said
            return int(number) if number.is_integer() and abs(number) < 2**53 else number
        return None if self._kind == "e" or not said else said


def _texts(archive: Archive, path: Path, limits: Limits) -> list[str]:
    parser, length = _SharedTexts(path), 0
    with archive.text(TEXTS) as stream:
        while piece := stream.read(CHUNK):
            length += len(piece)
            if length > MOST_TEXTS:
                raise InvalidInput(f"{path} shares texts of more than {MOST_TEXTS:,} characters; save it as .csv")
            parser.feed(piece)
    parser.feed("", last=True)
    limits.check("rows", len(parser.found) // max(1, limits.columns), f"{path} shares the texts of {{n}} rows")
    return parser.found


def _rows(
    archive: Archive, sheet: str, path: Path, limits: Limits, shared: Sequence[str]
) -> Iterator[tuple[int, list[Any]]]:
    parser = _Cells(path, limits, shared)
    with archive.text(sheet) as stream:
        while piece := stream.read(CHUNK):
            parser.feed(piece)
            yield from parser.rows
            parser.rows = []
    parser.feed("", last=True)
    yield from parser.rows


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - 64
    return number - 1


def _local(name: str) -> str:
    return name.rpartition(":")[2]
