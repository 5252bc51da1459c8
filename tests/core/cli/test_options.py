"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path

import pytest

from cit_core.cli._options import is_default, open_store, split_ids, sqlite_file
from cit_core.errors import InvalidInput, StoreError


@pytest.mark.parametrize(
    ("text", "ids"), [(None, None), ("a", ["a"]), (" a , b,,c ", ["a", "b", "c"]), ("org/a [x]", ["org/a [x]"])]
)
def test_ids_are_separated_by_commas(text: str | None, ids: list[str] | None) -> None:
    assert split_ids(text) == ids


@pytest.mark.parametrize("text", ["", " , "])
def test_no_id_at_all_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="names no model"):
        split_ids(text)


def test_the_default_store() -> None:
    assert [is_default(url) for url in (None, "default", "sqlite:///default")] == [True, True, False]


def test_the_file_of_a_store(tmp_path: Path) -> None:
    assert sqlite_file(f"sqlite:///{tmp_path}/my.db") == tmp_path / "my.db"
    assert sqlite_file("postgresql+psycopg://host/name") is None


def test_only_a_verb_that_writes_creates_a_store(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/my.db"
    with pytest.raises(StoreError, match=r"no store at .*my\.db; .*create one"):
        open_store(url)
    assert not (tmp_path / "my.db").exists()
    with open_store(url, create=True) as store:
        assert store.candidates() == ()
    with open_store(url) as store:
        assert store.candidates() == ()
