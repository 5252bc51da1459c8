"""Quality against cost, over the policy's knob: curves, and the numbers that others report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cit_core.errors import InvalidInput
from cit_core.evaluate.comparison import SINGLE_BEST, Zoo
from cit_core.evaluate.cost_metrics import (
    Curve,
    aiq,
    apgr,
    arena_score,
    call_share_for,
    cost_at_quality,
    cost_curve,
    hull_mixture,
    nauc,
    two_model_curve,
)
from cit_core.evaluate.experiments.baselines import OURS
from cit_core.evaluate.metrics import Interval, paired_interval, routed
from cit_core.evaluate.predictions import Scores
from cit_core.evaluate.results import Cell, Column, Figure, Series, Table
from cit_core.evaluate.setting import Setting
from cit_core.evaluate.zoos import SMALL_B, named_zoos
from cit_core.records import Candidate, Capability

__all__ = ["cost"]

USD_PER_B = 0.01
"""Assumed where prices are not known: USD per billion parameters and million tokens, about what hosts of open weights
ask."""
PROMPT_TOKENS, COMPLETION_TOKENS = 500, 200
"""Assumed of a query and its answer, where they were not measured."""
KNOBS = np.concatenate([[0.0], np.geomspace(1e-6, 10.0, 100)])
"""Value of a correct answer [USD]."""
SINGLES = "single models, mixed at random"
"""The content-blind row of the tables over zoos: what a coin gets, its models chosen in hindsight."""
BLIND = "content-blind"
"""The same of the table of two models."""
MIXED = ("smaller-mixed", "middle-mixed", "larger-mixed", "all")
HULL = (
    "Above the hull is the accuracy of the highest probability above the convex hull of single models at the same "
    "mean cost: what a coin that knows no query would get for that money, its models chosen in hindsight."
)
TOLD = "A query costs what was measured, or list prices times what was measured of its tokens."
ASSUMED = (
    f"Prices are not known for all of these models, so every model is taken to cost {USD_PER_B} USD per billion "
    f"parameters and million tokens, and a query {PROMPT_TOKENS + COMPLETION_TOKENS} tokens. A model of unknown size "
    "counts as the largest."
)


class Prices(NamedTuple):
    """Cost of a query with each candidate."""

    usd_K: NDArray[np.float64]
    note: str
    """Source of the prices."""


def cost(
    setting: Setting, scores: Mapping[str, Scores], methods: Sequence[str]
) -> tuple[tuple[Table, ...], tuple[Figure, ...]]:
    """Return curves over the mixed zoos, and the strong-weak pair of RouteLLM's numbers.

    Args:
        setting: The setting with all models.
        scores: Method to scores.
        methods: Methods to show.
    """
    candidates = [capability.candidate for capability in setting.capabilities]
    prices = prices_of(setting.capabilities)
    if prices is None:
        raise InvalidInput(
            "cost needs prices, costs or sizes of the candidates; `cit models add` takes `--price-in` and `--price-out`"
        )
    tables, figures = [], []
    for name, zoo in named_zoos(candidates).items():
        if name in MIXED:
            table, figure = _mixed(name, zoo, setting, scores, prices, methods)
            tables.append(table)
            figures.append(figure)
    tables += _pair(setting, scores, candidates, methods)
    return tuple(tables), tuple(figures)


def prices_of(capabilities: Sequence[Capability]) -> Prices | None:
    """Return the cost of a query for each candidate: measured or listed, else by size; None without sizes too."""
    told = [capability.expected_cost(PROMPT_TOKENS, COMPLETION_TOKENS) for capability in capabilities]
    if None not in told:
        return Prices(np.array(told, np.float64), TOLD)
    sizes = [capability.candidate.params_b for capability in capabilities]
    largest = max((size for size in sizes if size is not None), default=None)
    if largest is None:
        return None
    filled = np.array([largest if size is None else size for size in sizes])
    return Prices(filled * USD_PER_B * (PROMPT_TOKENS + COMPLETION_TOKENS) / 1e6, ASSUMED)


def _mixed(
    name: str,
    zoo: Zoo,
    setting: Setting,
    scores: Mapping[str, Scores],
    prices: Prices,
    methods: Sequence[str],
) -> tuple[Table, Figure]:
    columns, correct, price = list(zoo), setting.correct_NK[:, list(zoo)], prices.usd_K[list(zoo)]
    best = int(setting.aptitude[columns].argmax())
    quality, spent = float(correct[:, best].mean()), float(price[best])
    singles = Curve(price, correct.mean(axis=0))
    low, high = float(price.min()), float(price.max())
    curves = {SINGLES: singles} | {
        method: cost_curve(scores[method][:, columns], correct, price, KNOBS)
        for method in methods
        if method != SINGLE_BEST
    }
    rows: list[tuple[Cell, ...]] = []
    for method, curve in curves.items():
        same = cost_at_quality(curve, quality)
        arena = max(arena_score(float(q), float(c) * 1000.0) for c, q in zip(*curve, strict=True))
        rows.append(
            (
                method,
                100.0 * aiq(curve, low, high),
                100.0 * same / spent if np.isfinite(same) and spent else None,
                100.0 * arena,
                _above_hull(scores[method][:, columns], correct, price) if method in scores else None,
                nauc(curve, high, float(singles.quality_P.max())),
            )
        )
    table = Table(
        title=f"{name}: {len(zoo)} models, best by aptitude is right on {100 * quality:.2f} %",
        columns=(
            Column("router", "text"),
            Column("AIQ", "percent"),
            Column("cost at the best single's quality, %", "percent"),
            Column("RouterArena score, the knob chosen in hindsight", "percent"),
            Column("above the hull of single models", "points"),
            Column("nAUC", "precise"),
        ),
        rows=tuple(rows),
        note=f"{prices.note} {HULL}",
        emphasis=tuple(place for place, method in enumerate(curves) if method in OURS),
    )
    figure = Figure(
        name=f"cost-{name}",
        title=f"Quality against cost: {name}",
        x_label="USD per 1,000 queries",
        y_label="accuracy, %",
        series=tuple(_series(method, curve) for method, curve in curves.items()),
        x_log=low > 0.0,
    )
    return table, figure


def _above_hull(
    scores_NK: NDArray[np.float64], correct_NK: NDArray[np.float64], price_K: NDArray[np.float64]
) -> Interval:
    """Points of the choice by the highest score above mixed single models at the same cost."""
    spent = float(routed(scores_NK, np.broadcast_to(price_K, scores_NK.shape)).mean())
    share_K = hull_mixture(Curve(price_K, correct_NK.mean(axis=0)), spent)
    return paired_interval(100.0 * (routed(scores_NK, correct_NK) - correct_NK @ share_K))


def _series(method: str, curve: Curve) -> Series:
    points = sorted(set(zip((1000.0 * curve.cost_P).tolist(), (100.0 * curve.quality_P).tolist(), strict=True)))
    x, y = zip(*points, strict=True)
    return Series(method, x, y, ours=method in OURS, joined=method != SINGLES)


def _pair(
    setting: Setting, scores: Mapping[str, Scores], candidates: Sequence[Candidate], methods: Sequence[str]
) -> list[Table]:
    """Return the best small model and the best of all; nothing if there is no small one."""
    strong = int(setting.aptitude.argmax())
    small = [k for k, c in enumerate(candidates) if c.params_b is not None and c.params_b < SMALL_B]
    if not small or strong in small:
        return []
    weak = max(small, key=lambda k: setting.aptitude[k])
    correct = setting.correct_NK
    rows: list[tuple[Cell, ...]] = []
    for method in (BLIND, *methods):
        blind = method == BLIND
        gain = np.zeros(len(correct)) if blind else scores[method][:, strong] - scores[method][:, weak]
        curve = two_model_curve(gain, correct[:, weak], correct[:, strong])
        shares = [100.0 * call_share_for(curve, share) for share in (0.5, 0.8)]
        rows.append((method, apgr(curve), *shares))
    table = Table(
        title=f"Two models: {candidates[weak].id} and {candidates[strong].id}",
        columns=(
            Column("router", "text"),
            Column("APGR", "precise"),
            Column("CPT50, %", "percent"),
            Column("CPT80, %", "percent"),
        ),
        rows=tuple(rows),
        note="Queries go to the strong model in the order of its expected gain; without a look at them, at random.",
        emphasis=tuple(place for place, method in enumerate((BLIND, *methods)) if method in OURS),
    )
    return [table]
