"""EmbedLLM: who of 112 models answered which of 36,000 questions right, a row for every answer.

Its train.csv, val.csv and test.csv have prompt_id, model_name, label (1 right, 0 wrong), and category and prompt, which
may be absent. Its question_order.csv (prompt_id, prompt) brings the texts then. Other columns are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from cit_core.aptitude.importers.base import BadRow, ImportReport, ItemRow, Row, import_rows, row_or_bad
from cit_core.aptitude.importers.files import Fields, check_files, checked, identifier, is_absent, read_rows
from cit_core.records import Outcome
from cit_core.store import CapabilityStore

__all__ = ["import_embedllm"]

KINDS = (".csv",)
REQUIRED = ("prompt_id", "model_name", "label")
REQUIRED_OF_QUESTIONS = ("prompt_id", "prompt")


def import_embedllm(
    paths: Sequence[Path],
    store: CapabilityStore,
    *,
    questions: Path | None = None,
    source: str | None = None,
    skip_bad: bool = False,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Import EmbedLLM: all files in one transaction, or nothing if it raises. Importing again adds nothing.

    Args:
        paths: Its train.csv, val.csv or test.csv.
        store: Where the outcomes go.
        questions: Its question_order.csv.
        source: Where the outcomes come from; `embedllm:<file name>` if not given.
        skip_bad: Leave bad rows out and report them, rather than refuse them all.
        progress: Told now and then how many rows have been read so far.

    Raises:
        InvalidInput: If a file cannot be read or a row is wrong, with its file and line.
    """
    check_files(paths, KINDS)
    if questions is not None:
        check_files([questions], KINDS)
    now = datetime.now(timezone.utc)
    rows = (row for path in paths for row in _rows(path, source or f"embedllm:{path.name}", now))
    about = iter(()) if questions is None else _questions(questions)
    return import_rows(rows, store, items=about, skip_bad=skip_bad, progress=progress)


def _rows(path: Path, source: str, when: datetime) -> Iterator[Row | BadRow]:
    for where, fields in read_rows(path, required=REQUIRED):
        yield row_or_bad(where, partial(_row, where, fields, source, when))


def _questions(path: Path) -> Iterator[ItemRow | BadRow]:
    for where, fields in read_rows(path, required=REQUIRED_OF_QUESTIONS):
        yield row_or_bad(where, partial(_about, where, fields, REQUIRED_OF_QUESTIONS))


def _row(where: str, fields: Fields | str, source: str, when: datetime) -> Row:
    about = _about(where, fields, REQUIRED)
    found = checked(fields, REQUIRED)
    outcome = Outcome(
        candidate=identifier(found, "model_name"), item=about.item, correct=found["label"], source=source, when=when
    )
    return Row(about, outcome)


def _about(where: str, fields: Fields | str, required: Sequence[str]) -> ItemRow:
    found = checked(fields, required)
    task, prompt = (None if is_absent(found.get(name)) else str(found[name]) for name in ("category", "prompt"))
    return ItemRow(where, f"embedllm/{identifier(found, 'prompt_id')}", task, prompt)
