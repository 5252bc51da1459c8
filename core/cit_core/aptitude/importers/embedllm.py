"""EmbedLLM: answers of 112 models to 36,000 questions, right or wrong, with a row for every answer.

Its train.csv, val.csv and test.csv have prompt_id, model_name, label (1 right, 0 wrong), and category and prompt, which
may be absent. Its question_order.csv (prompt_id, prompt) brings the texts then. Other columns are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from cit_core.aptitude.importers.base import BadRow, ImportReport, ItemRow, Row, import_rows, row_or_bad, source_of
from cit_core.aptitude.importers.fields import Fields, checked, identifier, number, text
from cit_core.aptitude.importers.files import check_files, read_rows
from cit_core.aptitude.importers.limits import DEFAULT_LIMITS, Limits
from cit_core.records import Outcome
from cit_core.store import CapabilityStore

__all__ = ["import_embedllm"]

KINDS = (".csv",)
REQUIRED = ("prompt_id", "model_name", "label")
REQUIRED_OF_QUESTIONS = ("prompt_id", "prompt")
COLUMNS = (*REQUIRED, "category", "prompt")


def import_embedllm(
    paths: Sequence[Path],
    store: CapabilityStore,
    *,
    questions: Path | None = None,
    source: str | None = None,
    encoding: str | None = None,
    skip_bad: bool = False,
    replace: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Import EmbedLLM: all files, or none if it raises. Importing again adds nothing.

    Args:
        paths: Its train.csv, val.csv or test.csv.
        store: Store of the outcomes.
        questions: Its question_order.csv.
        source: Source of the outcomes; `embedllm:<file name>` if not given.
        encoding: Encoding of the files; by default what their first bytes say, else UTF-8.
        skip_bad: Leave bad rows out and report them, rather than refuse them all.
        replace: Remove what the store has of the same sources: for a file that was corrected.
        limits: Limits of each file.
        progress: Called now and then with the number of rows read so far.

    Raises:
        InvalidInput: If a file cannot be read or a row is wrong, with its file and line.
    """
    check_files(paths, KINDS)
    if questions is not None:
        check_files([questions], KINDS)
    now = datetime.now(timezone.utc)
    read = partial(read_rows, wanted=COLUMNS, encoding=encoding, limits=limits)
    rows = (row for path in paths for row in _rows(read, path, source or source_of("embedllm", path), now))
    about = iter(()) if questions is None else _questions(read, questions)
    return import_rows(rows, store, items=about, skip_bad=skip_bad, replace=replace, limits=limits, progress=progress)


def _rows(
    read: Callable[..., Iterator[tuple[str, Fields | str]]], path: Path, source: str, when: datetime
) -> Iterator[Row | BadRow]:
    for where, fields in read(path, required=REQUIRED):
        yield row_or_bad(where, partial(_row, where, fields, source, when))


def _questions(read: Callable[..., Iterator[tuple[str, Fields | str]]], path: Path) -> Iterator[ItemRow | BadRow]:
    for where, fields in read(path, required=REQUIRED_OF_QUESTIONS):
        yield row_or_bad(where, partial(_about, where, fields, REQUIRED_OF_QUESTIONS))


def _row(where: str, fields: Fields | str, source: str, when: datetime) -> Row:
    about = _about(where, fields, REQUIRED)
    found = checked(fields, REQUIRED)
    label = number(found, "label")
    outcome = Outcome(
        candidate=identifier(found, "model_name"), item=about.item, correct=label, source=source, when=when
    )
    return Row(about, outcome)


def _about(where: str, fields: Fields | str, required: Sequence[str]) -> ItemRow:
    found = checked(fields, required)
    return ItemRow(where, f"embedllm/{identifier(found, 'prompt_id')}", text(found, "category"), text(found, "prompt"))
