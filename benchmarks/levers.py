"""What could still be done where nothing is known of a table: the scores of `cit bench --only current`, changed.

    python benchmarks/levers.py --data ../shared/data --unseen runs/mini [--second FOLDER]

Every row changes the scores that ship and is judged beside them, on the same resamples of the questions: AUROC and its
worst table above the level's, calibration, height above the hull of single models by published levels, and cost at the
best model's quality less 0.5 points, its knob chosen anew in every resample. Rows at the end are told what nobody knows
and show what is left to gain. --second is another checkpoint that has seen none of the tables. Axes: N questions, K
models, R resamples, F knobs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from scipy.optimize import brentq

from cit_core.calibration import fit_calibration, log_odds, sigmoid
from cit_core.errors import InvalidInput
from cit_core.evaluate.experiments import CURRENT
from cit_core.evaluate.experiments.current import (
    COLUMNS,
    FEWEST_QUESTIONS,
    KNOBS,
    Known,
    heights,
    read_known,
    resampled,
)
from cit_core.evaluate.experiments.ways import LOSS, Zoo, route_all
from cit_core.evaluate.metrics import Interval
from cit_core.evaluate.results import Cell, Column, Table
from cit_core.evaluate.samples import at_most
from cit_core.evaluate.tables import as_rich
from cit_core.evaluate.unseen import judged_unseen
from cit_core.outcomes import Split, read_outcomes
from cit_core.runtime import OnnxScorer, load_scorer

Array = NDArray[np.float64]
Lever = Callable[[Known], Array]
RESAMPLES = 300
PRECISE = ("AUROC above the level's", "the worst table's", "ECE")
SHOWN = (*PRECISE, "height above the hull", "cost, %")


def parts(one: Known) -> tuple[float, Array, Array, Array]:
    """Return the network's log-odds in parts: mean, ease of each question (N, 1), level of each model, and the rest."""
    odds_NK = log_odds(one.network_NK)
    mean = float(odds_NK.mean())
    ease_N1, level_1K = odds_NK.mean(axis=1, keepdims=True) - mean, odds_NK.mean(axis=0, keepdims=True) - mean
    return mean, ease_N1, level_1K, odds_NK - mean - ease_N1 - level_1K


def in_order(odds_NK: Array, one: Known) -> Array:
    """Return probabilities, each question's in the order of the levels, as what ships."""
    order, scores_NK = np.argsort(one.level_K, kind="stable"), np.empty_like(odds_NK)
    scores_NK[:, order] = np.sort(sigmoid(odds_NK), axis=1)
    return scores_NK


def scaled(one: Known, ease: float = 1.0, ways: float = 1.0, shift: float = 0.0) -> Array:
    mean, ease_N1, level_1K, rest_NK = parts(one)
    return in_order(mean + shift + ease * ease_N1 + level_1K + ways * rest_NK, one)


def without_length(one: Known, share: float) -> Array:
    """Take out what a question's length tells of its ease, by this table's own questions."""
    mean, ease_N1, level_1K, rest_NK = parts(one)
    length_N1 = np.log([[max(len(text), 1)] for text in one.instructions])
    length_N1 -= length_N1.mean()
    slope = float((ease_N1 * length_N1).sum() / max((length_N1**2).sum(), 1e-9))
    return in_order(mean + ease_N1 - share * slope * length_N1 + level_1K + rest_NK, one)


def between(one: Known, share: float) -> Array:
    return in_order((1.0 - share) * log_odds(one.scores_NK) + share * log_odds(one.level_K), one)


def level_and_ease(one: Known, ease: float = 1.0) -> Array:
    return np.asarray(sigmoid(log_odds(one.level_K) + ease * parts(one)[1]))


def calibrated(one: Known, tables: Sequence[Known]) -> Array:
    """One slope and intercept for all tables, fitted on the others."""
    others = [other for other in tables if other.name != one.name]
    odds, right = (np.concatenate([part.ravel() for part in of]) for of in zip(
        *((log_odds(other.network_NK), other.correct_NK) for other in others), strict=True
    ))  # fmt: skip
    fitted = fit_calibration(odds[:, None], right[:, None])
    return in_order(fitted.slope * log_odds(one.network_NK) + fitted.intercept, one)


def shifted_by_others(one: Known, tables: Sequence[Known]) -> Array:
    shifts = [_shift(other) for other in tables if other.name != one.name]
    return in_order(log_odds(one.network_NK) + float(np.mean(shifts)), one)


def mean_told(one: Known) -> Array:
    return in_order(log_odds(one.network_NK) + _shift(one), one)


def _shift(one: Known) -> float:
    """Return what makes the mean probability that of a table's right answers."""
    odds_NK, right = log_odds(one.network_NK), np.clip(one.correct_NK.mean(), 0.001, 0.999)
    return float(brentq(lambda shift: sigmoid(odds_NK + shift).mean() - right, -12.0, 12.0))


def ease_told(one: Known, correlation: float) -> Array:
    """The network's levels with a question's true ease, as far as a predictor of this correlation knew it."""
    mean, _, level_1K, _ = parts(one)
    right_N1 = one.correct_NK.sum(axis=1, keepdims=True)
    true_N1 = log_odds((right_N1 + 0.5) / (one.correct_NK.shape[1] + 1.0))
    true_N1 = (true_N1 - true_N1.mean()) / true_N1.std()
    noise_N1 = np.random.default_rng(0).normal(size=true_N1.shape)
    known_N1 = correlation * true_N1 + np.sqrt(1.0 - correlation**2) * noise_N1
    return in_order(mean + level_1K + 1.5 * correlation * known_N1, one)


def levers(tables: Sequence[Known], second: Mapping[str, Known] | None) -> dict[str, Lever]:
    """Return every row's scores of a table."""
    found: dict[str, Lever] = {
        "ships": lambda one: one.scores_NK,
        "the network's own order": lambda one: one.network_NK,
        "the level alone": lambda one: np.broadcast_to(one.level_K, one.correct_NK.shape).copy(),
        "no ease of questions": partial(scaled, ease=0.0),
        "half the ease": partial(scaled, ease=0.5),
        "twice the ease": partial(scaled, ease=2.0),
        "three times the ease": partial(scaled, ease=3.0),
        "no ways": partial(scaled, ways=0.0),
        "twice the ways": partial(scaled, ways=2.0),
        "level and ease": level_and_ease,
        "level and twice the ease": partial(level_and_ease, ease=2.0),
        "a quarter of the way to the level": partial(between, share=0.25),
        "half of the way to the level": partial(between, share=0.5),
        "half of a length's ease out": partial(without_length, share=0.5),
        "all of a length's ease out": partial(without_length, share=1.0),
        "half a logit up": partial(scaled, shift=0.5),
        "half a logit down": partial(scaled, shift=-0.5),
        "the other tables' shift": partial(shifted_by_others, tables=tables),
        "the other tables' shift and slope": partial(calibrated, tables=tables),
    }
    if second is not None:
        found["another network"] = lambda one: second[one.name].scores_NK
        found["mean of both networks"] = lambda one: np.asarray(
            sigmoid((log_odds(one.scores_NK) + log_odds(second[one.name].scores_NK)) / 2.0)
        )
    found["told: the table's mean"] = mean_told
    for correlation in (0.3, 0.5, 0.7, 0.9, 1.0):
        found[f"told: ease, correlation {correlation:g}"] = partial(ease_told, correlation=correlation)
    return found


def measured(tables: Sequence[Known], lever: Lever) -> dict[str, Array]:
    """Return each number of `SHOWN`, on all questions and on resamples of them, (1 + R,)."""
    place = {column.name: at for at, column in enumerate(COLUMNS[3:])}
    gains, errors, high, costs = [], [], [], []
    for table in tables:
        one = table._replace(scores_NK=lever(table))
        drawn = resampled(one)
        gains.append(drawn[place["above the level's"]])
        errors.append(drawn[place["ECE"]])
        if one.zoo is not None and len(one.correct_NK) >= FEWEST_QUESTIONS:
            costs.append(_cost(one, one.zoo))
        if one.zoo is not None:
            high.append(_means(heights(one, one.zoo)[0]))
    of = (np.mean(gains, axis=0), np.min(gains, axis=0), *(np.mean(each, axis=0) for each in (errors, high, costs)))
    return dict(zip(SHOWN, of, strict=True))


def _counts(number: int) -> Array:
    """Return how often each question is in each resample, all of them once first, (1 + R, N)."""
    drawn = np.random.default_rng(0).multinomial(number, np.full(number, 1.0 / number), size=RESAMPLES)
    return np.concatenate([np.ones((1, number)), drawn])


def _means(values_N: Array) -> Array:
    return np.asarray(100.0 * _counts(len(values_N)) @ values_N / len(values_N))


def _cost(one: Known, zoo: Zoo) -> Array:
    played = route_all(zoo, np.geomspace(zoo.cost_K.min(), 3000.0 * zoo.cost_K.max(), KNOBS))
    counts_RN, spent_R = _counts(len(one.correct_NK)), np.zeros(1 + RESAMPLES)
    for half_N in (*one.half_DN, *~one.half_DN):
        known_RN, routed_RN = counts_RN * half_N, counts_RN * ~half_N
        total_R1 = known_RN.sum(axis=1, keepdims=True)
        quality_RF, usd_RF = known_RN @ played.correct_FN.T / total_R1, known_RN @ played.usd_FN.T / total_R1
        least_R1 = known_RN @ one.correct_NK[:, [zoo.best]] / total_R1 - LOSS
        kept_RF = np.where(quality_RF >= least_R1, usd_RF, np.inf)
        knob_R = np.where(np.isinf(kept_RF.min(axis=1)), quality_RF.argmax(axis=1), kept_RF.argmin(axis=1))
        spent_R += (routed_RN @ played.usd_FN.T)[np.arange(1 + RESAMPLES), knob_R]
    return np.asarray(100.0 * spent_R / counts_RN.sum(axis=1) / len(one.half_DN) / zoo.cost_K[zoo.best])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--unseen", type=Path, required=True, help="a run of `cit train --without`")
    parser.add_argument("--second", help="another checkpoint, which has learnt from none of the tables")
    options = parser.parse_args()
    split, scorer = Split(), load_scorer("mini")
    assert isinstance(scorer, OnnxScorer)
    folders = {name: folder for folder in (options.data / "more", options.data) for name in CURRENT
               if (folder / f"outcomes-{name}.parquet").is_file()}  # fmt: skip
    outcomes = [at_most(read_outcomes(folders[name], name), split) for name in CURRENT if name in folders]
    judged = judged_unseen(scorer, {*scorer.checkpoint.learnt} & folders.keys(), options.unseen, outcomes)
    unseen = [table for table in outcomes if table.name not in judged.learnt]
    tables, second = read_known(unseen, judged.scorer, split), None
    if len(tables) < 2 or all(one.zoo is None or len(one.correct_NK) < FEWEST_QUESTIONS for one in tables):
        raise InvalidInput(f"levers need two tables, and one with prices and {FEWEST_QUESTIONS} questions")
    if options.second is not None:
        second = {one.name: one for one in read_known(unseen, load_scorer(options.second), split)}
    rows: list[tuple[Cell, ...]] = []
    ships: dict[str, Array] = {}
    for name, lever in levers(tables, second).items():
        found = measured(tables, lever)
        ships = ships or found
        beside = [(found[what] - ships[what] if ships is not found else found[what]) for what in SHOWN]
        rows.append(
            (name, *(Interval(float(one[0]), *np.quantile(one[1:], [0.025, 0.975]).tolist()) for one in beside))
        )
    columns = (Column("scores"), *(Column(what, "signed" if what in PRECISE else "points") for what in SHOWN))
    note = "The first row stands alone, the others beside it: differences with 95 % intervals over questions."
    table = Table(f"Levers where nothing is known: {len(tables)} tables", columns, tuple(rows), note, emphasis=(0,))
    Console(width=180).print(as_rich(table))


if __name__ == "__main__":
    main()
