"""Levels and easiness: the Rasch model, with levels that mean a candidate's plain accuracy."""

from __future__ import annotations

import numpy as np

from cit_core.calibration import sigmoid
from cit_core.evidence.effects import fit_effects

DRAW = np.random.default_rng(0)


def test_levels_are_plain_accuracies_and_keep_their_order() -> None:
    correct = (DRAW.random((500, 4)) < [0.2, 0.5, 0.52, 0.9]).astype(float)
    effects = fit_effects(correct)
    np.testing.assert_allclose(sigmoid(effects.level_K), correct.mean(axis=0), atol=0.01)
    assert np.argsort(effects.level_K).tolist() == np.argsort(correct.mean(axis=0)).tolist()


def test_whoever_was_asked_easy_questions_alone_is_not_taken_for_better() -> None:
    easiness = np.repeat([2.0, -2.0], 400)
    correct = (DRAW.random((800, 3)) < sigmoid(easiness)[:, None]).astype(float)
    correct[400:, 0] = np.nan
    effects = fit_effects(correct)
    assert np.nanmean(correct[:, 0]) > 0.8
    plain = np.nanmean(correct, axis=0)
    assert np.ptp(effects.level_K) < 0.7 * np.ptp(np.log(plain / (1 - plain)))


def test_what_is_not_known_leaves_nothing() -> None:
    effects = fit_effects(np.array([[1.0, np.nan], [0.0, 1.0]]))
    assert (effects.residual_IK[0, 1], effects.weight_IK[0, 1]) == (0.0, 0.0)
    nothing = fit_effects(np.full((0, 2), np.nan))
    assert np.isfinite(nothing.level_K).all()


def test_one_accuracy_of_many_answers_counts_as_these() -> None:
    answers = (DRAW.random((300, 2)) < [0.8, 0.4]).astype(float)
    mean = fit_effects(answers.mean(axis=0, keepdims=True), np.full((1, 2), 300.0))
    np.testing.assert_allclose(sigmoid(mean.level_K), answers.mean(axis=0), atol=0.02)
