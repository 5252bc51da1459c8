"""Outcomes with a plan: questions of three regions, and models that are good at some of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cit_core.capability import capability_from_results
from cit_core.evaluate.baselines import BaselineData
from cit_core.records import Candidate, Capability, Task

REGIONS = 3
TASKS = tuple(Task(id=f"region-{region}", keywords=(f"region {region}",)) for region in range(REGIONS))
SPECIALISTS = ((0.9, 0.2, 0.2), (0.2, 0.9, 0.2), (0.2, 0.2, 0.9))


@dataclass(frozen=True)
class Planted:
    """What a baseline may know, and the truth about questions it has not seen."""

    known: BaselineData
    vectors: NDArray[np.float32]
    """Of the questions named "0", "1" and so on."""
    texts: tuple[str, ...]
    """The unseen ones."""
    chance: NDArray[np.float64]
    """P(correct) on them."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self.vectors[[int(text) for text in texts]]

    @property
    def new(self) -> list[Capability]:
        return [c for c, trained in zip(self.known.capabilities, self.known.trained, strict=True) if not trained]

    @property
    def trained(self) -> list[Capability]:
        return [c for c, trained in zip(self.known.capabilities, self.known.trained, strict=True) if trained]

    def columns(self, capabilities: Sequence[Capability]) -> list[int]:
        return [self.known.ids.index(capability.candidate.id) for capability in capabilities]


def planted(items: int = 450, unseen: int = 150, core: int = 150, validation: int = 150, seed: int = 0) -> Planted:
    """Twelve models to learn from, two of them with gaps, and three new ones who answered the first `core` items."""
    draw = np.random.default_rng(seed)
    region = draw.integers(REGIONS, size=items + unseen)
    vectors = np.eye(8)[region] + draw.normal(scale=0.15, size=(items + unseen, 8))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    skill = np.vstack([draw.choice([0.15, 0.9], size=(12, REGIONS)), SPECIALISTS])
    chance = skill.T[region]
    correct = (draw.random((items, len(skill))) < chance[:items]).astype(float)
    correct[core:, 12:] = np.nan
    correct[:, 3:5] = np.where(draw.random((items, 2)) < 0.2, np.nan, correct[:, 3:5])
    known = BaselineData(
        vectors_ID=vectors[:items],
        tasks_I=tuple(TASKS[place].id for place in region[:items]),
        correct_IM=correct,
        capabilities=tuple(profile(f"model-{number}", row) for number, row in enumerate(skill)),
        trained=(True,) * 12 + (False,) * 3,
        validation_I=np.arange(items) >= items - validation,
    )
    return Planted(known, vectors, tuple(map(str, range(items, items + unseen))), chance[items:])


def profile(name: str, accuracies: Sequence[float]) -> Capability:
    results = {task.id: (float(accuracy), 20) for task, accuracy in zip(TASKS, accuracies, strict=True)}
    return capability_from_results(Candidate(id=name), TASKS, results)
