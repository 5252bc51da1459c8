"""Figure 5: models join in the order of release and nothing is trained again. Figure 1: what small ones cover."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import numpy as np

from cit_core.evaluate.comparison import BLIND, ORACLE, SINGLE_BEST, Zoo, blind_values_of, hindsight, judge, values_of
from cit_core.evaluate.experiments.baselines import OURS, baselines_of
from cit_core.evaluate.metrics import Interval, paired_interval
from cit_core.evaluate.predictions import Scores
from cit_core.evaluate.results import Column, Figure, Series, Table
from cit_core.evaluate.setting import Setting
from cit_core.evaluate.zoos import SMALL_B

__all__ = ["coverage", "releases"]

SHOWN = (SINGLE_BEST, *OURS)
BEST_SO_FAR = 5


def releases(setting: Setting, scores: Mapping[str, Scores], *, name: str = "releases") -> tuple[Table, Figure]:
    """Simulate releases: at each step the zoo is the five best so far, by aptitude, and the newest.

    Args:
        setting: The setting with all models.
        scores: Method to scores.
        name: Name of the figure.
    """
    candidates = [capability.candidate for capability in setting.capabilities]
    order = sorted(range(len(candidates)), key=lambda k: (candidates[k].released or date.max, candidates[k].id))
    steps: list[Zoo] = []
    for last in range(2, len(order) + 1):
        before = sorted(order[: last - 1], key=lambda k: -setting.aptitude[k])[:BEST_SO_FAR]
        steps.append(tuple(sorted({*before, order[last - 1]})))
    values = {name: values_of(given, setting.correct_NK, steps) for name, given in scores.items()}
    values |= {BLIND.format(n): blind_values_of(scores[n], setting.correct_NK, steps) for n in OURS if n in scores}
    values |= hindsight(setting.correct_NK, setting.groups, steps)
    judged = {row.name: row for row in judge(values, baselines_of(scores))}
    drawn = [name for name in (*SHOWN, ORACLE) if name in judged]
    shown = [name for name in (*SHOWN, *map(BLIND.format, OURS), ORACLE) if name in judged]
    table = Table(
        title=f"Mean over {len(steps)} steps",
        columns=(
            Column("router", "text"),
            Column("accuracy %", "percent"),
            Column("above current best single", "points"),
            Column("above best baseline", "points"),
        ),
        rows=tuple(
            (name, judged[name].accuracy, judged[name].above_single_best, judged[name].above_best_baseline)
            for name in shown
        ),
        note=setting.held_out,
        emphasis=tuple(place for place, name in enumerate(shown) if name in OURS),
    )
    ticks = tuple(float(step) for step in range(2, len(order) + 1))
    # Only models which took the lead have a label: with all names nothing could be read.
    leading = np.maximum.accumulate(setting.aptitude[order]) == setting.aptitude[order]
    names = tuple(candidates[k].id if leads else "" for k, leads in zip(order[1:], leading[1:], strict=True))
    figure = Figure(
        name=name,
        title="Models join in the order of release; nothing is trained again",
        x_label="models released so far",
        y_label="accuracy, %",
        series=tuple(
            Series(
                name,
                ticks,
                tuple(float(100 * step.mean()) for step in values[name]),
                ours=name in OURS,
                labels=names if name == SINGLE_BEST else None,
            )
            for name in drawn
        ),
        kind="step",
    )
    return table, figure


def coverage(
    setting: Setting, small_b: float = SMALL_B, against: str | None = None, *, name: str = "coverage"
) -> tuple[Table, Figure]:
    """Measure how much of all questions, and of those the best model answers, one, two, three ... small ones answer.

    Small models are added greedily, the one that covers most first.

    Args:
        setting: The setting with all models.
        small_b: Size below which a model is small [billions of parameters].
        against: Model whose answers are to be covered; the one that answers most if not given.
        name: Name of the figure.
    """
    candidates = [capability.candidate for capability in setting.capabilities]
    right = setting.correct_NK > 0.5
    best = int(setting.correct_NK.mean(axis=0).argmax()) if against is None else setting.candidates.index(against)
    left = [k for k, c in enumerate(candidates) if c.params_b is not None and c.params_b < small_b and k != best]
    covered = np.zeros(len(right), bool)
    rows: list[tuple[int, str, Interval, Interval]] = []
    while left:
        chosen = max(left, key=lambda k: int((covered | right[:, k])[right[:, best]].sum()))
        left.remove(chosen)
        covered |= right[:, chosen]
        of_best = paired_interval(100.0 * covered[right[:, best]].astype(float))
        rows.append((len(rows) + 1, candidates[chosen].id, of_best, paired_interval(100.0 * covered.astype(float))))
    table = Table(
        title=f"Small models (under {small_b:g}B) against {candidates[best].id}",
        columns=(
            Column("models", "count"),
            Column("added", "text"),
            Column("of what it answers, %" if against else "of what the best answers, %", "percent"),
            Column("of all questions, %", "percent"),
        ),
        rows=tuple(rows),
        note=f"{setting.held_out} {candidates[best].id} answers {100 * right[:, best].mean():.1f} % of the questions. "
        "With options, some of it is luck: one of ten is right by chance one time in ten.",
    )
    ticks = tuple(float(row[0]) for row in rows)
    figure = Figure(
        name=name,
        title="What small models know between them",
        x_label="small models",
        y_label="covered, %",
        series=(
            Series(
                "of what the best model answers" if against is None else f"of what {against} answers",
                ticks,
                tuple(row[2].mean for row in rows),
                ours=True,
            ),
            Series("of all questions", ticks, tuple(row[3].mean for row in rows)),
        ),
        kind="line",
    )
    return table, figure
