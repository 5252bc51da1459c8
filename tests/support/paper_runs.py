"""What the tests of paper-style runs share: an outcome table that tasks explain, and a recipe of a few steps."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from outcome_tables import made_up_table
from tiny_paper import tiny_config

from cit_core.catalogue import known_tasks
from cit_core.paper.dataset import TrainingData
from cit_core.paper.recipe import Recipe, Stage

MODELS = [f"m{number:02}" for number in range(16)]


def data(models: Sequence[str] = MODELS) -> TrainingData:
    return TrainingData(made_up_table(models, tasks=6, items_of_task=40), known_tasks())


def recipe(**given: Any) -> Recipe:
    network = tiny_config(**{"shuffles": 1, **given.pop("network", {})})
    stages = (Stage(learns="connector", in_domain=True, steps=4, learning_rate=1e-2), Stage(steps=6))
    small = {"tasks": 4, "questions": 8, "batch": 4, "evaluate_every": 2, "validation_items": 8}
    return Recipe(**{"network": network, "stages": stages, **small, **given})


def one_hot(texts: Sequence[str]) -> NDArray[np.float32]:
    """Vectors that need no network."""
    return np.eye(16, dtype=np.float32)[[len(text) % 16 for text in texts]]


def metrics(folder: Path, *names: str) -> list[tuple[Any, ...]]:
    """Stage, step and what was logged under these names, where all of them were."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(x["stage"], x["step"], *(x[name] for name in names)) for x in lines if all(name in x for name in names)]
