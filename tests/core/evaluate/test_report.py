"""A report: numbers are those of the log, drift is seen where there is some, advice follows."""

from __future__ import annotations

import numpy as np
import pytest
from logs import LARGE, SMALL, write_log

from cit_core.calibration import population_stability
from cit_core.errors import InvalidInput
from cit_core.evaluate.log_records import Logged, read_logged
from cit_core.evaluate.page import html_report
from cit_core.evaluate.report import report_on
from cit_core.router.decision_log import read_log


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> list[Logged]:
    """Three hundred queries of one kind of traffic, then a hundred hard ones."""
    path = tmp_path_factory.mktemp("report") / "log.jsonl"
    write_log(path, 300, hard=0.2)
    write_log(path, 100, hard=0.95, seed=1)
    return read_logged(read_log(path))


def test_the_index_by_hand() -> None:
    before = np.repeat([0.0, 1.0], [50, 50])
    after = np.repeat([0.0, 1.0], [10, 90])
    p, q = np.array([50.5, 50.5]) / 101, np.array([10.5, 90.5]) / 101
    assert population_stability(before, after, 2) == pytest.approx(((q - p) * np.log(q / p)).sum())
    assert population_stability(before, before, 2) == pytest.approx(0.0)


def test_numbers_are_those_of_the_log(logged: list[Logged]) -> None:
    report = report_on(logged)
    numbers = report.numbers
    assert numbers["queries"] == 400
    shares = numbers["shares"]
    assert isinstance(shares, dict)
    assert shares[SMALL] == pytest.approx(np.mean([one.model == SMALL for one in logged]))
    spend, quality = numbers["spend"], numbers["quality"]
    assert isinstance(spend, dict)
    assert isinstance(quality, dict)
    assert spend["actual_to_expected"][0] == pytest.approx(2.0)
    assert spend["total_usd"] == pytest.approx(sum(one.cost_usd or 0.0 for one in logged))
    expected, always = spend["expected_usd_per_query"][0], spend["best_usd_per_query"][0]
    assert spend["usd_per_query"][0] == pytest.approx(2.0 * expected), "bills of this log are twice what is expected"
    assert spend["relative_to_best"][0] == pytest.approx(expected / always)
    assert expected < always
    assert spend["saved_usd"] == pytest.approx(400 * (always - expected))
    assert spend["relative_to_mixture"][2] < 1.0, "routing is cheaper than a blind mixture of the same quality"
    low, high = quality["feedback"][1:]
    assert low < quality["promised"][0] < high, "the fake's probabilities are the truth"


def test_drift_and_bills_are_told(logged: list[Logged]) -> None:
    told = " ".join(report_on(logged).advice)
    assert "highest P(correct) has changed" in told
    assert "bills are 2.00 times what is expected" in told
    assert "nothing was explored" in told
    assert "length of the query has changed" not in told
    assert report_on(logged[:300]).numbers["drift"] != {}


def test_one_page_without_scripts(logged: list[Logged]) -> None:
    report = report_on(logged)
    page = html_report(report.title, report.tables, report.figures, report.advice)
    assert page.count("<svg") == 2
    assert "<script" not in page
    assert LARGE in page


def test_an_empty_log_is_refused_and_a_short_one_is_not(logged: list[Logged]) -> None:
    with pytest.raises(InvalidInput, match="holds no decision"):
        report_on([])
    assert "feedback" in report_on(logged[:1]).advice[0]
