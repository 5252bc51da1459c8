"""Cost-quality numbers on curves whose answer can be seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cit_core.evaluate.cost_metrics import (
    Curve,
    aiq,
    apgr,
    arena_score,
    call_share_for,
    cost_at_quality,
    cost_curve,
    nauc,
    queries_to_break_even,
    two_model_curve,
)


def curve(*points: tuple[float, float]) -> Curve:
    return Curve(np.array([cost for cost, _ in points]), np.array([quality for _, quality in points]))


def test_aiq_is_the_mean_height_of_the_hull() -> None:
    assert aiq(curve((1.0, 0.5), (3.0, 0.9)), 1.0, 3.0) == pytest.approx(0.7)
    bad_bargain = curve((1.0, 0.5), (2.0, 0.6), (3.0, 0.9), (2.5, 0.2))
    assert aiq(bad_bargain, 1.0, 3.0) == pytest.approx(0.7), "what mixing the ends does better is not on the hull"
    assert aiq(curve((1.0, 0.5), (3.0, 0.9), (5.0, 0.4)), 1.0, 5.0) == pytest.approx((0.7 + 0.9) / 2), "it never falls"


def test_nauc_is_the_area_in_shares_without_mixing() -> None:
    # nothing up to 1, .5 from 1 to 3, .9 from 3 to 4: (2 x .5 + 1 x .9) / (4 x .9)
    assert nauc(curve((1.0, 0.5), (3.0, 0.9)), 4.0, 0.9) == pytest.approx(1.9 / 3.6)
    assert nauc(curve((3.0, 0.9), (1.0, 0.5), (2.0, 0.1)), 4.0, 0.9) == pytest.approx(1.9 / 3.6)
    assert nauc(curve((0.0, 0.9)), 4.0, 0.9) == pytest.approx(1.0)
    assert nauc(curve((0.0, 0.9), (0.0, 0.6)), 0.0, 0.9) == pytest.approx(1.0)
    assert nauc(curve((1.0, 0.9), (9.0, 1.0)), 4.0, 0.9) == pytest.approx(0.75)


def test_the_cost_of_a_quality_is_read_off_the_hull() -> None:
    line = curve((1.0, 0.5), (3.0, 0.9))
    assert cost_at_quality(line, 0.7) == pytest.approx(2.0)
    assert cost_at_quality(line, 0.4) == pytest.approx(1.0)
    assert cost_at_quality(line, 0.91) == float("inf")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(0.1, 10), st.floats(0, 1)), min_size=2, max_size=12), st.floats(0, 1))
def test_the_hull_is_never_worse_than_a_point(points: list[tuple[float, float]], quality: float) -> None:
    whole = curve(*points)
    reached = [cost for cost, height in points if height >= quality]
    if reached:
        assert cost_at_quality(whole, quality) <= min(reached) + 1e-9
    else:
        assert cost_at_quality(whole, quality) == float("inf")


def test_the_knob_goes_from_the_cheapest_to_the_best() -> None:
    scores = np.array([[0.2, 0.9], [0.8, 0.85]])
    correct = np.array([[0.0, 1.0], [1.0, 1.0]])
    found = cost_curve(scores, correct, np.array([1.0, 3.0]), [0.0, 5.0, 1000.0])
    assert found.cost_P.tolist() == [1.0, 2.0, 3.0]
    assert found.quality_P.tolist() == [0.5, 1.0, 1.0]


def test_two_models() -> None:
    weak, strong = np.array([0.0, 0.0, 1.0, 1.0]), np.ones(4)
    perfect = two_model_curve(strong - weak, weak, strong)
    assert perfect.quality_P.tolist() == [0.5, 0.75, 1.0, 1.0, 1.0]
    assert apgr(perfect) == pytest.approx((0.25 + 0.75 + 1.0 + 1.0) / 4)
    assert call_share_for(perfect, 0.5) == 0.25
    assert call_share_for(perfect, 0.8) == 0.5
    assert apgr(two_model_curve(weak - strong, weak, strong)) == pytest.approx(1 - apgr(perfect))


def test_queries_of_equal_gain_share_it_in_whatever_order_they_come() -> None:
    weak, strong = np.zeros(4), np.array([1.0, 0.0, 0.0, 1.0])
    blind = two_model_curve(np.full(4, 0.3), weak, strong)
    assert blind.quality_P.tolist() == [0.0, 0.125, 0.25, 0.375, 0.5]
    assert apgr(blind) == pytest.approx(0.5)
    gains = np.array([0.5, 0.5, 0.1, 0.9])
    turned = two_model_curve(gains[::-1], weak, strong[::-1])
    assert two_model_curve(gains, weak, strong).quality_P.tolist() == [0.0, 0.25, 0.375, 0.5, 0.5]
    assert turned.quality_P.tolist() == [0.0, 0.25, 0.375, 0.5, 0.5]


def test_the_arena_score() -> None:
    assert arena_score(0.0, 1.0) == 0.0
    assert arena_score(0.8, 200.0) == 0.0
    assert arena_score(0.8, 0.0044) == pytest.approx(1.1 * 0.8 / (0.1 * 0.8 + 1.0))
    assert arena_score(0.8, 0.0) == arena_score(0.8, 0.0044), "nothing is cheaper than the cheapest"
    assert arena_score(0.8, 1.0) > arena_score(0.8, 10.0) > arena_score(0.7, 10.0)


def test_a_test_that_is_paid_once_pays_off_after_as_many_queries_as_it_saves_their_cost() -> None:
    assert queries_to_break_even(once=9_000.0, cost=1.0, other=10.0) == 1_000.0
    assert queries_to_break_even(once=1.0, cost=2.0, other=2.0) == np.inf
