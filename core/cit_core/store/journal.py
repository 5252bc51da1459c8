"""What routing itself keeps in a store: spend of shared budgets, and the log of decisions.

Neither is knowledge about candidates: writing it makes no version, and no snapshot is stale for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from cit_core.policy import Spend
from cit_core.store.queries import in_batches
from cit_core.store.schema import decision_log, spend

__all__ = ["add_log", "add_spend", "read_log", "read_spend"]


def add_spend(connection: Connection, name: str, spends: Iterable[Spend], keep_from: int | Mapping[str, int]) -> None:
    """Add to the buckets of a limit, and remove those before `keep_from`: of all tenants, or each its own.

    The connection has the writer's turn.
    """
    table = spend.c
    this = (table.name == name, table.tenant == bindparam("of"), table.bucket == bindparam("at"))
    for one in spends:
        changed = connection.execute(
            update(spend)
            .where(*this)
            .values(queries=table.queries + bindparam("more"), amount=table.amount + bindparam("usd")),
            {"of": one.tenant, "at": one.bucket, "more": one.queries, "usd": one.amount},
        )
        if not changed.rowcount:
            connection.execute(insert(spend).values(name=name, **one._asdict()))
    if isinstance(keep_from, Mapping):
        for tenant, first in keep_from.items():
            old = (table.name == name, table.tenant == tenant, table.bucket < first)
            connection.execute(delete(spend).where(*old))
    else:
        connection.execute(delete(spend).where(table.name == name, table.bucket < keep_from))


def read_spend(connection: Connection, name: str, tenants: Iterable[str]) -> list[Spend]:
    """Return what is kept of some tenants, oldest first."""
    table, found = spend.c, []
    for batch in in_batches(tenants, 500):
        query = select(table.tenant, table.bucket, table.queries, table.amount).order_by(table.bucket)
        rows = connection.execute(query.where(table.name == name, table.tenant.in_(batch)))
        found += [Spend(*row) for row in rows]
    return found


def add_log(connection: Connection, records: Iterable[str], keep: int) -> None:
    """Append records to the log, and remove the oldest beyond `keep`."""
    now = datetime.now(timezone.utc)
    rows = [{"when": now, "record": record} for record in records]
    if rows:
        connection.execute(insert(decision_log), rows)
    last = connection.scalar(select(func.max(decision_log.c.key))) or 0
    connection.execute(delete(decision_log).where(decision_log.c.key <= last - keep))


def read_log(connection: Connection) -> Iterator[str]:
    """Yield the records of the log, oldest first."""
    query = select(decision_log.c.record).order_by(decision_log.c.key)
    yield from connection.execution_options(yield_per=5_000).scalars(query)
