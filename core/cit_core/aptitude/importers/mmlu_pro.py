"""MMLU-Pro: the `eval_results` of its repository, a JSON list of answers or a zip of such lists.

A record has question_id, question, options, answer (the letter) and pred (the letter that was read from the model's
answer, or null), and mostly src, the task.
"""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

from cit_core.aptitude.grading import with_options
from cit_core.aptitude.importers.base import BadRow, ImportReport, ItemRow, Row, import_rows, row_or_bad
from cit_core.aptitude.importers.files import Fields, check_files, checked, identifier, is_absent, read_json
from cit_core.errors import InvalidInput
from cit_core.records import Outcome
from cit_core.store import CapabilityStore

__all__ = ["import_mmlu_pro"]

REQUIRED = ("question_id", "question", "options", "answer")
NAME = re.compile(r"model_outputs_(?P<model>.+?)(?:_\d+shots?)?")
"""How the published files are called."""
NO_OPTION = "N/A"
"""Stands in for an option that a question does not have."""
LARGEST = 512 * 2**20
"""Of a file in a zip, unpacked [bytes]; the published ones are a tenth of that."""
ENCRYPTED = 0x1
"""The flag of a zip's member."""


def import_mmlu_pro(
    paths: Sequence[Path],
    store: CapabilityStore,
    *,
    model: str | None = None,
    source: str | None = None,
    skip_bad: bool = False,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Import answers to MMLU-Pro: all files in one transaction, or nothing if it raises. Importing again adds nothing.

    One JSON file is in memory at a time, as a whole.

    Args:
        paths: Files that end in .json or .zip.
        store: Where the outcomes go.
        model: Who answered; by default what stands in the file name, `model_outputs_<model>_5shots.zip`.
        source: Where the outcomes come from; `mmlu-pro:<file name>` if not given.
        skip_bad: Leave bad records out and report them, rather than refuse them all.
        progress: Told now and then how many records have been read so far.

    Raises:
        InvalidInput: If a file cannot be read, does not name its model, or has a record that is wrong.
    """
    check_files(paths, (".json", ".zip"))
    named = [(path, model or _model(path)) for path in paths]
    now = datetime.now(timezone.utc)
    rows = (row for path, who in named for row in _rows(path, who, source or f"mmlu-pro:{path.name}", now))
    return import_rows(rows, store, skip_bad=skip_bad, progress=progress)


def _model(path: Path) -> str:
    name = NAME.fullmatch(path.stem)
    if name is None:
        raise InvalidInput(
            f"{str(path)!r} does not name its model as in model_outputs_MODEL_5shots.zip; say who answered: "
            "--model, or model= in Python"
        )
    return name["model"]


def _rows(path: Path, model: str, source: str, when: datetime) -> Iterator[Row | BadRow]:
    for file, records in _lists(path):
        if not isinstance(records, list):
            raise InvalidInput(f"{file} holds {type(records).__name__} in JSON; it must be a list of answers")
        for number, record in enumerate(records, start=1):
            where = f"{file}:{number}"
            yield row_or_bad(where, partial(_row, where, record, model, source, when))


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
    options, answer, task = fields["options"], fields["answer"], fields.get("src")
    if not isinstance(options, list) or not all(isinstance(option, str) for option in options):
        raise InvalidInput(f"options is {options!r:.60}; it must be a list of texts")
    given = tuple(option for option in options if option != NO_OPTION)
    return ItemRow(
        where,
        f"mmlu-pro/{identifier(fields, 'question_id')}",
        None if is_absent(task) else str(task),
        with_options(str(fields["question"]), given),
        given,
        str(answer),
    )


def _lists(path: Path) -> Iterator[tuple[str, Any]]:
    """(Name for messages, what it holds) of every JSON file."""
    if path.suffix.lower() == ".json":
        yield str(path), read_json(path)
        return
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if _is_list(member)]
            for member in members:
                file = f"{path}/{member.filename}"
                yield file, _parsed(file, archive.read(_safe(file, member)))
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InvalidInput(f"{path} is no zip that can be read: {error}") from error
    if not members:
        raise InvalidInput(f"{path} holds no .json file")


def _is_list(member: zipfile.ZipInfo) -> bool:
    name = member.filename.rpartition("/")[2]
    return name.endswith(".json") and not name.startswith("._")  # macOS puts such a file beside each


def _safe(file: str, member: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """A member that can be unpacked into memory; `ZipFile.read` gives no more than the size it states."""
    if member.flag_bits & ENCRYPTED:
        raise InvalidInput(f"{file} is encrypted; unpack it and import the .json file")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise InvalidInput(f"{file} is packed in a way that is not read here; unpack it and import the .json file")
    if member.file_size > LARGEST:
        raise InvalidInput(f"{file} has {member.file_size:,} bytes unpacked; a file may have {LARGEST:,}")
    return member


def _parsed(file: str, text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{file} is not JSON: {error}") from error
