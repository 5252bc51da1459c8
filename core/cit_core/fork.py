"""Renew in a forked child what it must not share with its parent: locks, threads, connections, sessions."""

from __future__ import annotations

import os
import weakref
from typing import Protocol

__all__ = ["Renewable", "renew_after_fork"]


class Renewable(Protocol):
    """An object that can replace its inherited state."""

    def _renew_after_fork(self) -> None:
        """Replace locks and abandon connections and threads; runs in the child, before any other code of it.

        Abandon, never close: the parent still uses the same sockets and files.
        """
        ...


_owners: dict[int, weakref.ref[Renewable]] = {}


def renew_after_fork(owner: Renewable) -> None:
    """Call `owner._renew_after_fork()` in every child that is forked from now on, as long as the owner lives."""
    key = id(owner)
    _owners[key] = weakref.ref(owner, lambda _: _forget(key))


def _forget(key: int) -> None:
    _owners.pop(key, None)


def _renew_all() -> None:
    for reference in list(_owners.values()):
        owner = reference()
        if owner is not None:
            owner._renew_after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_renew_all)
