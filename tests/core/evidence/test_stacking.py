"""Weights of parts: what helps on questions left out has one, what does not has none."""

from __future__ import annotations

import numpy as np
import pytest

from cit_core.calibration import sigmoid
from cit_core.evidence.stacking import fit_gate, fit_weights, way_scale

DRAW = np.random.default_rng(0)


def test_a_part_that_tells_is_believed_and_noise_is_not() -> None:
    base, part = np.zeros((2000, 3)), DRAW.normal(size=(2000, 3))
    correct = (DRAW.random(part.shape) < sigmoid(0.5 + 0.8 * part)).astype(float)
    correct[DRAW.random(correct.shape) < 0.2] = np.nan
    wrong_way = np.stack([part, DRAW.normal(size=part.shape), -part])
    weights, shift = fit_weights(base, wrong_way, correct)
    assert abs(weights[0] - 0.8) < 0.1
    assert weights[1] < 0.1
    assert weights[2] == 0.0, "a part that says the opposite is none"
    assert abs(shift - 0.5) < 0.1


def test_few_questions_move_weights_little() -> None:
    part = DRAW.normal(size=(1, 4, 2))
    weights, shift = fit_weights(np.zeros((4, 2)), part, (part[0] > 0).astype(float))
    assert 0.0 <= weights[0] < 1.0
    assert abs(shift) < 0.5


def test_a_part_that_says_next_to_nothing_has_no_large_weight() -> None:
    part = DRAW.normal(size=(1, 500, 2))
    correct = (part[0] > 0.0).astype(float)
    assert fit_weights(np.zeros((500, 2)), 1e-9 * part, correct)[0][0] < 1.0
    assert fit_weights(np.zeros((500, 2)), 0.1 * part, correct)[0][0] > 10.0


def test_ways_that_route_better_are_kept_and_those_that_do_not_are_scaled_to_nothing() -> None:
    base, way = np.array([0.2, 0.0]), np.where(np.arange(400)[:, None] % 2 == [0, 1], 1.0, -1.0)
    helps = (DRAW.random(way.shape) < sigmoid(base + way)).astype(float)
    scale, (gain, error), _ = way_scale(base, way, helps)
    assert scale > 0.0
    assert gain > 2 * error > 0.0
    better = np.stack([np.ones(400), np.zeros(400)], axis=1)  # the first is always right
    scale, (gain, _), _ = way_scale(base, way, better)
    assert (base + scale * way).argmax(axis=1).max() == 0, "nothing that would choose the second"
    assert gain == 0.0


def test_ways_are_judged_among_candidates_of_similar_strength_too() -> None:
    """Eight candidates of which one is always right: among all, ways change nothing; among the others they win."""
    level, kind = np.array([9.0, *np.linspace(0.0, 0.07, 7)]), np.arange(400) % 7
    way = np.concatenate([np.zeros((400, 1)), np.eye(7)[kind]], axis=1)
    correct = np.concatenate([np.ones((400, 1)), (DRAW.random((400, 7)) < 0.3 + 0.6 * np.eye(7)[kind])], axis=1)
    found = way_scale(level, way, correct)
    assert found.scale > 0.0
    assert found.gain[0] > 0.2


def test_a_handful_of_questions_does_not_take_trusted_ways_away_and_many_do() -> None:
    base = np.array([0.2, 0.0])
    way = np.tile([0.0, 1.0], (300, 1))
    worse = np.tile([1.0, 0.0], (300, 1))
    assert way_scale(base, way[:4], worse[:4], scales=(1.0,), trusted=8.0).scale == 1.0
    assert way_scale(base, way[:4], worse[:4]).scale == 0.0
    assert way_scale(base, way, worse, scales=(1.0,), trusted=8.0).scale == 0.0


def test_the_gain_that_is_told_was_observed_and_not_trusted() -> None:
    base, way, alike = np.array([0.2, 0.0]), np.tile([0.0, 1.0], (60, 1)), np.ones((60, 2))
    trusted = way_scale(base, way, alike, scales=(1.0,), trusted=8.0)
    assert (trusted.scale, trusted.gain) == (1.0, (0.0, 0.0))
    helps = np.where(np.arange(60)[:, None] % 4 > 0, [0.0, 1.0], [1.0, 0.0])
    for found in (way_scale(base, way, helps), way_scale(base, way, helps, scales=(1.0,), trusted=8.0)):
        assert found.gain == pytest.approx((0.5, np.sqrt(60 * 0.75) / 60))


def test_whole_kinds_count_as_one_observation_each() -> None:
    base, kind = np.array([0.1, 0.0]), np.repeat(np.arange(3), 100)
    way = np.tile([-1.0, 1.0], (300, 1))
    correct = np.where((kind < 2)[:, None] == [0, 1], 1.0, 0.0)  # the second is better on two kinds of three
    assert way_scale(base, way, correct)[0] > 0.0
    assert way_scale(base, 4 * way, correct, kind)[0] == 0.0


def test_the_gate_tells_known_kinds_from_new_ones() -> None:
    known, new = DRAW.normal(2.0, 1.0, (300, 2)), DRAW.normal(-2.0, 1.0, (300, 2))
    gate = fit_gate(known, new)
    assert (gate[0] + known @ gate[1:] > 0.0).mean() > 0.95
    assert (gate[0] + new @ gate[1:] < 0.0).mean() > 0.95
