"""Where the right candidate depends on the picture, its caption routes; shuffled captions and the question do not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cit_core.errors import InvalidInput
from cit_core.evaluate.experiments.pictures import ALL, SHUFFLED, TEXT, Pictured, pictures, read_pictured
from cit_core.evaluate.metrics import Interval
from cit_core.outcomes import OutcomeMatrix, Split
from cit_core.pictures import Picture

KINDS = ("a bar chart of sales", "a triangle with angles")


def planted(items: int = 160) -> Pictured:
    draw = np.random.default_rng(0)
    kind_I = draw.integers(2, size=items)
    chance_IK = np.where(kind_I[:, None] == np.arange(2), 0.9, 0.2)
    table = OutcomeMatrix(
        name="planted",
        item_ids=tuple(f"i{row}" for row in range(items)),
        candidates=("bard", "llavar"),
        correct_IK=(draw.random((items, 2)) < chance_IK).astype(float),
        tasks=("all",) * items,
        instructions=tuple(f"What is the value of {word}?" for word in draw.integers(99, size=items)),
    )
    return Pictured(table, tuple(Picture(64, 64, KINDS[kind]) for kind in kind_I))


def encode(texts: Sequence[str]) -> NDArray[np.float32]:
    vectors = np.random.default_rng(1).normal(size=(len(texts), 8)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def test_captions_route_where_they_tell_and_shuffled_ones_do_not() -> None:
    (both, _), _ = pictures(planted(), encode, Split(), repeats=1)
    assert both.title == "planted: those that see (2 candidates)"
    accuracy = {row[0]: row[1].mean for row in both.rows if isinstance(row[1], Interval)}
    assert accuracy[ALL] > 80.0 > 65.0 > max(accuracy[TEXT], accuracy[SHUFFLED])


def test_a_table_with_pictures_is_read_without_those_that_guess(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    item = {"task": "t", "category": "c", "instruction": "q?"}
    sized = {"caption": " a  map", "ocr": None, "image_width": 8, "image_height": 9}
    parquet.write_table(arrow.Table.from_pylist([{"item_id": "1", **item, **sized}]), tmp_path / "items-x.parquet")
    marks = [{"item_id": "1", "model": model, "correct": 1.0} for model in ("bard", "llavar", "random_guess")]
    parquet.write_table(arrow.Table.from_pylist(marks), tmp_path / "outcomes-x.parquet")
    found = read_pictured(tmp_path, "x")
    assert found.table.candidates == ("bard", "llavar")
    assert [(one.width, one.height, one.caption, one.kind) for one in found.pictures] == [(8, 9, "a map", "map")]
    parquet.write_table(arrow.Table.from_pylist([{"item_id": "1", **item}]), tmp_path / "items-x.parquet")
    with pytest.raises(InvalidInput, match="caption"):
        read_pictured(tmp_path, "x")
