"""RouterBench: a wide table with a row for every question and three columns for every model.

The columns are sample_id, prompt, eval_name and, for a model M, `M` (its score), `M|total_cost` [USD] and
`M|model_response`. Published are pickled DataFrames (routerbench_0shot.pkl, routerbench_5shot.pkl); the same as CSV is
read too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from cit_core.aptitude.importers.base import BadRow, ImportReport, ItemRow, Row, import_rows, row_or_bad
from cit_core.aptitude.importers.files import (
    Fields,
    check_columns,
    check_files,
    checked,
    identifier,
    is_absent,
    read_rows,
    spelt_list,
)
from cit_core.aptitude.importers.pickled_frames import read_frame
from cit_core.errors import InvalidInput
from cit_core.records import Outcome
from cit_core.store import CapabilityStore

__all__ = ["import_routerbench"]

REQUIRED = ("sample_id", "prompt", "eval_name")
COST, RESPONSE = "|total_cost", "|model_response"


def import_routerbench(
    paths: Sequence[Path],
    store: CapabilityStore,
    *,
    source: str | None = None,
    skip_bad: bool = False,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Import RouterBench: all files in one transaction, or nothing if it raises. Importing again adds nothing.

    A pickle is in memory as a whole; nothing that it names is run.

    Args:
        paths: Files that end in .pkl or .csv.
        store: Where the outcomes go.
        source: Where the outcomes come from; `routerbench:<file name>` if not given.
        skip_bad: Leave bad rows out and report them, rather than refuse them all.
        progress: Told now and then how many outcomes have been read so far.

    Raises:
        InvalidInput: If a file cannot be read or a row is wrong, with its file and row.
    """
    check_files(paths, (".pkl", ".csv"))
    now = datetime.now(timezone.utc)
    rows = (row for path in paths for row in _rows(path, source or f"routerbench:{path.name}", now))
    return import_rows(rows, store, skip_bad=skip_bad, progress=progress)


def _rows(path: Path, source: str, when: datetime) -> Iterator[Row | BadRow]:
    lines = _frame_rows(path) if path.suffix.lower() == ".pkl" else read_rows(path, required=REQUIRED)
    for where, fields in lines:
        try:
            found = checked(fields, REQUIRED)
            about, models = _about(where, found), _models(found)
        except InvalidInput as error:
            yield BadRow(where, str(error))
            continue
        for model in models:
            if not _is_unmeasured(found[model]):
                yield row_or_bad(where, partial(_row, about, found, model, source, when))


def _frame_rows(path: Path) -> Iterator[tuple[str, Fields]]:
    columns = read_frame(path)
    check_columns(path, list(columns), REQUIRED)
    if not columns[REQUIRED[0]]:
        raise InvalidInput(f"{path} has no rows")
    for number, values in enumerate(zip(*columns.values(), strict=True), start=1):
        yield f"{path}:{number}", dict(zip(columns, values, strict=True))


def _about(where: str, fields: Fields) -> ItemRow:
    prompt = identifier(fields, "prompt")
    turns = spelt_list(prompt)  # the published prompts are lists, written as texts
    item, task = f"routerbench/{identifier(fields, 'sample_id')}", identifier(fields, "eval_name")
    return ItemRow(where, item, task, prompt if turns is None else "\n\n".join(turns))


def _models(fields: Fields) -> list[str]:
    named = dict.fromkeys(
        column.removesuffix(end) for column in fields for end in (COST, RESPONSE) if column.endswith(end)
    )
    models = [model for model in named if model in fields]
    if not models:
        raise InvalidInput(f"has no model: a model M needs a column M with its scores, and M{COST} or M{RESPONSE}")
    return models


def _row(about: ItemRow, fields: Fields, model: str, source: str, when: datetime) -> Row:
    cost = fields.get(model + COST)
    outcome = Outcome(
        candidate=model,
        item=about.item,
        correct=fields[model],
        source=source,
        when=when,
        cost_usd=None if _is_unmeasured(cost) else cost,
    )
    return Row(about, outcome)


def _is_unmeasured(value: object) -> bool:
    return is_absent(value) or (isinstance(value, float) and math.isnan(value))
