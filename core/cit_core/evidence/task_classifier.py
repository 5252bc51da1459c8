"""Classify questions into the stored tasks: regularised discriminant analysis (Friedman, 1989) of regression scores.

The features are what a ridge regression on vector, n-grams and counts says of a question's being of each task, of
stored questions without themselves (flexible discriminant analysis; Hastie, Tibshirani and Buja, 1994).

    p(t | x)     proportional to  (n_t / n  N(x; mu_t, S))^(1 / TEMPERATURE)
    p(none | x)  proportional to  N(x; mu, S_all)^(1 / TEMPERATURE)

S is the covariance within tasks, S_all that of all questions; a part of each is replaced by a multiple of the identity.
`none` models questions of a new kind: without it, the nearest task would be certain for them too.

Axes: I stored questions, N queries, T tasks, D features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cit_core.evidence.effects import Array
from cit_core.outcomes import NO_TASK

__all__ = ["TaskClassifier", "TaskGuess"]

SHRINKAGE = 0.3
TEMPERATURE = 4.0
"""Temperature of the probabilities. Scores are not Gaussian: at 1, the classifier would be overconfident."""

Floats = NDArray[np.float32]


class TaskGuess(NamedTuple):
    """Tasks of N queries."""

    probability_NT: NDArray[np.float32]
    """Probabilities; the rest of a row, to 1, is for none of the tasks."""
    margin_N: NDArray[np.float32]
    """Log-density of the likeliest task above that of none."""


@dataclass(frozen=True, eq=False)
class TaskClassifier:
    """Classifies questions by task or as none of them; if no question has a task, everything is none."""

    known_T: NDArray[np.bool_]
    """Tasks that have questions; they alone are found."""
    direction_TD: Floats
    offset_T: Floats
    curve_DD: Floats
    direction_D: Floats
    offset: float

    @classmethod
    def fit(cls, features_ID: Floats, task_I: NDArray[np.integer], tasks: int) -> TaskClassifier:
        """Fit on stored questions.

        Args:
            features_ID: Features of the questions.
            task_I: Task of each, from 0; NO_TASK where it has none.
            tasks: Number of tasks.
        """
        of_one, width = task_I != NO_TASK, features_ID.shape[1]
        features_ID, task_I = features_ID[of_one].astype(np.float32), task_I[of_one]
        count_T = np.bincount(task_I, minlength=tasks)
        known_T = count_T > 0
        if not known_T.any():
            nothing = np.zeros((0, width), np.float32)
            return cls(
                known_T,
                nothing,
                np.zeros(0, np.float32),
                np.zeros((width, width), np.float32),
                np.zeros(width, np.float32),
                0.0,
            )
        order = np.argsort(task_I, kind="stable")
        starts = np.searchsorted(task_I[order], np.flatnonzero(known_T))
        mean_TD = np.add.reduceat(features_ID[order], starts, dtype=np.float64) / count_T[known_T, None]
        place_I = (np.cumsum(known_T) - 1)[task_I]
        # log-densities, less what all tasks share: -1/2 x' S^-1 x - 1/2 log |S|
        within_DD, size = _precision(features_ID - mean_TD[place_I].astype(np.float32))
        direction_TD = mean_TD @ within_DD
        prior_T = np.log(count_T[known_T] / len(task_I))
        mean_D = features_ID.mean(axis=0, dtype=np.float64)
        all_DD, size_of_all = _precision(features_ID - mean_D.astype(np.float32))
        direction_D = mean_D @ all_DD
        return cls(
            known_T,
            direction_TD.astype(np.float32),
            (prior_T - 0.5 * (direction_TD * mean_TD).sum(axis=1)).astype(np.float32),
            (0.5 * (within_DD - all_DD)).astype(np.float32),
            direction_D.astype(np.float32),
            float(0.5 * (size - size_of_all - direction_D @ mean_D)),
        )

    def __call__(self, features_ND: Floats) -> TaskGuess:
        """Guess the tasks of N queries by their features."""
        found_NT = np.zeros((len(features_ND), len(self.known_T)), np.float32)
        if not self.known_T.any():
            return TaskGuess(found_NT, np.zeros(len(features_ND), np.float32))
        of_task_NT = features_ND @ self.direction_TD.T + self.offset_T
        none_N = ((features_ND @ self.curve_DD + self.direction_D) * features_ND).sum(axis=1) + self.offset
        odds = np.column_stack([of_task_NT, none_N]) / TEMPERATURE
        raised = np.exp(odds - odds.max(axis=1, keepdims=True))
        found_NT[:, self.known_T] = (raised / raised.sum(axis=1, keepdims=True))[:, :-1]
        return TaskGuess(found_NT, of_task_NT.max(axis=1) - none_N)


def _precision(centred_ID: NDArray[np.float32]) -> tuple[Array, float]:
    """Return the inverse of a shrunk covariance, and the logarithm of the covariance's determinant."""
    covariance_DD = (centred_ID.T @ centred_ID).astype(np.float64) / len(centred_ID)
    size = max(float(np.trace(covariance_DD)) / len(covariance_DD), 1e-9)  # each task may hold one question
    shrunk_DD: Array = (1.0 - SHRINKAGE) * covariance_DD + SHRINKAGE * size * np.eye(len(covariance_DD))
    return np.asarray(np.linalg.inv(shrunk_DD), np.float64), float(np.linalg.slogdet(shrunk_DD)[1])
