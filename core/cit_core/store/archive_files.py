"""Files of an archive: rows of the tables as JSON lines, and the manifest with their hashes."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Select, Table, select

from cit_core.errors import CITError, InvalidInput
from cit_core.policy import Spend
from cit_core.records import Candidate, Item, Outcome, Task
from cit_core.store.queries import is_shown, not_staged
from cit_core.store.schema import EPOCH, candidates, items, outcomes, settings, sources, spend, tasks, versions

__all__ = [
    "MANIFEST",
    "TABLES",
    "ArchiveReader",
    "Row",
    "candidate_of",
    "item_of",
    "outcome_of",
    "spend_of",
    "task_of",
    "vector_of",
    "version_of",
    "write_archive",
]

FORMAT: Final = "cit-router store 1"
MANIFEST: Final = "manifest.json"
TABLES: Final = ("candidates", "tasks", "items", "sources", "outcomes", "versions", "settings", "spend")
LATER: Final = frozenset({"spend"})
"""Tables that archives of earlier releases lack."""
FETCHED: Final = 10_000
LONGEST_LINE: Final = 64 * 2**20
"""Bytes; the longest text of a question is far below."""

Row = dict[str, Any]
R = TypeVar("R")


def write_archive(connection: Connection, folder: Path) -> dict[str, int]:
    """Write every table of a database into a folder; return their numbers of rows."""
    about = {name: _write_table(folder / f"{name}.jsonl", _rows(connection, name)) for name in TABLES}
    manifest = json.dumps({"format": FORMAT, "tables": about}, indent=1)
    (folder / MANIFEST).write_text(manifest + "\n", encoding="utf-8")
    return {name: table["rows"] for name, table in about.items()}


def _write_table(path: Path, rows: Iterator[Row]) -> Row:
    digest = _Digest()
    with path.open("wb") as file:
        for row in rows:
            line = json.dumps(row, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"
            digest.add(line)
            file.write(line)
    return digest.summary()


def _rows(connection: Connection, name: str) -> Iterator[Row]:
    """Yield the rows of a table, with ids in place of keys, in the order in which they were added."""
    query = _QUERIES[name]()
    for row in connection.execution_options(yield_per=FETCHED).execute(query).mappings():
        yield {column: _to_json(value) for column, value in row.items() if value is not None}


def _to_json(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        return (value - EPOCH) // timedelta(microseconds=1)
    return value.isoformat() if isinstance(value, date) else value


def _outcomes() -> Select[Any]:
    facts = [column for column in outcomes.c if not column.name.endswith("_key")]
    names = [candidates.c.id.label("candidate"), items.c.id.label("item"), sources.c.id.label("source")]
    joined = outcomes.join(candidates).join(items).join(sources)
    query = select(*names, *facts).select_from(joined).where(not_staged())
    return query.order_by(outcomes.c.candidate_key, outcomes.c.item_key, outcomes.c.source_key)


def _items() -> Select[Any]:
    facts = [column for column in items.c if column.name not in ("key", "task_key")]
    return select(tasks.c.id.label("task"), *facts).select_from(items.join(tasks)).order_by(items.c.key)


def _plain(table: Table, *conditions: ColumnElement[bool]) -> Select[Any]:
    facts = [column for column in table.c if column.name not in ("key", "load_key")]
    return select(*facts).where(*conditions).order_by(*table.primary_key.columns)


_QUERIES: Final[Mapping[str, Callable[[], Select[Any]]]] = {
    "candidates": lambda: _plain(candidates, is_shown()),
    "tasks": lambda: _plain(tasks),
    "items": _items,
    "sources": lambda: _plain(sources, sources.c.load_key.is_(None)),
    "outcomes": _outcomes,
    "versions": lambda: _plain(versions),
    "settings": lambda: _plain(settings),
    "spend": lambda: _plain(spend),
}


def candidate_of(row: Row) -> Candidate:
    """Return the candidate of a row."""
    return Candidate(**row)


def task_of(row: Row) -> Task:
    """Return the task of a row."""
    return Task(**row)


def item_of(row: Row) -> Item:
    """Return the item of a row, without its vector."""
    return Item(**{name: value for name, value in row.items() if name not in ("vector", "encoder")})


def vector_of(row: Row) -> NDArray[np.float16]:
    """Return the vector of an item's row."""
    return np.frombuffer(base64.b64decode(row["vector"], validate=True), "<f2")


def outcome_of(row: Row) -> Outcome:
    """Return the outcome of a row."""
    return Outcome(**{**row, "when": _time(row["when"])})


def version_of(row: Row) -> Row:
    """Return the values of a row of versions."""
    return {"number": int(row["number"]), "when": _time(row["when"]), "what": str(row["what"])}


def _time(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)


def spend_of(row: Row) -> tuple[str, Spend]:
    """Return the limit of a row of spend, and what was spent."""
    spent = Spend(str(row["tenant"]), int(row["bucket"]), float(row["queries"]), float(row["amount"]))
    return str(row["name"]), spent


class ArchiveReader:
    """An archive with the files of its manifest.

    Raises:
        InvalidInput: If they are not.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        about = self._manifest()
        self.counts: dict[str, int] = {}
        for name in about:
            found = _Digest()
            try:
                with self._open(name) as lines:
                    for line in lines:
                        found.add(line)
            except OSError as error:
                raise InvalidInput(f"{folder} is not a complete archive: {name}.jsonl: {error.strerror}") from error
            if found.summary() != about[name]:
                raise InvalidInput(f"{folder / name}.jsonl is not the file that the manifest names; export it again")
            self.counts[name] = found.rows

    def rows(self, name: str) -> Iterator[Row]:
        """Yield the rows of a table."""
        return self.records(name, lambda row: row)

    def records(self, name: str, make: Callable[[Row], R]) -> Iterator[R]:
        """Yield what `make` makes of the rows of a table; nothing where an earlier release had none.

        Raises:
            InvalidInput: If a line holds no such row; names file and line.
        """
        if name not in self.counts:
            return
        with self._open(name) as lines:
            for number, line in enumerate(lines, 1):
                with self._naming(name, f", line {number}"):
                    row = json.loads(line)
                    made = make(row)
                yield made

    def convert(self, name: str, rows: list[Row], make: Callable[[Row], R]) -> list[R]:
        """Return what `make` makes of rows that were read already."""
        with self._naming(name, ""):
            return [make(row) for row in rows]

    def _manifest(self) -> Mapping[str, Any]:
        try:
            text = (self.folder / MANIFEST).read_bytes()[:LONGEST_LINE]
            manifest = json.loads(text)
            if manifest["format"] != FORMAT:
                raise InvalidInput(f"{self.folder} is an archive of another format; this release reads {FORMAT!r}")
            given = manifest["tables"]
            tables: Mapping[str, Any] = {name: given[name] for name in TABLES if name in given or name not in LATER}
        except CITError:
            raise
        except OSError as error:
            raise InvalidInput(f"{self.folder} is not an archive: {MANIFEST}: {error.strerror}") from error
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise InvalidInput(f"{self.folder} is not an archive: its {MANIFEST} cannot be read") from error
        return tables

    def _open(self, name: str) -> _Lines:
        return _Lines(self.folder / f"{name}.jsonl")

    def _naming(self, name: str, line: str) -> _Naming:
        return _Naming(f"{self.folder / name}.jsonl{line}")


class _Naming:
    """Names the place in an archive where a row cannot be read."""

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        unreadable = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError)
        if isinstance(error, unreadable):
            reason = f": {error}" if isinstance(error, CITError) else ""
            raise InvalidInput(f"{self._where} holds no row of this table{reason}; nothing was written") from error


class _Lines:
    """Lines of a file, of bounded length."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("rb")

    def __enter__(self) -> Iterator[bytes]:
        return self._read()

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _read(self) -> Iterator[bytes]:
        while line := self._file.readline(LONGEST_LINE + 1):
            if len(line) > LONGEST_LINE:
                raise InvalidInput(f"{self._path} has a line of more than {LONGEST_LINE:,} bytes")
            yield line


class _Digest:
    """Hash, size and number of rows of a file."""

    def __init__(self) -> None:
        self.rows = self._bytes = 0
        self._hash = hashlib.sha256()

    def add(self, line: bytes) -> None:
        self.rows += 1
        self._bytes += len(line)
        self._hash.update(line)

    def summary(self) -> dict[str, Any]:
        return {"rows": self.rows, "bytes": self._bytes, "sha256": self._hash.hexdigest()}
