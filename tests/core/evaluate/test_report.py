"""A comparison can be read by people, pasted into a page, and got again from its record."""

from __future__ import annotations

import json
from importlib.metadata import version

import pytest

from cit_core.evaluate import Comparison, Interval, Row
from cit_core.evaluate.report import COLUMNS, as_markdown, as_record, cells, summary

RANDOM = Row("random", Interval(30.0, 25.0, 35.0), Interval(0.0, 0.0, 0.0), Interval(-5.0, -7.5, -2.126), None)
OURS = Row("ours", Interval(36.0, 31.0, 41.0), Interval(6.0, 3.0, 9.0), Interval(1.0, -1.0, 3.0), Interval(60, 55, 65))


@pytest.fixture
def comparisons() -> list[Comparison]:
    def comparison(title: str, zoos: int) -> Comparison:
        return Comparison(
            title, 1234, ("a", "b"), zoos, (RANDOM, OURS), {"ECE": Interval(0.0412, 0.03, 0.05)}, Interval(10, 5, 15)
        )

    return [comparison("first", 1), comparison("second", 60)]


def test_differences_have_a_sign_and_what_is_not_said_is_a_dash() -> None:
    assert cells(RANDOM) == (
        "random",
        "30.00 [25.00, 35.00]",
        "+0.00 [+0.00, +0.00]",
        "-5.00 [-7.50, -2.13]",
        "–",
    )
    assert cells(OURS)[-1] == "60.00 [55.00, 65.00]"
    assert len(cells(OURS)) == len(COLUMNS)


def test_markdown_is_a_table_for_each_comparison(comparisons: list[Comparison]) -> None:
    lines = as_markdown(comparisons).splitlines()
    assert [line for line in lines if line.startswith("**")] == [
        "**first** (1,234 items, one zoo)",
        "**second** (1,234 items, 60 zoos)",
    ]
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 2 * 4
    assert {line.count("|") for line in rows} == {len(COLUMNS) + 1}
    assert lines.count(summary(comparisons[0])) == 2
    assert summary(comparisons[0]) == (
        "Pairs in order above the shuffled control +10.00 [+5.00, +15.00] points; ECE 0.041 [0.030, 0.050]."
    )


def test_a_record_holds_every_number_and_what_it_stands_on(comparisons: list[Comparison]) -> None:
    record = json.loads(as_record(comparisons, data={"digest": "abc"}, command="cit bench"))
    assert record["data"] == {"digest": "abc"}
    assert record["command"] == "cit bench"
    assert record["versions"]["cit-router"] == version("cit-router")
    assert [found["title"] for found in record["comparisons"]] == ["first", "second"]
    assert record["comparisons"][0]["rows"][1]["accuracy"] == [36.0, 31.0, 41.0]
    assert record["comparisons"][0]["rows"][0]["ranking"] is None
