"""Orderly shutdown: the interpreter does not exit while a thread is inside native code.

A daemon thread that comes back from onnxruntime, a tokenizer or pydantic after Python has begun to take itself down is
ended by unwinding its stack, which C++ and Rust answer with an abort of the whole process.
"""

from __future__ import annotations

import atexit
import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from cit_core.fork import renew_after_fork

__all__ = ["leave_at_once", "uninterrupted"]

LONGEST_WAIT_S = 30.0
"""Longest time that the interpreter waits for running native code at exit [s]."""


class _Gate:
    """Counts the threads inside, and lets no daemon thread in once the end has begun."""

    def __init__(self) -> None:
        self._depth = threading.local()
        self._renew_after_fork()
        renew_after_fork(self)

    def _renew_after_fork(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._inside = 1 if getattr(self._depth, "now", 0) else 0
        self._closing = False

    def enter(self) -> None:
        depth = getattr(self._depth, "now", 0)
        if not depth:
            with self._changed:
                while self._closing and threading.current_thread() is not threading.main_thread():
                    self._changed.wait()  # for ever: this is a daemon thread, and the process ends
                self._inside += 1
        self._depth.now = depth + 1

    def leave(self) -> None:
        self._depth.now -= 1
        if not self._depth.now:
            with self._changed:
                self._inside -= 1
                if self._closing and not self._inside:
                    self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.wait_for(lambda: not self._inside, LONGEST_WAIT_S)


_gate = _Gate()
atexit.register(_gate.close)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Keep the interpreter from leaving until the block has ended; a thread may enter again while it is inside."""
    _gate.enter()
    try:
        yield
    finally:
        _gate.leave()


def leave_at_once() -> None:
    """End this process, once Python has been taken down, without the destructors of native libraries.

    For a forked child: those of onnxruntime wait for threads that stayed with the parent. Output is flushed, and the
    exit status is kept. Where the C library has no `on_exit`, nothing is changed.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "on_exit"):
        libc.on_exit(libc._exit, None)  # handlers run last in, first out: what was registered before is passed over
        libc.__cxa_atexit(libc.fflush, None, None)
