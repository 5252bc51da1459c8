"""lm-evaluation-harness: what `--log_samples` writes, and the details of the Open LLM Leaderboard.

A file `samples_TASK_TIME.jsonl` lies in a folder `ORG__MODEL`, beside `results_TIME.json`; version 2 of the leaderboard
publishes the same, version 1 had `details_TASK_TIME.parquet`. A line is a question as one filter saw the answer.
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
from typing import Any

from cit_core.aptitude.grading import with_options
from cit_core.aptitude.importers.base import BadRow, ImportReport, ItemRow, Row, import_rows, row_or_bad
from cit_core.aptitude.importers.files import Fields, check_files, is_absent, read_json, read_rows, spelt_list
from cit_core.errors import InvalidInput
from cit_core.records import Outcome
from cit_core.store import CapabilityStore

__all__ = ["METRICS", "import_lm_eval"]

METRICS = ("exact_match", "acc_norm", "acc", "prompt_level_strict_acc", "pass@1", "pass_at_1", "mc1")
"""Which metric says whether an answer is right: the first of these that a line has. As on the Open LLM Leaderboard,
`acc_norm` (log-likelihood by length of the option) goes before `acc`."""
NAME = re.compile(r"(?:samples|details)_(?P<task>.+?)(?:_(?P<time>\d{4}-\d\d-\d\dT[\d.:-]+))?")
QUESTIONS = ("question", "query", "problem", "input", "instruction", "prompt", "example")
"""Fields of a document that may hold the question, the likeliest first."""
CONTEXTS = ("passage", "context", "narrative", "article", "story")
"""Fields of a document that a question may refer to."""
NO_FILTER = "none"


@dataclass(frozen=True)
class _File:
    """One file: what holds for all its lines."""

    path: Path
    task: str
    model: str
    source: str
    when: datetime
    metric: str | None
    times: Counter[str] = field(default_factory=Counter)
    """How often a document has come: data sets ask some questions twice."""


def import_lm_eval(
    paths: Sequence[Path],
    store: CapabilityStore,
    *,
    model: str | None = None,
    metric: str | None = None,
    filter_: str | None = None,
    source: str | None = None,
    skip_bad: bool = False,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Import samples of lm-evaluation-harness: all files in one transaction, or nothing if it raises.

    Args:
        paths: Files named `samples_TASK_TIME` or `details_TASK_TIME` that end in .jsonl or .parquet.
        store: Where the outcomes go.
        model: Who answered; by default what `results_TIME.json` beside the file says, or the folder `ORG__MODEL`.
        metric: What says whether an answer is right; by default the first of `METRICS` that a line has.
        filter_: Which of the filters counts; by default the first of the file.
        source: Where the outcomes come from; `lm-eval:<file name>` if not given.
        skip_bad: Leave bad lines out and report them, rather than refuse them all.
        progress: Told now and then how many lines have been read so far.

    Raises:
        InvalidInput: If a file cannot be read, names no task or model, lacks the filter, or has a line that is wrong.
        MissingExtra: If a Parquet file is given and pyarrow is not installed.
    """
    check_files(paths, (".jsonl", ".parquet"))
    now = datetime.now(timezone.utc)
    files = [_file(path, model, source, now, metric) for path in paths]
    rows = (row for file in files for row in _rows(file, filter_))
    return import_rows(rows, store, skip_bad=skip_bad, progress=progress)


def _file(path: Path, model: str | None, source: str | None, when: datetime, metric: str | None) -> _File:
    name = NAME.fullmatch(path.stem)
    if name is None:
        raise InvalidInput(f"{str(path)!r} does not name its task; call it samples_TASK_TIME{path.suffix}")
    who = model or _model_of_results(path, name["time"]) or _model_of_folder(path)
    if who is None:
        raise InvalidInput(
            f"nothing says who answered {str(path)!r}: no results_TIME.json beside it has a model_name, and no folder "
            "is called ORG__MODEL; pass --model, or model= in Python"
        )
    return _File(path, name["task"], who, source or f"lm-eval:{path.name}", when, metric)


def _model_of_results(path: Path, time: str | None) -> str | None:
    results = path.with_name(f"results_{time}.json")
    summary = read_json(results) if results.is_file() else None
    name = summary.get("model_name") if isinstance(summary, dict) else None
    return name if isinstance(name, str) and name else None


def _model_of_folder(path: Path) -> str | None:
    folders = [folder.name for folder in path.absolute().parents[:2]]
    details = [name.removeprefix("details_") for name in folders if name.startswith("details_")]
    return next((name.replace("__", "/", 1) for name in (*details, *folders[:1]) if "__" in name), None)


def _rows(file: _File, wanted: str | None) -> Iterator[Row | BadRow]:
    seen = dict[str, None]()
    for where, fields in read_rows(file.path):
        if isinstance(fields, str):
            yield BadRow(where, fields)
            continue
        name = str(fields.get("filter") or NO_FILTER)
        seen[name] = None
        wanted = wanted or name
        if name == wanted:
            yield row_or_bad(where, partial(_row, where, fields, file))
    if wanted and wanted not in seen:
        raise InvalidInput(f"{file.path} has nothing of the filter {wanted!r}; it has {', '.join(map(repr, seen))}")


def _row(where: str, fields: Fields, file: _File) -> Row:
    instruction = _instruction(fields)
    item = f"{file.task}/{_document(fields, instruction)}"
    file.times[item] += 1
    if file.times[item] > 1:
        item = f"{item}#{file.times[item]}"
    outcome = Outcome(
        candidate=file.model, item=item, correct=_correct(fields, file.metric), source=file.source, when=file.when
    )
    return Row(ItemRow(where, item, file.task, instruction), outcome)


def _document(fields: Fields, instruction: str | None) -> str:
    """What stays the same for a question from run to run."""
    for name in ("doc_hash", "doc_id"):
        if not is_absent(fields.get(name)):
            return str(fields[name])
    if instruction is None:
        raise InvalidInput("has no doc_hash, no doc_id and no question")
    return hashlib.sha256(instruction.encode("utf-8", "surrogatepass")).hexdigest()  # leaderboard, version 1


def _correct(fields: Fields, wanted: str | None) -> float:
    named = fields.get("metrics")
    logged = named if isinstance(named, Mapping) else {name: fields.get(name) for name in named or fields}
    scores = {name: float(score) for name, score in logged.items() if isinstance(score, (bool, int, float))}
    metric = wanted or next((name for name in METRICS if name in scores), "")
    if metric not in scores:
        lacks = f"no metric {metric!r}" if metric else f"none of the metrics {', '.join(METRICS)}"
        raise InvalidInput(f"has {lacks}; it has {', '.join(scores) or 'no numbers'} (--metric chooses one)")
    return scores[metric]


def _instruction(fields: Fields) -> str | None:
    """The question as a router should see it: with its context and options, without examples and templates."""
    inner = fields.get("doc")
    document = inner if isinstance(inner, Mapping) else fields
    lowered: dict[str, Any] = {name.lower(): value for name, value in document.items()}
    texts = {name: value for name, value in lowered.items() if isinstance(value, str) and value.strip()}
    question = next((texts[name] for name in QUESTIONS if name in texts), None)
    if question is None:
        return _first_argument(fields)
    context = [texts[name] for name in CONTEXTS if name in texts]
    return with_options("\n".join([*context, question]), _options(lowered))


def _options(document: Mapping[str, Any]) -> list[str]:
    choices = document.get("choices") or document.get("options")
    if isinstance(choices, Mapping):
        choices = choices.get("text")
    if isinstance(choices, str):
        choices = spelt_list(choices)
    if not isinstance(choices, list) or len(choices) < 2 or not all(isinstance(choice, str) for choice in choices):
        return []  # a single choice is the answer to an open question
    return choices


def _first_argument(fields: Fields) -> str | None:
    """The prompt that was sent."""
    first: Any = fields.get("arguments")
    for _ in range(2):  # {"gen_args_0": {"arg_0": prompt}}, or in older files [[prompt, ...]]
        parts = list(first.values()) if isinstance(first, Mapping) else first
        first = parts[0] if isinstance(parts, list) and parts else None
    return first if isinstance(first, str) and first.strip() else None
