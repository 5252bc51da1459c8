"""Options that several verbs share, and the store or router that they name."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cit_core.evaluate.log_records import Logged
    from cit_core.policy import Policy
    from cit_core.router import Router
    from cit_core.settings import Settings
    from cit_core.store import CapabilityStore

__all__ = [
    "CATALOGUE",
    "DEFAULT_STORE",
    "CheckpointOption",
    "IdArgument",
    "JsonOption",
    "LogOption",
    "OpenRouter",
    "StoreOption",
    "config",
    "is_default",
    "open_log",
    "open_router",
    "open_store",
    "reads_catalogue",
    "settings",
    "split_ids",
    "sqlite_file",
    "typed_store",
]

CATALOGUE = "catalogue"
DEFAULT_STORE = "default"
config: ContextVar[Path | None] = ContextVar("config", default=None)
"""The file of `cit --config`."""

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Id of the model.", show_default=False)]
StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        help="Store: sqlite:///my.db, postgresql://…, `default` for this user's own, or `catalogue` for the shipped "
        "models. Default: the settings' store, else this user's own.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
CheckpointOption = Annotated[
    str,
    typer.Option("--checkpoint", metavar="NAME|FOLDER", help="Network: a shipped name, an export or a paper run."),
]

LogOption = Annotated[
    str | None,
    typer.Option(
        "--log",
        metavar="FILE|URL",
        help="Log of decisions: a file, or a store. Default: the settings' log.",
    ),
]

OpenRouter = Callable[[str, str | None, Sequence[str] | None, "Policy"], "Router"]
"""(checkpoint, store URL, ids of models, policy) to a router."""


def settings() -> Settings:
    """Return the settings of this run: `cit.toml` or the file of `cit --config`, and the environment above it."""
    from cit_core.settings import read_settings

    return read_settings(config.get())


def open_router(checkpoint: str, store: str | None, models: Sequence[str] | None, policy: Policy) -> Router:
    """Build the router of `cit route`: among the models that are named, those of a store, or today's of the catalogue.

    Raises:
        UnknownCandidate: If a model is not known at all.
        NoCandidate: If the store holds no candidate.
    """
    from cit_core.catalogue.default_zoo import zoo_for
    from cit_core.router import Router
    from cit_core.router.loading import open_scorer

    found = settings()
    limits: dict[str, Any] = {"policy": policy, "constraints": found.constraints}
    wanted = models if models is not None else [model.id for model in found.models] or None
    with nullcontext() if reads_catalogue(store) else open_store(store) as opened:
        if wanted is not None and _from_elsewhere(wanted, found, opened):
            return Router.from_config(found.among(wanted), store=opened, checkpoint=checkpoint, **limits)
        if opened is None:
            zoo = zoo_for(os.environ) if wanted is None else wanted
            router = Router.from_pretrained(checkpoint, models=zoo, **limits)
            if wanted is None:
                _name_default_zoo(len(zoo))
            return router
        return Router.from_store(opened, open_scorer(checkpoint), models=wanted, **limits)


def _name_default_zoo(number: int) -> None:
    """Say on stderr which models stand in for those that nobody named."""
    from cit_core.catalogue.default_zoo import keys_of
    from cit_core.cli import _output
    from cit_core.settings import FILE

    keys = " and ".join(keys_of(os.environ).values())
    which = f"for which there is {keys}" if keys else "that people call today"
    _output.note(
        f"no models are named: routed among {number} {which}; name yours with --models, CIT_MODELS or [[models]] in "
        f"{FILE}"
    )


def _from_elsewhere(ids: Sequence[str], found: Settings, store: CapabilityStore | None) -> bool:
    """Return whether a model is in the settings, or publicly known, and not in the store (or the measured catalogue).

    Raises:
        UnknownCandidate: If a model is not known: on a command line, that is a typing error.
    """
    from cit_core.catalogue import catalogue_candidates
    from cit_core.catalogue.aliases import find_id
    from cit_core.catalogue.facts import current_models, find_model
    from cit_core.errors import UnknownCandidate

    candidates = catalogue_candidates() if store is None else store.candidates()
    measured, known = [candidate.id for candidate in catalogue_candidates()], [one.id for one in candidates]
    for id_ in ids:
        if id_ in {*known, *measured} or found.find(id_) is not None:
            continue
        if find_id(id_, candidates) is None and find_model(id_) is None:
            where = "the catalogue" if store is None else f"{store.url} and the catalogue"
            raise UnknownCandidate(id_, {*known, *measured, *(model.id for model in current_models())}, where)
    return any(map(found.find, ids)) or not {*ids} <= {*known}


def open_store(url: str | None, *, create: bool = False, only_existing: bool = False) -> CapabilityStore:
    """Open the store at a URL; None is that of the settings, and this user's own if they name none.

    Args:
        url: As `--store` takes it.
        create: Create a SQLite store that does not exist. Verbs that only read do not: a typing error in a URL would
            become an empty store.
        only_existing: With `create`, bring a store of an older release up to date, and do not make a new one.

    Raises:
        StoreError: If the store cannot be opened, or does not exist and must not be created.
        InvalidInput: If it is the catalogue.
    """
    from cit_core.errors import StoreError
    from cit_core.store import CapabilityStore

    path = sqlite_file(url)
    if (only_existing or not create) and path is not None and not (path.exists() and path.stat().st_size):
        raise StoreError(f"no store at {path}; `cit models add`, `cit import` and `cit aptitude run` create one")
    return CapabilityStore(_address(url), create=create)


def _address(url: str | None) -> str | None:
    """Return the URL of a store; None for this user's own.

    Raises:
        InvalidInput: If it is the catalogue.
    """
    from cit_core.errors import InvalidInput

    chosen = settings().store if url is None else url
    if chosen == CATALOGUE:
        raise InvalidInput("the catalogue is read and never written; name a store, as in `cit doctor --store default`")
    return None if chosen == DEFAULT_STORE else chosen


def open_log(given: str | None) -> list[Logged]:
    """Read the log that `--log` or the settings name.

    Raises:
        InvalidInput: If none is named or there is none.
        StoreError: If its store cannot be opened.
    """
    from cit_core.errors import InvalidInput
    from cit_core.evaluate.log_records import read_logged
    from cit_core.router.decision_log import read_log

    found = settings()
    chosen = given or found.log
    if chosen is None:
        raise InvalidInput("no log is named; give --log decisions.jsonl, or log = 'decisions.jsonl' under [router]")
    if chosen == "store" or "://" in chosen or chosen == DEFAULT_STORE:
        with open_store(None if chosen == "store" else chosen) as store:
            return read_logged(read_log(store))
    return read_logged(read_log(chosen))


def is_default(url: str | None) -> bool:
    """Return whether a `--store` means this user's own store."""
    return _address(url) is None


def reads_catalogue(url: str | None) -> bool:
    """Return whether a verb that reads takes the shipped catalogue: named, or because there is no store."""
    from cit_core.store.url import default_file

    chosen = settings().store if url is None else url
    return default_file() is None if chosen is None else chosen == CATALOGUE


def typed_store(url: str | None) -> str:
    """Return a store as an argument for a suggested command: as it was given, without a password."""
    from cit_core.store.url import parse_url

    address = _address(url)
    if address is None:
        return DEFAULT_STORE
    parsed = parse_url(address)
    return shlex.quote(address if parsed.password is None else parsed.render_as_string())


def sqlite_file(url: str | None) -> Path | None:
    """Return the file of a SQLite store, or None for any other store.

    Raises:
        InvalidInput: If the text is not the URL of a store.
    """
    from cit_core.store.url import parse_url

    parsed = parse_url(_address(url))
    return Path(str(parsed.database)) if parsed.get_backend_name() == "sqlite" else None


def split_ids(text: str | None, option: str = "--models") -> list[str] | None:
    """Return the ids in `a,b`, or None without `--models`.

    Raises:
        InvalidInput: If the text contains no id.
    """
    from cit_core.errors import InvalidInput

    if text is None:
        return None
    ids = [id_ for part in text.split(",") if (id_ := part.strip())]
    if not ids:
        raise InvalidInput(f"{option} {text!r} names no model; give ids as in a,b (`cit models list` shows them)")
    return ids
