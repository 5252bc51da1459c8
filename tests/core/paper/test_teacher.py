"""The teacher tells every outcome from the outcomes of other items alone, and is a better guess than the level."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from outcome_tables import numbered_matrix

from cit_core.outcomes import OutcomeMatrix
from cit_core.paper.teacher import smoothed


def outcomes(seed: int = 0) -> tuple[OutcomeMatrix, np.ndarray]:
    """Two kinds of items; each model is good at one of them. Also the true chances."""
    draw = np.random.default_rng(seed)
    kind_I = np.arange(300) % 2
    centres = np.eye(8)[:2]
    vectors = centres[kind_I] + draw.normal(0, 0.1, (300, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    chance = np.where(kind_I[:, None] == np.arange(4) % 2, 0.8, 0.3)
    correct = (draw.random(chance.shape) < chance).astype(float)
    correct[draw.random(chance.shape) < 0.1] = np.nan
    return numbered_matrix(vectors.astype(np.float32), kind_I, correct, ("a", "b", "c", "d")), chance


def test_it_knows_who_is_good_at_what() -> None:
    known, chance = outcomes()
    told = smoothed(known)
    assert told.shape == chance.shape
    assert ((told > 0.0) & (told < 1.0)).all()
    level = np.broadcast_to(np.nanmean(known.correct_IK, axis=0), chance.shape)
    assert np.abs(told - chance).mean() < 0.6 * np.abs(level - chance).mean()


def test_an_outcome_does_not_tell_itself() -> None:
    known, _ = outcomes()
    flipped = known.correct_IK.copy()
    flipped[7] = 1.0 - flipped[7]
    before, after = smoothed(known), smoothed(replace(known, correct_IK=flipped))
    np.testing.assert_array_equal(before[7], after[7])
    assert not np.array_equal(before, after), "but it tells others"
