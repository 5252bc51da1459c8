"""Tables of results: CSV, JSON or Parquet with a row for every answer of a model.

Columns: item_id, model, correct, and if you have them task, instruction, cost_usd, latency_s, prompt_tokens,
completion_tokens, and caption and ocr of the question's picture; others are ignored. CSV may be separated by commas,
semicolons, tabs or bars.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

from cit_core.aptitude.importers import base
from cit_core.aptitude.importers.base import (
    BadRow,
    Block,
    ImportReport,
    ItemRow,
    Row,
    import_rows,
    refuse,
    row_or_bad,
    source_of,
)
from cit_core.aptitude.importers.fields import Fields, checked, identifier, is_missing, number, shown, text
from cit_core.aptitude.importers.files import TABLES, check_columns, check_files, read_rows
from cit_core.aptitude.importers.limits import DEFAULT_LIMITS, Limits
from cit_core.aptitude.importers.parquet import read_batches
from cit_core.aptitude.importers.table_columns import BATCHES, LONGEST_ID, block_of, is_plain, rows_in
from cit_core.aptitude.importers.text_stream import kind_of
from cit_core.errors import InvalidInput
from cit_core.pictures import Picture, with_pictures
from cit_core.records import Outcome
from cit_core.store import CapabilityStore

__all__ = ["check_tables", "import_table"]

IDS = {"item_id", "model"}
REQUIRED = ("item_id", "model", "correct")
NUMBERS = ("cost_usd", "latency_s", "prompt_tokens", "completion_tokens")
ABOUT_ITEM = ("task", "instruction")
OF_PICTURE = ("caption", "ocr")
"""Words of a picture: they are kept below the question, as a router reads them."""
COLUMNS = (*REQUIRED, *ABOUT_ITEM, *OF_PICTURE, *NUMBERS)
TRUTH = dict.fromkeys(("true", "t", "yes", "y", "pass", "passed"), 1.0)
TRUTH |= dict.fromkeys(("false", "f", "no", "n", "fail", "failed"), 0.0)
"""Verdicts as tools and people spell them."""
PERCENTAGE = re.compile(r"(\d{1,3}(?:[.,]\d+)?)\s*%")
DECIMAL_COMMA = re.compile(r"0,\d+|\d+,(?:\d{1,2}|\d{4,})")
"""A number with a comma that cannot group thousands."""
SHARE_WITH_COMMA = re.compile(r"[01],\d+")
"""The same of what is between 0 and 1."""


def import_table(
    paths: Sequence[Path],
    store: CapabilityStore,
    *,
    items: Path | None = None,
    source: str | None = None,
    task: str | None = None,
    encoding: str | None = None,
    skip_bad: bool = False,
    replace: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Import tables of results: all of them, or none if it raises. Importing again adds nothing.

    Args:
        paths: Files that end in .csv, .tsv, .jsonl, .json (a list or lines) or .parquet; text may be packed (.gz).
        store: Store of the outcomes.
        items: Table with item_id and task, instruction or both, for results that do not repeat them.
        source: Source of the outcomes; `table:<file name>` if not given.
        task: Task of items that come without one, in place of the nearest; if not given, they wait for `assign_tasks`.
        encoding: Encoding of text files; by default what their first bytes say, else UTF-8.
        skip_bad: Leave bad rows out and report them, rather than refuse them all.
        replace: Remove what the store has of the same sources: for a file that was corrected.
        limits: Limits of each file.
        progress: Called now and then with the number of rows read so far.

    Raises:
        InvalidInput: If a file cannot be read or a row is wrong, with its file and line (in Parquet, its row).
        MissingExtra: If a Parquet file is given and pyarrow is not installed.
    """
    _check(paths, items)
    now = datetime.now(timezone.utc)
    read = partial(read_rows, wanted=COLUMNS, encoding=encoding, limits=limits)
    named = ((path, source or source_of("table", path)) for path in paths)
    rows = (row for path, name in named for row in _rows_or_blocks(read, path, name, now, limits))
    about = iter(()) if items is None else _item_rows(read, items)
    return import_rows(
        rows, store, items=about, task=task, skip_bad=skip_bad, replace=replace, limits=limits, progress=progress
    )


def check_tables(
    paths: Sequence[Path],
    *,
    items: Path | None = None,
    encoding: str | None = None,
    skip_bad: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> None:
    """Read the first row of every table, before a store is made for them.

    Args:
        paths: See `import_table`.
        items: See `import_table`.
        encoding: See `import_table`.
        skip_bad: A first row may be bad.
        limits: See `import_table`.

    Raises:
        InvalidInput: If a table cannot be opened, lacks a column or a row, or its first row is wrong.
        MissingExtra: If a Parquet file is given and pyarrow is not installed.
    """
    _check(paths, items)
    now = datetime.now(timezone.utc)
    read = partial(read_rows, wanted=COLUMNS, encoding=encoding, limits=limits)
    tables = [
        *(_rows(read, path, path.name, now) for path in paths),
        *([] if items is None else [_item_rows(read, items)]),
    ]
    for rows in tables:
        first = next(rows)
        if isinstance(first, BadRow) and not skip_bad:
            refuse(first)


def _check(paths: Sequence[Path], items: Path | None) -> None:
    check_files(paths, TABLES)
    if items is not None:
        check_files([items], TABLES)


def _rows_or_blocks(
    read: Callable[..., Iterator[tuple[str, Fields | str]]], path: Path, source: str, when: datetime, limits: Limits
) -> Iterator[Row | BadRow | Block]:
    """Yield a table row by row, or by columns where that is possible: it is faster."""
    plain = kind_of(path) == ".parquet" and 0 < len(source) <= LONGEST_ID
    if not (plain and is_plain(path, IDS, {*ABOUT_ITEM}, {*NUMBERS}, odd={*OF_PICTURE})):
        yield from _rows(read, path, source, when)
        return

    def convert(where: str, fields: Fields | str) -> Row | BadRow:
        return row_or_bad(where, partial(_row, where, fields, source, when))

    before = 0
    check = partial(check_columns, path, required=REQUIRED)
    for batch in read_batches(path, COLUMNS, limits, check, rows=BATCHES * base.BATCH):
        block = block_of(batch, path, before, source, when, convert)
        if block is None:
            yield from rows_in(batch, path, before, convert)
        else:
            yield block
        before += batch.num_rows


def _rows(
    read: Callable[..., Iterator[tuple[str, Fields | str]]], path: Path, source: str, when: datetime
) -> Iterator[Row | BadRow]:
    for where, fields in read(path, required=REQUIRED):
        yield row_or_bad(where, partial(_row, where, fields, source, when))


def _item_rows(read: Callable[..., Iterator[tuple[str, Fields | str]]], path: Path) -> Iterator[ItemRow | BadRow]:
    for where, fields in read(path, required=("item_id",)):
        yield row_or_bad(where, partial(_item_row, where, fields))


def _row(where: str, fields: Fields | str, source: str, when: datetime) -> Row:
    found = checked(fields, REQUIRED)
    numbers = {name: None if is_missing(found.get(name)) else _number(found, name) for name in NUMBERS}
    outcome = Outcome(
        candidate=_name(found, "model"),
        item=_name(found, "item_id"),
        correct=_correct(found),
        source=source,
        when=when,
        **{name: value for name, value in numbers.items() if value is not None},
    )
    return Row(_item_row(where, found), outcome)


def _item_row(where: str, fields: Fields | str) -> ItemRow:
    found = checked(fields, ("item_id",))
    task, instruction, caption, ocr = (
        None if is_missing(found.get(name)) else text(found, name) for name in (*ABOUT_ITEM, *OF_PICTURE)
    )
    if instruction is not None and (caption or ocr):
        instruction = with_pictures(instruction, [Picture.of(None, caption or "", ocr or "")])
    return ItemRow(where, _name(found, "item_id"), task and task.strip(), instruction)


def _name(fields: Fields, name: str) -> str:
    """Return an id without the spaces around it, with which it would be another one."""
    if is_missing(fields[name]):
        raise InvalidInput(f"{name} is {shown(fields[name])}, a word for a missing one; give every row its own")
    return identifier(fields, name).strip()


def _correct(fields: Fields) -> Any:
    value = fields["correct"]
    if isinstance(value, str) and SHARE_WITH_COMMA.fullmatch(plain := value.strip()):
        return float(plain.replace(",", "."))
    if isinstance(value, str) and (share := PERCENTAGE.fullmatch(value.strip())):
        return float(share[1].replace(",", ".")) / 100.0
    truth = TRUTH.get(value.strip().lower()) if isinstance(value, str) else None
    return _number(fields, "correct") if truth is None else truth


def _number(fields: Fields, name: str) -> Any:
    """Return a number, which may be written with a decimal comma."""
    value = fields[name]
    if isinstance(value, str) and DECIMAL_COMMA.fullmatch(plain := value.strip()):
        return float(plain.replace(",", "."))
    return number(fields, name)
