"""Errors of the databases arrive as one line of ours."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from store_records import seed

from cit_core.errors import StoreError
from cit_core.store import CapabilityStore


def test_what_is_no_database_is_told_in_one_line(tmp_path: Path) -> None:
    text_file = tmp_path / "notes.txt"
    text_file.write_text("dear diary " * 100)
    for path, message in (
        (text_file, "file is not a database; give the path of a cit-router store"),
        (tmp_path, "unable to open database file; the path must be a file"),
        (text_file / "store.db", "cannot be made"),
    ):
        with pytest.raises(StoreError, match=message) as caught:
            CapabilityStore(f"sqlite:///{path}")
        assert "\n" not in str(caught.value)
    assert text_file.read_text() == "dear diary " * 100


def test_a_damaged_file_is_told_in_one_line(sqlite_url: str, tmp_path: Path) -> None:
    with CapabilityStore(sqlite_url) as store:
        seed(store, items=3000)
    path = tmp_path / "store.db"
    pages = bytearray(path.read_bytes())
    for start in itertools.islice(range(0, len(pages), 4096), 1, None):
        pages[start : start + 64] = b"\xff" * 64
    path.write_bytes(pages)
    with pytest.raises(StoreError, match="malformed; the file is damaged"), CapabilityStore(sqlite_url) as store:
        store.items()
