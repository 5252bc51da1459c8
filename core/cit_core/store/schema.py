"""Tables of this release.

Facts are narrow: an outcome is three integer keys and its numbers, so a million of them stay small. A change here needs
a new file in migrations/versions; a test compares the two.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    Dialect,
    Double,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    false,
)

__all__ = [
    "candidates",
    "decision_log",
    "items",
    "loads",
    "metadata",
    "outcomes",
    "settings",
    "sources",
    "spend",
    "staged",
    "tasks",
    "versions",
]

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Moment(TypeDecorator[datetime]):
    """Time as microseconds since 1970 in UTC: exact and the same on every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Return what the database keeps."""
        return None if value is None else (value - EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Return the time that the database keeps."""
        return None if value is None else EPOCH + timedelta(microseconds=value)


metadata = MetaData()

candidates = Table(
    "candidates",
    metadata,
    Column("key", Integer, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("context_window", BigInteger),
    Column("price_in", Double),
    Column("price_out", Double),
    Column("modalities", JSON, nullable=False),
    Column("tools", Boolean),
    Column("structured_output", Boolean),
    Column("released", Date),
    Column("params_b", Double),
    Column("license", Text),
    Column("notes", Text, nullable=False),
    Column("aliases", JSON, nullable=False, server_default="[]"),
    Column("max_output", BigInteger),
    Column("price_cached", Double),
    Column("reasoning", Boolean),
    Column("effort", Text),
    Column("deprecated", Date),
    Column("successor", Text),
    Column("source", Text),
    Column("price_cache_write", Double),
    Column("price_tiers", JSON, nullable=False, server_default="[]"),
)

tasks = Table(
    "tasks",
    metadata,
    Column("key", Integer, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("keywords", JSON, nullable=False),
)

items = Table(
    "items",
    metadata,
    Column("key", Integer, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("task_key", ForeignKey(tasks.c.key), nullable=False, index=True),
    Column("instruction", Text),
    Column("options", JSON, nullable=False),
    Column("answer", Text),
    Column("vector", LargeBinary),  # of the instruction, for evidence; float16, NULL until it is encoded
    Column("grader", Text),
    Column("assigned", Boolean, nullable=False, server_default=false()),
    Column("encoder", Text),  # which trunk made the vector: those of another one cannot be compared
)

sources = Table(
    "sources",
    metadata,
    Column("key", Integer, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("held", Boolean, nullable=False, server_default=false()),
    # `held`: kept, but not counted yet, as of a test that is under way, or failed
    Column("load_key", Integer),  # of the load which stages outcomes here; hidden from readers
)

loads = Table(
    "loads",
    metadata,
    Column("key", Integer, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("touched", Moment, nullable=False),  # when it last wrote: one that is left behind is removed some day
)

staged = Table(
    "staged",
    metadata,
    Column("load_key", ForeignKey(loads.c.key), primary_key=True),
    Column("kind", Text, primary_key=True),  # what this load did to rows of a table: see bulk_load.py
    Column("first", Integer, primary_key=True),
    Column("last", Integer, nullable=False),
    Column("before", JSON(none_as_null=True)),  # of an item that was changed: the columns as they were
)

outcomes = Table(
    "outcomes",
    metadata,
    # The identity is the primary key, in the order in which capabilities are averaged.
    Column("candidate_key", ForeignKey(candidates.c.key), primary_key=True),
    Column("item_key", ForeignKey(items.c.key), primary_key=True, index=True),
    Column("source_key", ForeignKey(sources.c.key), primary_key=True),
    Column("correct", Double, nullable=False),
    Column("when", Moment, nullable=False),
    Column("cost_usd", Double),
    Column("latency_s", Double),
    Column("prompt_tokens", BigInteger),
    Column("completion_tokens", BigInteger),
    Column("answer", Text),
    sqlite_with_rowid=False,
)

versions = Table(
    "versions",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("when", Moment, nullable=False),
    Column("what", Text, nullable=False),
)

spend = Table(
    "spend",
    metadata,
    Column("name", Text, primary_key=True),  # of the policy that has the limit
    Column("tenant", Text, primary_key=True),
    Column("bucket", BigInteger, primary_key=True, autoincrement=False),
    Column("queries", Double, nullable=False),
    Column("amount", Double, nullable=False),
)

decision_log = Table(
    "decision_log",
    metadata,
    Column("key", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("when", Moment, nullable=False),
    Column("record", Text, nullable=False),
)

settings = Table(
    "settings",
    metadata,
    Column("version", ForeignKey(versions.c.number), primary_key=True),  # the state of the store they were fitted on
    Column("name", Text, primary_key=True),
    Column("value", JSON, nullable=False),
)
