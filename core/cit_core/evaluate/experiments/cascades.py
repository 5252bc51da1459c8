"""Cost at the quality of the best model: by routing, by a cascade with verifiers of several strengths, and blindly.

One half of each table is learnt from, the other is routed, in several draws: a knob depends more on which questions
fall on which side than on anything else. Knobs, verifiers' reliabilities and the candidates' dependence are chosen on a
half of what is routed and used on the other, in turns. A verifier is simulated: its score is N(0, 1) for a wrong answer
and N(d, 1) for a right one, where d is what its AUROC says, and it costs nothing.

Axes: N items, K candidates, F knobs, V kinds of verdict.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cit_core.catalogue.resolve import public_candidate
from cit_core.evaluate.cost_metrics import Curve, hull_mixture
from cit_core.evaluate.experiments.few import Halved, evidence_scores
from cit_core.evaluate.metrics import Interval
from cit_core.evaluate.results import Cell, Column, Figure, Series, Table
from cit_core.outcomes import Split
from cit_core.records import Capability
from cit_core.router.cascade import Reading, expected_utility
from cit_core.router.reliability import Reliability, ScoreRatio, fit_reliability

__all__ = [
    "AUROCS",
    "BLIND",
    "BLIND_BY_LEVEL",
    "DRAWS",
    "KNOBS",
    "LOSS",
    "QUICK_AUROCS",
    "QUICK_DRAWS",
    "QUICK_KNOBS",
    "ROUTING",
    "SAME_QUALITY",
    "Draw",
    "Played",
    "Zoo",
    "cascades",
    "mixture",
    "play",
    "query_usd",
    "residual_correlation",
    "route_all",
    "same_quality",
    "ways_of",
]

AUROCS = (0.65, 0.75, 0.85, 1.0)
USD_PER_B = 0.01
"""Assumed of open weights: USD per billion parameters and million tokens."""
PROMPT_TOKENS, COMPLETION_TOKENS = 500, 200
"""Assumed of a query and its answer."""
MOST_MODELS = 12
LOSS = 0.005
"""What may be lost of the best model's accuracy."""
KNOBS, DRAWS = 40, 5
QUICK_AUROCS, QUICK_KNOBS, QUICK_DRAWS = (0.85,), 12, 1
CHUNK = 256
"""Items that are planned at once."""
RESAMPLES = 2000
SAME_QUALITY = "Cost at the best model's quality less 0.5 points"
"""Beginning of the title of the table of costs."""
BEST, BLIND, ROUTING, DEAR = "always the best", "content-blind mixture", "routing", "cascade, AUROC 0.85, dear"
BLIND_BY_LEVEL = "content-blind mixture by published levels"
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


@dataclass(frozen=True)
class Zoo:
    """What is known of some items before they are routed, and what became of them.

    Attributes:
        scores_NK: Probabilities.
        correct_NK: Outcomes.
        cost_K: USD of one query.
        noise_NK: What a verifier's score of an answer has of chance.
        best: Column of the best model.
    """

    scores_NK: Array
    correct_NK: Array
    cost_K: Array
    noise_NK: Array
    best: int

    def rows(self, rows: NDArray[np.bool_]) -> Zoo:
        """Return some of the items."""
        return Zoo(self.scores_NK[rows], self.correct_NK[rows], self.cost_K, self.noise_NK[rows], self.best)


class Played(NamedTuple):
    """Outcome and cost [USD] of each item, (F, N)."""

    correct_FN: Array
    usd_FN: Array

    def knob(self, least: float) -> int:
        """Return the knob that is cheapest among those that reach a quality; the best where none does."""
        quality_F, usd_F = self.correct_FN.mean(axis=1), self.usd_FN.mean(axis=1)
        if quality_F.max() < least:
            return int(quality_F.argmax())
        return int(np.where(quality_F >= least, usd_F, np.inf).argmin())


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


def ways_of(
    zoo: Zoo, half_N: NDArray[np.bool_], aurocs: Sequence[float], knobs: int, level_K: Array | None = None
) -> dict[str, tuple[Array, Array]]:
    """Return for each way the outcome and cost of each item, with what was chosen on the other half.

    Items of the first half come first. With levels there is also a content-blind mixture that knows no more than these:
    along their hull, as far up it as the other half asks for.
    """
    found: dict[str, list[tuple[Array, Array]]] = {}
    values_F = np.geomspace(zoo.cost_K.min(), 3000.0 * zoo.cost_K.max(), knobs)
    for part in (half_N, ~half_N):
        calibration, test = zoo.rows(~part), zoo.rows(part)
        least = float(calibration.correct_NK[:, zoo.best].mean()) - LOSS
        ways: dict[str, Played] = {BEST: _always(test)}
        shares_K = mixture(calibration, least)
        ways[BLIND] = _mixed(test, shares_K[None])
        if level_K is not None:
            usd_F = np.interp(np.linspace(0.0, 1.0, knobs), np.linspace(0.0, 1.0, len(level_K)), np.sort(zoo.cost_K))
            shares_FK = np.stack([hull_mixture(Curve(zoo.cost_K, level_K), usd) for usd in usd_F])
            ways[BLIND_BY_LEVEL] = _mixed(test, shares_FK[[_mixed(calibration, shares_FK).knob(least)]])
        knob = route_all(calibration, values_F).knob(least)
        ways[ROUTING] = route_all(test, values_F[[knob]])
        for auroc in aurocs:
            ways[f"cascade, AUROC {auroc:g}"] = _cascade(calibration, test, values_F, least, auroc, 0.0)
        if 0.85 in aurocs:
            ways[DEAR] = _cascade(calibration, test, values_F, least, 0.85, 1.0)
        for name, played in ways.items():
            found.setdefault(name, []).append((played.correct_FN[0], played.usd_FN[0]))
    return {
        name: (np.concatenate([one[0] for one in parts]), np.concatenate([one[1] for one in parts]))
        for name, parts in found.items()
    }


def _always(zoo: Zoo) -> Played:
    correct_N = zoo.correct_NK[:, zoo.best]
    return Played(correct_N[None], np.full((1, len(correct_N)), zoo.cost_K[zoo.best]))


def _mixed(zoo: Zoo, shares_FK: Array) -> Played:
    correct_FN = shares_FK @ zoo.correct_NK.T
    return Played(correct_FN, np.broadcast_to((shares_FK @ zoo.cost_K)[:, None], correct_FN.shape))


def mixture(zoo: Zoo, least: float) -> Array:
    """Return the shares (K,) of the cheapest mixture of two models that reaches a quality on these items."""
    quality_K, shares_K, cheapest = zoo.correct_NK.mean(axis=0), np.zeros(len(zoo.cost_K)), math.inf
    for low in range(len(shares_K)):
        for high in range(len(shares_K)):
            if quality_K[high] < least:
                continue
            gap = quality_K[high] - quality_K[low]
            share = 1.0 if gap <= 0.0 else min(max((least - quality_K[low]) / gap, 0.0), 1.0)
            usd = share * zoo.cost_K[high] + (1.0 - share) * zoo.cost_K[low]
            if usd < cheapest:
                cheapest, shares_K = usd, np.zeros(len(zoo.cost_K))
                shares_K[low] += 1.0 - share
                shares_K[high] += share
    return shares_K


def route_all(zoo: Zoo, values_F: Array) -> Played:
    """Return what routing alone makes of the items, for each value of a right answer."""
    rows = np.arange(len(zoo.scores_NK))
    chosen = [(value * zoo.scores_NK - zoo.cost_K).argmax(axis=1) for value in values_F]
    return Played(np.stack([zoo.correct_NK[rows, k] for k in chosen]), np.stack([zoo.cost_K[k] for k in chosen]))


def _cascade(calibration: Zoo, test: Zoo, values_F: Array, least: float, auroc: float, dear: float) -> Played:
    score_NK = _verifier_scores(calibration, auroc)
    pairs = zip(score_NK.ravel().tolist(), calibration.correct_NK.ravel().tolist(), strict=True)
    reading = Reading(
        fit_reliability(pairs),
        residual_correlation(calibration.scores_NK, calibration.correct_NK),
        dear * calibration.cost_K,
    )
    knob = play(calibration, values_F, score_NK, reading).knob(least)
    return play(test, values_F[[knob]], _verifier_scores(test, auroc), reading)


def _verifier_scores(zoo: Zoo, auroc: float) -> Array:
    """Return the score of a verifier of this AUROC for every answer."""
    return zoo.noise_NK + ScoreRatio.from_auroc(auroc).distance * zoo.correct_NK


def residual_correlation(scores_NK: Array, correct_NK: Array) -> float:
    """Return the mean correlation of two candidates' being right, beyond their probabilities; 0 to 0.9."""
    p_NK = np.clip(scores_NK, 0.02, 0.98)
    z_NK = (correct_NK - p_NK) / np.sqrt(p_NK * (1.0 - p_NK))
    count = z_NK.shape[1]
    pairs_N = (z_NK.sum(axis=1) ** 2 - (z_NK**2).sum(axis=1)) / (count * (count - 1))
    return float(np.clip(pairs_N.mean() / np.mean(z_NK**2), 0.0, 0.9))


def play(zoo: Zoo, values_F: Array, score_NK: Array, reading: Reading) -> Played:
    """Return what a cascade of two steps makes of the items, for each value of a right answer.

    Args:
        zoo: The items.
        values_F: Values of a right answer [USD].
        score_NK: The verifier's score of each answer, should it be asked for.
        reading: What verification tells and costs.
    """
    ratio_NK = _log_ratios(reading.reliability, score_NK)
    played = [_play_one(zoo, float(value), ratio_NK, reading) for value in values_F]
    return Played(np.stack([one[0] for one in played]), np.stack([one[1] for one in played]))


def _play_one(zoo: Zoo, value: float, ratio_NK: Array, reading: Reading) -> tuple[Array, Array]:
    rows, p_NK, cost_K = np.arange(len(zoo.scores_NK)), zoo.scores_NK, zoo.cost_K
    direct_NK = value * p_NK - cost_K
    chunks = [expected_utility(p_NK[at : at + CHUNK], cost_K, value, reading) for at in range(0, len(p_NK), CHUNK)]
    verified_NK = np.concatenate(chunks)
    alone = direct_NK.max(axis=1) >= verified_NK.max(axis=1)
    first = np.where(alone, direct_NK.argmax(axis=1), verified_NK.argmax(axis=1))
    prior = np.clip(p_NK[rows, first], 1e-9, 1.0 - 1e-9)
    post = 1.0 / (1.0 + np.exp(-(np.log(prior / (1.0 - prior)) + ratio_NK[rows, first])))
    after_NK = _after(p_NK, first, post, reading.dependence)
    onward_NK = value * after_NK - cost_K
    onward_NK[rows, first] = -np.inf
    second = onward_NK.argmax(axis=1)
    goes_on = ~alone & (onward_NK[rows, second] > value * post)
    correct_N = np.where(goes_on, zoo.correct_NK[rows, second], zoo.correct_NK[rows, first])
    usd_N = cost_K[first] + np.where(alone, 0.0, reading.cost_K[first]) + np.where(goes_on, cost_K[second], 0.0)
    return correct_N, usd_N


def _after(p_NK: Array, first: NDArray[np.intp], post_N: Array, dependence: float) -> Array:
    """Return P(right) of every candidate once that of the first is known better; `after_verdict` for many items."""
    own = p_NK[np.arange(len(p_NK)), first][:, None]
    spread = np.sqrt(own * (1.0 - own) * p_NK * (1.0 - p_NK))
    both = np.clip(own * p_NK + dependence * spread, np.maximum(own + p_NK - 1.0, 0.0), np.minimum(own, p_NK))
    right, wrong = both / np.maximum(own, 1e-12), (p_NK - both) / np.maximum(1.0 - own, 1e-12)
    return np.asarray(np.clip(post_N[:, None] * right + (1.0 - post_N[:, None]) * wrong, 0.0, 1.0))


def _log_ratios(reliability: Reliability, score_NK: Array) -> Array:
    return np.array([reliability.log_ratio(score) for score in score_NK.ravel().tolist()]).reshape(score_NK.shape)


# ---- tables


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
