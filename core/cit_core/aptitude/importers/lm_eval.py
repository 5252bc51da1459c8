"""Import lm-evaluation-harness: files of `--log_samples`, and details of the Open LLM Leaderboard.

A file `samples_TASK_TIME.jsonl` lies in a folder `ORG__MODEL`, beside `results_TIME.json`; version 2 of the leaderboard
publishes the same, version 1 had `details_TASK_TIME.parquet`, and early releases wrote a JSON list. A line is one
question as one filter saw the answer. Early releases did not name the filter, and went through all questions for each.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from cit_core.aptitude.importers._lm_eval_documents import instruction_of
from cit_core.aptitude.importers.base import (
    BadRow,
    ImportReport,
    ItemRow,
    Row,
    import_rows,
    row_or_bad,
    source_of,
)
from cit_core.aptitude.importers.fields import Fields, identifier, is_absent
from cit_core.aptitude.importers.files import check_files, read_rows
from cit_core.aptitude.importers.json_stream import JsonStream
from cit_core.aptitude.importers.limits import DEFAULT_LIMITS, Limits
from cit_core.aptitude.importers.text_stream import open_text
from cit_core.errors import InvalidInput
from cit_core.records import Outcome
from cit_core.store import CapabilityStore

__all__ = ["METRICS", "import_lm_eval"]

METRICS = ("exact_match", "acc_norm", "acc", "prompt_level_strict_acc", "pass@1", "pass_at_1", "mc1")
"""Metrics that say whether an answer is right: the first of these that a line has counts. As on the Open LLM
Leaderboard, `acc_norm` (log-likelihood by length of the option) goes before `acc`."""
QUESTIONS_IN_A_FILE = 500_000
"""Maximum number of different questions of one file, with marks in memory."""
NAME = re.compile(r"(?:samples|details)_(?P<task>.+?)(?:_(?P<time>\d{4}-\d\d-\d\dT[\d.:-]+))?")
NO_FILTER = "none"


@dataclass(frozen=True)
class _File:
    """Facts of one file which hold for all its lines."""

    path: Path
    task: str
    model: str
    source: str
    when: datetime
    metric: str | None
    times: Counter[int] = field(default_factory=Counter)
    """Hash of a document to how often it has come: data sets ask some questions twice."""
    unnamed: set[int] = field(default_factory=set)
    """Hashes of the documents of lines that name no filter."""


def import_lm_eval(
    paths: Sequence[Path],
    store: CapabilityStore,
    *,
    model: str | None = None,
    metric: str | None = None,
    filter_: str | None = None,
    source: str | None = None,
    encoding: str | None = None,
    skip_bad: bool = False,
    replace: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Import samples of lm-evaluation-harness: all files, or none if it raises.

    Args:
        paths: Files named `samples_TASK_TIME` or `details_TASK_TIME` that end in .jsonl, .json or .parquet; text may be
            packed (.gz).
        store: Store of the outcomes.
        model: Model that answered; by default as `results_TIME.json` beside the file says, or the folder `ORG__MODEL`.
        metric: Metric that says whether an answer is right; by default the first of `METRICS` that a line has.
        filter_: Filter that counts; by default the first of the file.
        source: Source of the outcomes; `lm-eval:<file name>` if not given.
        encoding: Encoding of text files; by default what their first bytes say, else UTF-8.
        skip_bad: Leave bad lines out and report them, rather than refuse them all.
        replace: Remove what the store has of the same sources: for a file that was corrected.
        limits: Limits of each file.
        progress: Called now and then with the number of lines read so far.

    Raises:
        InvalidInput: If a file cannot be read, names no task or model, lacks the filter, or has a line that is wrong.
        MissingExtra: If a Parquet file is given and pyarrow is not installed.
    """
    check_files(paths, (".jsonl", ".json", ".parquet"))
    now = datetime.now(timezone.utc)
    files = [_file(path, model, source, now, metric, limits) for path in paths]
    read = partial(read_rows, encoding=encoding, limits=limits)
    rows = (row for file in files for row in _rows(read, file, filter_))
    return import_rows(rows, store, skip_bad=skip_bad, replace=replace, limits=limits, progress=progress)


def _file(
    path: Path, model: str | None, source: str | None, when: datetime, metric: str | None, limits: Limits
) -> _File:
    plain = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    name = NAME.fullmatch(plain.stem)
    if name is None:
        raise InvalidInput(f"{str(path)!r} does not name its task; call it samples_TASK_TIME{plain.suffix}")
    answered = model or _model_of_results(path, name["time"], limits) or _model_of_folder(path)
    if answered is None:
        raise InvalidInput(
            f"nothing says which model answered {str(path)!r}: no results_TIME.json beside it has a model_name, and no "
            "folder is called ORG__MODEL; pass --model, or model= in Python"
        )
    return _File(path, name["task"], answered, source or source_of("lm-eval", path), when, metric)


def _model_of_results(path: Path, time: str | None, limits: Limits) -> str | None:
    results = path.with_name(f"results_{time}.json")
    if not results.is_file():
        return None
    try:
        with open_text(results, limits) as file:
            stream = JsonStream(file, limits)
            for member in stream.members() if stream.peek() == "{" else ():
                if member == "model_name":
                    name = stream.value()
                    return name if isinstance(name, str) and name else None
                stream.skip()
    except UnicodeError as error:
        raise InvalidInput(f"{results} cannot be read: {error}") from error
    except InvalidInput as error:
        raise InvalidInput(f"{results} {error}") from None
    return None


def _model_of_folder(path: Path) -> str | None:
    folders = [folder.name for folder in path.absolute().parents[:2]]
    details = [name.removeprefix("details_") for name in folders if name.startswith("details_")]
    return next((name.replace("__", "/", 1) for name in (*details, *folders[:1]) if "__" in name), None)


def _rows(
    read: Callable[[Path], Iterator[tuple[str, Fields | str]]], file: _File, wanted: str | None
) -> Iterator[Row | BadRow]:
    seen = dict[str, None]()
    for where, fields in read(file.path):
        if isinstance(fields, str):
            yield BadRow(where, fields)
            continue
        named = fields.get("filter")
        name = str(named)[:200] if named else NO_FILTER
        if len(seen) < 100:  # of a message
            seen[name] = None
        wanted = wanted or name
        if name == wanted:
            row = row_or_bad(where, partial(_row_of_filter, where, fields, file, bool(named)))
            if row is not None:
                yield row
    if wanted and wanted not in seen:
        raise InvalidInput(f"{file.path} has nothing of the filter {wanted!r}; it has {', '.join(map(repr, seen))}")


def _row_of_filter(where: str, fields: Fields, file: _File, named: bool) -> Row | None:
    """Return a line's row; None for a document that has come before under no filter: that is another filter's."""
    if not named and not is_absent(fields.get("doc_id")):
        document = hash(identifier(fields, "doc_id"))
        if document in file.unnamed:
            return None
        file.unnamed.add(document)
    return _row(where, fields, file)


def _row(where: str, fields: Fields, file: _File) -> Row:
    instruction = instruction_of(fields)
    item = f"{file.task}/{_document(fields, instruction)}"
    outcome = Outcome(
        candidate=file.model, item=item, correct=_correct(fields, file.metric), source=file.source, when=file.when
    )
    file.times[hash(item)] += 1
    if len(file.times) > QUESTIONS_IN_A_FILE:
        raise InvalidInput(f"{file.path} has more than {QUESTIONS_IN_A_FILE:,} questions; split the file")
    times = file.times[hash(item)]
    if times > 1:
        item = f"{item}#{times}"
        outcome = outcome.model_copy(update={"item": item})
    return Row(ItemRow(where, item, file.task, instruction), outcome)


def _document(fields: Fields, instruction: str | None) -> str:
    """Return what stays the same for a question from run to run."""
    for name in ("doc_hash", "doc_id"):
        if not is_absent(fields.get(name)):
            return identifier(fields, name)
    if instruction is None:
        raise InvalidInput("has no doc_hash, no doc_id and no question")
    return hashlib.sha256(instruction.encode("utf-8", "surrogatepass")).hexdigest()  # leaderboard, version 1


def _correct(fields: Fields, wanted: str | None) -> float:
    named = fields.get("metrics")
    if isinstance(named, Mapping):
        logged = dict(named)
    else:
        names = [name for name in named if isinstance(name, str)] if isinstance(named, (list, tuple)) else list(fields)
        logged = {name: fields.get(name) for name in names}
    scores = {str(name): float(score) for name, score in logged.items() if isinstance(score, (bool, int, float))}
    metric = wanted or next((name for name in METRICS if name in scores), "")
    if metric not in scores:
        lacks = f"no metric {metric!r}" if metric else f"none of the metrics {', '.join(METRICS)}"
        has = ", ".join(name[:60] for name in list(scores)[:20]) or "no numbers"
        raise InvalidInput(f"has {lacks}; it has {has} (--metric chooses one)")
    return scores[metric]
