"""SQLite connections are durable, and write nothing that nobody asked for."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sqlalchemy import create_engine
from store_records import seed
from typer.testing import CliRunner

from cit_core.cli import app
from cit_core.errors import StoreError
from cit_core.store import CapabilityStore, sqlite
from cit_core.store.migrations.revisions import upgrade


def test_sqlite_is_set_up_for_readers_beside_a_writer(sqlite_url: str) -> None:
    with CapabilityStore(sqlite_url) as store, store._reading() as connection:
        asked = ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        found = [connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() for pragma in asked]
    assert found == ["wal", 1, 2, 600_000]


def test_the_switch_to_wal_waits_its_turn(tmp_path: Path) -> None:
    """SQLite answers it with "database is locked" at once, whatever the timeout, while another opens the new file."""
    tries: list[str] = []

    class Busy(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            if "journal_mode" in sql:
                tries.append(sql)
                if len(tries) < 3:
                    raise sqlite3.OperationalError("database is locked")
            return super().execute(sql, *parameters)

    with closing(sqlite3.connect(tmp_path / "new.db", factory=Busy)) as connection:
        sqlite.write_ahead(connection, 10.0)
        assert len(tries) == 3
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        tries.clear()
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            sqlite.write_ahead(connection, 0.0)


def snapshot_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """The database of another application."""
    path = tmp_path / "app" / "app.db"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE customers (name TEXT)")
        connection.execute("INSERT INTO customers VALUES ('one')")
    return path


@pytest.mark.parametrize("create", [True, False])
def test_the_database_of_another_application_is_left_as_it_is(foreign: Path, create: bool) -> None:
    before = snapshot_of(foreign.parent)
    with pytest.raises(StoreError, match=r"belongs to another application: it has 1 tables \('customers'\)"):
        CapabilityStore(f"sqlite:///{foreign}", create=create)
    assert snapshot_of(foreign.parent) == before


def test_reading_verbs_leave_the_database_of_another_application_as_it_is(foreign: Path) -> None:
    before = snapshot_of(foreign.parent)
    for verb in (["models", "list"], ["route", "What?"], ["store", "upgrade"], ["models", "add", "mine"]):
        done = CliRunner().invoke(app, [*verb, "--store", f"sqlite:///{foreign}"])
        assert done.exit_code == 1
        assert "belongs to another application" in done.stderr
    assert snapshot_of(foreign.parent) == before


@pytest.mark.parametrize("content", [None, b""])
def test_without_create_nothing_is_made(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "store.db").write_bytes(content)
    before = snapshot_of(tmp_path)
    with pytest.raises(StoreError, match=rf"no store at sqlite:///{tmp_path}/store.db, and none was made"):
        CapabilityStore(f"sqlite:///{tmp_path}/store.db", create=False)
    assert snapshot_of(tmp_path) == before


def test_an_older_store_is_not_brought_up_to_date_by_who_only_reads(sqlite_url: str, tmp_path: Path) -> None:
    engine = create_engine(sqlite_url)
    with engine.begin() as connection:
        upgrade(connection, sqlite_url, last="0001")
    engine.dispose()
    before = snapshot_of(tmp_path)
    with pytest.raises(
        StoreError, match=f"of an older release; bring it up to date: cit store upgrade --store {sqlite_url}"
    ):
        CapabilityStore(sqlite_url, create=False)
    assert snapshot_of(tmp_path) == before
    assert CliRunner().invoke(app, ["store", "upgrade", "--store", sqlite_url]).exit_code == 0
    with CapabilityStore(sqlite_url, create=False) as store:
        assert store.version == 0


def test_reading_leaves_the_file_as_it_is(sqlite_url: str, tmp_path: Path) -> None:
    with CapabilityStore(sqlite_url) as store:
        seed(store)
    before = snapshot_of(tmp_path)
    with CapabilityStore(sqlite_url) as store:
        assert store.capabilities()
        assert store.items()
    assert snapshot_of(tmp_path) == before


READER = """
import ctypes, os, sys
from cit_core.errors import StoreError
from cit_core.records import Candidate
from cit_core.store import CapabilityStore

if os.getuid() == 0:
    os.setgid(65534), os.setuid(65534)       # root may write everything
store = CapabilityStore(sys.argv[1])
print([candidate.id for candidate in store.candidates()], store.version)
try:
    store.add_candidates([Candidate(id="another")])
except StoreError as error:
    print(error)
"""


@pytest.mark.parametrize("folder_mode", [0o555, 0o755])
def test_a_store_that_may_only_be_read_is_read(folder_mode: int) -> None:
    """Baked into an image, or mounted read-only: WAL cannot keep its files beside it."""
    with TemporaryDirectory() as name:
        folder, url = Path(name), f"sqlite:///{name}/store.db"
        with CapabilityStore(url) as store:
            seed(store)
        (folder / "store.db").chmod(0o444)
        folder.chmod(folder_mode)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", READER, url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
        folder.chmod(0o755)
        assert done.stdout.splitlines()[:1] == ["['small', 'big'] 1"], done.stderr
        assert "you need write permission on the file and its folder" in done.stdout
        assert "another" not in done.stdout.splitlines()[0]


def test_a_store_that_may_only_be_read_and_was_not_closed_says_so(tmp_path: Path) -> None:
    with TemporaryDirectory() as name:
        url = f"sqlite:///{name}/store.db"
        with CapabilityStore(f"sqlite:///{tmp_path}/store.db") as store:
            seed(store)
            for path in tmp_path.glob("store.db*"):
                if not path.name.endswith("-shm"):
                    (Path(name) / path.name).write_bytes(path.read_bytes())
        for path in Path(name).iterdir():
            path.chmod(0o444)
        Path(name).chmod(0o555)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", READER, url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
        Path(name).chmod(0o755)
        assert "was not closed by its last writer" in done.stderr


def test_a_commit_is_on_the_disk_when_it_returns(sqlite_url: str) -> None:
    with CapabilityStore(sqlite_url) as store, store._connections.writing() as connection:
        pragmas = ("synchronous", "journal_mode", "fullfsync")
        assert [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas] == [2, "wal", 1]
