"""Options are checked when they are made; tallies add up; a report counts its reasons."""

from __future__ import annotations

from types import MappingProxyType

import pytest

from cit_core.aptitude.runner.runs import DEFAULTS, RunOptions, RunReport, Tally
from cit_core.errors import InvalidInput


def test_defaults_and_options() -> None:
    assert RunOptions() == DEFAULTS
    with pytest.raises(InvalidInput, match="attempts is 0; it must be 1 or more"):
        RunOptions(attempts=0)


def test_a_report() -> None:
    tasks = MappingProxyType({"a": Tally(1, 2) + Tally(2, 2), "b": Tally(0, 1)})
    failed = (("x", "HTTP 503"), ("y", "HTTP 400"), ("z", "HTTP 503"))
    report = RunReport("m", "s", 10, 2, 5, failed, tasks, 0.5, 1, None, False)
    assert (report.asked, report.right, report.mean_accuracy) == (8, {"a": 0.75, "b": 0.0}, 0.375)
    assert list(report.reasons.items()) == [("HTTP 503", 2), ("HTTP 400", 1)]
