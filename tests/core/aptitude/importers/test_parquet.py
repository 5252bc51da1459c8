"""Parquet: rows come one by one, and what a file unpacks to is looked at first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cit_core.aptitude.importers.limits import Limits
from cit_core.aptitude.importers.parquet import read_parquet
from cit_core.errors import InvalidInput

arrow = pytest.importorskip("pyarrow", reason="pip install 'cit-router[data]'")
parquet = pytest.importorskip("pyarrow.parquet")
ROWS = [
    {"item_id": "a", "n": 1, "options": ["x", "y"], "about": {"task": "law"}, "text": "long " * 50},
    {"item_id": "b", "n": None, "options": [], "about": None, "text": None},
]


def read(path: Path, wanted: Any = None, **limits: int) -> list[Any]:
    return list(read_parquet(path, wanted, Limits(**limits), lambda columns: None))


def test_rows_of_all_kinds_and_of_some_columns(tmp_path: Path) -> None:
    parquet.write_table(arrow.Table.from_pylist(ROWS), path := tmp_path / "t.parquet", row_group_size=1)
    assert read(path) == [(1, ROWS[0]), (2, ROWS[1])]
    assert read(path, {"n", "item_id"}) == [(1, {"item_id": "a", "n": 1}), (2, {"item_id": "b", "n": None})]


@pytest.mark.parametrize(
    ("limits", "says"), [({"rows": 1}, "has 2 rows; the limit rows"), ({"columns": 2}, "columns; the limit columns")]
)
def test_limits(tmp_path: Path, limits: dict[str, int], says: str) -> None:
    parquet.write_table(arrow.Table.from_pylist(ROWS), path := tmp_path / "t.parquet")
    with pytest.raises(InvalidInput, match=says):
        read(path, **limits)


def test_a_file_that_is_cut_or_damaged(tmp_path: Path) -> None:
    parquet.write_table(arrow.Table.from_pylist(ROWS), path := tmp_path / "t.parquet")
    whole = path.read_bytes()
    for content in (whole[:-20], whole[20:], whole[:100] + bytes(50) + whole[150:]):
        path.write_bytes(content)
        with pytest.raises(InvalidInput, match="is not a Parquet file that can be read"):
            read(path)
