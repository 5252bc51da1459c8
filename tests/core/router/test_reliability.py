"""A verdict changes the odds by the ratio that was measured of its verifier."""

import numpy as np
import pytest

from cit_core.errors import InvalidInput
from cit_core.evaluate.metrics import auroc
from cit_core.router import Rates, ScoreRatio, fit_reliability
from cit_core.router.reliability import posterior


def test_bayes_by_hand():
    rates = Rates(true_positive=0.8, false_positive=0.2)
    assert posterior(0.5, rates.log_ratio(1.0)) == pytest.approx(0.8)
    assert posterior(0.5, rates.log_ratio(0.0)) == pytest.approx(0.2)
    # odds 1:3 times 4 are 4:3
    assert posterior(0.25, rates.log_ratio(True)) == pytest.approx(4 / 7)


def test_yes_and_no_are_counted():
    pairs = [(True, 1)] * 80 + [(False, 1)] * 20 + [(True, 0)] * 10 + [(False, 0)] * 90
    rates = fit_reliability(pairs)
    assert isinstance(rates, Rates)
    assert (rates.true_positive, rates.false_positive) == pytest.approx((80.5 / 101, 10.5 / 101))


def binormal(distance, number=4_000, seed=0):
    draw = np.random.default_rng(seed)
    right = draw.random(number) < 0.6
    return draw.normal(np.where(right, distance, 0.0)), right


def test_a_score_is_measured_as_it_was_made():
    score, right = binormal(1.0)
    made, found = (
        ScoreRatio.from_auroc(auroc(score, right.astype(float))),
        fit_reliability(zip(score, right, strict=True)),
    )
    assert isinstance(found, ScoreRatio)
    for at in (-1.0, 0.5, 2.0):
        assert found.log_ratio(at) == pytest.approx(made.log_ratio(at), abs=0.25)
    assert found.distance == pytest.approx(1.0, abs=0.15)
    right_v, wrong_v = found.verdicts
    assert right_v.sum() == pytest.approx(1.0)
    assert wrong_v.sum() == pytest.approx(1.0)
    assert (np.diff(right_v / wrong_v) > 0).all()


def test_a_score_that_says_nothing_is_worth_nothing():
    draw = np.random.default_rng(1)
    found = fit_reliability(zip(draw.random(3_000) + 2.0, draw.random(3_000) < 0.5, strict=True))
    assert abs(found.log_ratio(2.9)) < 0.15
    backwards = fit_reliability([(0.9 - 0.01 * n, n > 20) for n in range(40)])
    assert backwards.log_ratio(0.9) == pytest.approx(0.0, abs=1e-9)


def test_few_answers_are_shrunk_and_too_few_refused():
    few, many = [(0.9, 1), (0.7, 1), (0.4, 0), (0.2, 0)], [(0.9, 1), (0.7, 1), (0.4, 0), (0.2, 0)] * 50
    assert 0.0 < fit_reliability(few).log_ratio(0.9) < fit_reliability(many).log_ratio(0.9)
    with pytest.raises(InvalidInput, match="1 right and 1 wrong"):
        fit_reliability([(1, 1), (0, 0)])
    with pytest.raises(InvalidInput, match="each must be"):
        fit_reliability([("yes", 1)])
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        Rates(true_positive=1.0, false_positive=0.2)
