"""Databases of every release are brought up to date; newer and foreign ones are refused."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from store_records import lines, seed

from cit_core.errors import StoreError, StoreTooNew
from cit_core.records import Item
from cit_core.store import CapabilityStore
from cit_core.store.migrations import versions
from cit_core.store.migrations.revisions import REVISIONS, STEPS, VERSION_TABLE, upgrade
from cit_core.store.schema import metadata


def test_the_tables_are_those_of_the_migrations(store: CapabilityStore, store_url: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    engine = create_engine(store_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_the_steps_are_one_chain_without_a_file_left_out() -> None:
    folder = Path(versions.__file__).parent
    assert sorted(STEPS.values()) == sorted(path.stem for path in folder.glob("m*.py"))
    steps = [import_module(f"{versions.__name__}.{name}") for name in STEPS.values()]
    assert tuple(step.revision for step in steps) == REVISIONS
    assert [step.down_revision for step in steps] == [None, *REVISIONS[:-1]]


def test_a_store_of_a_newer_release_is_refused_and_not_changed(store_url: str) -> None:
    with CapabilityStore(store_url) as store:
        seed(store)
    engine = create_engine(store_url)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(StoreTooNew, match=r"revision '9999'.*not changed.*pip install -U cit-router"):
        CapabilityStore(store_url)
    with engine.connect() as connection:
        assert connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}")) == "9999"
        assert connection.scalar(text("SELECT count(*) FROM candidates")) == 2
    engine.dispose()


def test_an_interrupted_upgrade_leaves_nothing(store_url: str) -> None:
    """A table in the way fails the upgrade half-way: no other table is there, and without it the next try works."""
    engine = create_engine(store_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE outcomes (mine INTEGER)"))
    with pytest.raises(StoreError, match="outcomes"):
        CapabilityStore(store_url)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE outcomes"))
    engine.dispose()
    with CapabilityStore(store_url) as store:
        assert store.version == 0


def test_opening_an_up_to_date_store_does_not_import_alembic(store: CapabilityStore, store_url: str) -> None:
    code = "import sys; from cit_core.store import CapabilityStore; CapabilityStore(sys.argv[1]).close(); "
    code += "assert 'alembic' not in sys.modules"
    assert subprocess.run([sys.executable, "-W", "error", "-c", code, store_url], check=False).returncode == 0


@pytest.mark.parametrize("released", REVISIONS[:-1])
def test_a_store_of_an_older_release_is_brought_up_to_date_with_its_rows(store_url: str, released: str) -> None:
    engine = create_engine(store_url)
    with engine.begin() as connection:
        upgrade(connection, store_url, last=released)
        for statement in (
            "INSERT INTO candidates (key, id, modalities, notes) VALUES (1, 'old', 'null', '')",
            "INSERT INTO tasks (key, id, keywords) VALUES (1, 'law', '[\"contracts\"]')",
            "INSERT INTO items (key, id, task_key, options) VALUES (1, 'q', 1, '[]')",
            "INSERT INTO sources (key, id) VALUES (1, 'run')",
            'INSERT INTO outcomes (candidate_key, item_key, source_key, correct, "when") VALUES (1, 1, 1, 0.5, 0)',
            "INSERT INTO versions (number, \"when\", what) VALUES (1, 0, 'all of it')",
        ):
            connection.execute(text(statement))
        assert connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}")) == released
    engine.dispose()
    with CapabilityStore(store_url) as store:
        assert store.items() == (Item(id="q", task="law"),)
        assert lines(store, "old") == {"law": (0.5, 1)}
        store.hold("run")
        assert lines(store, "old") == {}
