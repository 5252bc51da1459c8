"""The teacher of distillation: what evidence on similar questions says of every training outcome.

An outcome is 0 or 1 and mostly noise; the smoother's probability is neither. It is told five times, each time of the
fifth of the items whose own outcomes it did not see.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cit_core.calibration import sigmoid
from cit_core.evidence import Evidence, EvidenceSettings
from cit_core.outcomes import OutcomeMatrix

__all__ = ["smoothed"]

FOLDS = 5


def smoothed(outcomes: OutcomeMatrix, settings: EvidenceSettings | None = None, seed: int = 0) -> NDArray[np.float64]:
    """P(correct) of every item and candidate, (I, K), from the outcomes of the other folds.

    Args:
        outcomes: Of training items and training models alone.
        settings: How far evidence reaches; its defaults if not given.
        seed: Of the folds.
    """
    items = len(outcomes.vectors_ID)
    fold_I = np.random.default_rng(seed).permutation(items) % FOLDS
    told_IK = np.empty(outcomes.correct_IK.shape)
    for fold in range(FOLDS):
        mine_I = fold_I == fold
        others = outcomes.rows(~mine_I)
        evidence = Evidence(others, settings or EvidenceSettings())
        prior_NK = np.broadcast_to(_levels(others), (int(mine_I.sum()), len(outcomes.candidates)))
        told_IK[mine_I] = sigmoid(evidence.update(prior_NK, outcomes.vectors_ID[mine_I], outcomes.candidates))
    return told_IK


def _levels(outcomes: OutcomeMatrix) -> NDArray[np.float64]:
    """Log-odds of each candidate's accuracy, with one right and one wrong answer added."""
    known_IK = ~np.isnan(outcomes.correct_IK)
    right_K = np.where(known_IK, outcomes.correct_IK, 0.0).sum(0)
    levels_K: NDArray[np.float64] = np.log1p(right_K) - np.log1p(known_IK.sum(0) - right_K)
    return levels_K
