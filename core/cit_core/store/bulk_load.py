"""Bulk loads: outcomes that are written in batches, between which others write, and that count all at once.

    with store.bulk_load() as load:
        for rows in in_batches(parsed, 10_000):     # parsing holds no lock
            with load.batch() as writer:            # a short transaction with the usual Writer
                writer.add_items(...)
                writer.add_outcomes(...)

Until the end, the outcomes are in sources of the load's own, which are held and hidden from readers. At the end they
are given to their sources in one transaction. An error takes back everything that the load has added; a load in a
process that was killed stays unseen and is removed by a later one.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta, timezone
from itertools import repeat
from typing import Any, Final, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Table, and_, delete, exists, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from cit_core.errors import StoreError
from cit_core.store.queries import LOOKUP, in_batches, keys_of
from cit_core.store.schema import Moment, candidates, items, loads, outcomes, sources, staged, tasks
from cit_core.store.writer import CHANGED, KEPT, Identity, Writer

__all__ = ["ABANDONED_AFTER", "BulkLoad", "NotFresh", "OutcomeColumns", "StagingWriter"]

ABANDONED_AFTER: Final = timedelta(hours=1)
"""A load that has not written for so long was killed."""
REMOVED: Final = f"this load was removed, because it wrote nothing for {ABANDONED_AFTER}; start it again"
AT_ONCE: Final = 10_000
"""Outcomes that one transaction takes back."""
MOST_KEYS: Final = 200_000
"""Items of which a load remembers the keys."""

Transaction = Callable[[Callable[[Connection], Writer]], AbstractContextManager[Writer]]
"""Opens a transaction with a writer of this kind."""


class NotFresh(Exception):
    """Columns hold an outcome that is stored already; the transaction must be left and nothing is kept of it."""


class OutcomeColumns(NamedTuple):
    """Outcomes of one source by columns, valid and none twice; `None` in a list or for a list is not known."""

    candidates: Sequence[str]
    candidate: NDArray[np.int64]
    """Place in `candidates` of each outcome's."""
    items: Sequence[str]
    item: NDArray[np.int64]
    """Place in `items` of each outcome's."""
    source: str
    when: datetime
    correct: NDArray[np.float64]
    measured: Mapping[str, Sequence[float | None] | None]
    """Columns of costs, times and tokens."""


class BulkLoad:
    """A load under way; `CapabilityStore.bulk_load` gives it out.

    Attributes:
        superseded: Outcomes that another writer stored, from the same source, while this load was under way: theirs
            count. Known at the end.
        replaced: Outcomes of the same sources that were there before and were removed. Known at the end.
    """

    def __init__(self, transaction: Transaction, *, replace: bool = False) -> None:
        self.superseded = self.replaced = 0
        self._replace = replace
        self._transaction = transaction
        self._id = uuid.uuid4().hex
        self._key: int | None = None
        self._held: set[str] = set()
        self._changes: Counter[str] = Counter()
        self._item_keys: dict[str, int] = {}

    def hold(self, source: str) -> None:
        """Keep this source's outcomes uncounted after the end too, if the store does not know the source yet."""
        self._held.add(source)

    @contextmanager
    def batch(self) -> Iterator[StagingWriter]:
        """Write a batch in a transaction of its own, all of it or nothing; other writers pass between two batches.

        Candidates and outcomes are not seen by readers until the load ends. Items and tasks are, at once.

        Raises:
            StoreError: If the store cannot be written, or this load was removed because it rested for too long.
        """
        before = self._key
        try:
            with self._transaction(self._writer) as writer:
                yield cast(StagingWriter, writer)
        except BaseException:
            self._key = before  # of a first batch, the row of the load was rolled back too
            raise
        self._changes += writer._changes
        if len(self._item_keys) > MOST_KEYS:
            self._item_keys.clear()
        self._item_keys.update(cast(StagingWriter, writer).found)  # they have outcomes of this load, so they stay

    def _writer(self, connection: Connection) -> StagingWriter:
        now = datetime.now(timezone.utc)
        if self._key is None:
            connection.execute(insert(loads), [{"id": self._id, "touched": now}])
        else:
            connection.execute(update(loads).where(loads.c.id == self._id).values(touched=now))
        key = connection.scalar(select(loads.c.key).where(loads.c.id == self._id))
        if key is None:
            raise StoreError(REMOVED)
        self._key = key
        return StagingWriter(connection, self._id, key, self._item_keys, replace=self._replace)

    def publish(self) -> None:
        """Count everything from now on, in one transaction."""
        if self._key is None:
            return
        with self._transaction(Writer) as writer:
            self._publish(writer, self._key)
        self._key = None

    def _publish(self, writer: Writer, key: int) -> None:
        connection = writer._connection
        if connection.scalar(select(loads.c.key).where(loads.c.key == key, loads.c.id == self._id)) is None:
            raise StoreError(REMOVED)
        mine = select(sources.c.key, sources.c.id).where(sources.c.load_key == key)
        replaced = _clear_sources(connection, key, _prefix(self._id)) if self._replace else 0
        superseded = sum(
            _give_to_source(connection, row.key, row.id.removeprefix(_prefix(self._id)), self._held)
            for row in connection.execute(mine).all()
        )
        seen = select(staged.c.first).where(staged.c.load_key == key, staged.c.kind == candidates.name)
        connection.execute(delete(staged).where(staged.c.kind == candidates.name, staged.c.first.in_(seen)))
        _forget(connection, [key])
        self.superseded, self.replaced = superseded, replaced
        writer._changes += self._changes
        writer._changes[outcomes.name] -= superseded
        writer._changes["outcomes removed"] += replaced

    def discard(self) -> None:
        """Take back everything that this load has added."""
        if self._key is not None:
            self._take_back(self._key)
            self._key = None

    def remove_abandoned(self) -> None:
        """Take back what loads have left behind that were killed."""
        with self._transaction(Writer) as writer:
            long_ago = datetime.now(timezone.utc) - ABANDONED_AFTER
            keys = writer._connection.scalars(select(loads.c.key).where(loads.c.touched < long_ago)).all()
        for key in keys:
            self._take_back(key)

    def _take_back(self, key: int) -> None:
        """Remove the load: outcomes of some candidates at a time, so that others can pass; then everything else."""
        mine = select(sources.c.key).where(sources.c.load_key == key)
        candidate = outcomes.c.candidate_key
        with self._transaction(Writer) as writer:
            of_load = select(candidate, func.count()).where(outcomes.c.source_key.in_(mine)).group_by(candidate)
            counts = writer._connection.execute(of_load.order_by(candidate)).all()
        for first, last in _stretches(counts):
            with self._transaction(Writer) as writer:
                of_some = and_(candidate.between(first, last), outcomes.c.source_key.in_(mine))
                writer._connection.execute(delete(outcomes).where(of_some))
        with self._transaction(Writer) as writer:
            _take_back_rows(writer._connection, key)


class StagingWriter(Writer):
    """Writer of a batch of a load: outcomes go to sources of the load, and what is added is written down.

    Args:
        connection: Connection in a transaction that writes.
        load: Id of the load.
        key: Its key.
        item_keys: Keys of items that this load has outcomes of.
        replace: What the sources have now does not count: it is going to be removed.

    Attributes:
        found: Keys of further ones, of which columns were added.
    """

    def __init__(
        self, connection: Connection, load: str, key: int, item_keys: Mapping[str, int], *, replace: bool = False
    ) -> None:
        super().__init__(connection)
        self._item_keys = item_keys
        self.found: dict[str, int] = {}
        self._replace = replace
        self._prefix = _prefix(load)
        self._load_key = key

    def count_version(self) -> None:
        """Count nothing: the end of the load is one version."""

    def add_columns(self, columns: OutcomeColumns) -> None:
        """Add outcomes of stored candidates and items, none of which may be stored yet.

        Raises:
            NotFresh: If one is, or an item is not.
        """
        candidate_keys = keys_of(self._connection, candidates, columns.candidates)
        lacking = [id_ for id_ in columns.items if id_ not in self._item_keys]
        found = keys_of(self._connection, items, lacking)
        source = self._source_keys({columns.source})[columns.source]
        if len(found) < len(lacking):  # others have taken some back since this load found them
            raise NotFresh
        if self._loads_run():
            self._claim_candidates(candidate_keys.values())
        candidate = np.array([candidate_keys[id_] for id_ in columns.candidates])[columns.candidate]
        item = np.array([self._item_keys.get(id_) or found[id_] for id_ in columns.items])[columns.item]
        if self._final and not self._replace:
            (final,) = self._final.values()
            if super()._stored([(*pair, final) for pair in zip(candidate.tolist(), item.tolist(), strict=True)]):
                raise NotFresh
        order = np.lexsort((item, candidate))  # the index grows in its own order
        places = order.tolist()
        given: dict[str, Iterable[Any]] = {
            "candidate_key": candidate[order].tolist(),
            "item_key": item[order].tolist(),
            "source_key": repeat(source),
            "correct": columns.correct[order].tolist(),
            "when": repeat(Moment().process_bind_param(columns.when, self._connection.dialect)),
            **{name: map(each.__getitem__, places) for name, each in columns.measured.items() if each is not None},
        }
        try:
            rows = [*zip(*given.values(), strict=False)]  # what is repeated has no end
            self._connection.exec_driver_sql(_insert_statement(self._connection, given), rows)
        except IntegrityError:
            raise NotFresh from None
        self._changes[outcomes.name] += len(order)
        self.found = found

    def _insert(self, table: Table, rows: Sequence[dict[str, Any]]) -> None:
        if table is outcomes or not rows:
            super()._insert(table, rows)
            return
        before = self._connection.scalar(select(func.max(table.c.key))) or 0
        super()._insert(table, rows)
        added = select(func.min(table.c.key), func.max(table.c.key)).where(table.c.key > before)
        first, last = self._connection.execute(added).one()  # writers take turns: no other one has added any of these
        if table is items:
            self._note(table.name, [(first, last, None)])
        else:
            keys = self._connection.scalars(select(table.c.key).where(table.c.key > before)).all()
            self._note(table.name, [(key, key, None) for key in keys])

    def _update(self, table: Table, rows: Sequence[dict[str, Any]]) -> None:
        if table is items:
            self._keep_former([row["id"] for row in rows])
        super()._update(table, rows)

    def _keep_former(self, ids: Sequence[str]) -> None:
        columns = ("instruction", "options", "answer", "grader", "assigned", "task_key")
        added = self._ranges(items.name)
        former = {}
        for row in self._rows_of(ids):
            if not any(first <= row.key <= last for first, last in added):
                former[row.key] = {name: getattr(row, name) for name in columns}
        noted = select(staged.c.first).where(staged.c.load_key == self._load_key, staged.c.kind == CHANGED)
        known = set(self._connection.scalars(noted)) if former else set()
        self._note(CHANGED, [(key, key, values) for key, values in former.items() if key not in known])

    def _note(self, kind: str, rows: Iterable[tuple[int, int, dict[str, Any] | None]]) -> None:
        noted = [
            {"load_key": self._load_key, "kind": kind, "first": first, "last": last, "before": before}
            for first, last, before in rows
        ]
        if noted:
            self._connection.execute(insert(staged), noted)

    def _ranges(self, kind: str) -> list[tuple[int, int]]:
        query = select(staged.c.first, staged.c.last).where(staged.c.load_key == self._load_key, staged.c.kind == kind)
        return [(row.first, row.last) for row in self._connection.execute(query)]

    def _rows_of(self, ids: Sequence[str]) -> Iterator[Any]:
        for chunk in in_batches(ids, LOOKUP):
            yield from self._connection.execute(select(items).where(items.c.id.in_(chunk)))

    def _loads_run(self) -> bool:
        return self._connection.scalar(select(loads.c.key).where(loads.c.key != self._load_key).limit(1)) is not None

    def _claim_candidates(self, keys: Iterable[int]) -> None:
        """Claim candidates that another unfinished load has added for this load too."""
        kind = staged.c.kind == candidates.name
        rows = self._connection.execute(select(staged.c.load_key, staged.c.first).where(kind)).all()
        others = {row.first for row in rows if row.load_key != self._load_key}
        mine = {row.first for row in rows if row.load_key == self._load_key}
        self._note(candidates.name, [(key, key, None) for key in sorted((set(keys) & others) - mine)])

    def _source_keys(self, ids: set[str]) -> dict[str, int]:
        names = {f"{self._prefix}{id_}": id_ for id_ in ids}
        keys = keys_of(self._connection, sources, names)
        lacking = [{"id": name, "held": True, "load_key": self._load_key} for name in sorted(names) if name not in keys]
        if lacking:
            self._connection.execute(insert(sources), lacking)
            keys = keys_of(self._connection, sources, names)
        self._final = keys_of(self._connection, sources, ids)
        return {names[name]: key for name, key in keys.items()}

    def _stored(self, identities: Sequence[Identity]) -> dict[Identity, Any]:
        """Return what this load or the source itself has of these outcomes."""
        found = super()._stored(identities)
        if self._replace:
            return found
        staging = self._source_keys(set(self._final))
        final_of = {staging[id_]: key for id_, key in self._final.items()}
        staging_of = {final: key for key, final in final_of.items()}
        wanted = [(c, i, final_of[s]) for c, i, s in identities if s in final_of]
        for (candidate, item, source), row in super()._stored(wanted).items():
            found.setdefault((candidate, item, staging_of[source]), row)
        return found


def _insert_statement(connection: Connection, columns: Iterable[str]) -> str:
    """Spell an insert into outcomes as the driver takes it: with tuples, SQLAlchemy does nothing for each row."""
    names = [connection.dialect.identifier_preparer.quote(name) for name in columns]
    place = "?" if connection.dialect.paramstyle == "qmark" else "%s"
    return f"INSERT INTO outcomes ({', '.join(names)}) VALUES ({', '.join([place] * len(names))})"  # noqa: S608


def _prefix(load: str) -> str:
    return f"load:{load}:"


def _stretches(counts: Iterable[Any]) -> Iterator[tuple[int, int]]:
    """Divide (key, number of outcomes), ascending, into first and last keys with `AT_ONCE` outcomes, or one key."""
    first = last = None
    number = 0
    for key, count in counts:
        if first is not None and last is not None and number + count > AT_ONCE:
            yield first, last
            first, number = None, 0
        first, last, number = key if first is None else first, key, number + count
    if first is not None and last is not None:
        yield first, last


def _clear_sources(connection: Connection, key: int, prefix: str) -> int:
    """Delete what the sources of a load have from before; return how many outcomes these were."""
    staging = connection.scalars(select(sources.c.id).where(sources.c.load_key == key)).all()
    finals = keys_of(connection, sources, {id_.removeprefix(prefix) for id_ in staging})
    return sum(
        connection.execute(delete(outcomes).where(outcomes.c.source_key == final)).rowcount for final in finals.values()
    )


def _give_to_source(connection: Connection, staging: int, source: str, held: set[str]) -> int:
    """Move staged outcomes to their source; return how many that source has got from others meanwhile."""
    final = connection.scalar(select(sources.c.key).where(sources.c.id == source))
    if final is None:
        given = {"id": source, "held": source in held, "load_key": None}
        connection.execute(update(sources).where(sources.c.key == staging).values(given))
        return 0
    theirs = outcomes.alias("theirs")
    same = and_(
        theirs.c.candidate_key == outcomes.c.candidate_key,
        theirs.c.item_key == outcomes.c.item_key,
        theirs.c.source_key == final,
    )
    mine = outcomes.c.source_key == staging
    superseded = connection.execute(delete(outcomes).where(mine, exists().where(same))).rowcount
    connection.execute(update(outcomes).where(mine).values(source_key=final))
    connection.execute(delete(sources).where(sources.c.key == staging))
    return superseded


def _take_back_rows(connection: Connection, key: int) -> None:
    """Remove what a load has added and nothing uses, and give changed items their former facts."""
    connection.execute(delete(sources).where(sources.c.load_key == key))
    noted = connection.execute(select(staged).where(staged.c.load_key == key)).all()
    kept = {row.first for row in noted if row.kind == KEPT}
    for row in noted:
        if row.kind == CHANGED:
            connection.execute(update(items).where(items.c.key == row.first).values(**row.before))
        elif row.kind == items.name:
            within = items.c.key.between(row.first, row.last)
            used = exists().where(outcomes.c.item_key == items.c.key)
            connection.execute(delete(items).where(within, items.c.key.not_in(kept), ~used))
    _forget(connection, [key])
    still = select(staged.c.first).where(staged.c.kind == candidates.name)
    for table, user in ((tasks, items.c.task_key), (candidates, outcomes.c.candidate_key)):
        keys = [row.first for row in noted if row.kind == table.name]
        gone = delete(table).where(table.c.key.in_(keys), ~exists().where(user == table.c.key))
        connection.execute(gone.where(table.c.key.not_in(still)) if table is candidates else gone)


def _forget(connection: Connection, keys: Sequence[int]) -> None:
    connection.execute(delete(staged).where(staged.c.load_key.in_(keys)))
    connection.execute(delete(loads).where(loads.c.key.in_(keys)))
