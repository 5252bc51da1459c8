"""SQLite connections are durable, and write nothing that nobody asked for."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cit_core.store import CapabilityStore, sqlite


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
