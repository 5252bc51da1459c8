"""README and docs/benchmarks.md agree with benchmarks/results."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.goals import goals
from cit_core.evaluate.figures import write_figures
from cit_core.evaluate.metrics import Interval
from cit_core.evaluate.results import Cell, Kind, read_results
from cit_core.evaluate.tables import benchmarks_page, written

ROOT = Path(__file__).parents[1]
RESULTS = read_results(ROOT / "benchmarks" / "results")
TABLE = re.compile(r"((?:^\|.*\|\n)+)", re.M)


def test_the_page_is_made_from_the_results(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text("utf-8")
    assert page == benchmarks_page(RESULTS, "figures", goals(RESULTS)), (
        "run `python -m benchmarks.goals benchmarks/results docs`"
    )
    drawn = {path.name for path in write_figures(RESULTS, tmp_path)}
    assert drawn == {path.name for path in (ROOT / "docs" / "figures").glob("*.svg")}


OURS = "mini + evidence"
SETTINGS = {
    "llmrouter, nine models with a log": "Models with a log: llmrouter (",
    "MMLU-Pro, 22 models": "All models (",
    "MMLU-Pro, new models": "Models that were in no training run (",
    "ZeroEval, models with a log": "Models with a log: zeroeval (",
    "MMLU-Pro, new models on unseen categories": "Models that were in no training run on categories",
    "llmrouter, unseen data sets": "Held-out datasets: llmrouter (",
}
"""A row of the README's table to how the title of its table in the results begins."""
COLUMNS = ["accuracy %", "above best by aptitude", "above best baseline"]


def test_every_figure_of_the_readme_is_in_a_result() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    [(headings, _, *body)] = [table for text in TABLE.findall(readme) if (table := rows(text))[0][-1] == "result"]
    assert len(headings) == 2 + len(COLUMNS)
    assert [row[0] for row in body] == list(SETTINGS)
    for setting, *figures, said in body:
        cells = our_cells(SETTINGS[setting])
        assert figures == [written(cell, kind) for cell, kind in cells], setting
        assert said == verdict(cells[-1][0]), setting


def our_cells(title: str) -> list[tuple[Cell, Kind]]:
    """The router's own cells in one table of the baselines experiment."""
    experiment = next(result for result in RESULTS if result.experiment == "baselines")
    table = next(table for table in experiment.tables if table.title.startswith(title))
    row = next(row for row in table.rows if row[0] == OURS)
    places = [[column.name for column in table.columns].index(name) for name in COLUMNS]
    return [(row[place], table.columns[place].kind) for place in places]


def verdict(gain: Cell) -> str:
    """Against the best baseline; an interval that only touches 0 is no tie."""
    assert isinstance(gain, Interval)
    return "wins" if gain.low > 0 else "loses" if gain.high <= 0 and gain.mean < 0 else "ties"


def rows(table: str) -> list[list[str]]:
    return [[cell.strip().strip("*") for cell in line.strip("|").split("|")] for line in table.splitlines()]
