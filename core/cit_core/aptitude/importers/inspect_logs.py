"""Inspect: the logs that `inspect eval` writes, as JSON or as .eval files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

from cit_core.aptitude.grading import with_options
from cit_core.aptitude.importers.base import BadRow, ImportReport, ItemRow, Row, import_rows, row_or_bad
from cit_core.aptitude.importers.files import Fields, check_files, checked, identifier, is_absent, read_json
from cit_core.errors import InvalidInput, MissingExtra
from cit_core.records import Outcome
from cit_core.store import CapabilityStore

__all__ = ["import_inspect"]

GRADES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
"""Correct, partially correct, incorrect, no answer."""
FIELDS = {"id", "epoch", "input", "choices", "target", "scores", "model_usage", "total_time", "error"}
"""Of a sample."""


@dataclass(frozen=True)
class _Log:
    """One log: what holds for all its samples."""

    task: str
    model: str
    """As the log names it."""
    candidate: str
    source: str
    when: datetime


def import_inspect(
    paths: Sequence[Path],
    store: CapabilityStore,
    *,
    model: str | None = None,
    scorer: str | None = None,
    source: str | None = None,
    skip_bad: bool = False,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Import logs of Inspect: all of them in one transaction, or nothing if it raises. Importing again adds nothing.

    A JSON log is in memory as a whole, of an .eval file one sample at a time. Each epoch is a source of its own, so an
    item counts with the mean over its epochs.

    Args:
        paths: Logs that end in .json or .eval.
        store: Where the outcomes go.
        model: Who answered; what the log says if not given.
        scorer: Whose score counts, where samples have several: a scorer, or `scorer.key` of one that gives several.
        source: Where the outcomes come from; `inspect:<file name>` if not given. Epochs after the first add `#<epoch>`.
        skip_bad: Leave bad samples out and report them, rather than refuse them all.
        progress: Told now and then how many samples have been read so far.

    Raises:
        InvalidInput: If a log cannot be read, or a sample is wrong or has no score.
        MissingExtra: If an .eval file is given and inspect_ai is not installed.
    """
    check_files(paths, (".json", ".eval"))
    for path in paths:
        if path.suffix.lower() == ".eval":
            _inspect_log()
    now = datetime.now(timezone.utc)
    rows = (row for path in paths for row in _rows(path, model, scorer, source or f"inspect:{path.name}", now))
    return import_rows(rows, store, skip_bad=skip_bad, progress=progress)


def _rows(path: Path, model: str | None, scorer: str | None, source: str, when: datetime) -> Iterator[Row | BadRow]:
    about, samples = _read_eval(path) if path.suffix.lower() == ".eval" else _read_json(path)
    task, named = identifier(about, "task"), identifier(about, "model")
    log = _Log(task, named, model or named, source, when)
    for number, sample in enumerate(samples, start=1):
        where = f"{path}:{number}"
        scorer = scorer or _only_scorer(path, sample)
        yield row_or_bad(where, partial(_row, where, sample, log, scorer))


def _only_scorer(path: Path, sample: Any) -> str | None:
    names = list(_scores(sample))
    if len(names) > 1:
        raise InvalidInput(
            f"{path} has several scores for a sample: {', '.join(names)}; choose one: --scorer, or scorer= in Python"
        )
    return names[0] if names else None


def _row(where: str, sample: Any, log: _Log, scorer: str | None) -> Row:
    if not isinstance(sample, Mapping):
        raise InvalidInput(f"is {type(sample).__name__} in JSON; a sample must be an object")
    about, epoch = _about(where, checked(sample, ("id",)), log.task), sample.get("epoch") or 1
    outcome = Outcome(
        candidate=log.candidate,
        item=about.item,
        correct=_correct(sample, scorer),
        source=log.source if epoch == 1 else f"{log.source}#{epoch}",
        when=log.when,
        latency_s=sample.get("total_time"),
        **_usage(sample, log.model),
    )
    return Row(about, outcome)


def _about(where: str, sample: Fields, task: str) -> ItemRow:
    question, target = _question(sample.get("input")), sample.get("target")
    options = tuple(map(str, sample.get("choices") or ()))
    return ItemRow(
        where,
        f"{task}/{identifier(sample, 'id')}",
        task,
        with_options(question, options) if question else None,
        options,
        target if options and isinstance(target, str) and target else None,  # others are for a judge to compare
    )


def _question(given: Any) -> str | None:
    """The input of a sample: a text, or what the user says last in a list of messages."""
    if isinstance(given, list):
        users = [m.get("content") for m in given if isinstance(m, Mapping) and m.get("role") == "user"]
        given = users[-1] if users else None
    if isinstance(given, list):  # content in parts, some of them images
        given = "\n".join(str(part["text"]) for part in given if isinstance(part, Mapping) and part.get("text"))
    return given if isinstance(given, str) and given.strip() else None


def _correct(sample: Fields, scorer: str | None) -> float:
    scores = _scores(sample)
    if not scores:
        failed = ": it ended with an error" if sample.get("error") else ""
        raise InvalidInput(f"has no score{failed}")
    if scorer not in scores:
        raise InvalidInput(f"has no score {scorer!r}; it has {', '.join(scores)} (--scorer chooses one)")
    value = scores[scorer]
    number = GRADES.get(value, value) if isinstance(value, str) else value
    if not isinstance(number, (bool, int, float)):
        raise InvalidInput(f"score {scorer!r} is {value!r:.60}; it must be a number, or one of {', '.join(GRADES)}")
    return float(number)


def _scores(sample: Any) -> dict[str, Any]:
    """Name of a scorer, or of a scorer and its key, to what it gave."""
    given = sample.get("scores") if isinstance(sample, Mapping) else None
    found: dict[str, Any] = {}
    for name, score in given.items() if isinstance(given, Mapping) else ():
        value = score.get("value") if isinstance(score, Mapping) else None
        if isinstance(value, Mapping):
            found |= {f"{name}.{key}": inner for key, inner in value.items()}
        else:
            found[name] = value
    return found


def _usage(sample: Fields, model: str) -> dict[str, Any]:
    """Tokens and cost of the model itself: a judge may have used some too."""
    used = sample.get("model_usage")
    mine = used.get(model) if isinstance(used, Mapping) else None
    if not isinstance(mine, Mapping):
        return {}
    names = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens", "cost_usd": "total_cost"}
    return {ours: mine[theirs] for ours, theirs in names.items() if not is_absent(mine.get(theirs))}


def _read_json(path: Path) -> tuple[Fields, list[Any]]:
    log = read_json(path)
    about = log.get("eval") if isinstance(log, dict) else None
    if not isinstance(about, dict) or not {"task", "model"} <= about.keys():
        raise InvalidInput(f"{path} is no log of Inspect: it has no eval with a task and a model")
    samples = log.get("samples")
    if not isinstance(samples, list) or not samples:
        raise InvalidInput(f"{path} has no samples; log them (--log-samples is the default of inspect eval)")
    return about, samples


def _read_eval(path: Path) -> tuple[Fields, Iterator[Fields]]:
    try:
        header = _inspect_log().read_eval_log(str(path), header_only=True).eval
    except (OSError, ValueError, LookupError) as error:
        raise _unreadable(path, error) from error
    return {"task": header.task, "model": header.model}, _samples(path)


def _samples(path: Path) -> Iterator[Fields]:
    count = 0
    try:
        for sample in _inspect_log().read_eval_log_samples(str(path), all_samples_required=False):
            count += 1
            yield sample.model_dump(mode="json", include=FIELDS)
    except (OSError, ValueError, LookupError) as error:
        raise _unreadable(path, error) from error
    if not count:
        raise InvalidInput(f"{path} has no samples")


def _unreadable(path: Path, error: Exception) -> InvalidInput:
    return InvalidInput(f"{path} is no log of Inspect that can be read: {error}")


def _inspect_log() -> Any:
    try:
        import inspect_ai.log as inspect_log
    except ImportError as error:
        raise MissingExtra("inspect_ai, which reads .eval files,", "inspect") from error
    return inspect_log
