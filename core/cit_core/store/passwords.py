"""Passwords of stores that this process has opened, so that copies of a store need not carry them."""

from __future__ import annotations

from multiprocessing.context import get_spawning_popen

from sqlalchemy.engine import URL

from cit_core.store.url import without_secrets

__all__ = ["complete_url", "portable_url", "remember_password"]

_opened: dict[str, str] = {}
"""URL without secrets to URL: of this process, and of those forked from it."""


def remember_password(url: URL) -> None:
    """Keep a URL for copies of its store in this process and in its children."""
    _opened[_text(without_secrets(url))] = _text(url)


def portable_url(url: URL) -> str:
    """Return the URL to pickle: without secrets, unless the pickle goes straight to a process that is being started.

    `multiprocessing` treats its own authentication keys like that: they pass through a pipe to the new process and
    are never kept anywhere.
    """
    return _text(url if get_spawning_popen() is not None else without_secrets(url))


def complete_url(portable: str) -> str:
    """Return the URL with the secrets of a store that was opened here, or as it came.

    libpq then looks for a password in PGPASSWORD and in ~/.pgpass.
    """
    return _opened.get(portable, portable)


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)
