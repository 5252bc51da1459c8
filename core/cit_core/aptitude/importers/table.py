"""Tables of results: CSV, JSON lines or Parquet with a row for every answer of a model.

Columns: item_id, model, correct, and if you have them task, instruction, cost_usd, latency_s, prompt_tokens,
completion_tokens; others are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from cit_core.aptitude.importers.base import BadRow, ImportReport, ItemRow, Row, import_rows, refuse, row_or_bad
from cit_core.aptitude.importers.files import Fields, check_files, checked, identifier, is_absent, read_rows
from cit_core.records import Outcome
from cit_core.store import CapabilityStore

__all__ = ["check_tables", "import_table"]

KINDS = (".csv", ".jsonl", ".parquet")
REQUIRED = ("item_id", "model", "correct")
NUMBERS = ("cost_usd", "latency_s", "prompt_tokens", "completion_tokens")
ABOUT_ITEM = ("task", "instruction")
COLUMNS = (*REQUIRED, *ABOUT_ITEM, *NUMBERS)
TRUTH = {"true": 1.0, "false": 0.0}
"""How CSV writers spell booleans."""


def import_table(
    paths: Sequence[Path],
    store: CapabilityStore,
    *,
    items: Path | None = None,
    source: str | None = None,
    task: str | None = None,
    skip_bad: bool = False,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Import tables of results: all of them in one transaction, or nothing if it raises. Importing again adds nothing.

    Args:
        paths: Files that end in .csv, .jsonl or .parquet.
        store: Where the outcomes go.
        items: A table with item_id and task, instruction or both, for results that do not repeat them.
        source: Where the outcomes come from; `table:<file name>` if not given.
        task: Of items that are new and come without one; if not given, they wait for `assign_tasks`.
        skip_bad: Leave bad rows out and report them, rather than refuse them all.
        progress: Told now and then how many rows have been read so far.

    Raises:
        InvalidInput: If a file cannot be read or a row is wrong, with its file and line (in Parquet, its row).
        MissingExtra: If a Parquet file is given and pyarrow is not installed.
    """
    _check(paths, items)
    now = datetime.now(timezone.utc)
    rows = (row for path in paths for row in _rows(path, source or f"table:{path.name}", now))
    about = iter(()) if items is None else _item_rows(items)
    return import_rows(rows, store, items=about, task=task, skip_bad=skip_bad, progress=progress)


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
    _check(paths, items)
    now = datetime.now(timezone.utc)
    tables = [*(_rows(path, path.name, now) for path in paths), *([] if items is None else [_item_rows(items)])]
    for rows in tables:
        first = next(rows)
        if isinstance(first, BadRow) and not skip_bad:
            refuse(first)


def _check(paths: Sequence[Path], items: Path | None) -> None:
    check_files(paths, KINDS)
    if items is not None:
        check_files([items], KINDS)


def _rows(path: Path, source: str, when: datetime) -> Iterator[Row | BadRow]:
    for where, fields in read_rows(path, required=REQUIRED, wanted=COLUMNS):
        yield row_or_bad(where, partial(_row, where, fields, source, when))


def _item_rows(path: Path) -> Iterator[ItemRow | BadRow]:
    for where, fields in read_rows(path, required=("item_id",), wanted=COLUMNS):
        yield row_or_bad(where, partial(_item_row, where, fields))


def _row(where: str, fields: Fields | str, source: str, when: datetime) -> Row:
    found = checked(fields, REQUIRED)
    correct = found["correct"]
    outcome = Outcome(
        candidate=identifier(found, "model"),
        item=identifier(found, "item_id"),
        correct=TRUTH.get(str(correct).strip().lower(), correct),
        source=source,
        when=when,
        **{name: found[name] for name in NUMBERS if not is_absent(found.get(name))},
    )
    return Row(_item_row(where, found), outcome)


def _item_row(where: str, fields: Fields | str) -> ItemRow:
    found = checked(fields, ("item_id",))
    task, instruction = (None if is_absent(found.get(name)) else str(found[name]) for name in ABOUT_ITEM)
    return ItemRow(where, identifier(found, "item_id"), task, instruction)
