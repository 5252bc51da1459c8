"""Connections to an SQLite file: durable, for readers beside a writer, writing only in transactions that ask for it."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import Final
from urllib.parse import quote

from cit_core.errors import StoreError

__all__ = ["FileIdentity", "connect", "identity_of", "is_snapshot", "write_ahead"]

CACHED_STATEMENTS: Final = 16
"""Prepared statements a connection keeps; those that spell out their rows hold a megabyte each."""
PRAGMAS: Final = (
    "foreign_keys = ON",
    "synchronous = FULL",  # a commit that has returned survives a power cut: one fsync each
    "fullfsync = ON",  # macOS; elsewhere it does nothing
    "cache_size = -65536",  # KiB
    "cell_size_check = ON",  # a damaged page is an error, not rows made of other bytes
    "trusted_schema = OFF",
)

FileIdentity = tuple[int, int]
"""Device and inode."""


class _Snapshot(sqlite3.Connection):
    """Connection to a file as it is now: later changes by others are not seen."""


def connect(path: str, *, create: bool, timeout_s: float) -> sqlite3.Connection:
    """Open a file, in which nothing is written until a transaction asks for it.

    A WAL database in a folder without write permission is read as it is on the disk.

    Args:
        path: Absolute.
        create: Make a file that is not there.
        timeout_s: Longest wait for the lock of another process [s].

    Raises:
        StoreError: If the folder may not be written and holds changes that only a writer can take in.
        sqlite3.Error: If the file cannot be opened.
    """
    mode = "rwc" if create else "rw"
    try:
        return _open(sqlite3.Connection, path, f"mode={mode}", timeout_s)
    except sqlite3.OperationalError as error:
        if not _needs_write_permission(error, path):
            raise
        if _size(f"{path}-wal"):
            raise StoreError(
                f"the store {path} was not closed by its last writer, and its folder may not be written: "
                "give write permission on the folder once, or close the store where it is written"
            ) from error
    return _open(_Snapshot, path, "mode=ro&immutable=1", timeout_s)


def is_snapshot(connection: object) -> bool:
    """Return whether a connection reads a file as it was when it was opened; it must not be used for long."""
    return isinstance(connection, _Snapshot)


def identity_of(path: str) -> FileIdentity | None:
    """Return which file is at a path; None if there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - asked twice per transaction
    except OSError:
        return None
    return found.st_dev, found.st_ino


def write_ahead(connection: sqlite3.Connection, timeout_s: float) -> None:
    """Switch a new file to WAL. SQLite does not wait for its turn here, so this function does."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def _open(factory: type[sqlite3.Connection], path: str, options: str, timeout_s: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(path)}?{options}",
        uri=True,
        timeout=timeout_s,
        cached_statements=CACHED_STATEMENTS,
        check_same_thread=False,  # the pool hands a connection to one thread at a time
        isolation_level=None,  # no implicit BEGIN from the driver
        factory=factory,
    )
    try:
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()  # whether it can be read
    except sqlite3.Error:
        connection.close()
        raise
    except UnicodeDecodeError as error:  # the driver stumbles over what SQLite quotes from a damaged page
        connection.close()
        raise sqlite3.DatabaseError("database disk image is malformed") from error
    return connection


def _needs_write_permission(error: sqlite3.OperationalError, path: str) -> bool:
    """Return whether a readable file could not be read for want of the files that WAL keeps beside it."""
    return Path(path).is_file() and ("readonly" in str(error) or "unable to open" in str(error))


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0
