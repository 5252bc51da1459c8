"""Databases of every release are brought up to date; newer and foreign ones are refused."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, inspect, text
from store_records import lines, seed

from cit_core.errors import StoreError, StoreTooNew
from cit_core.records import Candidate, Item
from cit_core.store import CapabilityStore
from cit_core.store.migrations import versions
from cit_core.store.migrations.revisions import REVISIONS, STEPS, VERSION_TABLE, upgrade
from cit_core.store.schema import metadata


def tables_of(engine: Engine) -> dict[str, list[Any]]:
    """Columns and indexes of every table, as the database has them."""
    found = inspect(engine)
    return {
        table: [
            *sorted((c["name"], str(c["type"]), c["nullable"], c["default"]) for c in found.get_columns(table)),
            found.get_pk_constraint(table)["constrained_columns"],
            *sorted(str(entry) for entry in (*found.get_indexes(table), *found.get_foreign_keys(table))),
            *sorted(str(entry["column_names"]) for entry in found.get_unique_constraints(table)),
        ]
        for table in found.get_table_names()
    }


def test_a_new_store_has_the_tables_that_all_steps_make(store_url: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    engine = create_engine(store_url)
    with engine.begin() as connection:
        for last in REVISIONS:
            upgrade(connection, store_url, last)
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, metadata) == []
    step_by_step = tables_of(engine)
    with engine.begin() as connection:
        metadata.drop_all(connection)
        connection.execute(text(f"DROP TABLE {VERSION_TABLE}"))
    CapabilityStore(store_url).close()
    assert tables_of(engine) == step_by_step
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
    with pytest.raises(StoreError, match=r"belongs to another application: it has 1 tables \('outcomes'\)"):
        CapabilityStore(store_url)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE outcomes"))
    engine.dispose()
    with CapabilityStore(store_url) as store:
        assert store.version == 0


def test_making_a_store_and_opening_it_does_not_import_alembic(store_url: str) -> None:
    code = (
        "import sys; from cit_core.store import CapabilityStore; [CapabilityStore(sys.argv[1]).close() for _ in '12']; "
    )
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


def test_threads_open_new_stores_of_their_own_at_once(tmp_path: Path) -> None:
    barrier = threading.Barrier(8)

    def open_(number: int) -> int:
        barrier.wait()
        with CapabilityStore(f"sqlite:///{tmp_path}/tenant{number}.db") as store:
            store.add_candidates([Candidate(id=f"of {number}")])
            return store.version

    for _ in range(2):
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(open_, range(8))) == [1] * 8
        for path in tmp_path.iterdir():
            path.unlink()


ENV = """
from alembic import context
from sqlalchemy import create_engine
from cit_core.store import CapabilityStore

url = context.config.get_main_option("sqlalchemy.url")
engine = create_engine(url)
with engine.connect() as connection:
    context.configure(connection=connection)
    CapabilityStore(context.config.get_main_option("store")).close()
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
"""
STEP = """
import sqlalchemy as sa
from alembic import op
from cit_core.store import CapabilityStore

revision, down_revision = "a1", None

def upgrade():
    op.create_table("customers", sa.Column("name", sa.Text))
    CapabilityStore(op.get_context().config.get_main_option("store") + "2").close()
    op.add_column("customers", sa.Column("city", sa.Text))
"""


def test_a_store_is_opened_within_somebody_elses_migration(tmp_path: Path) -> None:
    from alembic import command
    from alembic.config import Config

    (tmp_path / "theirs" / "versions").mkdir(parents=True)
    (tmp_path / "theirs" / "env.py").write_text(ENV)
    (tmp_path / "theirs" / "versions" / "a1.py").write_text(STEP)
    config = Config()
    config.set_main_option("script_location", str(tmp_path / "theirs"))
    config.set_main_option("sqlalchemy.url", f"sqlite:///{tmp_path}/app.db")
    config.set_main_option("store", f"sqlite:///{tmp_path}/zoo.db")
    config.set_main_option("path_separator", "os")
    command.upgrade(config, "head")
    engine = create_engine(f"sqlite:///{tmp_path}/app.db")
    with engine.connect() as connection:
        assert set(inspect(connection).get_table_names()) == {"alembic_version", "customers"}
        assert [column["name"] for column in inspect(connection).get_columns("customers")] == ["name", "city"]
    engine.dispose()
    for name in ("zoo.db", "zoo.db2"):
        with CapabilityStore(f"sqlite:///{tmp_path}/{name}", create=False) as store:
            assert store.version == 0
