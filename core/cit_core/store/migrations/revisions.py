"""Bring a database to the tables of this release.

Each file in versions/ is one step, never edited after a release. Alembic's `Operations` write the DDL for both
databases; its process-wide `context` and `op` are left alone, because they may belong to the application, or to another
thread which opens a store of its own. Only these steps import Alembic: a new database is given the tables as they are
today, and one that is up to date is opened as it is.
"""

from __future__ import annotations

from importlib import import_module

from sqlalchemy import Column, Connection, MetaData, String, Table, insert, inspect, update
from sqlalchemy import select as select_

from cit_core.errors import StoreError, StoreTooNew
from cit_core.store.schema import metadata

__all__ = ["REVISIONS", "VERSION_TABLE", "revision_of", "upgrade"]

STEPS = {
    "0001": "m0001_first_tables",
    "0002": "m0002_measuring",
    "0003": "m0003_loads",
    "0004": "m0004_candidate_facts",
    "0005": "m0005_spend_and_log",
    "0006": "m0006_prices",
}
REVISIONS = tuple(STEPS)
"""Every revision this release knows, oldest first."""
VERSION_TABLE = "cit_router_revision"
"""Table of the revision. Alembic's default name may belong to the application in a shared PostgreSQL database."""

_revision_table = Table(VERSION_TABLE, MetaData(), Column("version_num", String(32), primary_key=True))


def revision_of(connection: Connection, shown_url: str) -> str | None:
    """Return the revision of a database, None if it has no tables of ours. Reads only.

    Raises:
        StoreTooNew: If a newer release has written it.
        StoreError: If the database belongs to another application.
    """
    tables = set(inspect(connection).get_table_names())
    if VERSION_TABLE not in tables:
        _require_free(connection, tables, shown_url)
        return None
    revision: str | None = connection.scalar(select_(_revision_table.c.version_num))
    if revision is not None and revision not in REVISIONS:
        raise StoreTooNew(
            f"the store {shown_url} has revision {revision!r} and this release knows "
            f"revisions up to {REVISIONS[-1]!r}; it was not changed. Use a newer release: pip install -U cit-router"
        )
    return revision


def upgrade(connection: Connection, shown_url: str, last: str = REVISIONS[-1]) -> None:
    """Run the steps that a database lacks, in the transaction of the connection, which holds the writer's turn.

    Args:
        connection: Connection in a transaction that writes.
        shown_url: Address of the store, for messages.
        last: Revision to stop at.

    Raises:
        StoreTooNew: If a newer release has written it; nothing is changed.
        StoreError: If the database belongs to another application; nothing is changed.
    """
    found = revision_of(connection, shown_url)
    if found is None and last == REVISIONS[-1]:
        metadata.create_all(connection, checkfirst=False)
        _write_revision(connection, last)
        return
    done = 0 if found is None else REVISIONS.index(found) + 1
    for revision in REVISIONS[done : REVISIONS.index(last) + 1]:
        _run(connection, revision)


def _require_free(connection: Connection, tables: set[str], shown_url: str) -> None:
    """Raise if the tables are those of another application: any of them in a file, ours by name in PostgreSQL."""
    in_the_way = tables if connection.dialect.name == "sqlite" else tables & set(metadata.tables)
    if in_the_way:
        names = ", ".join(repr(name) for name in sorted(in_the_way)[:3])
        raise StoreError(
            f"the database {shown_url} belongs to another application: it has {len(in_the_way)} tables ({names}) and "
            f"none of a cit-router store. It was not changed; give the store a file, database or schema of its own"
        )


def _run(connection: Connection, revision: str) -> None:
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext

    step = import_module(f"cit_core.store.migrations.versions.{STEPS[revision]}")
    step.upgrade(Operations(MigrationContext.configure(connection)))
    if step.down_revision is None:
        _write_revision(connection, revision)
    else:
        connection.execute(update(_revision_table).values(version_num=revision))


def _write_revision(connection: Connection, revision: str) -> None:
    _revision_table.create(connection, checkfirst=True)
    connection.execute(insert(_revision_table).values(version_num=revision))
