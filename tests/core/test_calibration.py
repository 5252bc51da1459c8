"""Calibrated log-odds are probabilities that mean what they say, keep the order, and never overflow."""

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from cit_core.calibration import Calibration, fit_calibration
from cit_core.errors import InvalidInput


def drawn(slope: float, intercept: float, *, scale: float = 3.0, size: int = 20_000) -> tuple[NDArray[np.float64], ...]:
    """Log-odds, and outcomes that come true as a calibration of this slope and intercept says."""
    random = np.random.default_rng(0)
    odds = random.normal(0.0, scale, (size // 10, 10))
    return odds, (random.random(odds.shape) < Calibration(slope, intercept)(odds)).astype(float)


def log_loss(calibration: Calibration, odds: NDArray[np.float64], correct: NDArray[np.float64]) -> float:
    p = calibration(odds)
    return float(-np.mean(correct * np.log(p) + (1 - correct) * np.log(1 - p)))


def test_as_it_comes_it_is_the_logistic_function() -> None:
    assert Calibration()(np.array([0.0, math.log(3), -math.log(3)])) == pytest.approx([0.5, 0.75, 0.25])
    assert Calibration(2.0, -1.0)(np.array([0.5, 1.0])) == pytest.approx([0.5, 1 / (1 + math.exp(-1))])


@given(arrays(np.float64, 8, elements=st.floats(-1e6, 1e6)), st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
def test_probabilities_keep_the_order_of_any_odds(odds: NDArray[np.float64], slope: float, intercept: float) -> None:
    probabilities = Calibration(slope, intercept)(odds)
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    assert (np.diff(probabilities[np.argsort(odds)]) >= 0).all()


def test_shape_is_kept_and_float32_is_computed_in_float64() -> None:
    probabilities = Calibration()(np.zeros((2, 3), np.float32))
    assert probabilities.shape == (2, 3)
    assert probabilities.dtype == np.float64


@pytest.mark.parametrize(
    ("slope", "intercept"), [(0, 0), (-1, 0), (math.nan, 0), (math.inf, 0), (1, math.nan), (1, -math.inf)]
)
def test_a_calibration_that_turns_the_order_or_is_not_finite_is_refused(slope: float, intercept: float) -> None:
    with pytest.raises(InvalidInput, match="needs a finite slope above 0 and a finite intercept"):
        Calibration(slope, intercept)


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.5, -1.0), (2.0, 1.5), (0.05, -2.0)])
def test_a_fit_finds_what_the_outcomes_were_drawn_from(slope: float, intercept: float) -> None:
    found = fit_calibration(*drawn(slope, intercept))
    assert found.slope == pytest.approx(slope, abs=0.08)
    assert found.intercept == pytest.approx(intercept, abs=0.08)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0, 1e4])
def test_a_fit_is_found_at_any_scale_of_the_odds(scale: float) -> None:
    odds, correct = drawn(0.7, -0.5)
    usual, scaled = fit_calibration(odds, correct), fit_calibration(odds * scale, correct)
    assert scaled.slope * scale == pytest.approx(usual.slope, rel=1e-3)
    assert scaled.intercept == pytest.approx(usual.intercept, rel=1e-3)


def test_a_fit_is_found_where_whole_steps_would_overshoot() -> None:
    """Two outliers that are right, and a crowd at 0 that is mostly wrong: undamped, the slope runs to 1e10."""
    odds = np.array([30.0, 0.9, -0.1, *[0.0] * 26])
    correct = np.array([1.0, 1.0, 1.0, *[0.0] * 26])
    found = fit_calibration(odds, correct)
    assert 3.0 < found.slope < 10.0
    assert found(odds).sum() == pytest.approx(3.0, abs=1e-6)


def test_fitted_probabilities_mean_what_they_say() -> None:
    odds, correct = drawn(0.4, 0.8)
    probabilities = fit_calibration(odds, correct)(odds)
    assert probabilities.mean() == pytest.approx(correct.mean(), abs=1e-6)
    for low in np.arange(0.1, 0.9, 0.1):
        near = (probabilities >= low) & (probabilities < low + 0.1)
        assert correct[near].mean() == pytest.approx(probabilities[near].mean(), abs=0.04)


def test_no_other_calibration_has_a_smaller_loss() -> None:
    odds, correct = drawn(0.4, 0.8, size=500)
    best = fit_calibration(odds, correct)
    for slope, intercept in [(1, 0), (best.slope * 1.02, best.intercept), (best.slope, best.intercept + 0.02)]:
        assert log_loss(best, odds, correct) < log_loss(Calibration(slope, intercept), odds, correct)


def test_who_was_not_measured_does_not_count_and_halves_do() -> None:
    odds, correct = drawn(0.7, -0.5, size=400)
    holes = np.where(np.random.default_rng(1).random(odds.shape) < 0.3, np.nan, correct)
    known = ~np.isnan(holes)
    assert fit_calibration(odds, holes) == fit_calibration(odds[known], correct[known])
    graded = fit_calibration(np.array([-1.0, 1.0]), np.array([0.25, 0.75]))
    assert graded(np.array([-1.0, 1.0])) == pytest.approx([0.25, 0.75])


@pytest.mark.parametrize("correct", [[1, 1, 1], [0, 0, 0], [math.nan] * 3, []])
def test_right_and_wrong_outcomes_are_both_needed(correct: list[float]) -> None:
    with pytest.raises(InvalidInput, match=r"needs right and wrong outcomes, got [0-3] with only one of them"):
        fit_calibration(np.arange(len(correct), dtype=float), np.array(correct, dtype=float))


def test_odds_that_point_the_wrong_way_are_refused() -> None:
    odds, correct = drawn(1.0, 0.0, size=400)
    with pytest.raises(InvalidInput, match="slope above 0"):
        fit_calibration(-odds, correct)


def test_outcomes_that_odds_part_exactly_still_give_a_finite_calibration() -> None:
    calibration = fit_calibration(np.array([-2.0, -1.0, 1.0, 2.0]), np.array([0.0, 0.0, 1.0, 1.0]))
    low, high = calibration(np.array([-1.0, 1.0]))
    assert low < 0.01 < 0.99 < high


def test_it_is_frozen_and_survives_pickling() -> None:
    calibration = Calibration(0.5, -0.25)
    with pytest.raises(AttributeError):
        calibration.slope = 1.0  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(calibration)) == calibration
