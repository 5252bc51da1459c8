"""Import logs of `inspect eval`, as JSON or as .eval files (zips with a member for every sample)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

from cit_core.aptitude.grading import with_options
from cit_core.aptitude.importers._inspect_files import ATTACHED, samples_of, task_and_model
from cit_core.aptitude.importers.base import (
    BadRow,
    ImportReport,
    ItemRow,
    Row,
    import_rows,
    row_or_bad,
    source_of,
)
from cit_core.aptitude.importers.fields import Fields, checked, identifier, is_absent, listed_texts, number, shown
from cit_core.aptitude.importers.files import check_files
from cit_core.aptitude.importers.limits import DEFAULT_LIMITS, Limits
from cit_core.errors import InvalidInput
from cit_core.records import Outcome
from cit_core.store import CapabilityStore

__all__ = ["import_inspect"]

GRADES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
"""Inspect's own words: correct, partially correct, incorrect, no answer."""
WORDS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
"""Words that Inspect takes for numbers, in any case."""


@dataclass(frozen=True)
class _Log:
    """Facts of one log which hold for all its samples."""

    task: str
    model: str
    """Name of the model in the log."""
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
    replace: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Import logs of Inspect: all of them, or none if it raises. Importing again adds nothing.

    One sample is in memory at a time. Each epoch is a source of its own: an item counts with the mean over its epochs.

    Args:
        paths: Logs that end in .json, .json.gz or .eval.
        store: Store of the outcomes.
        model: Model that answered; what the log says if not given.
        scorer: Scorer that counts, where samples have several: a scorer, or `scorer.key` of one that gives several.
        source: Source of the outcomes; `inspect:<file name>` if not given. Epochs after the first add `#<epoch>`.
        skip_bad: Leave bad samples out and report them, rather than refuse them all.
        replace: Remove what the store has of the same sources: for a file that was corrected.
        limits: Limits of each file.
        progress: Called now and then with the number of samples read so far.

    Raises:
        InvalidInput: If a log cannot be read, or a sample is wrong or has no score.
        MissingExtra: If an .eval file is packed in a way for which the extra `inspect` is needed.
    """
    check_files(paths, (".json", ".eval"))
    now = datetime.now(timezone.utc)
    rows = (
        row for path in paths for row in _rows(path, model, scorer, source or source_of("inspect", path), now, limits)
    )
    return import_rows(rows, store, skip_bad=skip_bad, replace=replace, limits=limits, progress=progress)


def _rows(
    path: Path, model: str | None, scorer: str | None, source: str, when: datetime, limits: Limits
) -> Iterator[Row | BadRow]:
    about = task_and_model(path, limits)
    task, named = identifier(about, "task"), identifier(about, "model")
    log = _Log(task, named, model or named, source, when)
    for place, sample in enumerate(samples_of(path, limits), start=1):
        where = f"{path}:{place}"
        if isinstance(sample, str):
            yield BadRow(where, sample)
            continue
        scorer = scorer or _only_scorer(path, sample)
        yield row_or_bad(where, partial(_row, where, sample, log, scorer))


def _only_scorer(path: Path, sample: Any) -> str | None:
    names = list(_scores(sample))
    if len(names) > 1:
        raise InvalidInput(
            f"{path} has several scores for a sample: {', '.join(name[:60] for name in names[:20])}; choose one: "
            "--scorer, or scorer= in Python"
        )
    return names[0] if names else None


def _row(where: str, sample: Any, log: _Log, scorer: str | None) -> Row:
    if not isinstance(sample, Mapping):
        raise InvalidInput(f"is {type(sample).__name__} in JSON; a sample must be an object")
    about, epoch = _about(where, checked(sample, ("id",)), log.task), sample.get("epoch") or 1
    if isinstance(epoch, bool) or not isinstance(epoch, int):
        raise InvalidInput(f"epoch is {shown(epoch)}; it must be a whole number")
    outcome = Outcome(
        candidate=log.candidate,
        item=about.item,
        correct=_correct(sample, scorer),
        source=log.source if epoch == 1 else f"{log.source}#{epoch}",
        when=log.when,
        latency_s=number(sample, "total_time"),
        **_usage(sample, log.model),
    )
    return Row(about, outcome)


def _about(where: str, sample: Fields, task: str) -> ItemRow:
    question, target = _question(sample.get("input")), sample.get("target")
    options = listed_texts(sample.get("choices"), "choices")
    return ItemRow(
        where,
        f"{task}/{identifier(sample, 'id')}",
        task,
        with_options(question, options) if question else None,
        options,
        target if options and isinstance(target, str) and target else None,  # others are for a judge to compare
    )


def _question(given: Any) -> str | None:
    """Return the input of a sample: a text, or the last message of the user in a list of messages."""
    if isinstance(given, list):
        users = [m.get("content") for m in given if isinstance(m, Mapping) and m.get("role") == "user"]
        given = users[-1] if users else None
    if isinstance(given, list):  # content in parts, some of them images
        given = "\n".join(str(part["text"]) for part in given if isinstance(part, Mapping) and part.get("text"))
    return given if isinstance(given, str) and given.strip() and not given.startswith(ATTACHED) else None


def _correct(sample: Fields, scorer: str | None) -> float:
    scores = _scores(sample)
    if not scores:
        failed = ": it ended with an error" if sample.get("error") else ""
        raise InvalidInput(f"has no score{failed}")
    if scorer not in scores:
        has = ", ".join(name[:60] for name in list(scores)[:20])
        raise InvalidInput(f"has no score {scorer!r}; it has {has} (--scorer chooses one)")
    value = scores[scorer]
    score = _graded(value) if isinstance(value, str) else value
    if not isinstance(score, (bool, int, float)):
        raise InvalidInput(
            f"score {scorer!r} is {shown(value)}; it must be a number, or one of {', '.join([*GRADES, *WORDS])}"
        )
    return float(score)


def _graded(word: str) -> float | str:
    """Return a score that Inspect has written as a word, or a number as a text, as a number."""
    plain = word.strip()
    known = GRADES.get(plain, WORDS.get(plain.lower()))
    if known is not None:
        return known
    try:
        return float(plain)
    except ValueError:
        return word


def _scores(sample: Any) -> dict[str, Any]:
    """Return the scores of a sample: scorer, or scorer and key, to value."""
    given = sample.get("scores") if isinstance(sample, Mapping) else None
    found: dict[str, Any] = {}
    for name, score in given.items() if isinstance(given, Mapping) else ():
        value = score.get("value") if isinstance(score, Mapping) else score
        if isinstance(value, Mapping):
            found |= {f"{name}.{key}": inner for key, inner in value.items()}
        else:
            found[name] = value
    return found


def _usage(sample: Fields, model: str) -> dict[str, Any]:
    """Return tokens and cost of the model itself: a judge may have used some too."""
    used = sample.get("model_usage")
    mine = used.get(model) if isinstance(used, Mapping) else None
    if not isinstance(mine, Mapping):
        return {}
    names = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens", "cost_usd": "total_cost"}
    return {ours: number(mine, theirs) for ours, theirs in names.items() if not is_absent(mine.get(theirs))}
