"""One half of a log learns, the other is routed among everyone: every table beside the others, and their mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cit_core.evaluate.baselines import IRT, Baseline, Clusters, Forest, KNearest, MatrixFactorisation, Ridge
from cit_core.evaluate.comparison import content_blind
from cit_core.evaluate.experiments.few import BLIND, LEVEL, Halved, evidence_scores, known_rows, profiles
from cit_core.evaluate.metrics import Interval, auroc, calibration_error, routed
from cit_core.evaluate.results import Cell, Column, Figure, Table
from cit_core.outcomes import random_zoos

__all__ = ["BASELINES", "MEAN", "QUICK", "halves"]

EVIDENCE, MEAN = "evidence", "mean"
OTHERS = (KNearest(), Clusters(), Ridge(), Forest((80,), trees=30), MatrixFactorisation((4,), (100.0, 300.0)))
BASELINES: tuple[Baseline, ...] = (*OTHERS, IRT((4,), (100.0, 300.0)))
QUICK: tuple[Baseline, ...] = (KNearest((40,)), Ridge((30.0,)))
RESAMPLES = 2000
COLUMNS = (
    Column("table"),
    Column("level, %", "percent"),
    Column("content-blind, %", "percent"),
    Column("evidence, %", "percent"),
    Column("above the level", "points"),
    Column("best baseline"),
    Column("above it", "points"),
    Column("worst zoo", "points"),
    Column("AUROC of the level", "precise"),
    Column("best baseline's", "precise"),
    Column("AUROC", "precise"),
    Column("ECE", "precise"),
)

Array = NDArray[np.floating]


def halves(
    tables: Sequence[Halved],
    baselines: Sequence[Baseline] = BASELINES,
    tell: Callable[[str], None] | None = None,
) -> tuple[tuple[Table, ...], tuple[Figure, ...]]:
    """A row for each table and their mean; and what evidence is above each baseline, in the mean.

    Args:
        tables: Halved.
        baselines: Baselines for comparison with evidence.
        tell: Told what is being done.
    """
    scores = {}
    for one in tables:
        if tell is not None:
            tell(f"{one.table.name}: halves")
        scores[one.table.name] = _scores(one, baselines)
    correct = {one.table.name: one.table.correct_IK[one.routed] for one in tables}
    values = {name: {who: routed(given, correct[name]) for who, given in of.items()} for name, of in scores.items()}
    for name, of in scores.items():
        values[name][BLIND] = content_blind(of[EVIDENCE], correct[name])
    others = [baseline.name for baseline in baselines]
    rows = [_row(one, scores[one.table.name], values[one.table.name], others) for one in tables]
    names = [LEVEL, BLIND, *others]
    of_all = Table(
        title="Evidence above each other way, mean over the tables",
        columns=(Column("router"), Column("accuracy %", "percent"), Column("evidence above it", "points")),
        rows=tuple((name, _mean(values, name, None), _mean(values, EVIDENCE, name)) for name in names),
    )
    note = (
        "Routed among all models of a table. Best baseline: by accuracy on these questions, in hindsight. Worst zoo: "
        "against the best by level, 50 zoos of similar strength. Content-blind: evidence's shares of models, drawn "
        "without a look at the question. Evidence without the network."
    )
    mean = _mean_row(rows, values, others)
    title = f"Halves of {len(rows)} tables"
    table = Table(title=title, columns=COLUMNS, rows=(*rows, mean), note=note, emphasis=(len(rows),))
    return (table, of_all), ()


def _scores(one: Halved, baselines: Sequence[Baseline]) -> dict[str, Array]:
    rows, texts = one.pool, one.texts(one.routed)
    capabilities = profiles(one.table, rows)
    validation_I = np.random.default_rng(0).random(len(rows)) < 0.2
    known = known_rows(one, rows, validation_I, capabilities)
    level_K = one.table.correct_IK[rows].mean(axis=0)
    found = {LEVEL: np.tile(level_K, (len(texts), 1))}
    for baseline in baselines:
        found[baseline.name] = np.asarray(baseline.fit(known, one.encode).score(texts, capabilities), np.float64)
    found[EVIDENCE] = evidence_scores(one, rows, one.routed)
    return found


def _row(
    one: Halved, scores: Mapping[str, Array], values: Mapping[str, Array], others: Sequence[str]
) -> tuple[Cell, ...]:
    correct = one.table.correct_IK[one.routed]
    best = max(others, key=lambda name: float(values[name].mean()))
    zoos = random_zoos(scores[LEVEL][0])
    worst = min(
        float(
            (routed(scores[EVIDENCE][:, zoo], correct[:, zoo]) - routed(scores[LEVEL][:, zoo], correct[:, zoo])).mean()
        )
        for zoo in map(list, zoos)
    )
    own = {one.table.name: values}
    return (
        one.table.name,
        *(100.0 * float(values[name].mean()) for name in (LEVEL, BLIND, EVIDENCE)),
        _mean(own, EVIDENCE, LEVEL),
        best,
        _mean(own, EVIDENCE, best),
        100.0 * worst,
        auroc(scores[LEVEL], correct),
        max(auroc(scores[name], correct) for name in others),
        auroc(scores[EVIDENCE], correct),
        calibration_error(scores[EVIDENCE], correct),
    )


def _mean_row(
    rows: Sequence[tuple[Cell, ...]], values: Mapping[str, Mapping[str, Array]], others: Sequence[str]
) -> tuple[Cell, ...]:
    """Means of columns; against the baseline that is best in the mean."""
    best = max(
        others,
        key=lambda name: float(np.mean([of[name].mean() for of in values.values()])),
    )
    intervals = {4: _mean(values, EVIDENCE, LEVEL), 6: _mean(values, EVIDENCE, best)}
    cells: list[Cell] = [MEAN]
    for place in range(1, len(COLUMNS)):
        if place in intervals:
            cells.append(intervals[place])
        elif place == 5:
            cells.append(best)
        else:
            cells.append(float(np.mean([float(row[place]) for row in rows])))  # type: ignore[arg-type]
    return tuple(cells)


def _mean(values: Mapping[str, Mapping[str, Array]], name: str, less: str | None) -> Interval:
    """Mean over tables, in points, by a bootstrap of the questions of each."""
    draw = np.random.default_rng(0)
    means, drawn = [], np.zeros(RESAMPLES)
    for of in values.values():
        value_N = 100.0 * (of[name] if less is None else of[name] - of[less])
        counts = draw.multinomial(len(value_N), np.full(len(value_N), 1.0 / len(value_N)), size=RESAMPLES)
        means.append(float(value_N.mean()))
        drawn += counts @ value_N / len(value_N) / len(values)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(float(np.mean(means)), float(low), float(high))
