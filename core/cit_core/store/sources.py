"""Sources of outcomes: what each has given, and taking it back."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, select

from cit_core.errors import InvalidInput
from cit_core.messages import closest, shown
from cit_core.store.schema import outcomes, sources

__all__ = ["Source", "delete_source", "read_sources"]


class Source(NamedTuple):
    """A source of outcomes: a file, a test, feedback."""

    id: str
    outcomes: int
    candidates: int
    """Number of candidates with outcomes of this source."""
    since: datetime | None
    """`when` of the oldest outcome; None where there is none."""
    until: datetime | None
    """`when` of the newest."""
    held: bool
    """True if its outcomes are stored and not counted yet."""


def read_sources(connection: Connection) -> tuple[Source, ...]:
    """Return every source, in the order in which they came."""
    table = outcomes.c
    counts = (
        func.count(table.item_key),
        func.count(table.candidate_key.distinct()),
        func.min(table.when),
        func.max(table.when),
    )
    query = select(sources.c.id, *counts, sources.c.held).select_from(sources.outerjoin(outcomes))
    query = query.where(sources.c.load_key.is_(None)).group_by(sources.c.key, sources.c.id, sources.c.held)
    return tuple(Source(*row) for row in connection.execute(query.order_by(sources.c.key)))


def delete_source(connection: Connection, id_: str) -> int:
    """Delete a source with its outcomes; return how many these were.

    Raises:
        InvalidInput: If there is none of this name; the message names the closest.
    """
    known = select(sources.c.id).where(sources.c.load_key.is_(None))
    _require_known(id_, connection.scalars(known).all())
    key = connection.scalar(select(sources.c.key).where(sources.c.id == id_))
    gone = connection.execute(delete(outcomes).where(outcomes.c.source_key == key)).rowcount
    connection.execute(delete(sources).where(sources.c.key == key))
    return gone


def _require_known(id_: str, known: Collection[str]) -> None:
    if id_ not in known:
        close = ", ".join(shown(name, 512) for name in closest(id_, known)) or "there is none"
        raise InvalidInput(f"no source {shown(id_)} in the store; closest: {close}; `cit models sources` lists them")
