"""Portable archives: a store as JSON lines with a manifest of hashes, the same from SQLite and PostgreSQL.

    zoo/manifest.json     format, tables with their number of rows and SHA-256
    zoo/candidates.jsonl  one row a line, ids in place of keys; likewise tasks, items (vectors in base64), sources,
                          outcomes, versions, settings and what budgets have spent; not a log of decisions, which is
                          as private as the traffic

An archive that is imported and exported again is the same to the last bit.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, insert, select

from cit_core.errors import InvalidInput, StoreError
from cit_core.records import Item, Outcome
from cit_core.store.archive_files import (
    ArchiveReader,
    Row,
    candidate_of,
    item_of,
    outcome_of,
    spend_of,
    task_of,
    vector_of,
    version_of,
    write_archive,
)
from cit_core.store.bulk_load import BulkLoad
from cit_core.store.capability_store import CapabilityStore
from cit_core.store.import_summary import REFUSED_SHOWN
from cit_core.store.item_merge import merge_items
from cit_core.store.journal import add_spend
from cit_core.store.queries import in_batches
from cit_core.store.schema import candidates, items, settings, sources, tasks, versions
from cit_core.store.writer import Writer

__all__ = ["MergeReport", "export_archive", "import_archive", "merge_archive"]

BATCH: Final = 10_000


class _Record(Protocol):
    @property
    def id(self) -> str: ...


R = TypeVar("R", bound=_Record)


@dataclass(frozen=True)
class MergeReport:
    """Counts of the outcomes of an archive that were merged into a store.

    Attributes:
        new: Added.
        known: Stored already, with the same result.
        refused_count: Rows that contradict what is stored, which was kept.
        refused: (Row, reason) of the first 100 of them.
    """

    new: int
    known: int
    refused_count: int
    refused: tuple[tuple[str, str], ...]


def export_archive(store: CapabilityStore, folder: str | os.PathLike[str]) -> dict[str, int]:
    """Write a store of one moment into a new folder; return the number of rows of each table.

    Raises:
        InvalidInput: If the folder exists and is not empty.
        StoreError: If the store cannot be read or the folder cannot be written; then it is not there.
    """
    target = Path(folder).absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InvalidInput(f"{target} exists; name a new folder for the archive")
    unfinished = target.with_name(f"{target.name}.unfinished-{os.getpid()}")
    try:
        unfinished.mkdir(parents=True)
        with store._reading() as connection:
            counts = write_archive(connection, unfinished)
        with suppress(FileNotFoundError):
            target.rmdir()
        unfinished.rename(target)
    except OSError as error:
        raise StoreError(f"the archive {target} cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return counts


def import_archive(store: CapabilityStore, folder: str | os.PathLike[str]) -> dict[str, int]:
    """Write an archive into an empty store, in one transaction; return the number of rows of each table.

    Raises:
        InvalidInput: If the folder is not an archive or was changed, or if the store is not empty.
    """
    archive = ArchiveReader(Path(folder))
    with store._writing(_ExactWriter) as writer:
        connection = writer._connection
        if any(connection.scalar(select(func.count()).select_from(table)) for table in (candidates, tasks, versions)):
            raise InvalidInput(f"the store {store.url} is not empty; `cit store merge` adds an archive to it")
        writer.add_tasks(archive.records("tasks", task_of))
        writer.add_candidates(archive.records("candidates", candidate_of))
        for rows in in_batches(archive.rows("items"), BATCH):
            writer.add_items(archive.convert("items", rows, item_of))
            _set_vectors(writer, rows)
        for rows in in_batches(archive.rows("sources"), BATCH):
            connection.execute(insert(sources), rows)
        for rows in in_batches(archive.records("versions", version_of), BATCH):
            connection.execute(insert(versions), rows)
        for batch in in_batches(archive.records("outcomes", outcome_of), BATCH):
            if writer.add_outcomes(batch).new != len(batch):
                raise InvalidInput(f"{archive.folder}/outcomes.jsonl holds an outcome twice; nothing was imported")
        for rows in in_batches(archive.rows("settings"), BATCH):
            connection.execute(insert(settings), rows)
        for name, spent in archive.records("spend", spend_of):
            add_spend(connection, name, [spent], {})  # a router may have spent here already
    return archive.counts


def merge_archive(store: CapabilityStore, folder: str | os.PathLike[str]) -> MergeReport:
    """Add what a store lacks of an archive; merging again changes nothing.

    Where both say something else, the store's own is kept and the row reported: an outcome with another result, an item
    with another text (with its outcomes), a candidate or task with other facts. A held source stays held if it is new
    here. Settings with names that are new here are added. Other writers pass between batches.

    Raises:
        InvalidInput: If the folder is not an archive or was changed.
    """
    archive = ArchiveReader(Path(folder))
    merge = _Merge(archive)
    with store.bulk_load() as load:
        merge.run(load)
    with store.transaction() as writer:
        known = set(writer._connection.scalars(select(settings.c.name)))
        latest = {row["name"]: row["value"] for row in archive.rows("settings")}
        for name, value in latest.items():
            if name not in known:
                writer.set_setting(name, value)
    return MergeReport(merge.new - load.superseded, merge.known + load.superseded, merge.refused_count, merge.report)


class _Merge:
    """A running merge: its counts, and the items with outcomes about another question."""

    def __init__(self, archive: ArchiveReader) -> None:
        self.new = self.known = self.refused_count = 0
        self.report: tuple[tuple[str, str], ...] = ()
        self._archive = archive
        self._other_items: set[str] = set()

    def run(self, load: BulkLoad) -> None:
        for source in self._archive.rows("sources"):
            if source["held"]:
                load.hold(source["id"])
        with load.batch() as writer:
            self._add_new(writer.tasks(), self._archive.records("tasks", task_of), writer.add_tasks)
            self._add_new(writer.candidates(), self._archive.records("candidates", candidate_of), writer.add_candidates)
        for rows in in_batches(self._archive.rows("items"), BATCH):
            given = self._archive.convert("items", rows, item_of)
            with load.batch() as writer:
                self._add_items(writer, rows, given)
        for batch in in_batches(self._archive.records("outcomes", outcome_of), BATCH):
            kept = [outcome for outcome in batch if outcome.item not in self._other_items]
            self._refuse_many(outcome for outcome in batch if outcome.item in self._other_items)
            with load.batch() as writer:
                result = writer.add_outcomes(kept)
            self.new += result.new
            self.known += result.known
            for conflict in result.conflicts:
                self._refuse(conflict.what, conflict.reason)

    def _add_new(self, stored: Iterable[R], given: Iterable[R], add: Callable[[list[R]], int]) -> None:
        known = {record.id: record for record in stored}
        lacking = []
        for record in given:
            if record.id not in known:
                lacking.append(record)
            elif known[record.id] != record:
                self._refuse(
                    f"{type(record).__name__.lower()} {record.id!r}", "other facts are stored, which were kept"
                )
        add(lacking)

    def _add_items(self, writer: Writer, rows: list[Row], given: list[Item]) -> None:
        stored = writer.find_items(item.id for item in given)
        kept = []
        for item in given:
            merged = _merged(stored.get(item.id), item)
            if merged is None:
                self._other_items.add(item.id)
                self._refuse(f"item {item.id!r}", "it is stored as another question, which was kept")
            else:
                kept.append(merged)
        writer.add_items(kept)
        ids = {item.id for item in kept}
        lacking = select(items.c.id).where(items.c.vector.is_(None), items.c.id.in_(ids))
        new = set(writer._connection.scalars(lacking))
        _set_vectors(writer, [row for row in rows if row["id"] in new])

    def _refuse_many(self, given: Iterable[Outcome]) -> None:
        for outcome in given:
            what = f"{outcome.candidate!r} on item {outcome.item!r} from {outcome.source!r}"
            self._refuse(what, "the item is stored as another question")

    def _refuse(self, what: str, reason: str) -> None:
        self.refused_count += 1
        if len(self.report) < REFUSED_SHOWN:
            self.report = (*self.report, (what, reason))


def _merged(stored: Item | None, given: Item) -> Item | None:
    """Return what both say together; None if they contradict each other."""
    if stored is None:
        return given
    try:
        return merge_items(stored, given)
    except InvalidInput:
        return None


def _set_vectors(writer: Writer, rows: list[Row]) -> None:
    by_encoder: dict[str, dict[str, NDArray[np.float16]]] = {}
    for row in rows:
        if "vector" in row:
            by_encoder.setdefault(row["encoder"], {})[row["id"]] = vector_of(row)
    for encoder, vectors in by_encoder.items():
        writer.set_vectors(vectors, encoder)


class _ExactWriter(Writer):
    """Writer that keeps the versions of an archive, in place of counting one."""

    def count_version(self) -> None:
        """Count nothing."""
