"""What a paper-style run learns from: an outcome table, the tasks in words, and each model's aptitude test.

A table comes from Parquet files or from a store, so whatever was measured or imported can be trained on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cit_core.capability import capability_from_outcomes
from cit_core.catalogue import catalogue_candidates, known_tasks
from cit_core.core_suite import core_suite_from_outcomes, distinguishability
from cit_core.errors import InvalidInput
from cit_core.outcomes import OutcomeTable, Split, read_outcomes
from cit_core.records import Candidate, Capability, Suite, Task
from cit_core.store import CapabilityStore

__all__ = ["TrainingData", "from_store", "from_tables"]

CIRCLE = ":circle"
"""How the source of a circle test is told apart; see `aptitude.runner`."""


@dataclass(frozen=True)
class TrainingData:
    """Outcomes, and the words that describe tasks and candidates."""

    table: OutcomeTable
    tasks: tuple[Task, ...]
    candidates: Mapping[str, Candidate] = field(default_factory=dict)
    """By id; a model that is not in it is known by its id alone."""

    def suite(self, split: Split, tasks: int, shots: int) -> Suite:
        """The aptitude test, sampled from training items by what tells training models apart.

        Args:
            split: What is held out.
            tasks: In the test, at most.
            shots: Questions of each task.

        Raises:
            InvalidInput: If no model is left to train on, or no task has enough telling questions.
        """
        rows = split.items(self.table.item_ids)["train"]
        columns = [self.table.column(model) for model in split.models(self.table.models)["train"]]
        if not columns:
            raise InvalidInput(
                f"the split holds out all {len(self.table.models)} models of {self.table.name!r}; a recipe can keep "
                "them for training: split: {test_models: 0, validation_models: 0}"
            )
        of_item = [self.table.tasks[row] for row in rows]
        correct_IM = self.table.correct_IM[np.ix_(rows, np.array(columns, np.intp))]
        telling = [task for task, weight in zip(of_item, distinguishability(correct_IM), strict=True) if weight > 0.0]
        enough = sum(telling.count(task.id) >= shots for task in self.tasks)
        return core_suite_from_outcomes(
            f"{self.table.name}-core",
            [self.table.item_ids[row] for row in rows],
            of_item,
            correct_IM,
            self.tasks,
            groups=dict(zip(self.table.tasks, self.table.categories, strict=True)),
            number_of_tasks=max(1, min(tasks, enough)),
            shots=shots,
        )

    def capabilities(self, suite: Suite, models: Sequence[str]) -> tuple[Capability, ...]:
        """How models did on a suite, in their order."""
        place = {id_: row for row, id_ in enumerate(self.table.item_ids)}
        of_item = [(task.id, place[item]) for task in suite.tasks for item in suite.items[task.id]]
        return tuple(
            capability_from_outcomes(
                self.candidates.get(model, Candidate(id=model)),
                suite.tasks,
                [(task, float(marks_I[row])) for task, row in of_item if not np.isnan(marks_I[row])],
            )
            for model in models
            for marks_I in [self.table.correct_IM[:, self.table.column(model)]]
        )


def from_tables(folder: Path, name: str) -> TrainingData:
    """Outcomes from a Parquet pair whose tasks the catalogue has words for.

    Raises:
        InvalidInput: If the files cannot be read, or name a task that is not known.
    """
    table = read_outcomes(folder, name)
    unknown = sorted(set(table.tasks) - {task.id for task in known_tasks()})
    if unknown:
        raise InvalidInput(
            f"{name!r} has tasks that the catalogue has no keywords for: {', '.join(unknown[:5])}; a store has words "
            "for tasks of your own: cit import table ... --store URL, then --store URL"
        )
    return TrainingData(table, known_tasks(), {candidate.id: candidate for candidate in catalogue_candidates()})


def from_store(store: CapabilityStore) -> TrainingData:
    """Every outcome of a store that counts, of items with a text; an item's mean over sources.

    A source that is a circle test gives labels for training; where there is no other, it is the outcome as well.

    Raises:
        InvalidInput: If there is nothing to learn from.
    """
    items = [item for item in store.items() if item.instruction]
    row = {item.id: place for place, item in enumerate(items)}
    held = set(store.held())
    sums: dict[tuple[int, str, bool], tuple[float, int]] = {}
    for outcome in store.outcomes():
        if outcome.source not in held and outcome.item in row:
            cell = row[outcome.item], outcome.candidate, CIRCLE in outcome.source
            total, count = sums.get(cell, (0.0, 0))
            sums[cell] = total + outcome.correct, count + 1
    models = tuple(sorted({model for _, model, _ in sums}))
    column = {model: place for place, model in enumerate(models)}
    plain_IM, circle_IM = (np.full((len(items), len(models)), np.nan) for _ in range(2))
    for (item, model, circle), (total, count) in sums.items():
        (circle_IM if circle else plain_IM)[item, column[model]] = total / count
    if not models:
        raise InvalidInput(f"the store {store.url} has no outcomes of items with a text: `cit import` brings some")
    table = OutcomeTable(
        name="store",
        item_ids=tuple(item.id for item in items),
        tasks=tuple(item.task for item in items),
        categories=tuple(item.task for item in items),
        instructions=tuple(str(item.instruction) for item in items),
        questions=tuple(str(item.instruction) for item in items),
        models=models,
        correct_IM=np.where(np.isnan(plain_IM), circle_IM, plain_IM),
        circle_IM=None if np.isnan(circle_IM).all() else circle_IM,
    )
    return TrainingData(table, store.tasks(), {candidate.id: candidate for candidate in store.candidates()})
