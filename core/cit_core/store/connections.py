"""Connections of a store: transactions in turn, at rest while the process forks, new ones in every child.

SQLite keeps which locks a process holds in the process's memory. A forked child inherits that memory without the locks,
so whatever it writes or closes may lose data, its own and its parent's. Therefore no SQLite connection is open while a
process forks: transactions of other threads end first, and idle connections are closed by the parent. Connections to
PostgreSQL are left to the parent: a child forgets them without a word on the wire.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import ArgumentError

from cit_core.errors import InvalidInput, MissingExtra, StoreError
from cit_core.fork import LONGEST_WAIT_S, abandon, pause_during_fork, renew_after_fork
from cit_core.store import sqlite
from cit_core.store.database_errors import damaged, store_errors
from cit_core.store.writer_queue import WriterQueue, writer_queue_of

__all__ = ["TIMEOUT_S", "Connections"]

TIMEOUT_S: Final = 600.0
"""Longest wait of a writer for the others: longer than any import holds the lock."""
ADVISORY_LOCK: Final = 0x6369745F726F7574
"""The lock that makes PostgreSQL writers take turns; 'cit_rout' in ASCII."""
_unusable: set[str] = set()
"""SQLite files of which this process has inherited an open connection."""


class Connections:
    """Transactions on one database. Safe to share among threads, and usable in a forked child.

    Args:
        url: Address of the database.
        timeout_s: Longest wait of a writer for the others [s].

    Raises:
        MissingExtra: If the database needs a driver that is not installed.
    """

    def __init__(self, url: URL, timeout_s: float = TIMEOUT_S) -> None:
        self.url = url
        self._timeout_s = timeout_s
        self._file = str(url.database) if url.get_backend_name() == "sqlite" else None
        self._identity: sqlite.FileIdentity | None = None
        self._queue = WriterQueue() if self._file is None else writer_queue_of(self._file)
        self._activity = _Activity()
        self._process = os.getpid()
        self._writing: int | None = None
        self._is_at_rest = True
        self._engine = self._new_engine()
        renew_after_fork(self)
        if self._file is not None:
            pause_during_fork(self)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Read one moment of the database.

        Raises:
            StoreError: If the database cannot be read.
        """
        with self._transaction(writes=False) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Write in one transaction, after the writers that came before; it is committed at the end of the block.

        Raises:
            StoreError: If the database cannot be written, or the others take too long.
        """
        self._notice_fork()
        with self._queue.turn(self._timeout_s):
            self._writing = threading.get_ident()
            try:
                with self._transaction(writes=True) as connection:
                    yield connection
            finally:
                self._writing = None

    def is_writing(self) -> bool:
        """Return whether this thread is in a transaction that writes."""
        return self._writing == threading.get_ident()

    def is_missing(self) -> bool:
        """Return whether there is no SQLite file yet."""
        return self._file is not None and not Path(self._file).exists()

    def make_file(self) -> None:
        """Make an SQLite file in which readers can read beside a writer, and its folder; turn an empty one into it.

        Raises:
            StoreError: If it cannot be made.
        """
        if self._file is None:
            return
        try:
            Path(self._file).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"the folder of the store {self._file!r} cannot be made: {error.strerror}") from error
        self._notice_fork()
        with self._activity.use(), store_errors(self.url):
            self._require_usable()
            with closing(sqlite.connect(self._file, create=True, timeout_s=self._timeout_s)) as connection:
                sqlite.write_ahead(connection, self._timeout_s)

    def close(self) -> None:
        """Close every connection that is idle."""
        if self._process == os.getpid():  # a child's inherited connections are its parent's
            self._engine.dispose()
            self._identity = None

    @contextmanager
    def _transaction(self, *, writes: bool) -> Iterator[Connection]:
        self._notice_fork()
        process = self._process
        with self._activity.use(), store_errors(self.url):
            self._require_usable()
            self._require_same_file("nothing was written")
            pool = self._engine.pool
            connection = self._begin(writes)
            try:
                yield connection
                _require_same_process(process)
                connection.commit()
                if writes:
                    self._require_same_file("what was just written went with it")
            finally:
                if process == os.getpid():
                    _give_back(connection, is_closed=self._engine.pool is not pool)
                else:
                    abandon(connection)

    def _begin(self, writes: bool) -> Connection:
        connection = self._engine.connect()
        try:
            if writes:
                connection.execution_options(writes=True)
            elif self._file is None:  # SQLite's transactions are snapshots as they are
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            connection.begin()
        except BaseException:  # also after Ctrl-C: a connection that is not given back is missing for good
            _give_back(connection)
            raise
        return connection

    def _new_engine(self) -> Engine:
        if self._file is None:
            options = {"connect_timeout": 10, "prepare_threshold": None, "client_encoding": "utf8"}
            try:
                engine = create_engine(self.url, pool_pre_ping=True, connect_args=options, hide_parameters=True)
            except ImportError as error:
                raise MissingExtra("psycopg, the PostgreSQL driver,", "postgres") from error
            except (ArgumentError, TypeError, ValueError):  # its text repeats what came
                raise InvalidInput("the store URL has options that PostgreSQL's driver does not know") from None
        else:
            engine = create_engine(self.url, creator=self._connect, max_overflow=-1, hide_parameters=True)
        event.listen(engine, "begin", _Begin(self._timeout_s))
        event.listen(engine, "handle_error", self._read_error, retval=True)
        return engine

    def _read_error(self, context: ExceptionContext) -> BaseException | None:
        """Name the damage where the driver stumbles over what SQLite quotes from a damaged page."""
        return damaged(self.url) if isinstance(context.original_exception, UnicodeDecodeError) else None

    def _connect(self) -> Any:
        assert self._file is not None
        connection = sqlite.connect(self._file, create=False, timeout_s=self._timeout_s)
        if self._identity is None:
            self._identity = sqlite.identity_of(self._file)
        return connection

    def _require_usable(self) -> None:
        if self._file is not None and os.path.realpath(self._file) in _unusable:
            raise StoreError(
                f"the store {self._file} cannot be used in this process: it was forked while a transaction of the "
                "store was open in it, which SQLite does not survive. End the transaction before you fork, open the "
                "store after the fork, or start the process with 'spawn' or 'forkserver' (uWSGI: lazy-apps = true)"
            )

    def _require_same_file(self, consequence: str) -> None:
        if self._file is None or self._identity is None:
            return
        found = sqlite.identity_of(self._file)
        if found != self._identity:
            what = "deleted" if found is None else "replaced by another file"
            raise StoreError(
                f"the store {self._file} was {what} while it was open; {consequence}. "
                "Put the file back, or open the store again"
            )

    def _notice_fork(self) -> None:
        """Renew after a fork without Python's hooks, as by a server written in C."""
        if self._process != os.getpid():
            self._is_at_rest = False
            self._queue._renew_after_fork()
            self._renew_after_fork()

    def _pause_for_fork(self) -> None:
        self._is_at_rest = self._activity.pause(LONGEST_WAIT_S)
        self._engine.dispose()  # idle connections: closed in full, by the process that holds their locks

    def _resume_after_fork(self) -> None:
        self._activity.resume()
        self._is_at_rest = False

    def _renew_after_fork(self) -> None:
        if self._file is not None and not self._is_at_rest:
            _unusable.add(os.path.realpath(self._file))
        abandon(self._engine)
        self._process = os.getpid()
        self._activity = _Activity()
        self._writing = None
        self._is_at_rest = False
        self._engine = self._new_engine()


class _Activity:
    """Running transactions; new ones can be paused."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._threads: dict[object, int] = {}
        self._is_paused = False

    @contextmanager
    def use(self) -> Iterator[None]:
        """Count a transaction; a pause does not block a thread that is in one already."""
        me, token, process = threading.get_ident(), object(), os.getpid()
        with self._changed:
            self._changed.wait_for(lambda: not self._is_paused or me in self._threads.values())
            self._threads[token] = me
        try:
            yield
        finally:
            if process == os.getpid():  # a child has inherited this lock, perhaps while another thread held it
                with self._changed:
                    del self._threads[token]
                    self._changed.notify_all()

    def pause(self, timeout_s: float) -> bool:
        """Block new transactions and wait for the running ones; return True if all of them have ended."""
        me = threading.get_ident()
        with self._changed:
            self._is_paused = True
            self._changed.wait_for(lambda: set(self._threads.values()) <= {me}, timeout_s)
            return not self._threads

    def resume(self) -> None:
        """Allow new transactions again."""
        with self._changed:
            self._is_paused = False
            self._changed.notify_all()


class _Begin:
    """Begin a transaction: a writer takes SQLite's lock, or PostgreSQL's advisory lock, before it reads anything."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s

    def __call__(self, connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
        elif writes:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{int(1000 * self._timeout_s)}ms'")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")


def _require_same_process(process: int) -> None:
    if process != os.getpid():
        raise StoreError(
            "this process was forked while a transaction of the store was open; the transaction is its parent's, and "
            "nothing was written here"
        )


def _give_back(connection: Connection, *, is_closed: bool = False) -> None:
    """Return a connection to its pool; what was not committed is rolled back.

    Args:
        connection: The connection.
        is_closed: True if the pool was closed meanwhile: it would keep the connection open, unseen.
    """
    lives = not connection.closed and not connection.invalidated
    if lives and (is_closed or sqlite.is_snapshot(connection.connection.dbapi_connection)):
        connection.invalidate()
    connection.close()
