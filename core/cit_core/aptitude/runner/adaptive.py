"""Choose the question that tells most, and estimate accuracies on a whole suite from the few that were asked.

    log-odds of y_i = theta + b_i + w_t(i),    theta ~ N(mean, spread^2),    w_t ~ N(0, way^2)

b_i is what other models' answers say of question i, w how the model differs on a task. The next question is the one
that lowers the variances of the tasks' accuracies most, each weighted by the task's share of the suite: it is of a
difficulty near the model's ability, and questions spread over tasks by themselves. A Laplace approximation keeps the
posterior of theta and w; accuracies are the answers that are known and the probabilities of the others.

Axes: I questions of the suite, M other models, T tasks, F parameters: theta and the ways.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cit_core.calibration import sigmoid
from cit_core.catalogue import core_responses, core_suite
from cit_core.evidence.effects import fit_effects
from cit_core.evidence.parts import TASK_RIDGE
from cit_core.records import Item
from cit_core.store import CapabilityStore

__all__ = ["AdaptiveTest", "Estimated", "answers_of_others"]

FEW_MODELS = 3
"""Other models from which on the spreads are fitted."""
SPREAD, LEAST_SPREAD, WAY, LEAST_WAY = 1.5, 0.3, 0.5, 0.05
"""Standard deviations in log-odds where they are not fitted, and the lowest ones that are."""
STEPS = 20
"""Newton steps at most; a step below 1e-6 ends them."""

Array = NDArray[np.float64]


class Estimated(NamedTuple):
    """Accuracy of a model on all questions of a task, as estimated."""

    accuracy: float
    questions: int
    """Number of questions that were asked."""


class AdaptiveTest:
    """The state of one model's test. Not safe for threads.

    Args:
        item_ids: I questions.
        tasks: Task of each.
        correct_IM: Outcomes of other models; NaN where one was not asked. Without any, all questions are alike.
        precision: Standard error of the accuracy on the suite at which the test ends.
        most: Largest number of questions.
    """

    def __init__(
        self,
        item_ids: Sequence[str],
        tasks: Sequence[str],
        correct_IM: NDArray[np.floating],
        *,
        precision: float,
        most: int,
    ) -> None:
        self._ids, self._place = tuple(item_ids), {id_: at for at, id_ in enumerate(item_ids)}
        self._tasks, self._task_I = np.unique(np.asarray(tasks, dtype=object), return_inverse=True)
        self._precision, self._most = precision, min(most, len(self._ids))
        asked_M = ~np.isnan(correct_IM).all(axis=0)
        self._base_I, spread, way = _reference(np.asarray(correct_IM[:, asked_M], np.float64), self._task_I)
        of_task_IT = (self._task_I[:, None] == np.arange(len(self._tasks))).astype(np.float64)
        self._design_IF = np.hstack([np.full((len(self._ids), 1), spread), way * of_task_IT])
        self._mean_TI = (of_task_IT / of_task_IT.sum(axis=0)).T
        self._share_T = np.asarray(of_task_IT.mean(axis=0), np.float64)
        self._answer_I = np.full(len(self._ids), np.nan)
        self._taken_I = np.zeros(len(self._ids), bool)
        self._mode_F = np.zeros(self._design_IF.shape[1])
        self._covariance_FF: Array = np.eye(len(self._mode_F))

    def next(self) -> str | None:
        """Return the question to ask next, and count it as asked; None if the test ends here."""
        if self.ended or self._taken_I.sum() >= self._most:
            return None
        _, slope_I = self._probabilities()
        seen_IF = self._design_IF @ self._covariance_FF
        variance_I = (seen_IF * self._design_IF).sum(axis=1)
        gain_I = ((seen_IF @ self._gradient_TF(slope_I).T) ** 2 @ self._share_T) * slope_I / (1 + slope_I * variance_I)
        place = int(np.where(self._taken_I, -1.0, gain_I).argmax())
        self._taken_I[place] = True
        seen_F = seen_IF[place]  # it tells this much, whatever the answer will be
        self._covariance_FF -= np.outer(seen_F, seen_F) * slope_I[place] / (1 + slope_I[place] * variance_I[place])
        return self._ids[place]

    def learn(self, item_id: str, correct: float) -> None:
        """Take the answer to a question into account, asked by this test or before."""
        place = self._place[item_id]
        self._answer_I[place], self._taken_I[place] = correct, True
        known_I = ~np.isnan(self._answer_I)
        for _ in range(STEPS):  # Newton's method
            p_I, slope_I = self._probabilities()
            pull_F = self._design_IF[known_I].T @ (self._answer_I[known_I] - p_I[known_I]) - self._mode_F
            step_F = np.linalg.solve(self._curve_FF(known_I, slope_I), pull_F)
            self._mode_F += step_F * min(1.0, 2.0 / max(float(np.abs(step_F).max()), 1e-9))
            if np.abs(step_F).max() < 1e-6:
                break
        self._covariance_FF = np.asarray(np.linalg.inv(self._curve_FF(self._taken_I, self._probabilities()[1])))

    @property
    def ended(self) -> bool:
        """True if the accuracy is known to the precision, or nothing may be asked any more and all was answered."""
        answered = int((~np.isnan(self._answer_I)).sum())
        return answered >= self._most or (answered > 0 and self.error <= self._precision)

    @property
    def accuracy(self) -> float:
        """Accuracy on the suite: answers where they are known, probabilities elsewhere."""
        return float(np.where(np.isnan(self._answer_I), self._probabilities()[0], self._answer_I).mean())

    @property
    def error(self) -> float:
        """Standard error of the accuracy on the suite."""
        known_I = ~np.isnan(self._answer_I)
        _, slope_I = self._probabilities()
        gradient_F = self._share_T @ self._gradient_TF(slope_I)
        return float(np.sqrt(gradient_F @ np.linalg.solve(self._curve_FF(known_I, slope_I), gradient_F)))

    def estimates(self) -> Mapping[str, Estimated]:
        """Return every task with an answer, with the accuracy on all its questions."""
        known_I = ~np.isnan(self._answer_I)
        accuracy_T = self._mean_TI @ np.where(known_I, self._answer_I, self._probabilities()[0])
        asked_T = np.bincount(self._task_I, known_I)
        return {
            str(self._tasks[at]): Estimated(float(accuracy_T[at]), int(asked_T[at])) for at in np.flatnonzero(asked_T)
        }

    def _probabilities(self) -> tuple[Array, Array]:
        p_I = sigmoid(self._base_I + self._design_IF @ self._mode_F)
        return p_I, p_I * (1.0 - p_I)

    def _gradient_TF(self, slope_I: Array) -> Array:
        return np.asarray(self._mean_TI @ (slope_I[:, None] * self._design_IF))

    def _curve_FF(self, rows_I: NDArray[np.bool_], slope_I: Array) -> Array:
        seen_IF = self._design_IF[rows_I]
        return np.asarray((seen_IF * slope_I[rows_I, None]).T @ seen_IF + np.eye(seen_IF.shape[1]))


def answers_of_others(items: Sequence[Item], store: CapabilityStore, candidate: str) -> Array:
    """Return outcomes of other models on these items, (I, M): the store's, and the catalogue's on the core set."""
    matrix, place = store.outcome_matrix(), {item.id: at for at, item in enumerate(items)}
    found: list[Array] = []
    known = dict(zip(matrix.candidates, matrix.correct_IK.T, strict=True))
    for ids, columns in ((matrix.item_ids, known), (core_suite().item_ids, core_responses())):
        there = [(place[id_], row) for row, id_ in enumerate(ids) if id_ in place]
        if not there:
            continue
        rows, asked = map(np.array, zip(*there, strict=True))
        for model, correct_R in columns.items():
            if model != candidate:
                found.append(np.full(len(items), np.nan))
                found[-1][rows] = correct_R[asked]
    return np.stack(found, axis=1) if found else np.zeros((len(items), 0))


def _reference(correct_IM: Array, task_I: NDArray[np.intp]) -> tuple[Array, float, float]:
    """Return log-odds of a mean model on each question, and the spreads of models and of their ways with tasks."""
    effects = fit_effects(correct_IM)
    base_I = effects.easiness_I + (effects.theta_K.mean() if len(effects.theta_K) else 0.0)
    if correct_IM.shape[1] < FEW_MODELS:
        return base_I, SPREAD, WAY
    tasks = np.arange(task_I.max() + 1)
    residual_TM = np.stack([effects.residual_IK[task_I == task].sum(axis=0) for task in tasks])
    weight_TM = np.stack([effects.weight_IK[task_I == task].sum(axis=0) for task in tasks])
    way = float(np.sqrt(np.mean((residual_TM / (weight_TM + TASK_RIDGE)) ** 2)))
    return base_I, max(float(effects.theta_K.std()), LEAST_SPREAD), max(way, LEAST_WAY)
