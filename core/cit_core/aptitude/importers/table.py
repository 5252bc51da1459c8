"""Tables of results: CSV, JSON lines or Parquet with a row for every answer of a model.

Columns: item_id, model, correct, and if you have them task, instruction, cost_usd, latency_s, prompt_tokens,
completion_tokens; others are ignored.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from cit_core.aptitude.importers import BadRow, ImportReport, ItemRow, Row, import_rows, refuse
from cit_core.errors import InvalidInput, MissingExtra
from cit_core.records import Outcome
from cit_core.store import CapabilityStore

__all__ = ["check_tables", "import_table"]

REQUIRED = ("item_id", "model", "correct")
NUMBERS = ("cost_usd", "latency_s", "prompt_tokens", "completion_tokens")
ABOUT_ITEM = ("task", "instruction")
TRUTH = {"true": 1.0, "false": 0.0}
"""How CSV writers spell booleans."""
PARQUET_BATCH = 10_000

Fields = Mapping[str, Any]
Reader = Callable[[Path, Sequence[str]], Iterator[tuple[int, Fields | str]]]
"""From a file and the columns it must have to (line, fields, or why the line cannot be read)."""


def import_table(
    paths: Sequence[Path],
    store: CapabilityStore,
    *,
    items: Path | None = None,
    source: str | None = None,
    skip_bad: bool = False,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Import tables of results: all of them in one transaction, or nothing if it raises. Importing again adds nothing.

    Args:
        paths: Files that end in .csv, .jsonl or .parquet.
        store: Where the outcomes go.
        items: A table with item_id and task, instruction or both, for results that do not repeat them.
        source: Where the outcomes come from; `table:<file name>` if not given.
        skip_bad: Leave bad rows out and report them, rather than refuse them all.
        progress: Told now and then how many rows have been read so far.

    Raises:
        InvalidInput: If a file cannot be read or a row is wrong, with its file and line (in Parquet, its row).
        MissingExtra: If a Parquet file is given and pyarrow is not installed.
    """
    if not paths:
        raise InvalidInput("no file to import; pass one or more .csv, .jsonl or .parquet files")
    for path in (*paths, *([] if items is None else [items])):
        _reader(path)  # before anything is written, and before other writers have to wait
    now = datetime.now(timezone.utc)
    rows = (row for path in paths for row in _rows(path, source or f"table:{path.name}", now))
    about = iter(()) if items is None else _item_rows(items)
    return import_rows(rows, store, items=about, skip_bad=skip_bad, progress=progress)


def check_tables(paths: Sequence[Path], *, items: Path | None = None, skip_bad: bool = False) -> None:
    """Read the first row of every table: for a caller who would make a store for them.

    Args:
        paths: As for `import_table`.
        items: As for `import_table`.
        skip_bad: A first row may be bad.

    Raises:
        InvalidInput: If a table cannot be opened, lacks a column or a row, or its first row is wrong.
        MissingExtra: If a Parquet file is given and pyarrow is not installed.
    """
    now = datetime.now(timezone.utc)
    tables = [*(_rows(path, path.name, now) for path in paths), *([] if items is None else [_item_rows(items)])]
    for rows in tables:
        first = next(rows)
        if isinstance(first, BadRow) and not skip_bad:
            refuse(first)


def _rows(path: Path, source: str, when: datetime) -> Iterator[Row | BadRow]:
    return (_row(where, fields, source, when) for where, fields in _read(path, REQUIRED))


def _item_rows(path: Path) -> Iterator[ItemRow | BadRow]:
    return (_item_row(where, fields) for where, fields in _read(path, ("item_id",)))


def _row(where: str, fields: Fields | str, source: str, when: datetime) -> Row | BadRow:
    try:
        checked = _checked(fields, REQUIRED)
        correct = checked["correct"]
        outcome = Outcome(
            candidate=_id(checked, "model"),
            item=_id(checked, "item_id"),
            correct=TRUTH.get(str(correct).strip().lower(), correct),
            source=source,
            when=when,
            **{name: checked[name] for name in NUMBERS if not _absent(checked.get(name))},
        )
    except InvalidInput as error:
        return BadRow(where, str(error))
    return Row(ItemRow(where, outcome.item, *_about_item(checked)), outcome)


def _item_row(where: str, fields: Fields | str) -> ItemRow | BadRow:
    try:
        checked = _checked(fields, ("item_id",))
        return ItemRow(where, _id(checked, "item_id"), *_about_item(checked))
    except InvalidInput as error:
        return BadRow(where, str(error))


def _checked(fields: Fields | str, required: Sequence[str]) -> Fields:
    if isinstance(fields, str):
        raise InvalidInput(fields)
    missing = [name for name in required if _absent(fields.get(name))]
    if missing:
        raise InvalidInput(f"has no {', no '.join(missing)}")
    return fields


def _about_item(fields: Fields) -> tuple[str | None, str | None]:
    task, instruction = (None if _absent(fields.get(name)) else str(fields[name]) for name in ABOUT_ITEM)
    return task, instruction


def _absent(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _id(fields: Fields, name: str) -> str:
    value = fields[name]
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise InvalidInput(f"{name} is {value!r:.60}; it must be a text or a whole number")
    return str(value)


def _read(path: Path, required: Sequence[str]) -> Iterator[tuple[str, Fields | str]]:
    """(File and line, fields or why they cannot be read) of every row.

    Raises:
        InvalidInput: If the file as a whole cannot be read, or has no rows.
    """
    number = 0
    try:
        for number, fields in _reader(path)(path, required):
            yield f"{path}:{number}", fields
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"{path} cannot be read after line {number}: {error}") from error
    if number == 0:
        raise InvalidInput(f"{path} has no rows; it needs the columns {', '.join(required)} and a row for every result")


def _reader(path: Path) -> Reader:
    if not path.is_file():
        raise InvalidInput(f"no file {str(path)!r}; pass .csv, .jsonl or .parquet files that exist")
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InvalidInput(f"{str(path)!r} is no table by its name; it must end in {', '.join(_READERS)}")
    if reader is _read_parquet:
        _pyarrow()
    return reader


def _read_csv(path: Path, required: Sequence[str]) -> Iterator[tuple[int, Fields | str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        header = next(reader, [])
        if header:
            _check_columns(path, header, required)
        for values in reader:
            if len(values) == len(header):
                yield reader.line_num, dict(zip(header, values, strict=True))
            elif values:
                yield reader.line_num, f"has {len(values)} fields and the header {len(header)}"


def _read_jsonl(path: Path, _required: Sequence[str]) -> Iterator[tuple[int, Fields | str]]:
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


def _read_parquet(path: Path, required: Sequence[str]) -> Iterator[tuple[int, Fields | str]]:
    arrow, parquet = _pyarrow()
    try:
        with parquet.ParquetFile(path) as file:
            columns = file.schema_arrow.names
            if file.metadata.num_rows:
                _check_columns(path, columns, required)
            wanted = [name for name in (*REQUIRED, *ABOUT_ITEM, *NUMBERS) if name in columns]
            batches = file.iter_batches(batch_size=PARQUET_BATCH, columns=wanted)
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


def _check_columns(path: Path, columns: Sequence[str], required: Sequence[str]) -> None:
    missing = [name for name in required if name not in columns]
    if missing:
        raise InvalidInput(f"{path}:1: no column {', '.join(missing)} among {', '.join(columns)}")
    repeated = sorted({name for name in columns if columns.count(name) > 1})
    if repeated:
        raise InvalidInput(f"{path}:1: column {', '.join(repeated)} stands twice; each may stand once")


_READERS: dict[str, Reader] = {".csv": _read_csv, ".jsonl": _read_jsonl, ".parquet": _read_parquet}
