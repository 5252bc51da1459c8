"""Goals are read off the results: who reaches them is told, and nothing is told without the tables it takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.goals import goals
from cit_core.evaluate.metrics import Interval
from cit_core.evaluate.predictions import EVIDENCE
from cit_core.evaluate.results import Result, read_results

RESULTS = read_results(Path(__file__).parents[2] / "benchmarks" / "results")


def with_cell(experiment: str, begins: str, row: str, column: str, cell: object) -> list[Result]:
    """The results with one cell changed."""

    def changed(result: Result) -> Result:
        if result.experiment != experiment:
            return result
        tables = []
        for table in result.tables:
            place = next((n for n, heading in enumerate(table.columns) if heading.name == column), None)
            if table.title.startswith(begins) and place is not None:
                rows = tuple(
                    (*cells[:place], cell, *cells[place + 1 :]) if cells[0] == row else cells for cells in table.rows
                )
                table = replace(table, rows=rows)
            tables.append(table)
        return replace(result, tables=tuple(tables))

    return [changed(result) for result in RESULTS]


@pytest.mark.parametrize(
    ("gain", "reached"),
    [
        (Interval(1.0, 0.1, 1.9), "yes"),
        (Interval(0.99, 0.1, 1.9), "no"),
        (Interval(1.5, -0.1, 3.0), "no"),
        (None, "no"),
    ],
)
def test_a_gain_must_be_large_and_its_interval_above_0(gain: Interval | None, reached: str) -> None:
    begins = "Models that were in no training run ("
    table = goals(with_cell("baselines", begins, EVIDENCE, "above best by aptitude", gain))
    assert table is not None
    assert table.rows[0][-1] == reached


@pytest.mark.parametrize(("cost", "reached"), [(50.0, "yes"), (50.1, "no"), (None, "no")])
def test_the_dearest_mixed_zoo_counts(cost: float | None, reached: str) -> None:
    results = with_cell("cost", "", EVIDENCE, "cost at the best single's quality, %", 40.0)
    (place,) = [n for n, result in enumerate(results) if result.experiment == "cost"]
    first = with_cell("cost", "all:", EVIDENCE, "cost at the best single's quality, %", cost)[place].tables
    tables = tuple(b if b.title.startswith("all:") else a for a, b in zip(results[place].tables, first, strict=True))
    results[place] = replace(results[place], tables=tables)
    table = goals(results)
    assert table is not None
    (row,) = [row for row in table.rows if str(row[0]).startswith("Mixed zoos")]
    assert row[-1] == reached


@pytest.mark.parametrize("experiment", ["baselines", "cost", "decision"])
def test_without_what_they_are_read_off_there_are_none(experiment: str) -> None:
    assert goals([result for result in RESULTS if result.experiment != experiment]) is None


def test_the_title_counts_what_is_reached() -> None:
    table = goals(RESULTS)
    assert table is not None
    yes = [row[-1] for row in table.rows].count("yes")
    assert table.title == f"Goals: {yes} of {len(table.rows)} are reached"


@pytest.mark.parametrize("begins", ["Height above the hull", "Cost at the best model's quality"])
def test_a_goal_is_told_only_where_its_table_is(begins: str) -> None:
    left = [
        replace(result, tables=tuple(table for table in result.tables if not table.title.startswith(begins)))
        if result.experiment == "current"
        else result
        for result in RESULTS
    ]
    table, whole = goals(left), goals(RESULTS)
    assert table is not None
    assert whole is not None
    assert len(table.rows) == len(whole.rows) - 1
