"""Outcome tables as arrays, and what is chosen from them: the splits, the core set, and zoos of similar strength.

Who and what is held out is decided by a seeded hash alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cit_core.errors import InvalidInput, MissingExtra
from cit_core.records import require_unique

__all__ = ["OutcomeTable", "Split", "random_zoos", "read_outcomes"]

SPREAD = 0.15
"""Aptitudes of a zoo of similar strength lie within it."""
TRIES = 200
"""Draws for each zoo that is wanted."""


@dataclass(frozen=True)
class OutcomeTable:
    """Who answered what correctly: I items x M models."""

    name: str
    item_ids: tuple[str, ...]
    tasks: tuple[str, ...]
    categories: tuple[str, ...]
    instructions: tuple[str, ...]
    questions: tuple[str, ...]
    """The instructions without their answer options, where the source tells them apart."""
    models: tuple[str, ...]
    correct_IM: NDArray[np.float64]
    """In [0, 1]; NaN where a model was not measured."""
    circle_IM: NDArray[np.float64] | None = None
    """The same from a circle test, where one was made: with the options rotated, all answers had to be right."""

    @property
    def labels_IM(self) -> NDArray[np.float64]:
        """What training should believe: a right answer that a circle test found to be luck is none."""
        return self.correct_IM if self.circle_IM is None else np.fmin(self.correct_IM, self.circle_IM)

    def column(self, model: str) -> int:
        """Where a model stands in `correct_IM`."""
        return self.models.index(model)

    def digest(self) -> str:
        """Content hash of ids and outcomes, to say which data a number stands on."""
        named = "\n".join((*self.item_ids, *self.models)).encode()
        circle = b"" if self.circle_IM is None else self.circle_IM.tobytes()
        return hashlib.sha256(named + self.correct_IM.tobytes() + circle).hexdigest()[:16]


def read_outcomes(folder: Path, name: str) -> OutcomeTable:
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
        correct_IM = np.full((len(rows), len(models)), np.nan)
        correct_IM[cells] = outcomes["correct"]
        circle_IM = np.full_like(correct_IM, np.nan) if "circle" in outcomes else None
        if circle_IM is not None:
            circle_IM[cells] = [np.nan if label is None else label for label in outcomes["circle"]]
        table = OutcomeTable(
            name=name,
            item_ids=tuple(items["item_id"]),
            tasks=tuple(items["task"]),
            categories=tuple(items["category"]),
            instructions=tuple(items["instruction"]),
            questions=tuple(items.get("question", items["instruction"])),
            models=models,
            correct_IM=correct_IM,
            circle_IM=circle_IM,
        )
    except (OSError, KeyError, pa.ArrowException) as error:
        raise InvalidInput(
            f"{folder} needs items-{name}.parquet (item_id, task, category, instruction) and outcomes-{name}.parquet "
            f"(item_id, model, correct): {error}"
        ) from error
    for column, marks_IM in (("correct", correct_IM), ("circle", correct_IM if circle_IM is None else circle_IM)):
        unusable = marks_IM[(marks_IM < 0.0) | (marks_IM > 1.0)]
        if len(unusable):
            raise InvalidInput(f"{folder / f'outcomes-{name}.parquet'}: {column} must be in [0, 1], got {unusable[0]}")
    return table


@dataclass(frozen=True)
class Split:
    """Which items and models are for training, validation and test: a seeded hash of their names, nothing else.

    Attributes:
        seed: Of the hash.
        test_items: Share of the items.
        validation_items: Share of the items.
        test_models: How many models, those with the lowest hashes.
        validation_models: How many models, those that come next.
    """

    seed: str = "cit-2502"
    test_items: float = 0.2
    validation_items: float = 0.1
    test_models: int = 6
    validation_models: int = 3

    def fraction(self, name: str) -> float:
        """A name's place in [0, 1)."""
        return int(hashlib.sha256(f"{self.seed}:{name}".encode()).hexdigest()[:12], 16) / 16**12

    def items(self, item_ids: Sequence[str]) -> dict[str, NDArray[np.intp]]:
        """Rows of the items of `train`, `validation` and `test`."""
        place = np.array([self.fraction(id_) for id_ in item_ids])
        last = self.test_items + self.validation_items
        return {
            "test": np.flatnonzero(place < self.test_items),
            "validation": np.flatnonzero((place >= self.test_items) & (place < last)),
            "train": np.flatnonzero(place >= last),
        }

    def models(self, models: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Models of `train`, `validation` and `test`."""
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
    """Seeded zoos of candidates whose aptitudes lie within 0.15; fewer where there are not so many.

    Where fewer than three are that close, pairs are taken; where no two are, everybody is the one zoo.
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
