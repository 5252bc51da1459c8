"""The matrix of outcomes, items x candidates; splits of it, and zoos of candidates of similar strength.

Axes: I items, K candidates, D width of a vector.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cit_core.errors import InvalidInput, MissingExtra
from cit_core.lazy import cached_property
from cit_core.records import require_unique

__all__ = ["NO_TASK", "UNASSIGNED", "OutcomeMatrix", "Split", "random_zoos", "read_outcomes"]

NO_TASK = -1
"""Number of a task that is not known, in `OutcomeMatrix.task_I`."""
UNASSIGNED = "unassigned"
"""Task of an item without a known task; any other task replaces it, and no capability includes it."""
SPREAD = 0.15
"""Largest difference between the aptitudes of a zoo of similar strength."""
TRIES = 200
"""Draws for each zoo that is wanted."""
OF_ITEMS = ("item_ids", "tasks", "categories", "instructions", "questions")

NO_VECTORS: NDArray[np.float16] = np.zeros((0, 0), np.float16)


@dataclass(frozen=True, kw_only=True, eq=False)
class OutcomeMatrix:
    """Outcomes of I items x K candidates, with facts about the items.

    An item that a candidate answered more than once counts once, by the mean over its sources. A circle test, in which
    every rotation of the options had to be answered correctly, is a source like any other.

    Only ids, tasks and outcomes are always there. Texts and vectors are there where the reader was asked for them.

    Raises:
        InvalidInput: If the parts are of different sizes.
    """

    item_ids: tuple[str, ...]
    candidates: tuple[str, ...]
    """K ids."""
    correct_IK: NDArray[Any]
    """Float64 in [0, 1]; NaN where a candidate was not measured."""
    tasks: tuple[str, ...]
    """Task of each item; UNASSIGNED where it is not known."""
    name: str = "outcomes"
    instructions: tuple[str, ...] = ()
    """Texts of the items."""
    questions: tuple[str, ...] = ()
    """The instructions without their answer options, where the source separates them."""
    categories: tuple[str, ...] = ()
    """Wider field of each item; its task if not given."""
    vectors_ID: NDArray[np.floating] = field(default_factory=lambda: NO_VECTORS)
    """Unit vectors of the instructions, all by one encoder."""
    circle_IK: NDArray[np.float64] | None = None
    """Outcomes of circle tests alone; NaN where there was none."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "questions", self.questions or self.instructions)
        object.__setattr__(self, "categories", self.categories or self.tasks)
        for name in ("correct_IK", "circle_IK"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, np.asarray(getattr(self, name), np.float64))
        if not self.vectors_ID.size:
            object.__setattr__(self, "vectors_ID", np.zeros((len(self.item_ids), 0), np.float16))
        shape = len(self.item_ids), len(self.candidates)
        sizes = {name: len(getattr(self, name)) for name in OF_ITEMS} | {"vectors_ID": len(self.vectors_ID)}
        wrong = [f"{size} {name}" for name, size in sizes.items() if size not in (shape[0], 0)]
        marks = {"correct_IK": self.correct_IK, "circle_IK": self.circle_IK}
        wrong += [f"{name} {part.shape}" for name, part in marks.items() if part is not None and part.shape != shape]
        if wrong or len(self.tasks) != shape[0]:
            raise InvalidInput(
                f"an outcome matrix of {shape[0]} items x {shape[1]} candidates needs a task for each item and parts "
                f"of these sizes, got {len(self.tasks)} tasks, {', '.join(wrong)}"
            )

    def __len__(self) -> int:
        return len(self.item_ids)

    @cached_property
    def task_ids(self) -> tuple[str, ...]:
        """The tasks of the items, each once and sorted, without UNASSIGNED."""
        return tuple(sorted({*self.tasks} - {UNASSIGNED}))

    @cached_property
    def task_I(self) -> NDArray[np.int64]:
        """Place of each item's task in `task_ids`; NO_TASK where it is not known."""
        place = {task: number for number, task in enumerate(self.task_ids)}
        return np.array([place.get(task, NO_TASK) for task in self.tasks], np.int64)

    @property
    def labels_IK(self) -> NDArray[np.float64]:
        """Labels for training: the outcomes, but never more than what a circle test found of the same answer."""
        if self.circle_IK is None:
            return self.correct_IK
        return np.asarray(np.fmin(self.correct_IK, self.circle_IK), np.float64)

    @property
    def measured_IK(self) -> NDArray[np.bool_]:
        """True where there is an outcome."""
        return np.asarray(~np.isnan(self.correct_IK), np.bool_)

    def column(self, candidate: str) -> int:
        """Return the column of a candidate in `correct_IK`."""
        return self.candidates.index(candidate)

    def rows(self, rows: NDArray[np.bool_] | NDArray[np.integer] | Sequence[int]) -> OutcomeMatrix:
        """Return the matrix of some items: a mask over all, or places in the order wanted."""
        chosen = np.asarray(rows)
        place = np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen.astype(np.intp)
        listed = place.tolist()
        given = {name: getattr(self, name) for name in OF_ITEMS if getattr(self, name)}
        of_items: dict[str, Any] = {name: tuple(map(values.__getitem__, listed)) for name, values in given.items()}
        return replace(
            self,
            **of_items,
            correct_IK=self.correct_IK[place],
            vectors_ID=self.vectors_ID[place],
            circle_IK=None if self.circle_IK is None else self.circle_IK[place],
        )

    def of_models(self, candidates: Sequence[str]) -> OutcomeMatrix:
        """Return the same items with these candidates, in this order.

        Raises:
            InvalidInput: If one is not in the matrix.
        """
        place = {id_: column for column, id_ in enumerate(self.candidates)}
        unknown = [repr(id_) for id_ in candidates if id_ not in place]
        if unknown:
            raise InvalidInput(f"{self.name} has no outcomes of {', '.join(unknown[:5])}")
        columns = [place[id_] for id_ in candidates]
        circle_IK = None if self.circle_IK is None else self.circle_IK[:, columns]
        return replace(self, candidates=tuple(candidates), correct_IK=self.correct_IK[:, columns], circle_IK=circle_IK)

    def measured(self) -> OutcomeMatrix:
        """Leave out items and candidates without any outcome."""
        rows, columns = (np.flatnonzero(self.measured_IK.any(axis=axis)) for axis in (1, 0))
        return self.rows(rows).of_models([self.candidates[column] for column in columns])

    def sorted_by_id(self) -> OutcomeMatrix:
        """Sort items and candidates by id, so that the order in which they were stored changes nothing."""
        order = sorted(range(len(self.item_ids)), key=self.item_ids.__getitem__)
        return self.rows(order).of_models(sorted(self.candidates))

    def split(self, split: Split) -> dict[str, OutcomeMatrix]:
        """Return the items of `train`, `validation` and `test`, each with all candidates."""
        return {part: self.rows(rows) for part, rows in split.items(self.item_ids).items()}

    def digest(self) -> str:
        """Return a content hash of ids and outcomes, to say which data a number was computed on."""
        named = "\n".join((*self.item_ids, *self.candidates)).encode("utf-8", "surrogatepass")
        circle = b"" if self.circle_IK is None else self.circle_IK.tobytes()
        return hashlib.sha256(named + self.correct_IK.tobytes() + circle).hexdigest()[:16]


def read_outcomes(folder: Path, name: str) -> OutcomeMatrix:
    """Read `items-NAME.parquet` and `outcomes-NAME.parquet`, which may have a column `circle` for a circle test.

    Raises:
        InvalidInput: If the files are not there, lack a column, name an item twice or hold an outcome outside [0, 1].
        MissingExtra: If pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtra("pyarrow, which reads Parquet files,", "data") from error
    try:
        items = pq.read_table(folder / f"items-{name}.parquet").to_pydict()
        outcomes = pq.read_table(folder / f"outcomes-{name}.parquet").to_pydict()
        require_unique(items["item_id"], f"item ids in items-{name}.parquet")
        pairs = zip(outcomes["item_id"], outcomes["model"], strict=True)
        require_unique((f"{item} of {model}" for item, model in pairs), f"outcomes in outcomes-{name}.parquet")
        rows = {id_: row for row, id_ in enumerate(items["item_id"])}
        for item in outcomes["item_id"]:
            if item not in rows:
                raise InvalidInput(f"outcomes-{name}.parquet has item {item!r}, which items-{name}.parquet lacks")
        models = tuple(sorted(set(outcomes["model"])))
        columns = {model: column for column, model in enumerate(models)}
        cells = [rows[i] for i in outcomes["item_id"]], [columns[m] for m in outcomes["model"]]
        correct_IK = np.full((len(rows), len(models)), np.nan)
        correct_IK[cells] = outcomes["correct"]
        circle_IK = np.full_like(correct_IK, np.nan) if "circle" in outcomes else None
        if circle_IK is not None:
            circle_IK[cells] = [np.nan if label is None else label for label in outcomes["circle"]]
        table = OutcomeMatrix(
            name=name,
            item_ids=tuple(items["item_id"]),
            tasks=tuple(items["task"]),
            categories=tuple(items["category"]),
            instructions=tuple(items["instruction"]),
            questions=tuple(items.get("question", items["instruction"])),
            candidates=models,
            correct_IK=correct_IK,
            circle_IK=circle_IK,
        )
    except (OSError, KeyError, pa.ArrowException) as error:
        raise InvalidInput(
            f"{folder} needs items-{name}.parquet (item_id, task, category, instruction) and outcomes-{name}.parquet "
            f"(item_id, model, correct): {error}"
        ) from error
    for column, marks_IK in (("correct", correct_IK), ("circle", correct_IK if circle_IK is None else circle_IK)):
        unusable = marks_IK[(marks_IK < 0.0) | (marks_IK > 1.0)]
        if len(unusable):
            raise InvalidInput(f"{folder / f'outcomes-{name}.parquet'}: {column} must be in [0, 1], got {unusable[0]}")
    return table


@dataclass(frozen=True)
class Split:
    """A split of items and models into training, validation and test, by a seeded hash of their names alone.

    Attributes:
        seed: Seed of the hash.
        test_items: Share of the items.
        validation_items: Share of the items.
        test_models: Number of models, those with the lowest hashes.
        validation_models: Number of models, those with the next hashes.
    """

    seed: str = "cit-2502"
    test_items: float = 0.2
    validation_items: float = 0.1
    test_models: int = 6
    validation_models: int = 3

    def fraction(self, name: str) -> float:
        """Return a name's place in [0, 1)."""
        return int(hashlib.sha256(f"{self.seed}:{name}".encode()).hexdigest()[:12], 16) / 16**12

    def items(self, item_ids: Sequence[str]) -> dict[str, NDArray[np.intp]]:
        """Return rows of the items of `train`, `validation` and `test`."""
        place = np.array([self.fraction(id_) for id_ in item_ids])
        last = self.test_items + self.validation_items
        return {
            "test": np.flatnonzero(place < self.test_items),
            "validation": np.flatnonzero((place >= self.test_items) & (place < last)),
            "train": np.flatnonzero(place >= last),
        }

    def models(self, models: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Return models of `train`, `validation` and `test`."""
        order = sorted(models, key=self.fraction)
        held_out = self.test_models + self.validation_models
        return {
            "test": tuple(order[: self.test_models]),
            "validation": tuple(order[self.test_models : held_out]),
            "train": tuple(order[held_out:]),
        }


def random_zoos(
    aptitude_K: NDArray[np.floating], number: int = 50, sizes: Sequence[int] = (3, 4, 5, 6, 7, 8), seed: int = 0
) -> list[tuple[int, ...]]:
    """Draw seeded zoos of candidates with aptitudes within 0.15; fewer than `number` if there are not so many.

    Pairs are drawn if fewer than three candidates are that close; if no two are, all of them are the only zoo.
    """
    draw = np.random.default_rng(seed)
    found: set[tuple[int, ...]] = set()
    for _ in range(TRIES * number if len(aptitude_K) else 0):
        if len(found) == number:
            break
        first = int(draw.integers(len(aptitude_K)))
        near = np.flatnonzero((aptitude_K >= aptitude_K[first]) & (aptitude_K <= aptitude_K[first] + SPREAD))
        wanted = int(draw.choice(sizes))
        if len(near) >= wanted:
            others = near[near != first]
            found.add(tuple(sorted((first, *map(int, draw.choice(others, wanted - 1, replace=False))))))
    if not found and len(sizes) > 1:
        return random_zoos(aptitude_K, number, (2,), seed)
    return sorted(found) or [tuple(range(len(aptitude_K)))]
