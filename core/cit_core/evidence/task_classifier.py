"""Which of the stored tasks a question belongs to, by its vector: regularised discriminant analysis (Friedman, 1989).

    p(t | x)     proportional to  (n_t / n  N(x; mu_t, S))^(1 / TEMPERATURE)
    p(none | x)  proportional to  N(x; mu, S_all)^(1 / TEMPERATURE)

S is the covariance within tasks, S_all that of all questions; a part of each is replaced by a multiple of the identity.
`none` is what a question of a new kind looks like: without it, the nearest task would be sure of that too.

Axes: I stored questions, T tasks, D width.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cit_core.evidence.effects import NO_TASK, Array

__all__ = ["TaskClassifier"]

SHRINKAGE = 0.3
TEMPERATURE = 4.0
"""Vectors of texts are no Gaussians: at 1, the classifier would be surer than it is right."""


class TaskClassifier:
    """Tells tasks apart, and what is like none of them; where no question has a task, all is like none.

    Args:
        vectors_ID: Unit vectors of the stored questions.
        task_I: Task of each, from 0; NO_TASK where it has none.
    """

    def __init__(self, vectors_ID: NDArray[np.floating], task_I: NDArray[np.integer]) -> None:
        of_one = task_I != NO_TASK
        vectors_ID, task_I = vectors_ID[of_one].astype(np.float64), task_I[of_one]
        count_T = np.bincount(task_I)
        self._known_T = count_T > 0
        if not self._known_T.any():
            return
        sum_TD = np.zeros((len(count_T), vectors_ID.shape[1]))
        np.add.at(sum_TD, task_I, vectors_ID)
        mean_TD = sum_TD[self._known_T] / count_T[self._known_T, None]
        place_I = (np.cumsum(self._known_T) - 1)[task_I]
        # log-densities, less what all tasks share: -1/2 x' S^-1 x - 1/2 log |S|
        within_DD, size = _precision(vectors_ID - mean_TD[place_I])
        self._direction_TD = mean_TD @ within_DD
        prior_T = np.log(count_T[self._known_T] / len(task_I))
        self._offset_T = prior_T - 0.5 * (self._direction_TD * mean_TD).sum(axis=1)
        mean_D = vectors_ID.mean(axis=0)
        all_DD, size_of_all = _precision(vectors_ID - mean_D)
        self._curve_DD = 0.5 * (within_DD - all_DD)
        self._direction_D = mean_D @ all_DD
        self._offset = 0.5 * (size - size_of_all - self._direction_D @ mean_D)

    def probabilities(self, vector_D: NDArray[np.floating]) -> Array:
        """Of each task, for one question; T of them, and what they lack of 1 is for none."""
        found_T = np.zeros(len(self._known_T))
        if self._known_T.any():
            of_task_T = np.einsum("td,d->t", self._direction_TD, vector_D) + self._offset_T
            curved_D = np.einsum("de,e->d", self._curve_DD, vector_D) + self._direction_D
            none = np.einsum("d,d->", curved_D, vector_D) + self._offset
            odds = np.append(of_task_T, none) / TEMPERATURE
            raised = np.exp(odds - odds.max())
            found_T[self._known_T] = raised[:-1] / raised.sum()
        return found_T


def _precision(centred_ID: Array) -> tuple[Array, float]:
    """The inverse of a shrunk covariance, and the logarithm of the covariance's determinant."""
    covariance_DD = centred_ID.T @ centred_ID / len(centred_ID)
    size = max(float(np.trace(covariance_DD)) / len(covariance_DD), 1e-9)  # each task may hold one question
    shrunk_DD: Array = (1.0 - SHRINKAGE) * covariance_DD + SHRINKAGE * size * np.eye(len(covariance_DD))
    return np.asarray(np.linalg.inv(shrunk_DD), np.float64), float(np.linalg.slogdet(shrunk_DD)[1])
