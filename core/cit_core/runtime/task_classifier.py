"""Which of the stored tasks a question belongs to, by its vector: regularised discriminant analysis (Friedman, 1989).

    p(t | x)  proportional to  (n_t exp(-(x - mu_t)' S^-1 (x - mu_t) / 2)) ^ (1 / TEMPERATURE)

S is the covariance within tasks, of which a part is replaced by a multiple of the identity.

Axes: I stored questions, T tasks, D width.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cit_core.runtime.effects import NO_TASK, Array

__all__ = ["TaskClassifier"]

SHRINKAGE = 0.3
TEMPERATURE = 2.0
"""Vectors of texts are no Gaussians: at 1, the classifier would be surer than it is right."""


class TaskClassifier:
    """Tells tasks apart; knows nothing, and says so with zeros, where no question has one.

    Args:
        vectors_ID: Unit vectors of the stored questions.
        task_I: Task of each, from 0; NO_TASK where it has none.
    """

    def __init__(self, vectors_ID: NDArray[np.floating], task_I: NDArray[np.integer]) -> None:
        of_one = task_I != NO_TASK
        vectors_ID, task_I = vectors_ID[of_one].astype(np.float64), task_I[of_one]
        count_T = np.bincount(task_I)
        self._known_T = count_T > 0
        sum_TD = np.zeros((len(count_T), vectors_ID.shape[1]))
        np.add.at(sum_TD, task_I, vectors_ID)
        mean_TD = sum_TD[self._known_T] / count_T[self._known_T, None]
        if not len(mean_TD):
            return
        place_I = (np.cumsum(self._known_T) - 1)[task_I]
        within_ID = vectors_ID - mean_TD[place_I]
        covariance_DD = within_ID.T @ within_ID / len(within_ID)
        size = max(float(np.trace(covariance_DD)) / len(covariance_DD), 1e-9)  # each task may hold one question
        shrunk_DD = (1.0 - SHRINKAGE) * covariance_DD + SHRINKAGE * size * np.eye(len(covariance_DD))
        self._direction_TD = np.linalg.solve(shrunk_DD, mean_TD.T).T
        prior_T = np.log(count_T[self._known_T] / len(task_I))
        self._offset_T = prior_T - 0.5 * (self._direction_TD * mean_TD).sum(axis=1)

    def probabilities(self, vector_D: NDArray[np.floating]) -> Array:
        """Of each task, for one question; T of them, summing to 1 if there is a task at all."""
        found_T = np.zeros(len(self._known_T))
        if self._known_T.any():
            odds_T = (np.einsum("td,d->t", self._direction_TD, vector_D) + self._offset_T) / TEMPERATURE
            raised_T = np.exp(odds_T - odds_T.max())
            found_T[self._known_T] = raised_T / raised_T.sum()
        return found_T
