"""Cost at the quality of the best model: by routing, by a cascade with verifiers of several strengths, and blindly.

One half of each table is learnt from, the other is routed, in several draws: a knob depends more on which questions
fall on which side than on anything else. Simulated verifiers cost nothing.

Axes: N items, K candidates.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cit_core.catalogue.candidates import public_candidate
from cit_core.evaluate.experiments.few import Halved, evidence_scores
from cit_core.evaluate.experiments.ways import BEST, BLIND, ROUTING, Zoo, ways_of
from cit_core.evaluate.metrics import Interval
from cit_core.evaluate.results import Cell, Column, Figure, Series, Table
from cit_core.outcomes import Split
from cit_core.records import Capability

__all__ = [
    "AUROCS",
    "DRAWS",
    "KNOBS",
    "QUICK_AUROCS",
    "QUICK_DRAWS",
    "QUICK_KNOBS",
    "SAME_QUALITY",
    "Draw",
    "cascades",
    "query_usd",
    "same_quality",
]

AUROCS = (0.65, 0.75, 0.85, 1.0)
USD_PER_B = 0.01
"""Assumed of open weights: USD per billion parameters and million tokens."""
PROMPT_TOKENS, COMPLETION_TOKENS = 500, 200
"""Assumed of a query and its answer."""
MOST_MODELS = 12
KNOBS, DRAWS = 40, 5
QUICK_AUROCS, QUICK_KNOBS, QUICK_DRAWS = (0.85,), 12, 1
RESAMPLES = 2000
SAME_QUALITY = "Cost at the best model's quality less 0.5 points"
"""Beginning of the title of the table of costs."""
SIZE = re.compile(r"(?:(\d+)x)?(\d+(?:\.\d+)?)[bB](?![a-zA-Z])")
NOTE = (
    "In % of always the best model, the one that is right most often on the half that is learnt from. Knobs are chosen "
    "on one half of the routed questions to lose 0.5 points at most, and used on the other, in turns. Prices are list "
    f"prices where the catalogue has them, else {USD_PER_B} USD per billion parameters and million tokens, and a query "
    f"{PROMPT_TOKENS + COMPLETION_TOKENS} tokens; models without either are left out, and at most {MOST_MODELS} take "
    "part, the best for their price. Verifiers are simulated and cost nothing; the dear one costs as much as the first "
    "answer. Content-blind: the cheapest mixture of two models at random. Routing is by evidence without the network."
)

Array = NDArray[np.float64]


class Draw(NamedTuple):
    """Rows of a table that were routed, and what every way made of them: outcomes and costs [USD]."""

    rows_N: NDArray[np.intp]
    ways: Mapping[str, tuple[Array, Array]]


def cascades(
    tables: Sequence[Halved],
    split: Split,
    told: Mapping[str, Capability] | None = None,
    aurocs: Sequence[float] = AUROCS,
    knobs: int = KNOBS,
    draws: int = DRAWS,
    tell: Callable[[str], None] = lambda _what: None,
) -> tuple[tuple[Table, ...], tuple[Figure, ...]]:
    """Return cost and quality of every way, for each table and in the mean.

    Args:
        tables: Halved by the split, which is the first draw.
        split: Its seed decides which items calibrate, and with a number the halves of the other draws.
        told: What is known of models besides: costs that were measured, prices.
        aurocs: AUROC of each verifier.
        knobs: Number of values of a right answer that are tried.
        draws: Of the halves.
        tell: Told what is being done.
    """
    found: dict[str, list[Draw]] = {}
    sizes: dict[str, int] = {}
    for one in tables:
        for number in range(draws):
            drawn, of_draw = (one, split) if number == 0 else _drawn_again(one, split, number)
            priced = _priced(drawn, of_draw, told or {})
            if priced is None:
                break
            name = one.table.name
            tell(f"{name}: cascades, draw {number + 1} of {draws}")
            zoo, half_N = priced
            rows_N = np.concatenate([drawn.routed[half_N], drawn.routed[~half_N]])
            found.setdefault(name, []).append(Draw(rows_N, ways_of(zoo, half_N, aurocs, knobs)))
            sizes[name] = len(zoo.cost_K)
    return same_quality(found, sizes, aurocs, NOTE) if found else ((), ())


def _drawn_again(one: Halved, split: Split, number: int) -> tuple[Halved, Split]:
    again = replace(split, seed=f"{split.seed}-{number}")
    return Halved(one.table, one.vectors_ID, again), again


def query_usd(model: str, told: Mapping[str, Capability] | None = None) -> float | None:
    """Return the cost of a query with a model [USD], by list price or by the size in its name; None without either."""
    known = told[model].candidate if told and model in told else public_candidate(model)
    facts = told[model] if told and model in told else known
    listed = None if facts is None else facts.expected_cost(PROMPT_TOKENS, COMPLETION_TOKENS)
    if listed:
        return listed
    size = SIZE.search(model)
    billions = None if size is None else float(size[2]) * float(size[1] or 1)
    if billions is None and known is not None:
        billions = known.params_b
    return None if billions is None else billions * USD_PER_B * (PROMPT_TOKENS + COMPLETION_TOKENS) / 1e6


def _priced(one: Halved, split: Split, told: Mapping[str, Capability]) -> tuple[Zoo, NDArray[np.bool_]] | None:
    """Return a zoo of models with prices, and which of its items are of the first half; None without three models."""
    usd = {id_: query_usd(id_, told) for id_ in one.table.candidates}
    level = dict(zip(one.table.candidates, one.table.correct_IK[one.pool].mean(axis=0), strict=True))
    kept = _best_for_their_price({id_: cost for id_, cost in usd.items() if cost is not None}, level)
    if len(kept) < 3:
        return None
    some = Halved(one.table.of_models(kept), one.vectors_ID, split)
    scores_NK = np.asarray(evidence_scores(some, some.pool, some.routed), np.float64)
    ids = [some.table.item_ids[row] for row in some.routed]
    half_N = np.array([split.fraction(f"calibrate:{id_}") < 0.5 for id_ in ids])
    noise_NK = np.random.default_rng(0).normal(size=scores_NK.shape)
    cost_K = np.array([usd[id_] for id_ in some.table.candidates], np.float64)
    best = int(some.table.correct_IK[some.pool].mean(axis=0).argmax())
    return Zoo(scores_NK, some.table.correct_IK[some.routed], cost_K, noise_NK, best), half_N


def _best_for_their_price(usd: Mapping[str, float], level: Mapping[str, float]) -> list[str]:
    """Return the models that no cheaper one is as good as; then those of the rest, until there are enough."""
    left, kept = sorted(usd, key=lambda id_: (usd[id_], -level[id_])), list[str]()
    while left and len(kept) < MOST_MODELS:
        front: list[str] = []
        for id_ in left:
            if not front or level[id_] > level[front[-1]]:
                front.append(id_)
        kept += front[::-1][: MOST_MODELS - len(kept)]
        left = [id_ for id_ in left if id_ not in front]
    return sorted(kept)


def same_quality(
    found: Mapping[str, Sequence[Draw]], sizes: Mapping[str, int], aurocs: Sequence[float], note: str
) -> tuple[tuple[Table, ...], tuple[Figure, ...]]:
    """Return tables of cost and quality, for each of `found` and in the mean, and where there are verifiers a figure.

    Args:
        found: Name of a table to its draws.
        sizes: Number of its models.
        aurocs: AUROC of each verifier.
        note: How the numbers were made.
    """
    ways = list(next(iter(found.values()))[0].ways)
    rows: list[tuple[Cell, ...]] = []
    quality: list[tuple[Cell, ...]] = []
    for of, shown in ((_ratio, rows), (_points, quality)):
        for way in ways:
            each = [_resampled(draws, way, of) for draws in found.values()]
            shown.append((way, _pooled(each), *(_interval(mean, drawn) for mean, drawn in each)))
    named = [f"{name} ({sizes[name]} models)" for name in found]
    ours = tuple(place for place, way in enumerate(ways) if way == ROUTING or way.startswith("cascade"))
    draws = max(len(one) for one in found.values())
    over = f"Means over {draws} draws of the halves; intervals over draws and questions." if draws > 1 else ""
    of_cost = Table(
        title=f"{SAME_QUALITY}, % of always the best",
        columns=(Column("way"), Column("mean", "percent"), *(Column(name, "percent") for name in named)),
        rows=tuple(rows),
        note=f"{note} {over}".rstrip(),
        emphasis=ours,
    )
    of_quality = Table(
        title="Quality there, points against always the best",
        columns=(Column("way"), Column("mean", "points"), *(Column(name, "points") for name in named)),
        rows=tuple(quality),
        note="The same choices as above.",
        emphasis=ours,
    )
    return (of_cost, of_quality), (_figure(rows, aurocs),) if aurocs else ()


def _ratio(draw: Draw, way: str, counts_N: Array) -> Array:
    """Return the cost in % of always the best, for each resample of the items."""
    return np.asarray(100.0 * (counts_N @ draw.ways[way][1]) / (counts_N @ draw.ways[BEST][1]))


def _points(draw: Draw, way: str, counts_N: Array) -> Array:
    return np.asarray(100.0 * (counts_N @ (draw.ways[way][0] - draw.ways[BEST][0])) / counts_N.sum(axis=1))


def _resampled(draws: Sequence[Draw], way: str, of: Callable[[Draw, str, Array], Array]) -> tuple[float, Array]:
    """Return the mean over draws, and a bootstrap of it: over draws, and over items, which draws share."""
    items = 1 + max(int(draw.rows_N.max()) for draw in draws)
    random = np.random.default_rng(items)
    counts_RI = random.multinomial(items, np.full(items, 1.0 / items), size=RESAMPLES).astype(np.float64)
    counts_RD = random.multinomial(len(draws), np.full(len(draws), 1.0 / len(draws)), size=RESAMPLES)
    mean = float(np.mean([of(draw, way, np.ones((1, len(draw.rows_N)))) for draw in draws]))
    each_DR = np.stack([of(draw, way, counts_RI[:, draw.rows_N]) for draw in draws])
    return mean, (counts_RD.T * each_DR).sum(axis=0) / len(draws)


def _pooled(each: Sequence[tuple[float, Array]]) -> Interval:
    return _interval(float(np.mean([mean for mean, _ in each])), np.mean([drawn for _, drawn in each], axis=0))


def _interval(mean: float, drawn: Array) -> Interval:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(mean, float(low), float(high))


def _figure(rows: Sequence[tuple[Cell, ...]], aurocs: Sequence[float]) -> Figure:
    mean = {str(row[0]): row[1].mean for row in rows if isinstance(row[1], Interval)}
    x = tuple(map(float, aurocs))
    lines = [Series(way, x, (mean[way],) * len(x), ours=way == ROUTING) for way in (BEST, BLIND, ROUTING)]
    climbing = Series("cascade", x, tuple(mean[f"cascade, AUROC {auroc:g}"] for auroc in aurocs), ours=True)
    return Figure(
        name="cost-cascades",
        title="Cost at equal quality, mean over tables",
        x_label="AUROC of the verifier",
        y_label="% of always the best",
        series=(*lines, climbing),
    )
