"""From a URL to an engine whose transactions begin as the store needs them, and from its errors to ours.

There is one writer at a time on every database: `BEGIN IMMEDIATE` on SQLite, an advisory lock on PostgreSQL.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import platformdirs
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from cit_core.errors import InvalidInput, MissingExtra, StoreError

__all__ = ["open_engine", "parse_url", "store_errors"]

BUSY_TIMEOUT_S = 120
"""How long a writer waits for another; a one-transaction import of a million rows holds the lock for half of that."""
CACHED_STATEMENTS = 16
"""Prepared statements a SQLite connection keeps; those that spell out their rows hold a megabyte each."""
ADVISORY_LOCK = 0x6369745F726F7574
"""The lock that makes PostgreSQL writers take turns; 'cit_rout' in ASCII."""


def parse_url(url: str | None) -> URL:
    """The URL of a store, checked; the file in the platform's data directory if there is none.

    Raises:
        InvalidInput: If it is not the URL of an SQLite file or a PostgreSQL database.
    """
    if url is None:
        path = platformdirs.user_data_path("cit-router", appauthor=False) / "store.db"
        return URL.create("sqlite", database=str(path))
    if not isinstance(url, str) or "://" not in url:
        raise InvalidInput(f"{str(url)!r} is not a store URL; write a file as 'sqlite:///{url}'")
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # its text may hold a password, so it is not repeated
        raise InvalidInput("the store URL cannot be read; write postgresql+psycopg://user:password@host/name") from None
    if parsed.drivername in ("postgresql", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername != "sqlite":
        raise InvalidInput(
            f"a store cannot be kept in {parsed.drivername!r}; write sqlite:///path or postgresql+psycopg://host/name"
        )
    if parsed.host or parsed.query or parsed.database in (None, "", ":memory:"):
        raise InvalidInput(f"{url!r} names no file; write sqlite:///relative/path or sqlite:////absolute/path")
    return parsed.set(database=str(Path(parsed.database or "").expanduser()))


def open_engine(url: URL) -> Engine:
    """An engine whose transactions begin as the store needs them; the option `writes` asks for the writer's turn.

    Raises:
        MissingExtra: If the database needs a driver that is not installed.
        StoreError: If the folder of an SQLite file cannot be made.
    """
    if url.get_backend_name() == "sqlite":
        connect_args = {"timeout": BUSY_TIMEOUT_S, "cached_statements": CACHED_STATEMENTS}
        engine = create_engine(url, connect_args=connect_args)
        event.listen(engine, "connect", _configure_sqlite)
        try:
            Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"the folder of the store {url.database!r} cannot be made: {error}") from error
    else:
        try:
            engine = create_engine(url, connect_args={"connect_timeout": 10})
        except ImportError as error:
            raise MissingExtra("psycopg, the PostgreSQL driver,", "postgres") from error
    event.listen(engine, "begin", _begin)
    return engine


def _configure_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # no implicit BEGIN from the driver: `_begin` decides
    for pragma in ("foreign_keys = ON", "synchronous = NORMAL", "cache_size = -65536"):
        connection.execute(f"PRAGMA {pragma}")
    _write_ahead(connection)


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to WAL, which every connection to a new file tries: SQLite does not wait its turn here, so we do."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
    elif writes:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{BUSY_TIMEOUT_S}s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")


@contextmanager
def store_errors(url: URL) -> Iterator[None]:
    """Turn what the database says into one line of ours.

    Raises:
        InvalidInput: If a value does not fit into the database.
        StoreError: If the database cannot be used.
    """
    try:
        yield
    except DataError as error:
        raise InvalidInput(f"the store cannot keep a value: {_first_line(error)}; nothing was written") from error
    except (DBAPIError, PoolTimeout) as error:
        reason = _first_line(error)
        raise StoreError(f"the store {url.render_as_string()} cannot be used: {reason}{_help(reason)}") from error


def _first_line(error: Exception) -> str:
    cause: Any = error.orig if isinstance(error, DBAPIError) else error
    return next(iter(str(cause).strip().splitlines()), type(cause).__name__)


def _help(reason: str) -> str:
    for sign, help_ in (
        ("not a database", "; give the path of a cit-router store, or of a file that does not exist yet"),
        ("malformed", "; the file is damaged: restore it from a backup"),
        ("unable to open", "; the path must be a file in a folder you may write to"),
        ("readonly", "; you need write permission on the file and its folder"),
        ("locked", f"; another process has been writing for {BUSY_TIMEOUT_S} s: try again when it is done"),
        ("lock timeout", f"; another process has been writing for {BUSY_TIMEOUT_S} s: try again when it is done"),
        ("connection", "; check the host, port, user and password, and that the server runs"),
    ):
        if sign in reason:
            return help_
    return ""
