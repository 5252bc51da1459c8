"""Outcome tables made up by a test: as large as the recipe needs, with texts that the tiny network knows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from cit_core.catalogue import known_tasks
from cit_core.outcomes import NO_TASK, UNASSIGNED, OutcomeMatrix

SHARED = Path(__file__).parents[3] / "shared" / "data"
"""Real outcomes; not part of the project."""

needs_shared_data = pytest.mark.skipif(
    not (SHARED / "outcomes-mmlu-pro.parquet").is_file(), reason=f"real outcomes are not there: {SHARED}"
)

WORDS = ("algebra", "law", "history", "proof", "cell", "energy", "market", "why", "solve", "name")


def made_up_table(models: Sequence[str], tasks: int, items_of_task: int, seed: int = 0) -> OutcomeMatrix:
    """Every model has a level and is better at some tasks; items are short texts made of `WORDS`."""
    generator = np.random.default_rng(seed)
    of_item = [task.id for task in known_tasks()[:tasks] for _ in range(items_of_task)]
    level_M, skill_TM = generator.uniform(0.35, 0.65, len(models)), generator.normal(0, 0.15, (tasks, len(models)))
    chance_IM = np.repeat(np.clip(level_M + skill_TM, 0.05, 0.95), items_of_task, axis=0)
    texts = [" ".join(generator.choice(WORDS, generator.integers(1, 8))) for _ in of_item]
    return OutcomeMatrix(
        name="made-up",
        item_ids=tuple(f"{task}-{number}" for number, task in enumerate(of_item)),
        tasks=tuple(of_item),
        categories=tuple(f"field {hash_of(task)}" for task in of_item),
        instructions=tuple(texts),
        questions=tuple(text.split()[0] for text in texts),
        candidates=tuple(sorted(models)),
        correct_IK=(generator.random(chance_IM.shape) < chance_IM).astype(float),
    )


def numbered_matrix(
    vectors_ID: NDArray[np.floating],
    task_I: NDArray[np.integer],
    correct_IK: NDArray[np.floating],
    candidates: Sequence[str],
) -> OutcomeMatrix:
    """A matrix of items without names; task 7 is called "task 0007"."""
    return OutcomeMatrix(
        item_ids=tuple(f"item {row}" for row in range(len(task_I))),
        candidates=tuple(candidates),
        correct_IK=correct_IK,
        tasks=tuple(UNASSIGNED if task == NO_TASK else f"task {task:04}" for task in task_I.tolist()),
        vectors_ID=vectors_ID,
    )


def hash_of(task: str) -> int:
    return sum(map(ord, task)) % 10


def write_table(table: OutcomeMatrix, folder: Path, name: str = "mmlu-pro") -> Path:
    """The two Parquet files that `read_outcomes` reads; NaN is a row that is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    items = {
        "item_id": table.item_ids,
        "task": table.tasks,
        "category": table.categories,
        "instruction": table.instructions,
        "question": table.questions,
    }
    known = [
        (i, m) for i in range(len(table.item_ids)) for m in range(len(table.candidates)) if table.correct_IK[i, m] >= 0
    ]
    outcomes = {
        "item_id": [table.item_ids[i] for i, _ in known],
        "model": [table.candidates[m] for _, m in known],
        "correct": [table.correct_IK[i, m] for i, m in known],
    }
    pq.write_table(pa.table({key: list(values) for key, values in items.items()}), folder / f"items-{name}.parquet")
    pq.write_table(pa.table(outcomes), folder / f"outcomes-{name}.parquet")
    return folder
