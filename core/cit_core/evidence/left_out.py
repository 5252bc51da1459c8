"""Predict stored questions without their own outcomes, or without their whole kind.

Axes: I questions of the log, S of them on which weights are fitted, K candidates, P parts, G features of the gate.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cit_core.evidence.effects import Effects
from cit_core.evidence.neighbours import Near, clusters
from cit_core.evidence.parts import NEIGHBOURS, PARTS, Local, TaskEffects, by_neighbours, gate_features
from cit_core.evidence.regression import Ridge
from cit_core.outcomes import NO_TASK, OutcomeMatrix

__all__ = ["Kinds", "LeftOut", "Parted", "kinds"]

FOLDS = 5
KINDS = 8
"""Number of clusters that replace the tasks of a log with fewer than three."""

Floats = NDArray[np.float32]


class LeftOut(NamedTuple):
    """Parts of S questions, and the features of the gate."""

    parts_PSK: Floats
    gate_SG: Floats


class Parted:
    """A log with predictions for its questions from the others.

    Args:
        log: I questions.
        effects: Effects of these questions.
        ridge: Ridge regression on their features.
        targets_IT: Targets of the regression: centred easiness, and residuals of K candidates.
        ridges: Penalty for the first column, and for the others.
        profile_IK: Ways by the nearest profile tasks.
        chosen_S: Rows to predict.
        seed: Seed of the folds.
    """

    def __init__(
        self,
        log: OutcomeMatrix,
        effects: Effects,
        ridge: Ridge,
        targets_IT: Floats,
        ridges: tuple[float, float],
        profile_IK: Floats,
        chosen_S: NDArray[np.intp],
        seed: int,
    ) -> None:
        self.log, self.effects, self.ridge, self.targets_IT, self.ridges = log, effects, ridge, targets_IT, ridges
        self.profile_SK, self.chosen_S = profile_IK[chosen_S], chosen_S
        self.fold_I = np.random.default_rng(seed).permutation(len(targets_IT)) % FOLDS
        self.tasks = int(log.task_I.max(initial=NO_TASK)) + 1
        self.easiness_I = targets_IT[:, 0]
        self.vectors_ID = np.asarray(log.vectors_ID, np.float32)
        self.cosine_SI = self.vectors_ID[chosen_S] @ self.vectors_ID.T
        self.cosine_SI[np.arange(len(chosen_S)), chosen_S] = -1.0

    def questions(self) -> LeftOut:
        """Predict without the question itself: by the whole log, or by its fold where tasks are learned."""
        easy, way = self.ridges
        easiness_S = self.ridge.left_out(self.targets_IT[:, :1], easy)[self.chosen_S]
        regressed = Local(easiness_S[:, 0], self.ridge.left_out(self.targets_IT[:, 1:], way)[self.chosen_S])
        return self._together(regressed, self.fold_I, np.zeros((1, 1), bool))

    def kinds(self, kind_I: NDArray[np.integer]) -> LeftOut:
        """Predict without all questions of its kind."""
        groups = [np.flatnonzero(kind_I == kind) for kind in np.unique(kind_I)]
        easy, way = self.ridges
        easiness_S = self.ridge.groups_left_out(self.targets_IT[:, :1], easy, groups)[self.chosen_S]
        way_SK = self.ridge.groups_left_out(self.targets_IT[:, 1:], way, groups)[self.chosen_S]
        same_SI = kind_I[self.chosen_S][:, None] == kind_I[None]
        return self._together(Local(easiness_S[:, 0], way_SK), kind_I, same_SI)

    def _together(self, regressed: Local, fold_I: NDArray[np.integer], hidden_SI: NDArray[np.bool_]) -> LeftOut:
        by_task, margin_S = self._by_task(fold_I)
        near = self._near(hidden_SI)
        by_near = by_neighbours(near, self.easiness_I, self.effects.residual_IK, self.effects.weight_IK)
        sources = (regressed, by_task, by_near)
        shape = self.profile_SK.shape
        parts = [np.broadcast_to(self.effects.level_K - self.effects.level_K.mean(), shape)]
        parts += [np.broadcast_to(source.easiness_N[:, None], shape) for source in sources]
        parts += [*(source.way_NK for source in sources), self.profile_SK]
        assert len(parts) == len(PARTS)
        return LeftOut(np.stack(parts).astype(np.float32), gate_features(margin_S, near))

    def _by_task(self, fold_I: NDArray[np.integer]) -> tuple[Local, Floats]:
        fold_S, number = fold_I[self.chosen_S], self.effects.residual_IK.shape[1]
        easiness_S, margin_S = np.zeros(len(fold_S), np.float32), np.zeros(len(fold_S), np.float32)
        way_SK = np.zeros((len(fold_S), number), np.float32)
        for fold in np.unique(fold_S):
            kept_I = fold_I != fold
            tasks = TaskEffects(self.vectors_ID[kept_I], self.log.task_I[kept_I], self.effects.rows(kept_I), self.tasks)
            rows = np.flatnonzero(fold_S == fold)
            guess = tasks.classifier(self.vectors_ID[self.chosen_S[rows]])
            easiness_S[rows], way_SK[rows] = tasks(guess)
            margin_S[rows] = guess.margin_N
        return Local(easiness_S, way_SK), margin_S

    def _near(self, hidden_SI: NDArray[np.bool_]) -> Near:
        cosine_SI = np.where(hidden_SI, np.float32(-1.0), self.cosine_SI)
        number = min(NEIGHBOURS, cosine_SI.shape[1])
        rows_SJ = np.argpartition(cosine_SI, -number, axis=1)[:, -number:]
        return Near(rows_SJ, np.take_along_axis(cosine_SI, rows_SJ, axis=1))


class Kinds(NamedTuple):
    """Kinds of I questions."""

    kind_I: NDArray[np.integer]
    """Task of each; a cluster where fewer than three tasks are known."""
    group_I: NDArray[np.integer]
    """A few groups of whole kinds."""
    are_tasks: bool
    """True if kinds are tasks, which differ more than clusters of one log do."""

    def rows(self, rows_S: NDArray[np.intp]) -> Kinds:
        """Return the kinds of some questions."""
        return self._replace(kind_I=self.kind_I[rows_S], group_I=self.group_I[rows_S])


def kinds(log: OutcomeMatrix, seed: int) -> Kinds:
    """Return the kinds that are left out as a whole."""
    task_I = log.task_I
    are_tasks = len(np.unique(task_I[task_I != NO_TASK])) >= 3
    if not are_tasks:
        vectors_ID = np.asarray(log.vectors_ID, np.float32)
        centres_CD = clusters(vectors_ID, min(KINDS, len(vectors_ID)))
        task_I = (vectors_ID @ centres_CD.T).argmax(axis=1)
    names, kind_I = np.unique(task_I, return_inverse=True)
    group = np.random.default_rng(seed).permutation(len(names)) % min(FOLDS, len(names))
    return Kinds(kind_I, group[kind_I], are_tasks)
