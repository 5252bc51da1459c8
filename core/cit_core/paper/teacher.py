"""The teacher of distillation: probabilities by evidence on similar questions for every training outcome.

An outcome is 0 or 1 and mostly noise; the smoother's probability is neither. Items are smoothed in five folds, each
from the outcomes of the other four.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cit_core.calibration import sigmoid
from cit_core.evidence import Evidence
from cit_core.outcomes import OutcomeMatrix

__all__ = ["smoothed"]

FOLDS = 5


def smoothed(outcomes: OutcomeMatrix, seed: int = 0) -> NDArray[np.float64]:
    """Return P(correct) of every item and candidate, (I, K), from the outcomes of the other folds.

    Args:
        outcomes: Outcomes of training items and training models alone.
        seed: Seed of the folds.
    """
    items = len(outcomes.vectors_ID)
    fold_I = np.random.default_rng(seed).permutation(items) % FOLDS
    told_IK = np.empty(outcomes.correct_IK.shape)
    for fold in range(FOLDS):
        mine_I = fold_I == fold
        asked = outcomes.rows(mine_I)
        texts = asked.instructions or [""] * len(asked.vectors_ID)
        vectors_ND = np.asarray(asked.vectors_ID, np.float32)
        told_IK[mine_I] = sigmoid(Evidence(outcomes.rows(~mine_I)).log_odds(vectors_ND, texts))
    return told_IK
