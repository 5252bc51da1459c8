"""Renew the state of a forked child that it must not share with its parent: locks, threads, connections, sessions."""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

__all__ = ["Pausable", "Renewable", "abandon", "no_fork", "pause_during_fork", "renew_after_fork"]

LONGEST_WAIT_S = 10.0
"""Longest time that a fork waits for pausable objects [s]."""


class Renewable(Protocol):
    """An object that can replace its inherited state."""

    def _renew_after_fork(self) -> None:
        """Replace locks and abandon connections and threads; runs in the child, before any other code of it.

        Abandon, never close: the parent still uses the same sockets and files.
        """
        ...


class Pausable(Protocol):
    """An object that must be idle while the process is forked."""

    def _pause_for_fork(self) -> None:
        """Finish what is under way and begin nothing new; runs in the parent, before the fork, in bounded time."""
        ...

    def _resume_after_fork(self) -> None:
        """Go on; runs in the parent. In the child, `_renew_after_fork` does."""
        ...


T = TypeVar("T")


class _Owners(Generic[T]):
    """Objects that asked to be called, in the order in which they asked, as long as they live."""

    def __init__(self) -> None:
        self._references: dict[int, weakref.ref[T]] = {}

    def add(self, owner: T) -> None:
        key = id(owner)
        self._references[key] = weakref.ref(owner, lambda _: self._forget(key))

    def living(self) -> list[T]:
        owners = (reference() for reference in list(self._references.values()))
        return [owner for owner in owners if owner is not None]

    def __contains__(self, key: int) -> bool:
        return key in self._references

    def _forget(self, key: int) -> None:
        self._references.pop(key, None)


_owners: _Owners[Renewable] = _Owners()
_pausable: _Owners[Pausable] = _Owners()


def renew_after_fork(owner: Renewable) -> None:
    """Call `owner._renew_after_fork()` in every child that is forked from now on, as long as the owner lives."""
    _owners.add(owner)


def abandon(inherited: object) -> None:
    """Keep an inherited object alive for the lifetime of this process.

    For objects of native code with threads, which the child does not have: ending one would wait for them for ever.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(inherited))


def pause_during_fork(owner: Pausable) -> None:
    """Call `owner._pause_for_fork()` before every fork and `owner._resume_after_fork()` after it, in the parent."""
    _pausable.add(owner)


class _Gate:
    """Held by a thread in `no_fork`, and by a thread that forks."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.held = False

    def _pause_for_fork(self) -> None:
        self.held = self.lock.acquire(timeout=LONGEST_WAIT_S)

    def _resume_after_fork(self) -> None:
        if self.held:
            self.lock.release()

    def _renew_after_fork(self) -> None:
        self.lock = threading.RLock()


_gate = _Gate()
pause_during_fork(_gate)
renew_after_fork(_gate)


@contextmanager
def no_fork() -> Iterator[None]:
    """Keep other threads from forking until the block has ended: for imports and native code that hold locks.

    Python's lock of a module that another thread was importing at the fork is never released in the child.
    """
    with _gate.lock:
        yield


def _pause_all() -> None:
    for owner in _pausable.living():
        owner._pause_for_fork()


def _resume_all() -> None:
    for owner in _pausable.living():
        owner._resume_after_fork()


def _renew_all() -> None:
    for owner in _owners.living():
        owner._renew_after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(before=_pause_all, after_in_parent=_resume_all, after_in_child=_renew_all)
