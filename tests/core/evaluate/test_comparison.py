"""Rows of a comparison: means over zoos, intervals over items, hindsight that knows the answers."""

from __future__ import annotations

import numpy as np
import pytest

from cit_core.evaluate.comparison import (
    BEST_IN_HINDSIGHT,
    BEST_PER_GROUP,
    ORACLE,
    SINGLE_BEST,
    hindsight,
    judge,
    probabilities,
    reliability,
    values_of,
)

CORRECT = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
ZOOS = [(0, 1), (0, 1, 2)]


def test_values_are_of_the_highest_score_in_each_zoo() -> None:
    scores = np.array([[0.1, 0.2, 0.3], [0.9, 0.2, 0.3], [0.1, 0.2, 0.3], [0.5, 0.5, 0.1]])
    assert values_of(scores, CORRECT, ZOOS).tolist() == [[0.0, 0.0, 1.0, 0.5], [1.0, 0.0, 0.0, 0.5]]


def test_hindsight_knows_the_answers() -> None:
    found = hindsight(CORRECT, ["x", "x", "y", "y"], ZOOS)
    assert found[ORACLE].tolist() == [[1.0, 1.0, 1.0, 1.0]] * 2
    assert found[BEST_PER_GROUP].mean(axis=1).tolist() == [0.5, 0.75], "of three, the third knows all of x"
    assert found[BEST_IN_HINDSIGHT].mean(axis=1).tolist() == [0.5, 0.5]


def test_a_row_is_compared_with_the_single_best_and_with_the_best_baseline() -> None:
    ones = np.ones((2, 50))
    half = np.tile([0.0, 1.0], (2, 25))
    values = {SINGLE_BEST: half, "weak": 0 * ones, "strong": 0.75 * ones, "ours": 0.8 * ones, ORACLE: ones}
    values["ours"] = np.stack([0.8 * ones[0], 0.4 * ones[0]])
    rows = {row.name: row for row in judge(values, [SINGLE_BEST, "weak", "strong"])}
    ours = rows["ours"]
    assert ours.accuracy.mean == pytest.approx(60.0)
    assert ours.above_single_best.mean == pytest.approx(10.0)
    assert ours.above_best_baseline is not None
    assert ours.above_best_baseline.mean == pytest.approx(-15.0), "strong is the best of them"
    assert ours.worst_zoo == pytest.approx(-10.0)
    assert ours.gap_recovered == pytest.approx(0.2)
    assert rows["weak"].above_best_baseline is None
    assert rows[ORACLE].above_best_baseline is None
    assert rows[ORACLE].gap_recovered == pytest.approx(1.0)
    assert ours.above_single_best.low < 10.0 < ours.above_single_best.high, "the single best varies over items"


def test_probabilities_and_reliability() -> None:
    draw = np.random.default_rng(0)
    p = draw.random((2000, 2))
    y = (draw.random(p.shape) < p).astype(float)
    numbers = probabilities(p, y)
    assert numbers["ECE"].mean < 0.03
    assert numbers["AUROC"].low > 0.8
    mean, accuracy, size = reliability(p, y)
    assert size.sum() == p.size
    assert np.abs(mean - accuracy).max() < 0.08
    mean, _, _ = reliability(np.full((4, 2), 0.95), np.ones((4, 2)))
    assert mean.tolist() == pytest.approx([0.95]), "empty bins are not drawn"
