"""Ways to answer a table's questions, replayed: the best model, a mixture, routing, and cascades with verifiers.

A verifier is simulated: its score is N(0, 1) for a wrong answer and N(d, 1) for a right one, where d is what its AUROC
says. Knobs, verifiers' reliabilities and the candidates' dependence are chosen on a half of the items and used on the
other, in turns.

Axes: N items, K candidates, F knobs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cit_core.evaluate.cost_metrics import Curve, hull_mixture
from cit_core.router.cascade import Reading, expected_utility
from cit_core.router.reliability import Reliability, ScoreRatio, fit_reliability

__all__ = [
    "BEST",
    "BLIND",
    "BLIND_BY_LEVEL",
    "LOSS",
    "ROUTING",
    "Played",
    "Zoo",
    "mixture",
    "play",
    "residual_correlation",
    "route_all",
    "ways_of",
]

LOSS = 0.005
"""What may be lost of the best model's accuracy."""
CHUNK = 256
"""Items that are planned at once."""
BEST, BLIND, ROUTING, DEAR = "always the best", "content-blind mixture", "routing", "cascade, AUROC 0.85, dear"
BLIND_BY_LEVEL = "content-blind mixture by published levels"

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
