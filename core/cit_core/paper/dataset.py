"""Data of a paper-style run: an outcome table, descriptions of the tasks, and each model's aptitude test.

A table comes from Parquet files or from a store, so anything measured or imported can be trained on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cit_core.capability import capability_from_outcomes
from cit_core.catalogue import catalogue_candidates, known_tasks
from cit_core.core_suite import core_suite_from_outcomes, distinguishability
from cit_core.errors import InvalidInput
from cit_core.outcomes import OutcomeMatrix, Split, read_outcomes
from cit_core.pictures import Picture
from cit_core.records import Candidate, Capability, Suite, Task

__all__ = ["TrainingData", "from_matrix", "from_tables"]


@dataclass(frozen=True)
class TrainingData:
    """Outcomes, with descriptions of tasks and candidates."""

    table: OutcomeMatrix
    tasks: tuple[Task, ...]
    candidates: Mapping[str, Candidate] = field(default_factory=dict)
    """Candidates by id; a model that is missing here is described by its id alone."""
    profiles: Mapping[str, Capability] = field(default_factory=dict)
    """Capabilities by model where the data brings them (`capit_1.0`): no test is sampled from the outcomes then."""
    pictures: Mapping[str, Sequence[Picture]] = field(default_factory=dict)
    """Pictures of an item, by its id."""

    def suite(self, split: Split, tasks: int, shots: int) -> Suite:
        """Sample the aptitude test from the training items which distinguish training models best; none for profiles.

        Args:
            split: Items and models to hold out.
            tasks: Maximum number of tasks.
            shots: Questions of each task.

        Raises:
            InvalidInput: If no model is left to train on, or no task has enough distinguishing questions.
        """
        if self.profiles:
            return Suite(name="published", tasks=(), items={})
        models = split.models(self.table.candidates)["train"]
        if not models:
            raise InvalidInput(
                f"the split holds out all {len(self.table.candidates)} models of {self.table.name!r}; a recipe can "
                "keep them for training: split: {test_models: 0, validation_models: 0}"
            )
        seen = self.table.split(split)["train"].of_models(models)
        weights = distinguishability(seen.correct_IK)
        telling = [task for task, weight in zip(seen.tasks, weights, strict=True) if weight > 0.0]
        enough = sum(telling.count(task.id) >= shots for task in self.tasks)
        return core_suite_from_outcomes(
            f"{self.table.name}-core",
            seen.item_ids,
            seen.tasks,
            seen.correct_IK,
            self.tasks,
            groups=dict(zip(self.table.tasks, self.table.categories, strict=True)),
            number_of_tasks=max(1, min(tasks, enough)),
            shots=shots,
        )

    def capabilities(self, suite: Suite, models: Sequence[str]) -> tuple[Capability, ...]:
        """Return the capabilities of models on a suite, in the order of `models`."""
        if self.profiles:
            return tuple(self.profiles[model] for model in models)
        place = {id_: row for row, id_ in enumerate(self.table.item_ids)}
        of_item = [(task.id, place[item]) for task in suite.tasks for item in suite.items[task.id]]
        return tuple(
            capability_from_outcomes(
                self.candidates.get(model, Candidate(id=model)),
                suite.tasks,
                [(task, float(marks_I[row])) for task, row in of_item if not np.isnan(marks_I[row])],
            )
            for model in models
            for marks_I in [self.table.correct_IK[:, self.table.column(model)]]
        )


def from_tables(folder: Path, name: str) -> TrainingData:
    """Read outcomes from a Parquet pair; the catalogue must describe its tasks.

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
    candidates = {candidate.id: candidate for candidate in catalogue_candidates()}
    return TrainingData(table, known_tasks(), candidates, pictures=_pictures(folder / f"items-{name}.parquet"))


def from_matrix(table: OutcomeMatrix, tasks: Sequence[Task], candidates: Iterable[Candidate]) -> TrainingData:
    """Combine outcomes read elsewhere with descriptions of their tasks and candidates.

    A store gives them as `store.outcome_matrix(texts=True)`, `store.tasks()` and `store.candidates()`.

    Raises:
        InvalidInput: If there is nothing to learn from.
    """
    table = table.measured().sorted_by_id()
    if not len(table) or not table.instructions:
        raise InvalidInput(f"{table.name} has no outcomes of items with a text: `cit import` brings some")
    return TrainingData(table, tuple(tasks), {candidate.id: candidate for candidate in candidates})


def _pictures(path: Path) -> dict[str, tuple[Picture, ...]]:
    """Return the pictures in a column `image` of a table: bytes, or a struct with them, as `datasets` writes it."""
    import pyarrow.parquet as pq

    if "image" not in pq.read_schema(path).names:
        return {}
    rows = pq.read_table(path, columns=["item_id", "image"]).to_pylist()
    found = {row["item_id"]: row["image"]["bytes"] if isinstance(row["image"], dict) else row["image"] for row in rows}
    return {id_: (Picture.of(content),) for id_, content in found.items() if isinstance(content, bytes) and content}
