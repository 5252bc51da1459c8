"""Three effects that explain who was right on what: a candidate's level, a question's easiness, a way with tasks.

    log-odds of y_ik = theta_k + b_i + delta_tk        candidate k, question i, its task t

Axes: I questions, K candidates, T tasks, D width.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cit_core.calibration import sigmoid
from cit_core.outcomes import NO_TASK, OutcomeMatrix

__all__ = ["NO_TASK", "Effects", "fit_effects"]

ROUNDS = 12
"""Of alternating Newton steps; the effects move by less than 0.01 after ten."""

Array = NDArray[np.float64]


class Effects(NamedTuple):
    """theta, b and delta."""

    level_K: Array
    easiness_I: Array
    way_TK: Array
    """The last row is of NO_TASK, and 0."""


def fit_effects(outcomes: OutcomeMatrix, task_ridge: float) -> Effects:
    """The Rasch model (Rasch, 1960) with a candidate's way with each task, by alternating Newton steps.

    Args:
        outcomes: To explain.
        task_ridge: On delta; easiness has a ridge of 1, levels one of 0.05.
    """
    known_IK = ~np.isnan(outcomes.correct_IK)
    correct_IK = np.where(known_IK, outcomes.correct_IK, 0.0).astype(np.float32)
    task_I = outcomes.task_I
    tasks = int(task_I.max(initial=NO_TASK)) + 1
    order, starts = _grouped(task_I)
    level_K, easiness_I = np.zeros(correct_IK.shape[1], np.float32), np.zeros(len(correct_IK), np.float32)
    way_TK = np.zeros((tasks + 1, correct_IK.shape[1]), np.float32)

    def left() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        expected_IK = sigmoid(level_K + easiness_I[:, None] + way_TK[task_I])
        return (correct_IK - expected_IK) * known_IK, expected_IK * (1.0 - expected_IK) * known_IK

    for _ in range(ROUNDS):
        residual_IK, weight_IK = left()
        level_K += (residual_IK.sum(0) - 0.05 * level_K) / (weight_IK.sum(0) + 0.05)
        residual_IK, weight_IK = left()
        easiness_I += (residual_IK.sum(1) - easiness_I) / (weight_IK.sum(1) + 1.0)
        if tasks:
            residual_IK, weight_IK = left()
            present = task_I[order[starts]]
            residual_TK, weight_TK = (np.add.reduceat(x_IK[order], starts) for x_IK in (residual_IK, weight_IK))
            way_TK[present] += (residual_TK - task_ridge * way_TK[present]) / (weight_TK + task_ridge)
            way_TK[NO_TASK] = 0.0
    return Effects(level_K.astype(np.float64), easiness_I.astype(np.float64), way_TK.astype(np.float64))


def _grouped(task_I: NDArray[np.integer]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """An order in which equal tasks stand together, and where each begins."""
    order = np.argsort(task_I, kind="stable")
    return order, np.flatnonzero(np.diff(task_I[order], prepend=NO_TASK - 1))
