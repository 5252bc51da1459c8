"""VLMEvalKit: result sheets of questions about pictures, `{VLM}_{BENCH}.xlsx` and what its evaluation adds to the name.

A row has index, question, mostly the options A, B, C ..., answer, prediction and, after the evaluation, hit (or score);
some benchmarks have hint, category and split. No picture is in it. Rotations of options, which CircularEval asks too,
have an index from 1,000,000 on: the evaluated sheet counts them in the hit of their question, so they are left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from cit_core.aptitude.grading import with_options
from cit_core.aptitude.grading.answers import LETTERS, chosen_options
from cit_core.aptitude.importers.base import BadRow, ImportReport, ItemRow, Row, import_rows, row_or_bad, source_of
from cit_core.aptitude.importers.fields import Fields, checked, identifier, is_absent, number, text
from cit_core.aptitude.importers.files import check_files, read_rows
from cit_core.aptitude.importers.limits import DEFAULT_LIMITS, Limits
from cit_core.errors import InvalidInput
from cit_core.records import Outcome
from cit_core.store import CapabilityStore

__all__ = ["import_vlmeval"]

KINDS = (".xlsx", ".tsv", ".csv", ".json")
REQUIRED = ("index", "question")
VERDICTS = ("hit", "score", "eval_score", "eval_match", "match")
"""Columns with the evaluation's verdict, in [0, 1], the surest first."""
ROTATED = 1_000_000
"""Index from which on rows are rotations."""
EVALUATED = re.compile(r"(?:_(?:openai|exact_matching|chatgpt[^_]*|gpt-?\d[^_]*))?(?:_(?:results?|score|auxmatch))?$")
"""What evaluation adds to a sheet's name."""
BENCHMARK = re.compile(
    r"_((?:MMMU|MMMU_Pro|AI2D|CCBench|CMMMU|MMBench|MMStar|MME|MMVet|MMT|MTVQA|SEEDBench\d?|ScienceQA|Math[A-Z]\w*|OCRBench|"
    r"RealWorldQA|HallusionBench|POPE|ChartQA|DocVQA|InfoVQA|TextVQA|BLINK|Q-Bench1|A-Bench|LLaVABench|TableVQABench|"
    r"WeMath|LogicVista|DynaMath|R-Bench|VisOnlyQA|ZEROBench)(?:[-_]\w+)*)$"
)
"""Beginnings of the names of its benchmarks."""
YES, NO = "yes", "no"


class _Sheet(NamedTuple):
    model: str
    benchmark: str
    split: str | None


def import_vlmeval(
    paths: Sequence[Path],
    store: CapabilityStore,
    *,
    model: str | None = None,
    benchmark: str | None = None,
    split: str | None = None,
    source: str | None = None,
    skip_bad: bool = False,
    replace: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Import result sheets: all files, or none if it raises. Importing again adds nothing.

    A sheet without a verdict is graded by the option that the prediction names, as far as it has options.

    Args:
        paths: Files that end in .xlsx, .tsv, .csv or .json.
        store: Store of the outcomes.
        model: Model that answered; by default what the file's name says, `{VLM}_{BENCH}.xlsx`.
        benchmark: Benchmark; by default what the file's name says.
        split: Read the rows of this split alone, such as `validation` of MMMU_DEV_VAL.
        source: Source of the outcomes; `vlmeval:<file name>` if not given.
        skip_bad: Leave bad rows out and report them, rather than refuse them all.
        replace: Remove what the store has of the same sources: for a file that was corrected.
        limits: Limits of each file.
        progress: Called now and then with the number of rows read so far.

    Raises:
        InvalidInput: If a file cannot be read, its name does not tell model and benchmark, or a row is wrong.
    """
    check_files(paths, KINDS)
    sheets = [(path, _sheet(path, model, benchmark, split)) for path in paths]
    now = datetime.now(timezone.utc)
    rows = (
        row for path, sheet in sheets for row in _rows(path, sheet, source or source_of("vlmeval", path), now, limits)
    )
    return import_rows(rows, store, skip_bad=skip_bad, replace=replace, limits=limits, progress=progress)


def _sheet(path: Path, model: str | None, benchmark: str | None, split: str | None) -> _Sheet:
    """Find out whose answers to what are in a file: its folder is often the model's."""
    name = EVALUATED.sub("", path.name.partition(path.suffix)[0] if path.suffix else path.name)
    if benchmark is None:
        folder = path.resolve().parent.name
        found = BENCHMARK.search(name)
        if name.startswith(f"{folder}_"):
            benchmark = name[len(folder) + 1 :]
        elif found is not None:
            benchmark = found[1]
    if model is None and benchmark is not None:
        model = name.removesuffix(benchmark).rstrip("_") or None
    if not model or not benchmark:
        raise InvalidInput(
            f"{str(path)!r} does not name its model and benchmark as in Qwen2-VL-7B_AI2D_TEST.xlsx; say them: "
            "--model ID --benchmark NAME, or model= and benchmark= in Python"
        )
    return _Sheet(model, benchmark, split)


def _rows(path: Path, sheet: _Sheet, source: str, when: datetime, limits: Limits) -> Iterator[Row | BadRow]:
    for where, fields in read_rows(path, required=REQUIRED, limits=limits):
        if isinstance(fields, dict) and not _counts(fields, sheet):
            continue
        yield row_or_bad(where, partial(_row, where, fields, sheet, source, when))


def _counts(fields: Fields, sheet: _Sheet) -> bool:
    """Return False for a rotation, and for a row of another split."""
    index = fields.get("index")
    spelt = str(index).strip()
    if spelt.isdecimal() and len(spelt) < 12 and int(spelt) >= ROTATED:
        return False
    return sheet.split is None or str(fields.get("split", "")).strip().lower() == sheet.split.lower()


def _row(where: str, fields: Fields | str, sheet: _Sheet, source: str, when: datetime) -> Row:
    found = checked(fields, REQUIRED)
    about = _about(where, found, sheet)
    outcome = Outcome(candidate=sheet.model, item=about.item, correct=_correct(found, about), source=source, when=when)
    return Row(about, outcome)


def _about(where: str, fields: Fields, sheet: _Sheet) -> ItemRow:
    options = tuple(_options(fields))
    hint, question = text(fields, "hint"), identifier(fields, "question")
    asked = f"{hint}\n{question}" if hint else question
    category = text(fields, "category")
    return ItemRow(
        where,
        f"{sheet.benchmark}/{identifier(fields, 'index')}",
        f"{sheet.benchmark}/{category}" if category else sheet.benchmark,
        with_options(asked, options) if options else asked,
        options,
        _spelt(fields.get("answer")),
    )


def _options(fields: Fields) -> Iterator[str]:
    """Yield the options, up to the first that is empty; numbers are texts here."""
    for letter in LETTERS:
        option = _spelt(fields.get(letter))
        if option is None:
            return
        yield option


def _spelt(value: Any) -> str | None:
    """Return a cell as a text: a sheet makes numbers and truth values of what looks like them."""
    if is_absent(value):
        return None
    return f"{value:g}" if isinstance(value, float) else str(value)


def _correct(fields: Fields, about: ItemRow) -> float:
    for name in VERDICTS:
        if not is_absent(fields.get(name)):
            value = fields[name]
            given = {"true": 1.0, "false": 0.0}.get(str(value).strip().lower())
            return float(number(fields, name)) if given is None else given
    answer, said = about.answer, _spelt(fields.get("prediction")) or ""
    if answer is not None and about.options and answer in LETTERS[: len(about.options)]:
        return float(chosen_options(said, about.options) == {LETTERS.index(answer)})
    if answer is not None and answer.strip().lower() in (YES, NO):
        named = set(re.findall(r"\b(?:yes|no)\b", said.lower()))
        return float(named == {answer.strip().lower()})
    raise InvalidInput(
        f"has no verdict ({', '.join(VERDICTS)}) and no options to grade by; import the sheet that the evaluation of "
        "VLMEvalKit writes, such as MODEL_BENCH_openai_result.xlsx"
    )
