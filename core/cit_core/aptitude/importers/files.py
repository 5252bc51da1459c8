"""From files to rows of fields: CSV, JSON lines and Parquet a row at a time, so their length does not matter."""

from __future__ import annotations

import ast
import csv
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cit_core.errors import InvalidInput, MissingExtra

__all__ = [
    "Fields",
    "check_columns",
    "check_files",
    "checked",
    "identifier",
    "is_absent",
    "read_json",
    "read_rows",
    "spelt_list",
]

PARQUET_BATCH = 1_000
"""Rows in memory at a time; a row may hold a prompt for every option of a question."""

Fields = Mapping[str, Any]
Numbered = Iterator[tuple[int, Fields | str]]
"""(Line, its fields or why it cannot be read)."""


def check_files(paths: Sequence[Path], kinds: Collection[str]) -> None:
    """Refuse files that an importer cannot read: before anything is written, and before other writers have to wait.

    Args:
        paths: One or more.
        kinds: How the names of the files may end.

    Raises:
        InvalidInput: If there is no file, or one that is not there or ends in something else.
        MissingExtra: If there is a Parquet file and pyarrow is not installed.
    """
    *most, last = kinds
    spoken = f"{', '.join(most)} or {last}" if most else last
    if not paths:
        raise InvalidInput(f"no file to import; pass one or more {spoken} files")
    for path in paths:
        if not path.is_file():
            raise InvalidInput(f"no file {str(path)!r}; pass {spoken} files that exist")
        if path.suffix.lower() not in kinds:
            raise InvalidInput(f"{str(path)!r} cannot be imported by its name; it must end in {', '.join(kinds)}")
        if path.suffix.lower() == ".parquet":
            _pyarrow()


def read_rows(
    path: Path, *, required: Sequence[str] = (), wanted: Collection[str] | None = None
) -> Iterator[tuple[str, Fields | str]]:
    """(File and line, its fields or why they cannot be read) of every row of a .csv, .jsonl or .parquet file.

    Args:
        path: One that `check_files` has passed.
        required: Columns without which a table is none.
        wanted: Columns to read where others cost time; all if not given.

    Raises:
        InvalidInput: If the file as a whole cannot be read, lacks a column or has no rows.
    """
    number = 0
    try:
        for number, fields in _READERS[path.suffix.lower()](path, required, wanted):
            yield f"{path}:{number}", fields
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"{path} cannot be read after line {number}: {error}") from error
    if number == 0:
        needs = f"; it needs the columns {', '.join(required)} and a row for every result" if required else ""
        raise InvalidInput(f"{path} has no rows{needs}")


def read_json(path: Path) -> Any:
    """What a JSON file holds; all of it is in memory.

    Raises:
        InvalidInput: If it cannot be read or is not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidInput(f"{path} is not JSON that can be read: {error}") from error


def check_columns(path: Path, columns: Sequence[str], required: Sequence[str]) -> None:
    """Refuse a table that lacks a column, or has one twice.

    Raises:
        InvalidInput: Names the columns.
    """
    missing = [name for name in required if name not in columns]
    if missing:
        raise InvalidInput(f"{path}:1: no column {', '.join(missing)} among {', '.join(columns)}")
    repeated = sorted({name for name in columns if columns.count(name) > 1})
    if repeated:
        raise InvalidInput(f"{path}:1: column {', '.join(repeated)} stands twice; each may stand once")


def checked(fields: Fields | str, required: Sequence[str]) -> Fields:
    """The fields of a row.

    Raises:
        InvalidInput: If they cannot be read, or one that is needed is absent.
    """
    if isinstance(fields, str):
        raise InvalidInput(fields)
    missing = [name for name in required if is_absent(fields.get(name))]
    if missing:
        raise InvalidInput(f"has no {', no '.join(missing)}")
    return fields


def is_absent(value: object) -> bool:
    """Whether a field is empty."""
    return value is None or (isinstance(value, str) and not value.strip())


def identifier(fields: Fields, name: str) -> str:
    """A field that names something.

    Raises:
        InvalidInput: If it is neither a text nor a whole number.
    """
    value = fields[name]
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise InvalidInput(f"{name} is {value!r:.60}; it must be a text or a whole number")
    return str(value)


def spelt_list(text: str) -> list[str] | None:
    """The texts in a list that is written as in Python, `['a', 'b']`; None if it is no such list."""
    if not text.startswith("["):
        return None
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    return value if isinstance(value, list) and all(isinstance(part, str) for part in value) else None


def _read_csv(path: Path, required: Sequence[str], _wanted: Collection[str] | None) -> Numbered:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        header = next(reader, [])
        if header:
            check_columns(path, header, required)
        for values in reader:
            if len(values) == len(header):
                yield reader.line_num, dict(zip(header, values, strict=True))
            elif values:
                yield reader.line_num, f"has {len(values)} fields and the header {len(header)}"


def _read_jsonl(path: Path, _required: Sequence[str], _wanted: Collection[str] | None) -> Numbered:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, _json_object(line)


def _json_object(line: str) -> Fields | str:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"is not JSON: {error}"
    return fields if isinstance(fields, dict) else f"is {type(fields).__name__} in JSON; it must be an object"


def _read_parquet(path: Path, required: Sequence[str], wanted: Collection[str] | None) -> Numbered:
    arrow, parquet = _pyarrow()
    try:
        with parquet.ParquetFile(path) as file:
            columns = file.schema_arrow.names
            if file.metadata.num_rows:
                check_columns(path, columns, required)
            kept = [name for name in columns if wanted is None or name in wanted]
            batches = file.iter_batches(batch_size=PARQUET_BATCH, columns=kept)
            yield from enumerate((fields for batch in batches for fields in batch.to_pylist()), start=1)
    except arrow.ArrowException as error:
        raise InvalidInput(f"{path} is not a Parquet file that can be read: {error}") from error


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingExtra("pyarrow, which reads Parquet files,", "data") from error
    return arrow, parquet


_READERS: dict[str, Callable[[Path, Sequence[str], Collection[str] | None], Numbered]] = {
    ".csv": _read_csv,
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
}
