"""Queue for writers: they write in the order in which they asked, threads and processes alike.

SQLite lets waiting writers poll for its lock, so that a busy one takes it again before they look: with eight writers
one may wait for 20 s. The queue is for fairness alone. SQLite's own lock still keeps two writers apart, so a queue that
cannot be used (a folder without write permission, a platform without `fcntl`) changes only the order of writers.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Final
from weakref import WeakValueDictionary, finalize

from cit_core.errors import StoreError
from cit_core.fork import renew_after_fork

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

__all__ = ["FairLock", "TicketQueue", "WriterQueue", "writer_queue_of"]

SHORTEST_SLEEP_S: Final = 0.0005
LONGEST_SLEEP_S: Final = 0.01
TAKEN: Final = 0
"""Offset in the file of the last number that was taken."""
SERVED: Final = 8
"""Offset in the file of the number of the last writer that got its turn; a hint, for how often to look."""
NUMBER_BYTES: Final = 8


class WriterQueue:
    """The writers of one database: threads of this process in order, then processes in order.

    Args:
        path: File for the queue of processes; None if the database has a fair queue of its own.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._threads = FairLock()
        self._processes = None if path is None else TicketQueue(path)
        renew_after_fork(self)

    @contextmanager
    def turn(self, timeout_s: float) -> Iterator[None]:
        """Wait for the writers that came before.

        Raises:
            StoreError: If those of this process take longer than `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        with self._threads.hold(timeout_s):
            if self._processes is None:
                yield
            else:
                with self._processes.turn(deadline - time.monotonic()):
                    yield

    def _renew_after_fork(self) -> None:
        self._threads = FairLock()  # the file is kept: locks on it belong to a process, and a child has none


_queues: WeakValueDictionary[str, WriterQueue] = WeakValueDictionary()


def writer_queue_of(database: str) -> WriterQueue:
    """Return the queue of an SQLite file, the same for every store of this process that is kept in it."""
    real = os.path.realpath(database)
    with _registry:
        queue = _queues.get(real)
        if queue is None:
            queue = _queues[real] = WriterQueue(Path(f"{real}-queue"))
        return queue


_registry = threading.Lock()


class FairLock:
    """Lock for threads that is handed over in the order in which they asked."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._taken = False

    @contextmanager
    def hold(self, timeout_s: float) -> Iterator[None]:
        """Hold the lock.

        Raises:
            StoreError: If the others take longer than `timeout_s`.
        """
        if not self._acquire(timeout_s):
            raise StoreError(f"another thread has been writing for {timeout_s:g} s: try again when it is done")
        try:
            yield
        finally:
            self._release()

    def _acquire(self, timeout_s: float) -> bool:
        with self._mutex:
            if not self._taken:
                self._taken = True
                return True
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        handed = False
        try:
            handed = mine.acquire(timeout=min(timeout_s, threading.TIMEOUT_MAX))
        finally:
            if not handed:
                handed = self._leave(mine)
        return handed

    def _leave(self, mine: threading.Lock) -> bool:
        """Leave the queue; return whether the lock was handed over at the last moment."""
        with self._mutex:
            if mine in self._waiting:
                self._waiting.remove(mine)
                return False
        return True

    def _release(self) -> None:
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False


class TicketQueue:
    """Queue of processes in a file beside the database; use it from one thread at a time.

    A writer takes the next number under a short lock, locks the byte of that number, and waits for the byte before it.
    The kernel frees the bytes of a process which dies.

    Args:
        path: File of the queue; made by the first writer and left there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    @contextmanager
    def turn(self, timeout_s: float) -> Iterator[None]:
        """Wait until all earlier writers have written; go on regardless after `timeout_s`."""
        ticket = self._take(time.monotonic() + timeout_s) if self._opened() else None
        try:
            yield
        finally:
            if ticket is not None:
                self._unlock(ticket)

    def _opened(self) -> bool:
        if self._file is None and fcntl is not None:
            try:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            except OSError:  # a folder without write permission: the database raises, if it matters
                return False
            finalize(self, os.close, self._file)
        return self._file is not None

    def _take(self, deadline: float) -> int | None:
        """Return the number that was taken, once it is its turn or the time is up; None where locks do not work."""
        try:
            ticket = self._next_number(deadline)
            if ticket is not None and ticket > 1:
                self._follow(ticket, deadline)
        except OSError:  # a full disk, or a file system without locks: the database raises, if it matters
            return None
        return ticket

    def _next_number(self, deadline: float) -> int | None:
        if not self._wait_for(0, deadline):
            return None
        try:
            ticket = self._read(TAKEN) % 2**60 + 1
            self._write(TAKEN, ticket)
            return ticket if self._lock(ticket) else None
        finally:
            self._unlock(0)

    def _follow(self, ticket: int, deadline: float) -> None:
        """Wait for the writer before this one."""
        came = False
        try:
            if self._wait_for(ticket - 1, deadline):
                self._unlock(ticket - 1)
            self._write(SERVED, ticket)
            came = True
        finally:
            if not came:  # interrupted: no other writer shall wait for one that does not write
                self._unlock(ticket)

    def _wait_for(self, place: int, deadline: float) -> bool:
        """Lock a byte: look often if it is the next to become free, and more rarely the longer that takes."""
        since = time.monotonic()
        while not self._lock(place):
            now = time.monotonic()
            if now > deadline:
                return False
            if self._read(SERVED) < place:  # others come first
                since = now
                time.sleep(LONGEST_SLEEP_S / 2)
            else:
                time.sleep(min(LONGEST_SLEEP_S, max(SHORTEST_SLEEP_S, (now - since) / 20)))
        return True

    def _read(self, place: int) -> int:
        assert self._file is not None
        return int.from_bytes(os.pread(self._file, NUMBER_BYTES, place), "little")

    def _write(self, place: int, number: int) -> None:
        assert self._file is not None
        os.pwrite(self._file, number.to_bytes(NUMBER_BYTES, "little"), place)

    def _lock(self, place: int) -> bool:
        assert fcntl is not None
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                return False
            raise
        return True

    def _unlock(self, place: int) -> None:
        assert fcntl is not None
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, place)
