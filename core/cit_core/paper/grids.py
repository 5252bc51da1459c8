"""Training data of a paper-style step: grids of instructions x candidates, each drawn from its number alone.

Grid 17 of a run is always the same, so a run which is resumed, or has more processes, reads the same data in the same
order.

- a group of the paper: one candidate, one instruction it handled, k - 1 it failed, some of them near the first
- a grid of the other objectives: instructions x candidates, whatever their outcomes

Stronger candidates, and instructions which distinguish candidates, are drawn more often.

Axes: I items, M models, N instructions, K candidates, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from cit_core.core_suite import distinguishability
from cit_core.errors import InvalidInput
from cit_core.paper.recipe import Recipe
from cit_core.paper.tokenization import PaperReader
from cit_core.paper.vision import Patches, padded_patches
from cit_core.records import Capability

__all__ = ["Collator", "Grid", "Grids", "Pool"]

NEAR = 32
"""Number of failed items, the nearest to the handled one, from which hard negatives are drawn."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Pool:
    """The data to draw from: I training items that are in no aptitude test, and M training models."""

    instructions: Sequence[str]
    label_IM: Array
    """Labels in [0, 1]; NaN where a model was not measured."""
    in_domain_I: NDArray[np.bool_]
    """True for items of tasks in the aptitude test."""
    capabilities: Sequence[Capability]
    vectors_ID: NDArray[np.floating] | None = None
    """Unit vectors for finding hard negatives."""
    teacher_IM: Array | None = None
    """Probabilities that replace the labels."""
    item_ids: Sequence[str] = ()
    patches_I: Sequence[Patches] | None = None
    """Features of each item's pictures, VE; None where the network has no tower."""


class Grid(NamedTuple):
    """Rows and columns of a pool, and the labels to predict."""

    rows_N: NDArray[np.intp]
    columns_K: NDArray[np.intp]
    label_NK: Array
    shuffle: int
    """Seed of the order of a candidate's test results."""


class Grids(Dataset[Grid]):
    """All the grids of a stage.

    Args:
        pool: The data to draw from.
        recipe: Settings of the run.
        stage: Stage of the recipe.
    """

    def __init__(self, pool: Pool, recipe: Recipe, stage: int) -> None:
        self._pool, self._recipe, self._stage = pool, recipe, stage
        allowed_I = pool.in_domain_I if recipe.stages[stage].in_domain else np.ones(len(pool.in_domain_I), bool)
        measured_I = ~np.isnan(pool.label_IM).all(axis=1)
        self._rows = np.flatnonzero(allowed_I & measured_I)
        label_IM = pool.label_IM[self._rows]
        known_IM = ~np.isnan(label_IM)
        accuracy_M = np.where(known_IM, label_IM, 0.0).sum(0) / np.maximum(known_IM.sum(0), 1)
        self._strength_M = np.maximum(accuracy_M, 1e-3) ** recipe.strength * known_IM.any(axis=0)
        self._weight_I = _telling(label_IM, recipe.telling) if len(self._rows) else np.zeros(0)
        self._right_IM, self._wrong_IM = label_IM >= 0.5, label_IM < 0.5
        if recipe.objective == "group":
            enough_M = self._right_IM.any(axis=0) & (self._wrong_IM.sum(axis=0) >= recipe.shots - 1)
            self._strength_M = self._strength_M * enough_M
        self._require_enough()

    def __len__(self) -> int:
        return self._recipe.stages[self._stage].steps * self._recipe.batch

    def __getitem__(self, number: int) -> Grid:
        draw = np.random.default_rng([self._recipe.seed, self._stage, number])
        rows, columns = self._group(draw) if self._recipe.objective == "group" else self._grid(draw)
        rows = self._rows[rows]
        pool = self._pool
        told_IM = pool.teacher_IM if self._recipe.objective == "distillation" else pool.label_IM
        if told_IM is None:
            raise InvalidInput("distillation needs a teacher; `train` makes one of the evidence smoother")
        label_NK = told_IM[np.ix_(rows, columns)]
        if self._recipe.objective == "group":
            label_NK = (label_NK >= 0.5).astype(np.float64)
        return Grid(rows, columns, label_NK, int(draw.integers(2**31)))

    def _group(self, draw: np.random.Generator) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        model = draw.choice(len(self._strength_M), p=_shares(self._strength_M))
        handled = int(draw.choice(len(self._rows), p=_shares(self._weight_I * self._right_IM[:, model])))
        failed = np.flatnonzero(self._wrong_IM[:, model])
        missing = self._recipe.shots - 1
        near = np.zeros(0, np.intp)
        if self._pool.vectors_ID is not None:
            hard = min(int(draw.binomial(missing, self._recipe.hard_negatives)), len(failed))
            near = draw.choice(self._nearest(handled, failed), hard, replace=False)
        others = draw.choice(np.setdiff1d(failed, near), missing - len(near), replace=False)
        return np.concatenate([[handled], near, others]).astype(np.intp), np.array([model], np.intp)

    def _nearest(self, handled: int, failed: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the failed items that are most like the one that was handled."""
        vectors_ID = np.asarray(self._pool.vectors_ID)
        cosine = vectors_ID[self._rows[failed]] @ vectors_ID[self._rows[handled]]
        return failed[np.argsort(-cosine, kind="stable")[: max(NEAR, self._recipe.shots)]]

    def _grid(self, draw: np.random.Generator) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        rows = draw.choice(len(self._rows), self._recipe.items, replace=False, p=_shares(self._weight_I))
        there = int((self._strength_M > 0.0).sum())
        number = min(self._recipe.candidates, there)
        columns = draw.choice(len(self._strength_M), number, replace=False, p=_shares(self._strength_M))
        return rows, columns

    def _require_enough(self) -> None:
        models = int((self._strength_M > 0.0).sum())
        needed = self._recipe.shots if self._recipe.objective == "group" else self._recipe.items
        if len(self._rows) < needed or models < (1 if self._recipe.objective == "group" else 2):
            raise InvalidInput(
                f"stage {self._stage + 1} ({self._recipe.objective}) has {len(self._rows)} instructions and {models} "
                f"models to learn from and needs {needed} instructions and at least "
                f"{'a model with right and wrong answers' if self._recipe.objective == 'group' else '2 models'}; give "
                "it more outcomes, or let it draw from all tasks (in_domain: false)"
            )


class Collator:
    """Grids to the tensors of one forward, and their labels."""

    def __init__(self, pool: Pool, reader: PaperReader) -> None:
        self._pool, self._reader = pool, reader

    def __call__(self, grids: Sequence[Grid]) -> dict[str, Any]:
        """Return `PaperNetwork.forward`'s arguments, and `label`, GNK."""
        texts = [[self._pool.instructions[row] for row in grid.rows_N] for grid in grids]
        zoos = [[self._pool.capabilities[column] for column in grid.columns_K] for grid in grids]
        patches = self._pool.patches_I
        shown = [] if patches is None else [[patches[row] for row in grid.rows_N] for grid in grids]
        return {
            **(padded_patches(shown, shown[0][0].shape[1]) if shown else {}),
            **self._reader.instructions(texts),
            **self._reader.capabilities(zoos, [grid.shuffle for grid in grids]),
            "label": torch.tensor(np.stack([grid.label_NK for grid in grids]), dtype=torch.float32),
        }


def _telling(label_IM: Array, share: float) -> Array:
    """Return weights of items: a share by how well they distinguish models, the rest equal."""
    weight_I = distinguishability(label_IM)
    total = float(weight_I.sum())
    alike_I = np.full(len(label_IM), 1.0 / len(label_IM))
    return alike_I if total <= 0.0 else share * weight_I / total + (1.0 - share) * alike_I


def _shares(weight: Array) -> Array:
    shares: Array = weight / weight.sum()
    return shares
