"""Experiment: how many questions must a new model answer, and what does a log of its answers add?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cit_core.evaluate.comparison import BLIND, Judged, Zoo, blind_values_of, hindsight, judge, values_of
from cit_core.evaluate.experiments.baselines import OURS
from cit_core.evaluate.predictions import Scores
from cit_core.evaluate.results import Cell, Column, Figure, Series, Table
from cit_core.evaluate.setting import Setting

__all__ = ["ASKED", "LOGGED", "onboarding"]

ASKED = (50, 100, 200, 500, 1000)
LOGGED = (0, 250, 1000, 2500)


def onboarding(
    setting_of: Callable[[int, int], Setting],
    score: Callable[[Setting, str], Scores],
    zoos: Sequence[Zoo],
    names: Sequence[str],
    asked: Sequence[int] = ASKED,
    logged: Sequence[int] = LOGGED,
) -> tuple[tuple[Table, ...], tuple[Figure, ...]]:
    """Measure accuracy against the known answers of new models.

    Args:
        setting_of: Makes a setting of numbers of core questions and other answers, over the same items and candidates.
        score: A method's scores in a setting.
        zoos: Routed in every one of them.
        names: Names of the methods; ours, the best by aptitude and other baselines.
        asked: Numbers of core questions.
        logged: Numbers of other answers, known besides the whole test.
    """
    by_asked = {number: _measured(setting_of(number, 0), score, zoos, names) for number in asked}
    by_logged = {number: _measured(setting_of(ASKED[-1], number), score, zoos, names) for number in logged}
    return (
        (
            _table("Questions of the aptitude test", "questions", by_asked, names),
            _table("Other answers known besides the whole test", "answers", by_logged, names),
        ),
        (
            _figure("onboarding-questions", "aptitude questions", by_asked, names),
            _figure("onboarding-evidence", "answers known besides the test", by_logged, names),
        ),
    )


def _measured(
    setting: Setting, score: Callable[[Setting, str], Scores], zoos: Sequence[Zoo], names: Sequence[str]
) -> dict[str, Judged]:
    scores = {name: score(setting, name) for name in names}
    values = {name: values_of(given, setting.correct_NK, zoos) for name, given in scores.items()}
    values |= {BLIND.format(n): blind_values_of(scores[n], setting.correct_NK, zoos) for n in OURS if n in scores}
    values |= hindsight(setting.correct_NK, setting.groups, zoos)
    return {row.name: row for row in judge(values, [name for name in names if name not in OURS])}


def _table(title: str, what: str, found: dict[int, dict[str, Judged]], names: Sequence[str]) -> Table:
    """Return a row for every number and router."""
    columns = (
        Column(what, "count"),
        Column("router", "text"),
        Column("accuracy %", "percent"),
        Column("above best by aptitude", "points"),
        Column("above best baseline", "points"),
    )
    rows: list[tuple[Cell, ...]] = [
        (number, name, row[name].accuracy, row[name].above_single_best, row[name].above_best_baseline)
        for number, row in found.items()
        for name in (*names, *(BLIND.format(name) for name in OURS if name in names))
    ]
    ours = tuple(place for place, row in enumerate(rows) if row[1] in OURS)
    return Table(title=title, columns=columns, rows=tuple(rows), emphasis=ours)


def _figure(name: str, x_label: str, found: dict[int, dict[str, Judged]], names: Sequence[str]) -> Figure:
    x = tuple(map(float, found))
    series = []
    for method in names:
        values = [row[method].accuracy for row in found.values()]
        series.append(
            Series(
                method,
                x,
                tuple(value.mean for value in values),
                low=tuple(value.low for value in values),
                high=tuple(value.high for value in values),
                ours=method in OURS,
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
