"""Bring a database to the tables of this release.

Each file in versions/ is one step, never edited after a release. Alembic runs them and is imported only when there is
something to do: opening a store that is up to date compares one revision and is done.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from cit_core.errors import StoreTooNew

__all__ = ["REVISIONS", "VERSION_TABLE", "upgrade"]

REVISIONS = ("0001", "0002")
"""Every revision this release knows, oldest first."""
VERSION_TABLE = "cit_router_revision"
"""Not Alembic's default name: in a shared PostgreSQL database that one belongs to the application."""


def upgrade(engine: Engine) -> None:
    """Run the steps that a database lacks, all in one transaction.

    Safe when several processes open the same new store: whoever gets the writer's turn first does it.

    Args:
        engine: Of the store; the option `writes` makes its transaction take the writer's turn.

    Raises:
        StoreTooNew: If a newer release has written it; nothing is changed.
    """
    with engine.connect() as connection:
        if _revision(connection) == REVISIONS[-1]:
            return
    with engine.execution_options(writes=True).begin() as connection:
        if _revision(connection) != REVISIONS[-1]:
            _run(connection)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    revision: str | None = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608 - a constant
    if revision is not None and revision not in REVISIONS:
        raise StoreTooNew(
            f"the store {connection.engine.url.render_as_string()} has revision {revision!r} and this release knows "
            f"revisions up to {REVISIONS[-1]!r}; it was not changed. Use a newer release: pip install -U cit-router"
        )
    return revision


def _run(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    command.upgrade(config, "head")
