"""Queries: tables to records, and outcomes to capabilities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import CTE, ColumnElement, Connection, Integer, Select, Table, bindparam, column, func, select, text

from cit_core.capability import capability_from_results
from cit_core.errors import UnknownCandidate
from cit_core.outcomes import UNASSIGNED
from cit_core.records import Candidate, Capability, Item, Suite, Task, Usage
from cit_core.store.schema import candidates, items, outcomes, settings, sources, staged, tasks

__all__ = [
    "ADAPTIVE",
    "ASKED",
    "LOOKUP",
    "UNASSIGNED",
    "UNCACHED",
    "candidate_key_of",
    "constants",
    "counted",
    "estimate_of",
    "in_batches",
    "is_shown",
    "keys_of",
    "not_staged",
    "read_candidates",
    "read_capabilities",
    "read_items",
    "read_tasks",
]

LOOKUP = 5_000
"""Rows asked for in one query: SQLite takes 32,766 parameters and a million characters in a statement."""
DECIMALS = 9
"""Decimals of an accuracy: far above what the order of a sum can change, far below what can be measured."""
ADAPTIVE = "aptitude-adaptive:"
"""Begin of the sources of adaptive tests. Their questions are no fair draw of a task's: what counts in a capability is
the accuracy that such a test estimates, kept as a setting of the store, unless more questions were asked otherwise."""
ASKED = "asked:"
"""Prefix of the ids of items that only feedback knows."""
UNCACHED = {"compiled_cache": None}
"""Options of statements with literal rows: each has another text, so caching them would only fill the cache."""

T = TypeVar("T")


def in_batches(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of at most `size` rows."""
    iterator = iter(rows)
    while batch := list(islice(iterator, size)):
        yield batch


def constants(rows: Iterable[tuple[int, ...]]) -> CTE:
    """Return a table of integers that is written into the query, with the columns column1, column2, ..."""
    listed = [tuple(map(int, row)) for row in rows]
    values = ",".join(f"({','.join(map(str, row))})" for row in listed)
    columns = [column(f"column{place}", Integer) for place in range(1, len(listed[0]) + 1)]
    return text(f"VALUES {values}").columns(*columns).cte("constants")


KEY_OF = {
    table.name: select(table.c.key).where(table.c.id == bindparam("one"))
    for table in (candidates, items, sources, tasks)
}
"""Statements that are compiled once."""


def keys_of(connection: Connection, table: Table, ids: Iterable[str]) -> dict[str, int]:
    """Return id to key, for the ids that the table has."""
    ids = list(ids)
    if len(ids) == 1:  # feedback comes one outcome at a time, and other writers wait
        key = connection.scalar(KEY_OF[table.name], {"one": ids[0]})
        return {} if key is None else {ids[0]: key}
    return {
        row.id: row.key
        for chunk in in_batches(ids, LOOKUP)
        for row in connection.execute(select(table.c.id, table.c.key).where(table.c.id.in_(chunk)))
    }


def counted() -> ColumnElement[bool]:
    """Return the condition on outcomes that they count: their source is not held."""
    return outcomes.c.source_key.not_in(select(sources.c.key).where(sources.c.held))


def candidate_key_of(connection: Connection, id_: str) -> int:
    """Return the key of a candidate.

    Raises:
        UnknownCandidate: If it is not stored.
    """
    key: int | None = connection.scalar(select(candidates.c.key).where(candidates.c.id == id_, is_shown()))
    if key is None:
        raise UnknownCandidate(id_, connection.scalars(select(candidates.c.id).where(is_shown())), "the store")
    return key


def is_shown() -> ColumnElement[bool]:
    """Return the condition on candidates that no bulk load is still adding them."""
    return candidates.c.key.not_in(select(staged.c.first).where(staged.c.kind == candidates.name))


def not_staged() -> ColumnElement[bool]:
    """Return the condition on outcomes that they belong to no bulk load which has not ended."""
    return outcomes.c.source_key.not_in(select(sources.c.key).where(sources.c.load_key.is_not(None)))


def read_candidates(connection: Connection, *, staged_too: bool = False) -> dict[int, Candidate]:
    """Return every candidate by key, in the order in which they were added.

    Args:
        connection: Connection to read from.
        staged_too: Include those that a bulk load is still adding.
    """
    query = select(candidates).order_by(candidates.c.key)
    rows = connection.execute(query if staged_too else query.where(is_shown())).mappings()
    return {row["key"]: Candidate(**{name: value for name, value in row.items() if name != "key"}) for row in rows}


def read_tasks(connection: Connection) -> dict[int, Task]:
    """Return every task by key, in the order in which they were added."""
    rows = connection.execute(select(tasks).order_by(tasks.c.key))
    return {row.key: Task(id=row.id, keywords=row.keywords) for row in rows}


def read_items(connection: Connection, ids: Iterable[str] | None) -> list[Item]:
    """Return the items with these ids that are stored, or all, in the order in which they were added."""
    columns = items.c
    facts = (columns[name] for name in Item.model_fields if name != "task")
    query = select(columns.key, tasks.c.id.label("task"), *facts).join(tasks)
    if ids is None:
        rows = list(connection.execute(query))
    else:
        chunks = in_batches(dict.fromkeys(ids), LOOKUP)
        rows = [row for chunk in chunks for row in connection.execute(query.where(columns.id.in_(chunk)))]
    rows.sort(key=lambda row: row.key)
    return [Item(**{name: getattr(row, name) for name in Item.model_fields}) for row in rows]


def read_capabilities(
    connection: Connection, suite: Suite | None, candidate_key: int | None = None
) -> list[Capability]:
    """Return the capability of every candidate, or of one.

    Over the whole store, or over a suite's items with the suite's tasks.
    """
    known = read_candidates(connection)
    wanted = known if candidate_key is None else {candidate_key: known[candidate_key]}
    if suite is None:
        reported = {key: task for key, task in read_tasks(connection).items() if task.id != UNASSIGNED}
        totals = list(connection.execute(_totals(candidate_key)))
    else:
        reported = dict(enumerate(suite.tasks))
        totals = _suite_totals(connection, suite, candidate_key)
    results: dict[int, dict[str, tuple[float, int]]] = {key: {} for key in wanted}
    for candidate, task, total, count in totals:
        if task not in reported:
            continue
        before, already = results[candidate].get(reported[task].id, (0.0, 0))
        results[candidate][reported[task].id] = (before + total, already + count)
    keys, ids = {candidate.id: key for key, candidate in wanted.items()}, {task.id for task in reported.values()}
    for id_, task_id, accuracy, count in _estimates(connection, suite):
        if id_ in keys and task_id in ids and count > results[keys[id_]].get(task_id, (0.0, 0))[1]:
            results[keys[id_]][task_id] = (accuracy * count, count)
    usage = _usage(connection, candidate_key)
    return [
        capability_from_results(
            candidate, tuple(reported.values()), _accuracies(results[key]), usage=usage.get(key, Usage())
        )
        for key, candidate in wanted.items()
    ]


def estimate_of(source: str) -> str:
    """Return the name of the setting with the accuracies that an adaptive test has estimated."""
    return f"estimate of {source}"


def _estimates(connection: Connection, suite: Suite | None) -> Iterator[tuple[str, str, float, int]]:
    """Yield candidate, task, accuracy and count of every adaptive test that counts."""
    of_suite = ADAPTIVE if suite is None else f"{ADAPTIVE}{suite.name}@{suite.version}:"
    fair = ~_is_adaptive() | sources.c.held | sources.c.load_key.is_not(None)
    for source in connection.scalars(select(sources.c.id).where(~fair).order_by(sources.c.id)).all():
        if not source.startswith(of_suite):
            continue
        kept = select(settings.c.value).where(settings.c.name == estimate_of(source))
        value = connection.scalar(kept.order_by(settings.c.version.desc()).limit(1)) or {}
        for task, (accuracy, count) in value.get("tasks", {}).items():
            yield value["candidate"], task, accuracy, count


def _is_adaptive() -> ColumnElement[bool]:
    return sources.c.id.like(f"{ADAPTIVE}%")


def _usage(connection: Connection, candidate_key: int | None) -> dict[int, Usage]:
    """Return the means of tokens, cost and latency over every outcome that counts."""
    means = [func.avg(outcomes.c[name]).label(name) for name in Usage.model_fields]
    query = select(outcomes.c.candidate_key, *means).where(counted()).group_by(outcomes.c.candidate_key)
    if candidate_key is not None:
        query = query.where(outcomes.c.candidate_key == candidate_key)
    return {
        row["candidate_key"]: Usage(**{name: float(row[name]) for name in Usage.model_fields if row[name] is not None})
        for row in connection.execute(query).mappings()
    }


def _accuracies(totals: dict[str, tuple[float, int]]) -> dict[str, tuple[float, int]]:
    """Return rounded accuracies: databases add up in any order, and equal outcomes must give an equal fingerprint."""
    return {task: (round(total / count, DECIMALS), count) for task, (total, count) in totals.items()}


def _suite_totals(connection: Connection, suite: Suite, candidate_key: int | None) -> list[Any]:
    keys = keys_of(connection, items, dict.fromkeys(suite.item_ids))
    assigned = [
        (keys[item], place)
        for place, task in enumerate(suite.tasks)
        for item in dict.fromkeys(suite.items[task.id])
        if item in keys
    ]
    return [
        row
        for chunk in in_batches(assigned, LOOKUP)
        for row in connection.execute(_totals(candidate_key, constants(chunk)), execution_options=UNCACHED)
    ]


def _totals(candidate_key: int | None, assigned: CTE | None = None) -> Select[Any]:
    """Select (candidate, task, sum over items of the mean over sources, number of items).

    With `assigned`, of (item key, task's place in the suite), only its items count, under its tasks.
    """
    table = outcomes.c
    query = select(table.candidate_key, table.item_key, func.avg(table.correct).label("correct")).where(
        counted(), table.source_key.not_in(select(sources.c.key).where(_is_adaptive()))
    )
    if candidate_key is not None:
        query = query.where(table.candidate_key == candidate_key)
    if assigned is not None:
        query = query.where(table.item_key.in_(select(assigned.c.column1)))
    item = query.group_by(table.candidate_key, table.item_key).subquery("item")
    if assigned is None:
        joined, task = item.join(items, items.c.key == item.c.item_key), items.c.task_key.label("task")
    else:
        joined, task = item.join(assigned, assigned.c.column1 == item.c.item_key), assigned.c.column2.label("task")
    return (
        select(item.c.candidate_key, task, func.sum(item.c.correct), func.count())
        .select_from(joined)
        .group_by(item.c.candidate_key, task)
    )
