"""Import MMLU-Pro: the `eval_results` of its repository, a JSON list of answers or a zip of such lists.

A record has question_id, question, options, answer (the letter) and pred (the letter that was read from the model's
answer, or null), and mostly src, the task.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

from cit_core.aptitude.grading import with_options
from cit_core.aptitude.importers.archive import open_archive
from cit_core.aptitude.importers.base import BadRow, ImportReport, ItemRow, Row, import_rows, row_or_bad, source_of
from cit_core.aptitude.importers.fields import Fields, checked, identifier, shown, text
from cit_core.aptitude.importers.files import check_files, elements, json_records
from cit_core.aptitude.importers.json_stream import JsonStream
from cit_core.aptitude.importers.limits import DEFAULT_LIMITS, Limits
from cit_core.errors import InvalidInput
from cit_core.records import Outcome
from cit_core.store import CapabilityStore

__all__ = ["import_mmlu_pro"]

REQUIRED = ("question_id", "question", "options", "answer")
NAME = re.compile(r"model_outputs_(?P<model>.+?)(?:_\d+shots?)?")
"""Name of a published file."""
NO_OPTION = "N/A"
"""Placeholder of an option that a question does not have."""


def import_mmlu_pro(
    paths: Sequence[Path],
    store: CapabilityStore,
    *,
    model: str | None = None,
    source: str | None = None,
    skip_bad: bool = False,
    replace: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Import answers to MMLU-Pro: all files, or none if it raises. Importing again adds nothing.

    Args:
        paths: Files that end in .json, .json.gz or .zip.
        store: Store of the outcomes.
        model: Model that answered; by default what the file name says, `model_outputs_<model>_5shots.zip`.
        source: Source of the outcomes; `mmlu-pro:<file name>` if not given.
        skip_bad: Leave bad records out and report them, rather than refuse them all.
        replace: Remove what the store has of the same sources: for a file that was corrected.
        limits: Limits of each file.
        progress: Called now and then with the number of records read so far.

    Raises:
        InvalidInput: If a file cannot be read, does not name its model, or has a record that is wrong.
    """
    check_files(paths, (".json", ".zip"))
    named = [(path, model or _model(path)) for path in paths]
    now = datetime.now(timezone.utc)
    rows = (row for path, id_ in named for row in _rows(path, id_, source or source_of("mmlu-pro", path), now, limits))
    return import_rows(rows, store, skip_bad=skip_bad, replace=replace, limits=limits, progress=progress)


def _model(path: Path) -> str:
    name = NAME.fullmatch(path.name.partition(".json")[0] if ".json" in path.name else path.stem)
    if name is None:
        raise InvalidInput(
            f"{str(path)!r} does not name its model as in model_outputs_MODEL_5shots.zip; say which model answered: "
            "--model, or model= in Python"
        )
    return name["model"]


def _rows(path: Path, model: str, source: str, when: datetime, limits: Limits) -> Iterator[Row | BadRow]:
    for where, record in _records(path, limits):
        yield row_or_bad(where, partial(_row, where, record, model, source, when))


def _records(path: Path, limits: Limits) -> Iterator[tuple[str, Any]]:
    """Yield every record with its file and place."""
    if path.suffix.lower() != ".zip":
        yield from ((f"{path}:{number}", record) for number, record in json_records(path, limits))
        return
    count = 0
    with open_archive(path, limits) as archive:
        for name in filter(_is_list, archive.names()):
            file = f"{path}/{name}"
            with archive.text(name) as stream:
                yield from (
                    (f"{file}:{number}", record) for number, record in elements(JsonStream(stream, limits), file)
                )
            count += 1
    if not count:
        raise InvalidInput(f"{path} holds no .json file")


def _row(where: str, record: Any, model: str, source: str, when: datetime) -> Row:
    if not isinstance(record, dict):
        raise InvalidInput(f"is {type(record).__name__} in JSON; it must be an object")
    found = checked(record, REQUIRED)
    if not isinstance(found.get("pred", 0), (str, type(None))):
        raise InvalidInput("has no pred; it must be the letter that the model chose, or null if it chose none")
    about = _about(where, found)
    outcome = Outcome(
        candidate=model, item=about.item, correct=float(found["pred"] == about.answer), source=source, when=when
    )
    return Row(about, outcome)


def _about(where: str, fields: Fields) -> ItemRow:
    options = fields["options"]
    if not isinstance(options, list) or not all(isinstance(option, str) for option in options):
        raise InvalidInput(f"options is {shown(options)}; it must be a list of texts")
    given = tuple(option for option in options if option != NO_OPTION)
    return ItemRow(
        where,
        f"mmlu-pro/{identifier(fields, 'question_id')}",
        text(fields, "src"),
        with_options(identifier(fields, "question"), given),
        given,
        identifier(fields, "answer"),
    )


def _is_list(name: str) -> bool:
    last = name.rpartition("/")[2]
    return last.endswith(".json") and not last.startswith("._")  # macOS puts such a file beside each
