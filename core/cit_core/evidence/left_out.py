"""Predict stored questions without their own outcomes, or without their whole kind.

Axes: I questions of the log, S of them on which weights are fitted, K candidates, P parts, G features of the gate.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cit_core.evidence.effects import Effects
from cit_core.evidence.neighbours import Near, clusters
from cit_core.evidence.parts import NEIGHBOURS, PARTS, Local, TaskEffects, by_neighbours, gate_features
from cit_core.evidence.task_classifier import TaskClassifier
from cit_core.outcomes import NO_TASK, OutcomeMatrix

__all__ = ["Kinds", "LeftOut", "Parted", "Targets", "kinds"]

FOLDS = 5
KINDS = 8
"""Number of clusters that replace the tasks of a log with fewer than three."""

Floats = NDArray[np.float32]


class LeftOut(NamedTuple):
    """Parts of S questions, and the features of the gate."""

    parts_PSK: Floats
    gate_SG: Floats


class Targets(NamedTuple):
    """What is regressed on the features of questions: of each the values, or the ridge, or the coefficients."""

    easiness: Any
    way: Any
    task: Any
    broad: Any


class Parted:
    """A log with predictions for its questions from the others.

    Args:
        vectors_ID: Unit vectors of the questions.
        task_I: Their tasks.
        effects: Their effects.
        regressions: Ridge regressions on their features, and for what is broad on their vectors.
        targets: Of them: centred easiness (I, 1), residuals (I, K), tasks (I, T), centred, and residuals again.
        ridges: Penalty for each.
        profile_IK: Ways by the nearest profile tasks.
        chosen_S: Rows to predict.
        seed: Seed of the folds.
    """

    def __init__(
        self,
        vectors_ID: Floats,
        task_I: NDArray[np.integer],
        effects: Effects,
        regressions: Targets,
        targets: Targets,
        ridges: Targets,
        profile_IK: Floats,
        chosen_S: NDArray[np.intp],
        seed: int,
    ) -> None:
        self.task_I, self.effects, self.targets = task_I, effects, targets
        self.regressions, self.ridges = regressions, ridges
        self.profile_SK, self.chosen_S = profile_IK[chosen_S], chosen_S
        self.fold_I = np.random.default_rng(seed).permutation(len(task_I)) % FOLDS
        self.cosine_SI = vectors_ID[chosen_S] @ vectors_ID.T
        self.cosine_SI[np.arange(len(chosen_S)), chosen_S] = -1.0
        self.regressed = Targets(*(one.left_out(*of) for one, *of in zip(regressions, targets, ridges, strict=True)))

    def classifier(self, kept_I: NDArray[np.bool_] | slice = slice(None)) -> TaskClassifier:
        """Return a classifier of tasks that is fitted on some questions, by what others say of them."""
        return TaskClassifier.fit(self.regressed.task[kept_I], self.task_I[kept_I], self.targets.task.shape[1])

    def questions(self) -> LeftOut:
        """Predict without the question itself: by the whole log, or by its fold where tasks are learned."""
        return self._together(self.regressed, self.fold_I, np.zeros((1, 1), bool))

    def kinds(self, kind_I: NDArray[np.integer]) -> LeftOut:
        """Predict without all questions of its kind."""
        groups = [np.flatnonzero(kind_I == kind) for kind in np.unique(kind_I)]
        fits = zip(self.regressions, self.targets, self.ridges, strict=True)
        regressed = [one.groups_left_out(*of, groups) for one, *of in fits]
        same_SI = kind_I[self.chosen_S][:, None] == kind_I[None]
        return self._together(Targets(*regressed), kind_I, same_SI)

    def _together(self, regressed: Targets, fold_I: NDArray[np.integer], hidden_SI: NDArray[np.bool_]) -> LeftOut:
        easiness_I, way_IK, score_IT, broad_IK = regressed
        by_task, margin_S = self._by_task(fold_I, score_IT)
        near = self._near(hidden_SI)
        effects = self.effects
        by_near = by_neighbours(near, self.targets.easiness[:, 0], effects.residual_IK, effects.weight_IK)
        sources = (Local(easiness_I[self.chosen_S, 0], way_IK[self.chosen_S]), by_task, by_near)
        shape = self.profile_SK.shape
        parts = [np.broadcast_to(self.effects.level_K - self.effects.level_K.mean(), shape)]
        parts += [np.broadcast_to(source.easiness_N[:, None], shape) for source in sources]
        parts += [*(source.way_NK for source in sources), broad_IK[self.chosen_S], self.profile_SK]
        assert len(parts) == len(PARTS)
        return LeftOut(np.stack(parts).astype(np.float32), gate_features(margin_S, near))

    def _by_task(self, fold_I: NDArray[np.integer], score_IT: Floats) -> tuple[Local, Floats]:
        fold_S, number = fold_I[self.chosen_S], self.effects.residual_IK.shape[1]
        easiness_S, margin_S = np.zeros(len(fold_S), np.float32), np.zeros(len(fold_S), np.float32)
        way_SK = np.zeros((len(fold_S), number), np.float32)
        for fold in np.unique(fold_S):
            kept_I = fold_I != fold
            tasks = TaskEffects(self.task_I[kept_I], self.effects.rows(kept_I), score_IT.shape[1])
            rows = np.flatnonzero(fold_S == fold)
            guess = self.classifier(kept_I)(score_IT[self.chosen_S[rows]])
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
