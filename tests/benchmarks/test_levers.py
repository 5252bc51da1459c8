"""Levers change what they say and nothing else, and are judged as what ships is."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.levers import ease_told, in_order, levers, mean_told, measured, parts, scaled, without_length
from cit_core.calibration import log_odds, sigmoid
from cit_core.evaluate.experiments.current import Known, heights
from cit_core.evaluate.metrics import calibration_error


def known(name: str = "made", items: int = 120, seed: int = 0) -> Known:
    """Three models, the dearer the better, on questions of which the longer are the easier."""
    draw = np.random.default_rng(seed)
    ease_N1, level_K = draw.normal(size=(items, 1)), np.array([0.4, 0.6, 0.8])
    network_NK = sigmoid(log_odds(level_K) + ease_N1 + draw.normal(0.0, 0.3, (items, 3)))
    correct_NK = (draw.random((items, 3)) < network_NK).astype(float)
    texts = ["x" * int(length) for length in np.exp(4.0 + ease_N1[:, 0] + draw.normal(0.0, 0.5, items))]
    half_DN = np.stack([np.arange(items) % 2 == 0, np.arange(items) % 4 < 2])
    return Known(
        name=name, ids=("a", "b", "c"), instructions=texts, level_K=level_K, network_NK=network_NK,
        scores_NK=network_NK, correct_NK=correct_NK, usd_K=[0.001, 0.004, 0.02], half_DN=half_DN,
    )  # fmt: skip


def test_parts_are_the_whole_and_a_lever_of_nothing_is_what_ships() -> None:
    one = known()
    mean, ease_N1, level_1K, rest_NK = parts(one)
    assert mean + ease_N1 + level_1K + rest_NK == pytest.approx(log_odds(one.network_NK))
    assert scaled(one) == pytest.approx(in_order(log_odds(one.network_NK), one))
    assert (np.diff(scaled(one), axis=1) >= 0.0).all(), "the better by published scores is never behind"
    assert np.ptp(scaled(one, ease=0.0, ways=0.0), axis=0) == pytest.approx(0.0)


def test_length_is_taken_out_and_a_table_s_mean_is_told() -> None:
    one = known()
    length = np.log([len(text) for text in one.instructions])
    before, after = (np.corrcoef(length, log_odds(found).mean(axis=1))[0, 1] for found in (one.network_NK, _out(one)))
    assert before > 0.5
    assert after == pytest.approx(0.0, abs=0.05)
    high = one._replace(correct_NK=np.ones_like(one.correct_NK) * 0.9)
    assert mean_told(high).mean() == pytest.approx(0.9)


def _out(one: Known) -> np.ndarray:
    return without_length(one, 1.0)


def test_levers_are_judged_by_what_the_experiment_measures() -> None:
    tables = [known(), known("other", seed=1)]
    found = levers(tables, {one.name: one for one in tables})
    ships, level = measured(tables, found["ships"]), measured(tables, found["the level alone"])
    assert ships["height above the hull"][0] == pytest.approx(
        np.mean([100 * heights(one, one.zoo)[0].mean() for one in tables])
    )
    errors = [calibration_error(one.scores_NK, one.correct_NK) for one in tables]
    assert ships["ECE"][0] == pytest.approx(np.mean(errors))
    assert level["AUROC above the level's"] == pytest.approx(0.0)
    assert level["height above the hull"] == pytest.approx(0.0)
    assert ships["cost, %"][0] < level["cost, %"][0]
    assert measured(tables, found["another network"])["ECE"] == pytest.approx(ships["ECE"])
    told = measured(tables, lambda one: ease_told(one, 1.0))
    assert told["AUROC above the level's"][0] > ships["AUROC above the level's"][0]


@pytest.mark.parametrize("name", ["the other tables' shift", "the other tables' shift and slope"])
def test_one_calibration_is_fitted_on_the_other_tables(name: str) -> None:
    tables = [known(), known("other", seed=1), known("third", seed=2)]
    low = tables[0]._replace(correct_NK=np.zeros_like(tables[0].correct_NK))
    assert levers([low, *tables[1:]], None)[name](low) == pytest.approx(levers(tables, None)[name](tables[0]))
    easy = [one._replace(correct_NK=np.maximum(one.correct_NK, one.network_NK > 0.3)) for one in tables[1:]]
    assert levers([low, *easy], None)[name](low).mean() > tables[0].network_NK.mean() + 0.02


def test_every_lever_gives_probabilities_and_bounds_keep_within_reason() -> None:
    tables = [known(), known("other", seed=1)]
    one = tables[0]._replace(instructions=["same"] * len(tables[0].instructions), correct_NK=np.ones((120, 3)))
    for name, lever in levers(tables, None).items():
        found = lever(one)
        assert found.shape == one.network_NK.shape, name
        assert ((found > 0.0) & (found < 1.0)).all(), name
    half, level = (
        levers(tables, None)[name](tables[0]) for name in ("half of the way to the level", "the level alone")
    )
    middle = (log_odds(tables[0].scores_NK) + log_odds(level)) / 2.0
    assert half == pytest.approx(in_order(middle, tables[0]))
