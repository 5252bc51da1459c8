"""Data of one training step: some items of one table, some candidates, and a profile of each.

On the catalogue's own table every candidate sits a fresh aptitude test (`Sampler`); on others it has the profile that
the catalogue gives it, as when a router meets questions of a kind that nobody has measured (`PublicSampler`).

Three measures keep a network trained on a dozen models from recognising them:

- the aptitude test is drawn anew at every step (tasks, and 20 items of each), so a profile never looks the same twice
- some candidates are chimeras: one model's answers on one side of a random plane through the task vectors, another's on
    the other side, so that the content of a profile matters more than its owner
- the items of the step are never part of the tests

Axes: N items, K candidates, S task lines, P all tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cit_core.outcomes import OutcomeMatrix
from cit_core.records import Capability

__all__ = ["Profiles", "PublicSampler", "Sampler", "Step", "measured_profiles"]

SHOTS = 20
FEWEST_LINES = 30
"""Fewest lines of a public profile that a step shows; the others are hidden, so that none is relied on."""


class Profiles(NamedTuple):
    """Capabilities in the form that the connector reads."""

    vectors_KSD: Tensor
    accuracy_KS: Tensor
    count_KS: Tensor


class Step(NamedTuple):
    """Data of one training step; `correct_NK` is NaN where a candidate was not measured."""

    rows: NDArray[np.intp]
    profiles: Profiles
    correct_NK: Tensor


class Sampler:
    """Draws training steps.

    Args:
        table: Outcomes.
        rows: Items that may be used, as targets and in tests.
        models: Models that may be used.
        tasks: Ids of all tasks.
        vectors: psi of each task, PD.
        seed: Seed of all draws.
    """

    def __init__(
        self,
        table: OutcomeMatrix,
        rows: NDArray[np.intp],
        models: Sequence[str],
        tasks: Sequence[str],
        vectors: NDArray[np.float32],
        seed: int,
    ) -> None:
        self._rng = np.random.default_rng(seed)
        self._rows, self._vectors = rows, vectors
        self._correct = table.correct_IK
        self._columns = np.array([table.column(model) for model in models])
        place = {id_: number for number, id_ in enumerate(tasks)}
        self._task_I = np.array([place[id_] for id_ in table.tasks])
        self._of_task = [rows[self._task_I[rows] == number] for number in range(len(tasks))]
        self._testable = np.array([number for number, found in enumerate(self._of_task) if len(found) > SHOTS])

    def step(self, items: int, candidates: int, chimeras: float) -> Step:
        """Draw one step.

        Args:
            items: N.
            candidates: K.
            chimeras: Share of the candidates that are chimeras.
        """
        rows = self._rng.choice(self._rows, items, replace=False)
        source_KP = np.stack([self._candidate(chimeras) for _ in range(candidates)])
        columns_NK = source_KP[:, self._task_I[rows]].T
        correct_NK = self._correct[rows[:, None], columns_NK]
        return Step(rows, self._profiles(source_KP, rows), torch.tensor(correct_NK, dtype=torch.float32))

    def _candidate(self, chimeras: float) -> NDArray[np.intp]:
        """Draw the source model of a candidate's answers, for each of the P tasks."""
        if self._rng.random() >= chimeras:
            return np.full(len(self._vectors), self._rng.choice(self._columns))
        first, second = self._rng.choice(self._columns, 2, replace=False)
        height_P = (self._vectors - self._vectors.mean(0)) @ self._rng.normal(size=self._vectors.shape[1])
        source_P: NDArray[np.intp] = np.where(
            height_P > np.quantile(height_P, self._rng.uniform(0.3, 0.7)), first, second
        )
        return source_P

    def _profiles(self, source_KP: NDArray[np.intp], held_out: NDArray[np.intp]) -> Profiles:
        tasks = self._rng.permutation(self._testable)[: self._rng.integers(35, 60)]
        accuracy_KS = np.zeros((len(source_KP), len(tasks)), np.float32)
        count_KS = np.zeros_like(accuracy_KS)
        for line, task in enumerate(tasks):
            asked = self._rng.choice(self._of_task[task], SHOTS, replace=False)
            asked = asked[~np.isin(asked, held_out)]
            accuracy_KS[:, line], count_KS[:, line] = _averages(self._correct[asked][:, source_KP[:, task]])
        return _profiles(self._vectors[tasks], accuracy_KS, count_KS)


class PublicSampler:
    """Draws training steps whose candidates have public profiles.

    Args:
        table: Outcomes.
        rows: Items that may be used.
        capabilities: Profiles of the models that may be used, which share their tasks.
        vector_of: psi of each task, by its keywords.
        seed: Seed of all draws.
    """

    def __init__(
        self,
        table: OutcomeMatrix,
        rows: NDArray[np.intp],
        capabilities: Sequence[Capability],
        vector_of: Mapping[str, NDArray[np.float32]],
        seed: int,
    ) -> None:
        self._rng = np.random.default_rng(seed)
        self._rows = rows
        self._correct = table.correct_IK[:, [table.column(one.candidate.id) for one in capabilities]]
        self._vectors = np.stack([vector_of[result.task.description] for result in capabilities[0].results])
        lines = [[(result.accuracy, result.count) for result in one.results] for one in capabilities]
        self._accuracy_KS, self._count_KS = np.moveaxis(np.array(lines, np.float32), -1, 0)

    def profiles(self) -> Profiles:
        """Return the whole profiles of all models."""
        return _profiles(self._vectors, self._accuracy_KS, self._count_KS)

    def step(self, items: int, candidates: int) -> Step:
        """Draw one step of N items and K candidates, or of as many as there are."""
        rows = self._rng.choice(self._rows, min(items, len(self._rows)), replace=False)
        models, tasks = self._accuracy_KS.shape
        of = self._rng.choice(models, min(candidates, models), replace=False)
        shown = self._rng.permutation(tasks)[: self._rng.integers(min(FEWEST_LINES, tasks), tasks + 1)]
        profiles = _profiles(self._vectors[shown], self._accuracy_KS[of][:, shown], self._count_KS[of][:, shown])
        return Step(rows, profiles, torch.tensor(self._correct[rows][:, of], dtype=torch.float32))


def measured_profiles(
    table: OutcomeMatrix, models: Sequence[str], items_of_task: Sequence[Sequence[str]], vectors: NDArray[np.float32]
) -> Profiles:
    """Return the profiles of models on a fixed suite.

    Args:
        table: Outcomes.
        models: K models.
        items_of_task: The item ids of each of S tasks.
        vectors: psi of each task, SD.
    """
    place = {id_: row for row, id_ in enumerate(table.item_ids)}
    columns = [table.column(model) for model in models]
    accuracy_KS = np.zeros((len(models), len(items_of_task)), np.float32)
    count_KS = np.zeros_like(accuracy_KS)
    for line, items in enumerate(items_of_task):
        accuracy_KS[:, line], count_KS[:, line] = _averages(table.correct_IK[[place[i] for i in items]][:, columns])
    return _profiles(vectors, accuracy_KS, count_KS)


def _averages(correct_AK: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    known = ~np.isnan(correct_AK)
    count_K = known.sum(0)
    return np.where(known, correct_AK, 0.0).sum(0) / np.maximum(count_K, 1), count_K


def _profiles(
    vectors_SD: NDArray[np.float32], accuracy_KS: NDArray[np.float32], count_KS: NDArray[np.float32]
) -> Profiles:
    vectors_KSD = torch.from_numpy(vectors_SD).expand(len(accuracy_KS), -1, -1)
    return Profiles(vectors_KSD, torch.from_numpy(accuracy_KS), torch.from_numpy(count_KS))
