"""Table 2: every scorer on the same questions, the same features and the same split."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from cit_core.evaluate.comparison import (
    BLIND,
    HINDSIGHT,
    SINGLE_BEST,
    Judged,
    blind_values_of,
    hindsight,
    judge,
    probabilities,
    reliability,
    values_of,
)
from cit_core.evaluate.predictions import EVIDENCE, MEAN_ONLY, NETWORK, TASKS_SHUFFLED, Scores
from cit_core.evaluate.results import Cell, Column, Figure, Series, Table
from cit_core.evaluate.setting import Setting
from cit_core.evaluate.zoos import described
from cit_core.outcomes import random_zoos

__all__ = ["OURS", "baselines", "baselines_of", "reliability_figure", "table_of"]

OURS = (NETWORK, EVIDENCE)
CONTROLS = (MEAN_ONLY, TASKS_SHUFFLED)
SHUFFLED = "mini, profiles changed hands"
COLUMNS = (
    Column("router", "text"),
    Column("sees of a model", "text"),
    Column("accuracy %", "percent"),
    Column("above best by aptitude", "points"),
    Column("above best baseline", "points"),
    Column("worst zoo", "points"),
    Column("gap recovered %", "percent"),
    Column("AUROC", "precise"),
    Column("Brier", "precise"),
    Column("ECE", "precise"),
)


def baselines(
    settings: Sequence[Setting], predictions: Mapping[str, Mapping[str, Scores]], uses: Mapping[str, str]
) -> tuple[tuple[Table, ...], tuple[Figure, ...]]:
    """Return a table for every setting, over 50 zoos of similar strength, and the reliability of ours.

    Args:
        settings: The settings that were routed.
        predictions: Setting to method to scores.
        uses: Method to what it sees of a model.
    """
    tables = tuple(table_of(setting, predictions[setting.name], uses) for setting in settings)
    figures = tuple(reliability_figure(setting, predictions[setting.name]) for setting in settings)
    return tables, figures


def baselines_of(scores: Mapping[str, Scores]) -> tuple[str, ...]:
    """Return the names of the baselines: all but ours, the controls and hindsight."""
    return tuple(name for name in scores if name not in (*OURS, *CONTROLS))


def table_of(setting: Setting, scores: Mapping[str, Scores], uses: Mapping[str, str]) -> Table:
    """Tabulate every method over zoos of similar strength in one setting, by rising accuracy, then hindsight."""
    zoos = random_zoos(setting.aptitude)
    correct = setting.correct_NK
    values = {name: values_of(given, correct, zoos) for name, given in scores.items()}
    for name in OURS:
        values[BLIND.format(name)] = blind_values_of(scores[name], correct, zoos)
    values[SHUFFLED] = _changed_hands(scores[NETWORK], correct, zoos)
    values |= hindsight(correct, setting.groups, zoos)
    judged = {row.name: row for row in judge(values, baselines_of(scores))}
    order = sorted(judged, key=lambda name: (name in HINDSIGHT, judged[name].accuracy.mean))
    rows = tuple(_row(judged[name], uses.get(name, "–"), scores.get(name), setting) for name in order)
    return Table(
        title=f"{setting.title} ({len(correct):,} questions, {described(zoos)})",
        columns=COLUMNS,
        rows=rows,
        note=setting.held_out,
        emphasis=tuple(place for place, name in enumerate(order) if name in OURS),
    )


def _row(row: Judged, uses: str, scores: Scores | None, setting: Setting) -> tuple[Cell, ...]:
    numbers = {} if scores is None else probabilities(scores, setting.correct_NK)
    return (
        row.name,
        uses,
        row.accuracy,
        row.above_single_best,
        row.above_best_baseline,
        row.worst_zoo,
        None if row.gap_recovered is None else 100.0 * row.gap_recovered,
        *(numbers.get(name) for name in ("AUROC", "Brier", "ECE")),
    )


def _changed_hands(scores: Scores, correct: Scores, zoos: Sequence[tuple[int, ...]]) -> Scores:
    """Return the control with permuted profiles: a score depends on query and profile alone, so columns change places.

    Every rotation of a zoo counts, so that each profile is at each candidate equally often.
    """
    return np.stack(
        [
            np.mean(
                [
                    values_of(scores[:, np.roll(zoo, turn)], correct[:, list(zoo)], [tuple(range(len(zoo)))])[0]
                    for turn in range(len(zoo))
                ],
                axis=0,
            )
            for zoo in zoos
        ]
    )


def reliability_figure(setting: Setting, scores: Mapping[str, Scores]) -> Figure:
    """Return the figure of probability against accuracy, over all pairs of question and candidate."""
    series = []
    for name in (SINGLE_BEST, *OURS):
        if name in scores:
            mean, accuracy, _ = reliability(scores[name], setting.correct_NK)
            series.append(Series(name, tuple(map(float, mean)), tuple(map(float, accuracy)), ours=name in OURS))
    return Figure(
        name=f"reliability-{re.sub('[^a-z0-9]+', '-', setting.name.lower()).strip('-')}",
        title=f"Is 80 % right 80 times in 100? {setting.title}",
        x_label="predicted probability",
        y_label="share that is right",
        series=tuple(series),
        kind="diagonal",
    )
