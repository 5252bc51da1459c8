"""Write in one transaction."""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Table, and_, bindparam, delete, func, insert, select, update

from cit_core.errors import InvalidInput, StoreError, UnknownCandidate
from cit_core.records import Candidate, Item, Outcome, Task, require_unique
from cit_core.store.database_errors import damage_errors
from cit_core.store.import_summary import BatchResult, Conflict
from cit_core.store.item_merge import differs, merge_items
from cit_core.store.queries import (
    LOOKUP,
    UNCACHED,
    candidate_key_of,
    constants,
    in_batches,
    keys_of,
    read_candidates,
    read_items,
    read_tasks,
)
from cit_core.store.schema import candidates, items, loads, outcomes, settings, sources, staged, tasks, versions
from cit_core.store.sources import delete_source

__all__ = ["BatchResult", "Conflict", "Writer"]

CHANGED = "changed item"
"""Kind of a row of `staged`: an item which the load has changed."""
KEPT = "kept item"
"""Kind of a row of `staged`: an item which the load has added and another writer has given too."""

FEW = 8
"""Maximum number of outcomes that are looked up one by one."""

ANY_LOAD = select(loads.c.key).limit(1)
LAST_VERSION = select(func.max(versions.c.number))
STORED = select(outcomes.c.correct, outcomes.c.when).where(
    outcomes.c.candidate_key == bindparam("candidate"),
    outcomes.c.item_key == bindparam("item"),
    outcomes.c.source_key == bindparam("source"),
)
"""Statements that are compiled once: other writers wait."""

Identity = tuple[int, int, int]
"""Keys of the candidate, the item and the source."""


class Writer:
    """Writes in the transaction that `CapabilityStore.transaction` has opened, until it ends."""

    def __init__(self, connection: Connection) -> None:
        self._opened = connection, os.getpid()
        self._changes: Counter[str] = Counter()
        self._settings: dict[str, Any] = {}

    @property
    def _connection(self) -> Connection:
        connection, process = self._opened
        if os.getpid() != process:
            raise StoreError("this transaction belongs to the process that was forked; begin one of your own")
        return connection

    def add_candidates(self, given: Iterable[Candidate], *, replace: bool = False) -> int:
        """Add candidates; return how many were new or changed.

        Raises:
            InvalidInput: If an id is stored with other facts and `replace` is not set.
        """
        return self._save(candidates, given, {candidate.id: candidate for candidate in self.candidates()}, replace)

    def add_tasks(self, given: Iterable[Task], *, replace: bool = False) -> int:
        """Add tasks; return how many were new or changed.

        Raises:
            InvalidInput: If an id is stored with other keywords and `replace` is not set.
        """
        return self._save(tasks, given, {task.id: task for task in self.tasks()}, replace)

    def add_items(self, given: Iterable[Item], *, replace: bool = False) -> int:
        """Add items, or what was not known about them; return how many were new or changed.

        Raises:
            InvalidInput: If a task is not stored, or an item is stored with another text or task and `replace` is
                not set.
        """
        batch = list(given)
        stored = self.find_items(item.id for item in batch)
        if not replace:
            batch = [merge_items(stored[item.id], item) if item.id in stored else item for item in batch]
        saved = self._save(items, batch, stored, True)
        known = ((stored[item.id].instruction, item) for item in batch if item.id in stored)
        stale = [item.id for before, item in known if before is not None and item.instruction != before]
        self._update(items, [{"id": id_, "vector": None, "encoder": None} for id_ in stale])
        return saved

    def candidates(self) -> tuple[Candidate, ...]:
        """Return every candidate, with those of this transaction and of bulk loads that have not ended."""
        with damage_errors(self._connection.engine.url):
            return tuple(read_candidates(self._connection, staged_too=True).values())

    def tasks(self) -> tuple[Task, ...]:
        """Return every task, those of this transaction included."""
        with damage_errors(self._connection.engine.url):
            return tuple(read_tasks(self._connection).values())

    def find_items(self, ids: Iterable[str]) -> dict[str, Item]:
        """Return the items with these ids that are stored, those of this transaction included."""
        with damage_errors(self._connection.engine.url):
            return {item.id: item for item in read_items(self._connection, ids)}

    def add_outcomes(self, given: Iterable[Outcome]) -> BatchResult:
        """Add a batch of outcomes that fits in memory.

        Raises:
            InvalidInput: If a candidate or an item is not stored.
        """
        batch = list(given)
        identities = self._identities(batch)
        seen = self._stored(identities)
        fresh, known, conflicts = [], 0, []
        for position, (identity, outcome) in enumerate(zip(identities, batch, strict=True)):
            before = seen.setdefault(identity, outcome)
            if before is outcome:
                fresh.append(_outcome_row(identity, outcome))
            elif before.correct == outcome.correct:
                known += 1
            else:
                conflicts.append(Conflict(position, outcome, before.correct, before.when))
        fresh.sort(key=lambda row: (row["candidate_key"], row["item_key"]))  # the index grows in its own order
        self._insert(outcomes, fresh)
        return BatchResult(len(fresh), known, tuple(conflicts))

    def hold(self, source: str) -> None:
        """Keep a source's outcomes, present and future, without counting them until it is released."""
        self._hold(source, True)

    def release(self, source: str) -> None:
        """Count a source's outcomes from now on."""
        self._hold(source, False)

    def set_vectors(self, vectors: Mapping[str, NDArray[np.floating]], encoder: str) -> None:
        """Keep the vectors of items that are stored, as float16.

        Args:
            vectors: Item id to vector.
            encoder: Name of the encoder that made them; vectors of another one cannot be compared with them.
        """
        rows = [
            {"id": id_, "vector": vector.astype("<f2").tobytes(), "encoder": encoder} for id_, vector in vectors.items()
        ]
        self._update(items, rows)

    def set_setting(self, name: str, value: Any, *, replace: bool = False) -> None:
        """Keep a value that was fitted on this store, with the version that this transaction makes.

        Args:
            name: Name of the setting.
            value: Anything that JSON can hold.
            replace: Remove earlier values, which stay with their versions otherwise.
        """
        self._settings[name] = value
        if replace:
            self._connection.execute(delete(settings).where(settings.c.name == name))
        self._changes[f"setting {name!r}"] += 1

    def remove_candidate(self, id_: str) -> None:
        """Remove a candidate and all its outcomes.

        Raises:
            UnknownCandidate: If it is not stored; the message names the closest ids.
        """
        key = candidate_key_of(self._connection, id_)
        gone = self._connection.execute(delete(outcomes).where(outcomes.c.candidate_key == key)).rowcount
        self._connection.execute(delete(candidates).where(candidates.c.key == key))
        self._changes[f"candidate removed: {id_!r}"] += 1
        self._changes["outcomes removed"] += gone

    def remove_source(self, id_: str) -> None:
        """Remove a source and all its outcomes; candidates and items stay.

        Raises:
            InvalidInput: If there is none of this name; the message names the closest.
        """
        gone = delete_source(self._connection, id_)
        self._changes[f"source removed: {id_!r}"] += 1
        self._changes["outcomes removed"] += gone

    def _save(
        self, table: Table, given: Iterable[Candidate | Task | Item], stored: Mapping[str, Any], replace: bool
    ) -> int:
        records = list(given)
        require_unique((record.id for record in records), f"ids of {table.name}")
        fresh = [record for record in records if record.id not in stored]
        changed = [record for record in records if record.id in stored and stored[record.id] != record]
        if changed and not replace:
            raise differs(table.name, stored[changed[0].id], changed[0])
        self._claim(table, [record.id for record in records if record.id in stored])
        self._insert(table, self._rows(fresh))
        self._update(table, self._rows(changed))
        return len(fresh) + len(changed)

    def _claim(self, table: Table, ids: Sequence[str]) -> None:
        """Keep rows that a bulk load has added and that are now given here too, even if the load is removed."""
        if not (ids and self._loads_run()):
            return
        keys = list(keys_of(self._connection, table, ids).values())
        if table is candidates:
            self._claim_candidates(keys)
        elif table is tasks:
            self._connection.execute(delete(staged).where(staged.c.kind == table.name, staged.c.first.in_(keys)))
        else:
            self._claim_items(sorted(keys))

    def _loads_run(self) -> bool:
        """Return whether there are bulk loads which have not ended, this one aside."""
        return self._connection.scalar(ANY_LOAD) is not None

    def _claim_candidates(self, keys: Iterable[int]) -> None:
        """Show candidates to readers at once which a bulk load has added."""
        kind = staged.c.kind == candidates.name
        waiting = set(self._connection.scalars(select(staged.c.first).where(kind)))
        mine = sorted(waiting & set(keys))
        if mine:
            self._connection.execute(delete(staged).where(kind, staged.c.first.in_(mine)))

    def _claim_items(self, keys: Sequence[int]) -> None:
        ranges = select(staged.c.load_key, staged.c.first, staged.c.last).where(staged.c.kind == items.name)
        noted = select(staged.c.load_key, staged.c.first).where(staged.c.kind == KEPT)
        known = {tuple(row) for row in self._connection.execute(noted)}
        kept = [
            {"load_key": row.load_key, "kind": KEPT, "first": key, "last": key}
            for row in self._connection.execute(ranges).all()
            for key in keys[bisect_left(keys, row.first) : bisect_right(keys, row.last)]
            if (row.load_key, key) not in known
        ]
        if kept:
            self._connection.execute(insert(staged), kept)

    def _rows(self, records: Iterable[Candidate | Task | Item]) -> list[dict[str, Any]]:
        rows = [record.model_dump() for record in records]
        if rows and "task" in rows[0]:  # items name their task by key
            keys = keys_of(self._connection, tasks, {row["task"] for row in rows})
            for row in rows:
                if row["task"] not in keys:
                    raise InvalidInput(
                        f"item {row['id']!r} names task {row['task']!r}, which is not stored; add it first"
                    )
                row["task_key"] = keys[row.pop("task")]
        return rows

    def _insert(self, table: Table, rows: Sequence[dict[str, Any]]) -> None:
        if rows:
            self._execute(insert(table), rows)
            self._changes[table.name] += len(rows)

    def _update(self, table: Table, rows: Sequence[dict[str, Any]]) -> None:
        if rows:
            values: dict[str, Any] = {name: bindparam(name) for name in rows[0] if name != "id"}
            found = table.c.id == bindparam("found")  # SQLAlchemy keeps the columns' own names for the new values
            self._execute(update(table).where(found).values(values), [{"found": row["id"], **row} for row in rows])
            self._changes[table.name] += len(rows)

    def _execute(self, statement: Any, rows: Sequence[dict[str, Any]]) -> None:
        try:
            self._connection.execute(statement, rows)
        except OverflowError as error:
            raise InvalidInput(f"the store cannot keep a number: {error}; nothing was written") from None

    def _identities(self, batch: Sequence[Outcome]) -> list[Identity]:
        candidate_keys = keys_of(self._connection, candidates, {outcome.candidate for outcome in batch})
        item_keys = keys_of(self._connection, items, {outcome.item for outcome in batch})
        source_keys = self._source_keys({outcome.source for outcome in batch})
        if self._loads_run():
            self._claim_candidates(candidate_keys.values())
        try:
            return [(candidate_keys[o.candidate], item_keys[o.item], source_keys[o.source]) for o in batch]
        except KeyError:
            outcome = next(o for o in batch if o.candidate not in candidate_keys or o.item not in item_keys)
            if outcome.candidate not in candidate_keys:
                known = [candidate.id for candidate in self.candidates()]
                raise UnknownCandidate(outcome.candidate, known, "the store") from None
            raise InvalidInput(f"no item {outcome.item!r} in the store; add it with add_items first") from None

    def _hold(self, source: str, held: bool) -> None:
        self._source_keys({source})
        changed = update(sources).where(sources.c.id == source, sources.c.held != held).values(held=held)
        self._changes[f"source {'held' if held else 'released'}: {source!r}"] += self._connection.execute(
            changed
        ).rowcount

    def _source_keys(self, ids: set[str]) -> dict[str, int]:
        keys = keys_of(self._connection, sources, ids)
        if ids - keys.keys():
            self._execute(insert(sources), [{"id": id_, "held": False} for id_ in sorted(ids - keys.keys())])
            keys = keys_of(self._connection, sources, ids)
        return keys

    def _stored(self, identities: Sequence[Identity]) -> dict[Identity, Any]:
        """Return the stored rows of these outcomes; `correct` and `when` are read as of an outcome."""
        table, found = outcomes.c, {}
        if len(identities) <= FEW:
            return self._stored_few(identities)
        for chunk in in_batches(identities, LOOKUP):
            wanted = constants(chunk)
            query = select(table.candidate_key, table.item_key, table.source_key, table.correct, table.when).join(
                wanted,
                and_(
                    table.candidate_key == wanted.c.column1,
                    table.item_key == wanted.c.column2,
                    table.source_key == wanted.c.column3,
                ),
            )
            for row in self._connection.execute(query, execution_options=UNCACHED):
                found[row.candidate_key, row.item_key, row.source_key] = row
        return found

    def _stored_few(self, identities: Sequence[Identity]) -> dict[Identity, Any]:
        """Look up one by one, with a statement that is compiled once: feedback comes one outcome at a time."""
        found = {}
        for candidate, item, source in identities:
            row = self._connection.execute(STORED, {"candidate": candidate, "item": item, "source": source}).first()
            if row is not None:
                found[candidate, item, source] = row
        return found

    def count_version(self) -> None:
        """Add a row to the versions if something was changed; the store calls it before it commits."""
        changes = [f"{count} {what}" for what, count in self._changes.items() if count]
        if changes:
            number = (self._connection.scalar(LAST_VERSION) or 0) + 1
            row = {"number": number, "when": datetime.now(timezone.utc), "what": ", ".join(changes)}
            self._connection.execute(insert(versions), row)
            fitted = [{"version": number, "name": name, "value": value} for name, value in self._settings.items()]
            if fitted:
                self._connection.execute(insert(settings), fitted)


def _outcome_row(identity: Identity, outcome: Outcome) -> dict[str, Any]:
    return {
        "candidate_key": identity[0],
        "item_key": identity[1],
        "source_key": identity[2],
        "correct": outcome.correct,
        "when": outcome.when,
        "cost_usd": outcome.cost_usd,
        "latency_s": outcome.latency_s,
        "prompt_tokens": outcome.prompt_tokens,
        "completion_tokens": outcome.completion_tokens,
        "answer": outcome.answer,
    }
