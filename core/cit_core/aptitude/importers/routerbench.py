"""RouterBench: a wide table with a row for every question and three columns for every model.

The columns are sample_id, prompt, eval_name and, for a model M, `M` (its score), `M|total_cost` [USD] and
`M|model_response`. Published are pickled DataFrames (routerbench_0shot.pkl, routerbench_5shot.pkl); the same as CSV is
read too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from cit_core.aptitude.importers.base import (
    BadRow,
    ImportReport,
    ItemRow,
    Row,
    import_rows,
    row_or_bad,
    source_of,
)
from cit_core.aptitude.importers.fields import Fields, checked, identifier, is_absent, number, spelt_list
from cit_core.aptitude.importers.files import check_columns, check_files, read_rows
from cit_core.aptitude.importers.limits import DEFAULT_LIMITS, Limits
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
    replace: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Import RouterBench: all files, or none if it raises. Importing again adds nothing.

    Nothing that a pickle names is run, and its long texts stay on the disk until they are needed.

    Args:
        paths: Files that end in .pkl or .csv.
        store: Store of the outcomes.
        source: Source of the outcomes; `routerbench:<file name>` if not given.
        skip_bad: Leave bad rows out and report them, rather than refuse them all.
        replace: Remove what the store has of the same sources: for a file that was corrected.
        limits: Limits of each file.
        progress: Called now and then with the number of outcomes read so far.

    Raises:
        InvalidInput: If a file cannot be read or a row is wrong, with its file and row.
    """
    check_files(paths, (".pkl", ".csv"))
    now = datetime.now(timezone.utc)
    rows = (row for path in paths for row in _rows(path, source or source_of("routerbench", path), now, limits))
    return import_rows(rows, store, skip_bad=skip_bad, replace=replace, limits=limits, progress=progress)


def _rows(path: Path, source: str, when: datetime, limits: Limits) -> Iterator[Row | BadRow]:
    pickled = path.suffix.lower() == ".pkl"
    lines = _frame_rows(path, limits) if pickled else read_rows(path, required=REQUIRED, limits=limits)
    for where, fields in lines:
        try:
            found = checked(fields, REQUIRED)
            about, models = _about(where, found), _models(found)
        except InvalidInput as error:
            yield BadRow(where, str(error))
            continue
        for model in models:
            if not is_absent(found[model]):
                yield row_or_bad(where, partial(_row, about, found, model, source, when))


def _frame_rows(path: Path, limits: Limits) -> Iterator[tuple[str, Fields]]:
    with read_frame(path, limits) as frame:
        check_columns(path, frame.names, REQUIRED)
        if not frame.length:
            raise InvalidInput(f"{path} has no rows")
        kept = [name for name in frame.names if not name.endswith(RESPONSE)]
        silent = dict.fromkeys(name for name in frame.names if name.endswith(RESPONSE))
        for number, values in enumerate(frame.rows(kept), start=1):
            yield f"{path}:{number}", {**silent, **values}


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
    outcome = Outcome(
        candidate=model,
        item=about.item,
        correct=number(fields, model),
        source=source,
        when=when,
        cost_usd=number(fields, model + COST),
    )
    return Row(about, outcome)
