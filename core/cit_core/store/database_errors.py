"""Convert errors of the databases and of damaged content to `StoreError` or `InvalidInput`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, ResourceClosedError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from cit_core.errors import CITError, InvalidInput, StoreError
from cit_core.store.url import secrets_of, shown

__all__ = ["damage_errors", "damaged", "store_errors"]

HELP = (
    ("not a database", "give the path of a cit-router store, or of a file that does not exist yet"),
    ("malformed", "the file is damaged: restore it from a backup"),
    ("decode to UTF-8", "the file is damaged: restore it from a backup"),
    ("unable to open", "the path must be a file that you may read, in a folder that you may write to"),
    ("readonly", "you need write permission on the file and its folder; nothing was written"),
    ("read-only", "this database or this role may only read; nothing was written"),
    ("permission denied", "the role needs SELECT on the store's tables to read, and all rights to write"),
    ("disk is full", "make room on the disk; nothing of this transaction was written"),
    ("No space left", "make room on the server's disk; nothing of this transaction was written"),
    ("disk I/O error", "the disk is full or broken; nothing of this transaction was written"),
    ("locked", "another process has been writing for too long: try again when it is done"),
    ("lock timeout", "another process has been writing for too long: try again when it is done"),
    ("no password", "give it in the URL, in PGPASSWORD or in ~/.pgpass"),
    ("connection", "check the host, port, user and password, and that the server runs"),
)
"""A part of what the database says, and what helps."""


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
        raise InvalidInput(f"the store cannot keep a value: {_reason(error, url)}; nothing was written") from error
    except UnicodeEncodeError as error:
        raise InvalidInput(
            f"the store cannot keep a text with {error.object[error.start]!r}, invalid Unicode; nothing was written"
        ) from None
    except (DBAPIError, PoolTimeout, ArgumentError, ResourceClosedError, sqlite3.Error) as error:
        reason = _reason(error, url)
        help_ = next((f"; {help_}" for sign, help_ in HELP if sign in reason), "")
        raise StoreError(f"the store {shown(url)} cannot be used: {reason}{help_}") from error


@contextmanager
def damage_errors(url: URL) -> Iterator[None]:
    """Turn what reading damaged rows raises into one line of ours. Only for code that calls nothing of the user's.

    Raises:
        StoreError: If a row holds what this release never writes.
    """
    try:
        yield
    except UnicodeEncodeError:  # of a text that came, not of one that is stored
        raise
    except CITError as error:
        if type(error) is InvalidInput:  # a record that refuses what was stored
            raise damaged(url) from error
        raise
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError, MemoryError) as error:
        raise damaged(url) from error


def damaged(url: URL) -> StoreError:
    """Return the error which says that a store is damaged."""
    return StoreError(f"the store {shown(url)} holds rows that cannot be read; it is damaged: restore it from a backup")


def _reason(error: Exception, url: URL) -> str:
    """Return the first line of what the database said, without secrets."""
    cause: Any = error.orig if isinstance(error, DBAPIError) else error
    line = next(iter(str(cause).strip().splitlines()), type(cause).__name__)
    for secret in secrets_of(url):
        line = line.replace(secret, "***")
    return line
