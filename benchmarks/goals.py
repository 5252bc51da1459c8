"""Write docs/benchmarks.md with the goals above the results: python -m benchmarks.goals benchmarks/results docs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cit_core.evaluate.comparison import BEST_PER_GROUP, HINDSIGHT
from cit_core.evaluate.comparison import BLIND as BLIND_OF
from cit_core.evaluate.experiments.baselines import CONTROLS, OURS, SHUFFLED
from cit_core.evaluate.experiments.cascades import SAME_QUALITY
from cit_core.evaluate.experiments.cost import MIXED
from cit_core.evaluate.experiments.current import ALONE, HULL
from cit_core.evaluate.experiments.few import EVIDENCE as CORRECTOR
from cit_core.evaluate.experiments.halves import MEAN
from cit_core.evaluate.experiments.ways import BLIND, ROUTING
from cit_core.evaluate.figures import write_figures
from cit_core.evaluate.metrics import Interval
from cit_core.evaluate.predictions import EVIDENCE, NETWORK
from cit_core.evaluate.results import Cell, Column, Kind, Result, Table, read_results
from cit_core.evaluate.tables import benchmarks_page, written

__all__ = ["goals"]

NEW = "Models that were in no training run ("
NEW_CATEGORIES = "Models that were in no training run on categories"
LOG = "Models with a log: llmrouter ("
HALVES, HELD_OUT_LOG = "Halves of ", "Held-out datasets: "
BEFORE = {"llmrouter": 0.782, "korbench": 0.776, "bfcl2024": 0.709}
"""AUROC of the evidence that shipped before, by docs/lab-notes.md of 2026-11-28."""
ROOM = ("llmrouter", "reasoninggym")
"""Logs in which choosing a model for each task gains."""
GAIN, BEYOND, AUROC = "above best by aptitude", "above best baseline", "AUROC"


@dataclass(frozen=True)
class _Goal:
    what: str
    needed: str
    measured: Callable[[_Results], Cell]
    reached: Callable[[Interval], bool]
    kind: Kind


class _Results:
    """Finds cells by the text around them."""

    def __init__(self, results: Sequence[Result]) -> None:
        self._tables = {result.experiment: result.tables for result in results}

    def has(self, experiment: str, begins: str) -> bool:
        """Return True if there is such a table."""
        return any(table.title.startswith(begins) for table in self._tables.get(experiment, ()))

    def table(self, experiment: str, begins: str) -> Table:
        """Return the first table of an experiment with this beginning of its title."""
        return next(table for table in self._tables[experiment] if table.title.startswith(begins))

    def cell(self, experiment: str, begins: str, row: str, column: str) -> Cell:
        """One cell, by the name of its row and its column."""
        table = self.table(experiment, begins)
        place = [heading.name for heading in table.columns].index(column)
        return next(cells[place] for cells in table.rows if cells[0] == row)

    def mean(self, experiment: str, begins: str, row: str, column: str) -> float:
        """The mean of one cell."""
        return _interval(self.cell(experiment, begins, row, column)).mean

    def column(self, experiment: str, begins: str, column: str) -> dict[str, Cell]:
        """Cells of a column by the names of their rows."""
        table = self.table(experiment, begins)
        place = [heading.name for heading in table.columns].index(column)
        return {str(cells[0]): cells[place] for cells in table.rows}

    def held_out_kinds(self) -> list[Interval]:
        """Points above the best by aptitude on tasks of logs that are held out."""
        titles = [table.title for table in self._tables["baselines"]]
        of_logs = [title for title in titles if title.startswith(HELD_OUT_LOG) and " to " not in title]
        return [_interval(self.cell("baselines", title, EVIDENCE, GAIN)) for title in of_logs]

    def handfuls(self, tables: Sequence[str] | None = None, least: int = 0) -> list[Interval]:
        """Points of the corrector above the mean of a few questions, for each table and number of them."""
        found = []
        for table in self._tables["few"]:
            if tables is None or table.title.partition(":")[0] in tables:
                (ours,) = [cells for cells in table.rows if cells[0] == CORRECTOR]
                numbers = [int(heading.name.split()[0]) for heading in table.columns[1:]]
                found += [_interval(cell) for cell, n in zip(ours[1:], numbers, strict=True) if n >= least]
        return found

    def best_baseline(self, begins: str, column: str) -> float:
        """The highest mean of a column among what is not ours, no control and no hindsight."""
        others = {*OURS, *CONTROLS, SHUFFLED, *HINDSIGHT, *map(BLIND_OF.format, OURS)}
        names = [str(cells[0]) for cells in self.table("baselines", begins).rows if cells[0] not in others]
        return max(self.mean("baselines", begins, name, column) for name in names)


def _points(what: str, needed: float, begins: str, column: str) -> _Goal:
    return _Goal(
        what,
        f"{needed:+.1f} or more, interval above 0",
        lambda results: results.cell("baselines", begins, EVIDENCE, column),
        lambda found: found.mean >= needed and found.low > 0.0,
        "points",
    )


def _dearest(results: _Results) -> Cell:
    """The highest cost at the best single's quality in a mixed zoo; None where it is never reached."""
    costs = [results.cell("cost", f"{zoo}:", EVIDENCE, "cost at the best single's quality, %") for zoo in MIXED]
    return None if None in costs else max(_interval(cost).mean for cost in costs)


GOALS = (
    _points("New models: points above the best by aptitude", 1.0, NEW, GAIN),
    _points("New models, held-out categories: points above the best by aptitude", 1.3, NEW_CATEGORIES, GAIN),
    _points("New models: points above the best baseline", 0.0, NEW, BEYOND),
    _Goal(
        "New models: the worst zoo, points above the best by aptitude",
        "-0.5 or more",
        lambda results: results.cell("baselines", NEW, EVIDENCE, "worst zoo"),
        lambda found: found.mean >= -0.5,
        "points",
    ),
    _points("A log (llmrouter): points above the best baseline", 0.5, LOG, BEYOND),
    _Goal(
        "A log (llmrouter): points above the best model per dataset in hindsight",
        "0 or more",
        lambda results: (
            results.mean("baselines", LOG, EVIDENCE, "accuracy %")
            - results.mean("baselines", LOG, BEST_PER_GROUP, "accuracy %")
        ),
        lambda found: found.mean >= 0.0,
        "points",
    ),
    _Goal(
        "New models: expected calibration error",
        "0.05 or less",
        lambda results: results.cell("baselines", NEW, EVIDENCE, "ECE"),
        lambda found: found.mean <= 0.05,
        "precise",
    ),
    _Goal(
        "New models: AUROC above the best baseline's",
        "above 0",
        lambda results: results.mean("baselines", NEW, EVIDENCE, AUROC) - results.best_baseline(NEW, AUROC),
        lambda found: found.mean > 0.0,
        "signed",
    ),
    _Goal(
        "New models: points that the network loses when profiles change hands",
        "3 or more",
        lambda results: results.mean("baselines", NEW, NETWORK, GAIN) - results.mean("baselines", NEW, SHUFFLED, GAIN),
        lambda found: found.mean >= 3.0,
        "points",
    ),
    _Goal(
        "Mixed zoos: cost at the quality of the best single model, % of its cost, the dearest zoo",
        "50 or less",
        _dearest,
        lambda found: found.mean <= 50.0,
        "percent",
    ),
    _Goal(
        "A decision among 16, in forwards of the bare trunk",
        "1.5 or less",
        lambda results: results.cell("decision", "Ratios", "a decision among 16 / the bare trunk", "measured"),
        lambda found: found.mean <= 1.5,
        "ratio",
    ),
    _Goal(
        "A decision among 128, in decisions among 2",
        "2 or less",
        lambda results: results.cell("decision", "Ratios", "a decision among 128 / among 2", "measured"),
        lambda found: found.mean <= 2.0,
        "ratio",
    ),
)


def _of_tables(results: _Results, column: str) -> dict[str, float]:
    """Cells of the halved tables, without their mean."""
    cells = results.column("halves", HALVES, column)
    return {name: _interval(cell).mean for name, cell in cells.items() if name != MEAN}


def _alone(results: _Results, column: str) -> list[Interval]:
    cells = results.column("current", ALONE, column)
    return [_interval(cell) for name, cell in cells.items() if name != MEAN]


def _share_of_blind(results: _Results) -> Interval:
    ours, blind = (_interval(results.cell("current", SAME_QUALITY, way, "mean")) for way in (ROUTING, BLIND))
    return Interval(*(100.0 * value / blind.mean for value in ours))


def _above_before(results: _Results) -> float:
    now = _of_tables(results, AUROC)
    return sum(now[name] - before for name, before in BEFORE.items()) / len(BEFORE)


EVIDENCE_GOALS = (
    _Goal(
        "Half of a log, mean of seven: points above the best baseline",
        "interval above 0",
        lambda results: results.cell("halves", HALVES, MEAN, "above it"),
        lambda found: found.low > 0.0,
        "points",
    ),
    _Goal(
        "Half of a log: points above the best baseline, the worst table",
        "-0.3 or more",
        lambda results: min(_of_tables(results, "above it").values()),
        lambda found: found.mean >= -0.3,
        "points",
    ),
    _Goal(
        "Half of a log: AUROC above the evidence before, mean of three",
        "+0.050 or more",
        _above_before,
        lambda found: found.mean >= 0.05,
        "signed",
    ),
    _Goal(
        "Half of a log, mean of seven: the worst zoo, points above the level",
        "-0.5 or more",
        lambda results: results.cell("halves", HALVES, MEAN, "worst zoo"),
        lambda found: found.mean >= -0.5,
        "points",
    ),
    _Goal(
        "Half of a log: expected calibration error, the worst table",
        "0.05 or less",
        lambda results: max(_of_tables(results, "ECE").values()),
        lambda found: found.mean <= 0.05,
        "precise",
    ),
    _Goal(
        "Logs, held-out kinds: points above the best by aptitude, the worst log",
        "-0.3 or more",
        lambda results: min(results.held_out_kinds(), key=lambda found: found.mean),
        lambda found: found.mean >= -0.3,
        "points",
    ),
    _Goal(
        "From a handful: points above the best by its mean, the worst of tables and numbers",
        "0 or more",
        lambda results: min(results.handfuls(), key=lambda found: found.mean),
        lambda found: found.mean >= 0.0,
        "points",
    ),
    _Goal(
        "From 32 questions (llmrouter, reasoninggym): the same, the lowest interval",
        "interval above 0",
        lambda results: min(results.handfuls(ROOM, 32), key=lambda found: found.low),
        lambda found: found.low > 0.0,
        "points",
    ),
)
"""Goals of evidence; reported where the results have them."""
SPEED_GOALS = tuple(
    _Goal(
        f"{row[0].upper()}{row[1:].partition(' / ')[0]}, in forwards of the bare trunk",
        f"{needed} or less",
        lambda results, row=row: results.cell("decision", "Ratios", row, "measured"),  # type: ignore[misc]
        lambda found, needed=needed: found.mean <= needed,  # type: ignore[misc]
        "ratio",
    )
    for row, needed in (
        ("the default router among 16 / the bare trunk", 1.25),
        ("100,000 stored items / the bare trunk", 1.5),
        ("1,000,000 stored items / the bare trunk", 2.5),
    )
)
RECALL_GOAL = _Goal(
    "Recall of the nearest 400 among 1,000,000",
    "0.95 or more",
    lambda results: results.cell("decision", "Recall", "of the nearest 400 among 1,000,000", "share"),
    lambda found: found.mean >= 0.95,
    "precise",
)


MONEY_GOALS = tuple(
    _Goal(
        f"Cost at the best model's quality less 0.5 points, % of it, mean over tables: {way}",
        f"{most:g} or less",
        lambda results, way=way: results.cell("cost", SAME_QUALITY, way, "mean"),  # type: ignore[misc]
        lambda found, most=most: found.mean <= most,  # type: ignore[misc]
        "percent",
    )
    for way, most in ((ROUTING, 70.0), ("cascade, AUROC 0.85", 45.0))
)

CATALOGUE_GOALS = (
    _Goal(
        "Published scores alone: AUROC above the level's, mean over tables",
        "+0.030 or more",
        lambda results: results.cell("current", ALONE, MEAN, "above the level's"),
        lambda found: found.mean >= 0.03,
        "signed",
    ),
    _Goal(
        "Published scores alone: AUROC above the level's, the worst table",
        "0 or more",
        lambda results: min(_alone(results, "above the level's"), key=lambda found: found.mean),
        lambda found: found.mean >= 0.0,
        "signed",
    ),
    _Goal(
        "Published scores alone: expected calibration error, mean over tables",
        "0.08 or less",
        lambda results: results.cell("current", ALONE, MEAN, "ECE"),
        lambda found: found.mean <= 0.08,
        "precise",
    ),
    _Goal(
        "Published scores alone: points above the best by level, the worst table",
        "-0.3 or more",
        lambda results: min(_alone(results, "above it"), key=lambda found: found.mean),
        lambda found: found.mean >= -0.3,
        "points",
    ),
)
HULL_GOAL = _Goal(
    "Published scores alone: height above the hull of single models, mean over tables",
    "+1.0 or more",
    lambda results: results.cell("current", HULL, MEAN, "by published levels"),
    lambda found: found.mean >= 1.0,
    "points",
)
SHARE_GOAL = _Goal(
    "Published scores alone: cost at the best model's quality less 0.5 points, % of what a mixture of two models costs "
    "that knows the table's outcomes",
    "75 or less",
    _share_of_blind,
    lambda found: found.mean <= 75.0,
    "percent",
)


def goals(results: Sequence[Result]) -> Table | None:
    """Return every goal, the measurement, and the verdict; None without the needed results."""
    found = _Results(results)
    wanted = {
        "baselines": (NEW, NEW_CATEGORIES, LOG),
        "cost": tuple(f"{zoo}:" for zoo in MIXED),
        "decision": ("Ratios",),
    }
    if not all(found.has(experiment, begins) for experiment, tables in wanted.items() for begins in tables):
        return None
    told = [*GOALS]
    if found.has("halves", HALVES) and found.has("few", "llmrouter"):
        told += EVIDENCE_GOALS
    if found.has("cost", SAME_QUALITY):
        told += MONEY_GOALS
    if found.has("current", ALONE):
        told += CATALOGUE_GOALS
    if found.has("current", HULL):
        told += (HULL_GOAL,)
    if found.has("current", SAME_QUALITY):
        told += (SHARE_GOAL,)
    if found.has("decision", "Recall"):
        told += (*SPEED_GOALS, RECALL_GOAL)
    rows = [_row(goal, goal.measured(found)) for goal in told]
    return Table(
        title=f"Goals: {sum(row[-1] == 'yes' for row in rows)} of {len(rows)} are reached",
        columns=(Column("what"), Column("needed"), Column("measured"), Column("reached")),
        rows=tuple(rows),
        note="A cost is not known where the router does not reach that quality at all.",
    )


def _row(goal: _Goal, measured: Cell) -> tuple[str, str, str, str]:
    reached = measured is not None and goal.reached(_interval(measured))
    return goal.what, goal.needed, written(measured, goal.kind), "yes" if reached else "no"


def _interval(cell: Cell) -> Interval:
    if isinstance(cell, Interval):
        return cell
    assert isinstance(cell, int | float)
    return Interval(float(cell), float(cell), float(cell))


def main() -> None:
    """Write the page and its figures."""
    results, docs = read_results(Path(sys.argv[1])), Path(sys.argv[2])
    write_figures(results, docs / "figures")
    (docs / "benchmarks.md").write_text(benchmarks_page(results, "figures", goals(results)), encoding="utf-8")


if __name__ == "__main__":
    main()
