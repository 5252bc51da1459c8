"""Read files as rows of fields: tables and lists of records, one row at a time, in bounded memory."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

from cit_core.aptitude.importers.fields import Fields
from cit_core.aptitude.importers.json_stream import JsonStream, parse_json
from cit_core.aptitude.importers.limits import DEFAULT_LIMITS, Limits
from cit_core.aptitude.importers.parquet import pyarrow, read_parquet
from cit_core.aptitude.importers.spreadsheet import read_sheet
from cit_core.aptitude.importers.text_stream import kind_of, open_text, undecodable
from cit_core.errors import InvalidInput

__all__ = ["TABLES", "check_columns", "check_files", "elements", "json_records", "read_json", "read_rows"]

TABLES = (".csv", ".tsv", ".jsonl", ".json", ".parquet")
"""Endings of the names of tables; the text files among them may be packed, and then end in .gz as well."""
PACKED = ".gz"
PACKABLE = (".csv", ".tsv", ".jsonl", ".json")
COLUMNS_SHOWN = 20
"""Names of columns that a message lists."""
DELIMITERS = (",", ";", "\t", "|")
SEPARATOR = re.compile(r"sep=([,;|\t])\s*", re.IGNORECASE)
"""First line with which Excel tells itself how the columns are separated."""

Numbered = Iterator[tuple[int, Fields | str]]
"""(Line, its fields or why it cannot be read)."""


class _Asked(NamedTuple):
    """Columns and limits for reading a table."""

    required: Sequence[str]
    """Required columns."""
    wanted: Collection[str] | None
    """Columns to read where others cost time."""
    encoding: str | None
    limits: Limits


def check_files(paths: Sequence[Path], kinds: Collection[str]) -> None:
    """Refuse files that an importer cannot read, before anything is written.

    Args:
        paths: One or more.
        kinds: Endings of the names of the files; text files may be packed with gzip, and then end in .gz as well.

    Raises:
        InvalidInput: If there is not a file, or one that does not exist or ends in something else.
        MissingExtra: If there is a Parquet file and pyarrow is not installed.
    """
    *most, last = kinds
    spoken = f"{', '.join(most)} or {last}" if most else last
    if not paths:
        raise InvalidInput(f"no file to import; pass one or more {spoken} files")
    for path in paths:
        if not path.is_file():
            raise InvalidInput(f"no file {str(path)!r}; pass {spoken} files that exist")
        kind = kind_of(path)
        if kind not in kinds or (path.suffix.lower() == PACKED and kind not in PACKABLE):
            raise InvalidInput(f"{str(path)!r} cannot be imported by its name; it must end in {', '.join(kinds)}")
        if kind == ".parquet":
            pyarrow()


def read_rows(
    path: Path,
    *,
    required: Sequence[str] = (),
    wanted: Collection[str] | None = None,
    encoding: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[tuple[str, Fields | str]]:
    """Yield every row of a table as (file and line, its fields or why they cannot be read).

    Args:
        path: File that `check_files` has passed.
        required: Columns without which a table is none.
        wanted: Columns to read where others cost time; all if not given.
        encoding: Encoding of a text file; by default that of its first bytes, else UTF-8.
        limits: Limits on its size.

    Raises:
        InvalidInput: If the file as a whole cannot be read, lacks a column, has no rows or is larger than the limits.
    """
    number = count = 0
    asked = _Asked(required, wanted, encoding, limits)
    try:
        for number, fields in _READERS[kind_of(path)](path, asked):
            count += 1
            limits.check("rows", count, f"{path} has {{n}} rows or more")
            yield f"{path}:{number}", fields
    except UnicodeError as error:
        raise InvalidInput(f"{path} cannot be read after line {number}: {error}") from error
    if number == 0:
        needs = f"; it needs the columns {', '.join(required)} and a row for every result" if required else ""
        raise InvalidInput(f"{path} has no rows{needs}")


def json_records(path: Path, limits: Limits, *, encoding: str | None = None) -> Iterator[tuple[int, Any]]:
    """Yield every value of a JSON list in a file, with its place from 1; one at a time is in memory.

    Raises:
        InvalidInput: If the file cannot be read, holds no list, or is larger than the limits.
    """
    with open_text(path, limits, encoding) as stream:
        yield from elements(JsonStream(stream, limits), str(path))


def read_json(path: Path, limits: Limits = DEFAULT_LIMITS) -> Any:
    """Return what a JSON file holds; all of it is in memory, so that it may be as large as one record.

    Raises:
        InvalidInput: If it cannot be read, is not JSON, or is larger than the limits.
    """
    with open_text(path, limits) as stream:
        text = stream.read(limits.record_bytes + 1)
        if wrong := undecodable(text):
            raise InvalidInput(f"{path} {wrong}")
        try:
            return parse_json(text, limits)
        except InvalidInput as error:
            raise InvalidInput(f"{path} {error}") from None


def check_columns(path: Path, columns: Sequence[str], required: Sequence[str]) -> None:
    """Refuse a table that lacks a column, or has one twice.

    Raises:
        InvalidInput: Names the columns.
    """
    present = Counter(filter(None, columns))
    missing = [name for name in required if name not in present]
    if missing:
        raise InvalidInput(f"{path}:1: no column {', '.join(missing)} among {_listed(columns)}")
    repeated = sorted(name for name, times in present.items() if times > 1)
    if repeated:
        raise InvalidInput(f"{path}:1: column {_listed(repeated)} occurs twice; each may occur once")


# -- CSV and its kin --------------------------------------------------------------------------------------------------


class _Lines:
    """Lines of a text, for `csv.reader`: it counts how much has gone into the record under way."""

    def __init__(self, stream: IO[str], limits: Limits) -> None:
        self.length = 0
        self._stream = stream
        self._limits = limits
        self._first: str | None = None

    def peek(self) -> str:
        """Return the first line, which stays the next one."""
        if self._first is None:
            self._first = self._stream.readline(self._limits.record_bytes + 1)
        return self._first

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line, self._first = self._first, None
        if line is None:
            line = self._stream.readline(self._limits.record_bytes + 1)
        self.length += len(line)
        if self.length > self._limits.record_bytes:
            while line and line[-1:] not in "\r\n":  # the rest of the line belongs to the record
                line = self._stream.readline(self._limits.record_bytes)
            raise csv.Error(
                f"is a row of more than {self._limits.record_bytes:,} bytes; {self._limits.hint('record_bytes')}"
            )
        if not line:
            raise StopIteration
        return line


def _read_csv(path: Path, asked: _Asked, *, delimiter: str | None = None) -> Numbered:
    # The limit of one field is the whole process's. It is only ever raised, and ours is the one of the row.
    csv.field_size_limit(max(csv.field_size_limit(), asked.limits.record_bytes))
    with open_text(path, asked.limits, asked.encoding) as stream:
        lines = _Lines(stream, asked.limits)
        told = SEPARATOR.fullmatch(lines.peek())
        before = 0 if told is None else len([next(lines)])
        delimiter = told[1] if told else delimiter or _delimiter(lines.peek(), asked.required)
        spaced = 0 < lines.peek().count(delimiter) == lines.peek().count(f"{delimiter} ")
        reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=spaced)
        header = _header(path, reader, lines, delimiter, asked)
        places = [place for place, name in enumerate(header) if name and (asked.wanted is None or name in asked.wanted)]
        names = [header[place] for place in places]
        while True:
            begins = before + reader.line_num + 1
            row = _next_row(reader, lines)
            if row is None:
                return
            if isinstance(row, str):
                yield begins, row
            elif not any(cell.strip() for cell in row):
                continue  # a spreadsheet's empty row
            elif len(row) == len(header):
                fields = {name: row[place] for name, place in zip(names, places, strict=True)}
                yield before + reader.line_num, _undecodable_field(fields) or fields
            else:
                yield before + reader.line_num, f"has {len(row)} fields and the header {len(header)}"


def _header(path: Path, reader: Any, lines: _Lines, delimiter: str, asked: _Asked) -> list[str]:
    first = lines.peek()
    asked.limits.check("columns", first.count(delimiter) + 1, f"{path} has about {{n}} columns")
    header = _next_row(reader, lines)
    if isinstance(header, str):
        raise InvalidInput(f"{path}:1: the names of the columns cannot be read: {header}")
    if header:
        check_columns(path, header, asked.required)
    return header or []


def _next_row(reader: Any, lines: _Lines) -> list[str] | str | None:
    """Return the next row, or why it cannot be read; None at the end."""
    lines.length = 0
    try:
        row: list[str] | None = next(reader, None)
    except csv.Error as error:
        unclosed = "; a quotation mark that opens here is not closed" if "unexpected end" in str(error) else ""
        return f"{error}{unclosed}"
    return row


def _delimiter(first: str, required: Sequence[str]) -> str:
    """Return the sign that separates most of the columns that are needed; a comma if it makes no difference."""

    def named(sign: str) -> int:
        names = {part.strip().strip('"') for part in first.strip("\r\n").split(sign)}
        return sum(name in names for name in required)

    counts = {sign: named(sign) if required else first.count(sign) for sign in DELIMITERS}
    return max(DELIMITERS, key=lambda sign: counts[sign])


def _undecodable_field(fields: Fields) -> str:
    for name, value in fields.items():
        if wrong := undecodable(value):
            return f"{name} {wrong}"
    return ""


# -- JSON -------------------------------------------------------------------------------------------------------------


def _read_json_rows(path: Path, asked: _Asked) -> Numbered:
    """Yield the objects of JSON lines, or of a list: tools write either under either name."""
    limits = asked.limits
    with open_text(path, limits, asked.encoding) as stream:
        first = _Start(stream)
        if first.begins_list() or (kind_of(path) == ".json" and not first.begins_lines(limits)):
            yield from ((number, _object(value)) for number, value in elements(JsonStream(first, limits), str(path)))
            return
        number = 0
        while line := first.readline(limits.record_bytes + 1):
            number += 1
            if len(line) > limits.record_bytes:
                while line and line[-1:] not in "\r\n":
                    line = first.readline(limits.record_bytes)
                yield number, f"is a line of more than {limits.record_bytes:,} bytes; {limits.hint('record_bytes')}"
            elif line.strip():
                yield number, _json_object(line, limits)


class _Start:
    """Text stream that lets its beginning be read ahead."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._start = stream.read(2**12)

    def begins_list(self) -> bool:
        """Return whether the text is a JSON list of objects, not lines of JSON."""
        start = self._start.lstrip("\ufeff \t\r\n")
        return start.startswith("[") and start[1:].lstrip(" \t\r\n")[:1] in ("{", "]", "")

    def begins_lines(self, limits: Limits) -> bool:
        """Return whether the text is lines, the first that is not empty a JSON object of its own."""
        line, blank = self.readline(limits.record_bytes), ""
        while line and not line.strip() and len(blank) < 2**12:
            line, blank = self.readline(limits.record_bytes), blank + line
        self._start = blank + line + self._start
        return line.endswith("\n") and isinstance(_json_object(line, limits), dict)

    def readline(self, most: int) -> str:
        """Read up to the end of the line."""
        if not self._start:
            return self._stream.readline(most)
        found = self._start.find("\n") + 1
        line = self._start[: found or len(self._start)]
        self._start = self._start[len(line) :]
        return line if found else line + self._stream.readline(max(1, most - len(line)))

    def read(self, size: int) -> str:
        """Read some text."""
        piece, self._start = self._start, ""
        return piece or self._stream.read(size)


def elements(stream: JsonStream, name: str) -> Iterator[tuple[int, Any]]:
    """Yield every value of a JSON list, with its place from 1.

    Args:
        stream: At the beginning of the list.
        name: Name of the file, for messages.

    Raises:
        InvalidInput: If it is not a list, or larger than the limits.
    """
    number = 0
    try:
        if stream.peek() not in ("[", ""):
            kind = {"{": "an object", '"': "a text"}.get(stream.peek(), "something else")
            raise InvalidInput(f"holds {kind} in JSON; it must be a list")
        for number, _ in enumerate(stream.elements(), start=1):  # it tells where an error is
            yield number, stream.value()
        stream.end()
    except InvalidInput as error:
        where = f" after record {number - 1}" if number > 1 else ""
        raise InvalidInput(f"{name} {error}{where}") from None


def _json_object(line: str, limits: Limits) -> Fields | str:
    if wrong := undecodable(line):
        return wrong
    try:
        return _object(parse_json(line, limits))
    except InvalidInput as error:
        return str(error)


def _object(value: Any) -> Fields | str:
    return value if isinstance(value, dict) else f"is {type(value).__name__} in JSON; it must be an object"


def _read_parquet(path: Path, asked: _Asked) -> Numbered:
    return read_parquet(path, asked.wanted, asked.limits, lambda columns: check_columns(path, columns, asked.required))


def _read_xlsx(path: Path, asked: _Asked) -> Numbered:
    return read_sheet(path, asked.limits, lambda columns: check_columns(path, columns, asked.required))


def _listed(names: Sequence[str]) -> str:
    spelt = [name[: COLUMNS_SHOWN * 3].encode("utf-8", "backslashreplace").decode() for name in names[:COLUMNS_SHOWN]]
    return ", ".join(spelt) + (f" and {len(names) - COLUMNS_SHOWN:,} more" if len(names) > COLUMNS_SHOWN else "")


_READERS: dict[str, Callable[[Path, _Asked], Numbered]] = {
    ".csv": _read_csv,
    ".tsv": partial(_read_csv, delimiter="\t"),
    ".jsonl": _read_json_rows,
    ".json": _read_json_rows,
    ".parquet": _read_parquet,
    ".xlsx": _read_xlsx,
}
