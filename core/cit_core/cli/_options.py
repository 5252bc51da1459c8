"""Options that several verbs share, and the store or router that they name."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cit_core.policy import Policy
    from cit_core.router import Router
    from cit_core.store import CapabilityStore

__all__ = [
    "CheckpointOption",
    "IdArgument",
    "JsonOption",
    "OpenRouter",
    "StoreOption",
    "open_router",
    "open_store",
    "split_ids",
    "typed_store",
]

DEFAULT_STORE = "default"

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Id of the model.", show_default=False)]
StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        help="Store: sqlite:///my.db, postgresql://…, or `default` for this user's own.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
CheckpointOption = Annotated[
    str,
    typer.Option("--checkpoint", metavar="NAME|FOLDER", help="Network: a shipped name, an export or a paper run."),
]

OpenRouter = Callable[[str, str | None, Sequence[str] | None, "Policy"], "Router"]
"""(checkpoint, store URL, ids of models, policy) to a router."""


def open_router(checkpoint: str, store: str | None, models: Sequence[str] | None, policy: Policy) -> Router:
    """Build the router of `cit route`: over the shipped catalogue, or over a store if one is given.

    Raises:
        UnknownCandidate: If a model is in neither.
        NoCandidate: If the store holds no candidate.
    """
    from cit_core.router import Router
    from cit_core.router.loading import open_scorer

    if store is None:
        return Router.from_pretrained(checkpoint, models=models, policy=policy)
    with open_store(store) as opened:
        return Router.from_store(opened, open_scorer(checkpoint), models=models, policy=policy)


def open_store(url: str | None, *, create: bool = False, only_existing: bool = False) -> CapabilityStore:
    """Open the store at a URL; None or `default` is this user's own.

    Args:
        url: As `--store` takes it.
        create: Create a SQLite store that does not exist. Verbs that only read do not: a typing error in a URL would
            become an empty store.
        only_existing: With `create`, bring a store of an older release up to date, and do not make a new one.

    Raises:
        StoreError: If the store cannot be opened, or does not exist and must not be created.
    """
    from cit_core.errors import StoreError
    from cit_core.store import CapabilityStore

    url = None if is_default(url) else url
    if only_existing or not create:
        path = sqlite_file(url)
        if path is not None and not (path.exists() and path.stat().st_size):
            raise StoreError(f"no store at {path}; `cit models add`, `cit import` and `cit aptitude run` create one")
    return CapabilityStore(url, create=create)


def is_default(url: str | None) -> bool:
    """Return whether a `--store` means this user's own store."""
    return url is None or url == DEFAULT_STORE


def typed_store(url: str | None) -> str:
    """Return `--store` as an argument for a suggested command: as it was given, without a password."""
    if url is None or is_default(url):
        return DEFAULT_STORE
    from cit_core.store.url import parse_url

    parsed = parse_url(url)
    return shlex.quote(url if parsed.password is None else parsed.render_as_string())


def sqlite_file(url: str | None) -> Path | None:
    """Return the file of a SQLite store, or None for any other store.

    Raises:
        InvalidInput: If the text is not the URL of a store.
    """
    from cit_core.store.url import parse_url

    parsed = parse_url(None if is_default(url) else url)
    return Path(str(parsed.database)) if parsed.get_backend_name() == "sqlite" else None


def split_ids(text: str | None) -> list[str] | None:
    """Return the ids in `a,b`, or None without `--models`.

    Raises:
        InvalidInput: If the text contains no id.
    """
    from cit_core.errors import InvalidInput

    if text is None:
        return None
    ids = [id_ for part in text.split(",") if (id_ := part.strip())]
    if not ids:
        raise InvalidInput(f"--models {text!r} names no model; give ids as in a,b (`cit models list` shows them)")
    return ids
