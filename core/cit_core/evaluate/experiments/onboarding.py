"""How many questions a new model must answer, and what a log of its answers adds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cit_core.evaluate.comparing import SINGLE_BEST, Zoo, values_of
from cit_core.evaluate.metrics import Interval, paired_interval
from cit_core.evaluate.predicting import EVIDENCE, NETWORK, Scores
from cit_core.evaluate.results import Cell, Column, Figure, Series, Table
from cit_core.evaluate.settings import Setting

__all__ = ["ASKED", "LOGGED", "onboarding"]

ASKED = (50, 100, 200, 500, 1000)
LOGGED = (0, 250, 1000, 2500)
SHOWN = (SINGLE_BEST, NETWORK, EVIDENCE)


def onboarding(
    setting_of: Callable[[int, int], Setting],
    score: Callable[[Setting, str], Scores],
    zoos: Sequence[Zoo],
    asked: Sequence[int] = ASKED,
    logged: Sequence[int] = LOGGED,
) -> tuple[tuple[Table, ...], tuple[Figure, ...]]:
    """Accuracy against what is known of new models.

    Args:
        setting_of: From core questions asked and other answers logged to a setting over the same items and candidates.
        score: A method's scores in a setting.
        zoos: Routed in every one of them.
        asked: Numbers of core questions.
        logged: Numbers of other answers, known besides the whole test.
    """
    by_asked = {number: _measured(setting_of(number, 0), score, zoos) for number in asked}
    by_logged = {number: _measured(setting_of(ASKED[-1], number), score, zoos) for number in logged}
    return (
        (
            _table("Questions of the aptitude test", "questions", by_asked),
            _table("Other answers known besides the whole test", "answers", by_logged),
        ),
        (
            _figure("onboarding-questions", "aptitude questions", by_asked),
            _figure("onboarding-evidence", "answers known besides the test", by_logged),
        ),
    )


def _measured(
    setting: Setting, score: Callable[[Setting, str], Scores], zoos: Sequence[Zoo]
) -> dict[str, tuple[Interval, Interval]]:
    """Accuracy, and points above the model that is best in all 1,000 questions of the test."""
    values = {name: 100.0 * values_of(score(setting, name), setting.correct_NK, zoos).mean(axis=0) for name in SHOWN}
    return {
        name: (paired_interval(value), paired_interval(value - values[SINGLE_BEST])) for name, value in values.items()
    }


def _table(title: str, what: str, found: dict[int, dict[str, tuple[Interval, Interval]]]) -> Table:
    columns = [Column(what, "count"), Column(f"{SINGLE_BEST}, %", "percent")]
    for name in SHOWN[1:]:
        columns += [Column(f"{name}, %", "percent"), Column("above best by aptitude", "points")]
    rows: list[tuple[Cell, ...]] = []
    for number, row in found.items():
        cells: list[Cell] = [number, row[SINGLE_BEST][0]]
        for name in SHOWN[1:]:
            cells += row[name]
        rows.append(tuple(cells))
    return Table(title=title, columns=tuple(columns), rows=tuple(rows))


def _figure(name: str, x_label: str, found: dict[int, dict[str, tuple[Interval, Interval]]]) -> Figure:
    x = tuple(map(float, found))
    series = []
    for method in SHOWN:
        values = [row[method][0] for row in found.values()]
        series.append(
            Series(
                method,
                x,
                tuple(value.mean for value in values),
                low=tuple(value.low for value in values),
                high=tuple(value.high for value in values),
                ours=method != SINGLE_BEST,
            )
        )
    return Figure(
        name=name,
        title=f"Accuracy against {x_label}",
        x_label=x_label,
        y_label="accuracy, %",
        series=tuple(series),
        x_log=min(x) > 0 and np.ptp(np.log(x)) > 1,
    )
