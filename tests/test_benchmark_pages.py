"""What README and docs say of the benchmark is what stands in benchmarks/results."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.goals import goals
from cit_core.evaluate.figures import write_figures
from cit_core.evaluate.results import Result, read_results
from cit_core.evaluate.tables import benchmarks_page, written

ROOT = Path(__file__).parents[1]
RESULTS = read_results(ROOT / "benchmarks" / "results")
TABLE = re.compile(r"((?:^\|.*\|\n)+)", re.M)


def test_the_page_is_made_from_the_results(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text("utf-8")
    assert page == benchmarks_page(RESULTS, "figures", goals(RESULTS)), (
        "run `cit bench --output benchmarks/results --docs docs`"
    )
    drawn = {path.name for path in write_figures(RESULTS, tmp_path)}
    assert drawn == {path.name for path in (ROOT / "docs" / "figures").glob("*.svg")}


def test_every_figure_of_the_readme_stands_in_a_result() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    tables = [rows(text) for text in TABLE.findall(readme)]
    routers = [table for table in tables if table[0][0] == "router"]
    assert routers, "the README shows what routing is worth"
    for headings, _, *body in routers:
        assert any(holds(headings, body, result) for result in RESULTS), f"no result has {body}"


def rows(table: str) -> list[list[str]]:
    return [[cell.strip().strip("*") for cell in line.strip("|").split("|")] for line in table.splitlines()]


def holds(headings: list[str], body: list[list[str]], result: Result) -> bool:
    """Whether one table of the result has all of these columns and rows."""
    for table in result.tables:
        names = [column.name for column in table.columns]
        if set(headings) <= set(names):
            places = [names.index(heading) for heading in headings]
            found = [[written(row[place], table.columns[place].kind) for place in places] for row in table.rows]
            if all(row in found for row in body):
                return True
    return False
