"""Store URLs: read, made absolute, and shown without secrets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from cit_core.errors import InvalidInput

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

__all__ = ["default_file", "parse_url", "secrets_of", "shown", "without_secrets"]

HARMLESS_OPTIONS = frozenset(
    {"application_name", "channel_binding", "connect_timeout", "gssencmode", "host", "keepalives", "port", "service"}
    | {"sslcert", "sslkey", "sslmode", "sslrootcert", "target_session_attrs"}
)
"""Options of a PostgreSQL URL which may be shown; `options` too if it only sets the search path."""
SEARCH_PATH = re.compile(r"-c\s*search_path=[\w,\"$ ]+")
PLAIN_PATH = re.compile(r"([A-Za-z]:)?[^:@?=]*")
"""A file's path in which no password can be."""
NEEDED = "write sqlite:///path/to/store.db or postgresql+psycopg://user:password@host/name"


def parse_url(url: str | None) -> URL:
    """Return the URL of a store, checked and with an absolute path; the default is in the platform's data directory.

    Messages never repeat what may hold a password.

    Raises:
        InvalidInput: If it is not the URL of an SQLite file or a PostgreSQL database.
    """
    from sqlalchemy.engine import URL, make_url
    from sqlalchemy.exc import ArgumentError

    if url is None:
        return URL.create("sqlite", database=str(_default_path()))
    if isinstance(url, Path) or (isinstance(url, str) and "://" not in url and PLAIN_PATH.fullmatch(url)):
        raise InvalidInput(f"{str(url)!r} is not a store URL; write a file as 'sqlite:///{url}'")
    if not isinstance(url, str):
        raise InvalidInput(f"a store URL is a str and {type(url).__name__} came; {NEEDED}")
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise InvalidInput(f"the store URL cannot be read; {NEEDED}") from None
    if parsed.drivername in ("postgresql", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername != "sqlite":
        raise InvalidInput(f"a store cannot be kept in {parsed.drivername!r}; {NEEDED}")
    if parsed.host or parsed.username or parsed.password or parsed.query or parsed.database in (None, "", ":memory:"):
        raise InvalidInput(
            "this SQLite URL names no file, or more than a file; "
            "write sqlite:///relative/path or sqlite:////absolute/path"
        )
    path = Path(parsed.database or "").expanduser()
    if "\0" in str(path):
        raise InvalidInput("the path in the store URL holds the character NUL")
    return parsed.set(database=str(path.absolute()))


def default_file() -> Path | None:
    """Return the file of this user's own store; None if there is none yet, or no home folder is known."""
    try:
        path = _default_path()
        return path if path.stat().st_size else None
    except (InvalidInput, OSError):
        return None


def _default_path() -> Path:
    path = platformdirs.user_data_path("cit-router", appauthor=False) / "store.db"
    if not path.is_absolute():  # a user without a home folder: the store would follow the working directory
        raise InvalidInput("no home folder is known for the default store; set HOME or XDG_DATA_HOME, or name a store")
    return path


def shown(url: URL) -> str:
    """Return a URL for messages and configs: the password and the values of other options are masked."""
    query = {name: value if _is_harmless(name, value) else "***" for name, value in url.query.items()}
    return url.set(query=query).render_as_string()


def without_secrets(url: URL) -> URL:
    """Return a URL that lacks the password and every option which may be one."""
    from sqlalchemy.engine import URL

    query = {name: value for name, value in url.query.items() if _is_harmless(name, value)}
    return URL.create(url.drivername, url.username, None, url.host, url.port, url.database, query)


def secrets_of(url: URL) -> tuple[str, ...]:
    """Return the texts of a URL which no message may repeat, the longest first."""
    values = [value for name, value in url.query.items() if not _is_harmless(name, value)]
    texts = [
        str(url.password or ""),
        *(text for value in values for text in ([value] if isinstance(value, str) else value)),
    ]
    return tuple(sorted(filter(None, texts), key=len, reverse=True))


def _is_harmless(name: str, value: str | tuple[str, ...]) -> bool:
    if name == "options":
        return isinstance(value, str) and SEARCH_PATH.fullmatch(value.strip()) is not None
    return name in HARMLESS_OPTIONS
