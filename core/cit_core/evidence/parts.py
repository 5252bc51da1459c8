"""Parts of a prediction: estimates from stored questions for a query, in log-odds.

    level        how much farther candidates are apart on a question of known difficulty
        difficulty   easiness of the question for all candidates: by regression, by its task, by its neighbours
    way          how a candidate differs from its level on it: by regression, task, neighbours, nearest profile tasks

Axes: I stored questions, N queries, K candidates, T tasks, J neighbours, D width, F features, P parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cit_core.evidence.effects import Effects
from cit_core.evidence.neighbours import Near
from cit_core.evidence.task_classifier import TaskClassifier, TaskGuess
from cit_core.outcomes import NO_TASK

__all__ = ["NEIGHBOURS", "PARTS", "Local", "Regression", "TaskEffects", "by_neighbours", "gate_features"]

PARTS = (
    "level",
    "difficulty by regression",
    "difficulty by task",
    "difficulty by neighbours",
    "way by regression",
    "way by task",
    "way by neighbours",
    "way broadly",
    "way by profile",
)
NEIGHBOURS = 80
TASK_RIDGE, LOCAL_RIDGE = 5.0, 3.0
"""Inverse variances of a candidate's way with a task, and with a neighbourhood."""

Floats = NDArray[np.float32]


class Local(NamedTuple):
    """Estimates of one source for N queries."""

    easiness_N: Floats
    way_NK: Floats


@dataclass(frozen=True, eq=False)
class Regression:
    """Linear in a question's features: its vector, n-grams and counts."""

    centre_F: Floats
    coefficients_FT: Floats
    """Coefficients of easiness in the first column, of the candidates' ways in the others."""
    broad_DK: Floats
    """Coefficients of the vector alone, of ways that other kinds of questions share."""
    tasks_FT: Floats
    """Coefficients of being of each task."""
    classifier: TaskClassifier
    """Classifies by what the regression says of the tasks."""

    def __call__(self, features_NF: Floats) -> tuple[Local, Floats, TaskGuess]:
        """Predict for N queries, and their ways broadly, and tasks; nothing of them where nothing was fitted."""
        if not len(self.coefficients_FT):
            width = self.coefficients_FT.shape[1] - 1
            nothing = Local(np.zeros(len(features_NF), np.float32), np.zeros((len(features_NF), width), np.float32))
            return nothing, nothing.way_NK, self.classifier(np.zeros((len(features_NF), 0), np.float32))
        centred_NF: Floats = np.asarray(features_NF - self.centre_F, np.float32)
        predicted_NT = centred_NF @ self.coefficients_FT
        broad_NK = centred_NF[:, : len(self.broad_DK)] @ self.broad_DK
        return Local(predicted_NT[:, 0], predicted_NT[:, 1:]), broad_NK, self.classifier(centred_NF @ self.tasks_FT)


class TaskEffects:
    """Easiness of tasks and candidates' ways with them.

    Args:
        task_I: Task of each stored question; NO_TASK where it has none.
        effects: Fitted effects of these questions.
        tasks: Number of tasks.
    """

    def __init__(self, task_I: NDArray[np.integer], effects: Effects, tasks: int) -> None:
        of_one = np.flatnonzero(task_I != NO_TASK)
        task_i = task_I[of_one]
        order = np.argsort(task_i, kind="stable")
        present, starts = np.unique(task_i[order], return_index=True)
        easiness_I = effects.easiness_I - effects.easiness_I.mean() if len(of_one) else effects.easiness_I
        self._easiness_T = np.zeros(tasks, np.float32)
        self._way_TK = np.zeros((tasks, effects.residual_IK.shape[1]), np.float32)
        if len(of_one):
            rows = of_one[order]
            count_t = np.diff(np.append(starts, len(rows)))
            self._easiness_T[present] = np.add.reduceat(easiness_I[rows], starts) / (count_t + 1.0)
            residual_tK = np.add.reduceat(effects.residual_IK[rows], starts)
            self._way_TK[present] = residual_tK / (np.add.reduceat(effects.weight_IK[rows], starts) + TASK_RIDGE)

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Floats]) -> TaskEffects:
        """Return effects that were computed before."""
        made = cls.__new__(cls)
        made._easiness_T, made._way_TK = arrays["easiness_T"], arrays["way_TK"]
        return made

    def __call__(self, guess: TaskGuess) -> Local:
        """Predict for N queries by their guessed tasks."""
        return Local(guess.probability_NT @ self._easiness_T, guess.probability_NT @ self._way_TK)


def by_neighbours(near: Near, easiness_I: Floats, residual_IK: Floats, weight_IK: Floats) -> Local:
    """Estimate from the nearest questions, by a kernel that falls to 0 at the last of them.

    Args:
        near: Neighbours of N queries.
        easiness_I: Easiness of stored questions, centred.
        residual_IK: Residuals of stored outcomes.
        weight_IK: Weights of stored outcomes.
    """
    rows_NJ, cosine_NJ = near
    last_N1 = cosine_NJ.min(axis=1, keepdims=True) if cosine_NJ.shape[1] else np.zeros((len(rows_NJ), 1), np.float32)
    kernel_NJ = np.maximum(cosine_NJ - last_N1, 0.0) / np.maximum(1.0 - last_N1, 0.05)
    kernel_N1J = np.minimum(kernel_NJ, 1.0)[:, None]
    easiness_N = (kernel_NJ * easiness_I[rows_NJ]).sum(axis=1) / (kernel_NJ.sum(axis=1) + 1.0)
    residual_NK = (kernel_N1J @ residual_IK[rows_NJ])[:, 0]
    return Local(easiness_N, residual_NK / ((kernel_N1J @ weight_IK[rows_NJ])[:, 0] + LOCAL_RIDGE))


def gate_features(margin_N: Floats, near: Near) -> Floats:
    """Return the gate's features, (N, 2): the classifier's margin, and the mean cosine of the ten nearest questions."""
    nearest_NJ = np.sort(near.cosine_NJ, axis=1)[:, -10:]
    nearness_N = nearest_NJ.mean(axis=1) if nearest_NJ.shape[1] else np.zeros(len(margin_N), np.float32)
    return np.column_stack([np.arcsinh(margin_N), 10.0 * nearness_N]).astype(np.float32)
