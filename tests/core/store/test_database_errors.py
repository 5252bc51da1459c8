"""Errors of the databases arrive as one line of ours."""

from __future__ import annotations

import itertools
import sqlite3
import traceback
import uuid
from contextlib import closing
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from store_records import outcome, seed

from cit_core.errors import CITError, InvalidInput, StoreError
from cit_core.records import Candidate, Item
from cit_core.store import CapabilityStore
from cit_core.store.schema import items as items_table


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


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a small store with one of everything."""
    path = tmp_path_factory.mktemp("whole") / "store.db"
    with CapabilityStore(f"sqlite:///{path}") as store:
        seed(store, items=40)
        store.add_candidates([Candidate(id="dated", released=date(2026, 5, 1), modalities=("text",), tools=True)])
        store.add_outcomes(outcome(f"i{n}", answer="yes", cost_usd=0.1) for n in range(40))
        with store.transaction() as writer:
            writer.set_vectors({f"i{n}": np.ones(4) for n in range(20)}, "trunk")
            writer.set_setting("evidence", {"bandwidth": 0.5})
        store.hold("run")
    return path


def use(store: CapabilityStore) -> None:
    """Everything that reads, and a write."""
    store.snapshot(encoder="trunk")
    store.items()
    store.tasks()
    store.held()
    list(store.outcomes())
    store.setting("evidence")
    store.unassigned()
    store.without_vector("trunk", 5)
    store.measured("small")
    store.add_items([Item(id="i1", task="law", answer="so")])
    store.add_outcomes([outcome("i0", source="another")])


@given(flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=20))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_flipped_bytes_give_our_errors_or_none(whole: Path, tmp_path: Path, flips: list[tuple[float, int]]) -> None:
    pages = bytearray(whole.read_bytes())
    for place, mask in flips:
        pages[int(place * len(pages))] ^= mask
    for path in tmp_path.iterdir():
        path.unlink()
    path = tmp_path / f"{uuid.uuid4().hex}.db"
    path.write_bytes(pages)
    said: list[str] = []
    try:
        with CapabilityStore(f"sqlite:///{path}") as store:
            use(store)
    except CITError as error:
        said.append(str(error))
    assert not any("\n" in line for line in said)


@pytest.mark.parametrize(
    ("statement", "reads"),
    [
        ("UPDATE candidates SET modalities = 'not json'", "candidates"),
        ("UPDATE candidates SET modalities = '[1, {}]'", "candidates"),
        ("UPDATE candidates SET released = 'May'", "candidates"),
        ("UPDATE candidates SET price_in = 'much'", "candidates"),
        ("UPDATE candidates SET id = CAST(x'ff' AS TEXT) WHERE key = 1", "candidates"),
        ("UPDATE candidates SET id = '' WHERE key = 1", "candidates"),
        ("UPDATE tasks SET keywords = '{'", "tasks"),
        ("UPDATE items SET options = '5'", "items"),
        ("UPDATE items SET vector = x'00', encoder = 'trunk'", "outcome_matrix"),
        ("UPDATE outcomes SET correct = 'yes'", "outcomes"),
        ('UPDATE outcomes SET "when" = 9e18', "outcomes"),
    ],
)
def test_rows_that_this_release_never_writes_are_one_error(
    whole: Path, tmp_path: Path, statement: str, reads: str
) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(whole.read_bytes())
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(statement)
    with CapabilityStore(f"sqlite:///{path}") as store, pytest.raises(StoreError, match=r"damaged"):
        {
            "outcomes": lambda: list(store.outcomes()),
            "outcome_matrix": lambda: store.outcome_matrix(encoder="trunk"),
            "version": lambda: store.version,
        }.get(reads, lambda: getattr(store, reads)())()


def test_a_text_that_the_database_cannot_keep_is_invalid_input(postgres_url: str) -> None:
    engine = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    name = f"latin1_{uuid.uuid4().hex[:8]}"
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"))
    try:
        url = make_url(postgres_url).set(database=name, query={}).render_as_string(hide_password=False)
        with CapabilityStore(url) as store:
            seed(store)
            store.add_items([Item(id="q", task="law", instruction="Gewöhnlich?")])
            for instruction in ("大?", "a\0b"):
                with pytest.raises(InvalidInput, match="the store cannot keep a value: ") as caught:
                    store.add_items([Item(id="r", task="law"), Item(id="s", task="law", instruction=instruction)])
                assert "大" not in str(caught.value)
            assert [item.id for item in store.items()][-1] == "q"
            assert store.items(["q"])[0].instruction == "Gewöhnlich?"
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        engine.dispose()


def test_half_a_surrogate_pair_is_invalid_input(store: CapabilityStore) -> None:
    seed(store)
    for use_ in (
        lambda: store.add_items([Item(id="q", task="law").model_copy(update={"instruction": "\ud800"})]),
        lambda: store.items(["\ud800"]),
        lambda: store.candidate("\ud800"),
    ):
        with pytest.raises(InvalidInput, match=r"\\ud800"):
            use_()


def test_errors_hold_no_row(store: CapabilityStore, monkeypatch: pytest.MonkeyPatch) -> None:
    seed(store)
    secret = Item(id="q", task="law", instruction="my secret prompt").model_copy(update={"id": None})
    with pytest.raises(CITError) as caught, store.transaction() as writer:
        writer._insert(items_table, [{**secret.model_dump(exclude={"task"}), "task_key": 1}])
    shown = "".join(traceback.format_exception(caught.value))
    assert "secret prompt" not in str(caught.value)
    assert "parameters: ('" not in shown
