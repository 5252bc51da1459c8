"""MMR-Bench: `MMR_Bench.csv`, a wide table of questions about pictures with a few columns for every model.

The columns are dataset_idx (`MathVista_17`), question, answer and, for a model M, `M_correct` in [0, 1], `M_cost`,
`M_prediction` and `M_token`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from cit_core.aptitude.importers.base import BadRow, ImportReport, ItemRow, Row, import_rows, row_or_bad, source_of
from cit_core.aptitude.importers.fields import Fields, checked, identifier, is_absent, number
from cit_core.aptitude.importers.files import check_files, read_rows
from cit_core.aptitude.importers.limits import DEFAULT_LIMITS, Limits
from cit_core.errors import InvalidInput
from cit_core.records import Outcome
from cit_core.store import CapabilityStore

__all__ = ["import_mmr_bench"]

REQUIRED = ("dataset_idx", "question")
CORRECT, COST = "_correct", "_cost"


def import_mmr_bench(
    paths: Sequence[Path],
    store: CapabilityStore,
    *,
    costs: bool = False,
    source: str | None = None,
    skip_bad: bool = False,
    replace: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Import MMR-Bench: all files, or none if it raises. Importing again adds nothing.

    Args:
        paths: Files that end in .csv or .parquet.
        store: Store of the outcomes.
        costs: Take the column `M_cost` for USD; the benchmark allows any unit, so it is left out if not said.
        source: Source of the outcomes; `mmr-bench:<file name>` if not given.
        skip_bad: Leave bad rows out and report them, rather than refuse them all.
        replace: Remove what the store has of the same sources: for a file that was corrected.
        limits: Limits of each file.
        progress: Called now and then with the number of outcomes read so far.

    Raises:
        InvalidInput: If a file cannot be read or a row is wrong, with its file and row.
    """
    check_files(paths, (".csv", ".parquet"))
    now = datetime.now(timezone.utc)
    rows = (row for path in paths for row in _rows(path, source or source_of("mmr-bench", path), now, limits, costs))
    return import_rows(rows, store, skip_bad=skip_bad, replace=replace, limits=limits, progress=progress)


def _rows(path: Path, source: str, when: datetime, limits: Limits, costs: bool) -> Iterator[Row | BadRow]:
    for where, fields in read_rows(path, required=REQUIRED, limits=limits):
        try:
            found = checked(fields, REQUIRED)
            about, models = _about(where, found), _models(found)
        except InvalidInput as error:
            yield BadRow(where, str(error))
            continue
        for model in models:
            if not is_absent(found[model + CORRECT]):
                yield row_or_bad(where, partial(_row, about, found, model, source, when, costs))


def _about(where: str, fields: Fields) -> ItemRow:
    place = identifier(fields, "dataset_idx")
    return ItemRow(where, f"mmr-bench/{place}", place.rpartition("_")[0] or place, identifier(fields, "question"))


def _models(fields: Fields) -> list[str]:
    models = [column.removesuffix(CORRECT) for column in fields if column.endswith(CORRECT) and column != CORRECT]
    if not models:
        raise InvalidInput(f"has no model: a model M needs a column M{CORRECT}")
    return models


def _row(about: ItemRow, fields: Fields, model: str, source: str, when: datetime, costs: bool) -> Row:
    correct = {"true": 1.0, "false": 0.0}.get(str(fields[model + CORRECT]).strip().lower())
    outcome = Outcome(
        candidate=model,
        item=about.item,
        correct=number(fields, model + CORRECT) if correct is None else correct,
        source=source,
        when=when,
        cost_usd=number(fields, model + COST) if costs else None,
    )
    return Row(about, outcome)
