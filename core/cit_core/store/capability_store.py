"""Capability store: opened by URL, shared among threads, read in snapshots, written in transactions."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import TracebackType

from sqlalchemy import Connection

from cit_core.errors import CITError, InvalidInput, StoreError
from cit_core.policy import Spend
from cit_core.records import Candidate, Item, Outcome, Task
from cit_core.store.bulk_load import BulkLoad
from cit_core.store.connections import TIMEOUT_S, Connections
from cit_core.store.database_errors import damage_errors
from cit_core.store.import_summary import REFUSED_SHOWN, ImportSummary
from cit_core.store.journal import add_log, add_spend
from cit_core.store.migrations.revisions import REVISIONS, revision_of, upgrade
from cit_core.store.passwords import complete_url, portable_url, remember_password
from cit_core.store.queries import in_batches
from cit_core.store.reader import Reader, Snapshot
from cit_core.store.url import parse_url, shown
from cit_core.store.writer import Writer

__all__ = ["CapabilityStore", "Snapshot"]

Progress = Callable[[int], None]


class CapabilityStore(Reader):
    """Candidates, tasks, items and outcomes in an SQLite file or a PostgreSQL database.

    Safe to share among threads and to use in a forked child. A pickle holds the URL without its password; see
    docs/operations.md for where a copy finds it.

    Args:
        url: `sqlite:///path` or `postgresql+psycopg://user:password@host/name`; by default a file in the platform's
            data directory. A relative path is made absolute at once.
        create: Make a store that is not there.
        upgrade: Bring a store of an older release up to date; as `create` if not given. Without both, opening and
            reading write nothing.
        timeout_s: Longest wait of a writer for other writers [s].

    Raises:
        InvalidInput: If the URL names neither.
        StoreError: If the database cannot be used, or belongs to another application.
        StoreTooNew: If a newer release has written it.
        MissingExtra: If PostgreSQL is asked for and psycopg is not installed.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        create: bool = True,
        upgrade: bool | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._url = parse_url(url)
        self._connections = Connections(self._url, timeout_s)
        self._timeout_s = timeout_s
        weakref.finalize(self, self._connections.close)  # for a store that is not closed
        try:
            self._open(create, create if upgrade is None else upgrade)
        except CITError:
            self.close()
            raise
        remember_password(self._url)

    def _open(self, create: bool, may_upgrade: bool) -> None:
        found = None
        if not self._connections.is_missing():
            with self._reading() as connection:
                found = revision_of(connection, self.url)
        if found == REVISIONS[-1]:
            return
        if found is None and not create:
            raise StoreError(
                f"no store at {self.url}, and none was made; `cit import`, `cit aptitude run` and "
                f"`cit models add ID --store {self.url}` make one"
            )
        if found is not None and not may_upgrade:
            raise StoreError(
                f"the store at {self.url} is of an older release; bring it up to date: "
                f"cit store upgrade --store {self.url}"
            )
        self._connections.make_file()
        with self._connections.writing() as connection:
            upgrade(connection, self.url)

    def __enter__(self) -> CapabilityStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Callable[..., CapabilityStore], tuple[str, float]]:
        return _opened_again, (portable_url(self._url), self._timeout_s)

    def close(self) -> None:
        """Close every connection; a store that nothing refers to any more does so by itself."""
        self._connections.close()

    @property
    def url(self) -> str:
        """URL of the store, absolute; the password and the values of options that may be secret are masked."""
        return shown(self._url)

    @contextmanager
    def transaction(self) -> Iterator[Writer]:
        """Write several things together: all of them are kept at the end of the block, or none if it raises.

        When the block has ended, they are on the disk.

        Raises:
            InvalidInput: If this thread is in a transaction already: use that one's writer.
            StoreError: If the database cannot be written, or other writers held it for too long.
        """
        with self._writing(Writer) as writer:
            yield writer

    @contextmanager
    def bulk_load(self, *, replace: bool = False) -> Iterator[BulkLoad]:
        """Write many outcomes in batches between which others can write, and count all of them at the end, or none.

        Work through the source outside of `BulkLoad.batch`, so that no lock is held meanwhile.

        Args:
            replace: What the store has of the sources that come is removed at the end, in the same transaction.

        Raises:
            StoreError: If the database cannot be written.
        """
        load = BulkLoad(self._writing, replace=replace)
        load.remove_abandoned()
        try:
            yield load
            load.publish()
        except BaseException:  # also after Ctrl-C: nothing half-loaded stays behind
            with suppress(CITError):  # what cannot be taken back now stays unseen, and a later load removes it
                load.discard()
            raise

    @contextmanager
    def _writing(self, make_writer: Callable[[Connection], Writer]) -> Iterator[Writer]:
        if self._connections.is_writing():
            raise InvalidInput("this thread is in a transaction of this store already; write with the writer it gave")
        with self._connections.writing() as connection:
            writer = make_writer(connection)
            yield writer
            writer.count_version()

    def add_candidates(self, given: Iterable[Candidate], *, replace: bool = False) -> int:
        """Add candidates in one transaction; return how many were new or changed.

        Raises:
            InvalidInput: If an id is stored with other facts and `replace` is not set.
        """
        with self.transaction() as writer:
            return writer.add_candidates(given, replace=replace)

    def remove_candidate(self, id_: str) -> None:
        """Remove a candidate and all its outcomes in one transaction.

        Raises:
            UnknownCandidate: If it is not stored; the message names the closest ids.
        """
        with self.transaction() as writer:
            writer.remove_candidate(id_)

    def add_tasks(self, given: Iterable[Task], *, replace: bool = False) -> int:
        """Add tasks in one transaction; return how many were new or changed.

        Raises:
            InvalidInput: If an id is stored with other keywords and `replace` is not set.
        """
        with self.transaction() as writer:
            return writer.add_tasks(given, replace=replace)

    def add_items(self, given: Iterable[Item], *, replace: bool = False) -> int:
        """Add items, or facts that items lacked, in one transaction; return how many were new or changed.

        Raises:
            InvalidInput: If a task is not stored, or an item is stored with another text or task and `replace` is
                not set.
        """
        with self.transaction() as writer:
            return writer.add_items(given, replace=replace)

    def add_outcomes(
        self, given: Iterable[Outcome], *, batch_size: int = 10_000, progress: Progress | None = None
    ) -> ImportSummary:
        """Add outcomes, one transaction for each batch: what raises leaves the batches before it in the store.

        An outcome that is stored already is not added again. One that is stored with another `correct` is refused.

        Args:
            given: May be a generator; one batch is held in memory.
            batch_size: Outcomes in one transaction.
            progress: Called after every batch with the number of outcomes read so far.

        Raises:
            InvalidInput: If a candidate (UnknownCandidate) or an item is not stored; nothing of its batch is written.
        """
        if batch_size < 1:
            raise InvalidInput(f"batch_size is {batch_size}; it must be 1 or more")
        summary, read = ImportSummary(), 0
        for batch in in_batches(given, batch_size):
            with self.transaction() as writer:
                result = writer.add_outcomes(batch)
            refused = tuple((conflict.what, conflict.reason) for conflict in result.conflicts[:REFUSED_SHOWN])
            summary += ImportSummary(result.new, result.known, len(result.conflicts), refused)
            read += len(batch)
            if progress is not None:
                progress(read)
        return summary

    def hold(self, source: str) -> None:
        """Keep a source's outcomes, present and future, without counting them until it is released."""
        with self.transaction() as writer:
            writer.hold(source)

    def release(self, source: str) -> None:
        """Count a source's outcomes from now on."""
        with self.transaction() as writer:
            writer.release(source)

    def remove_source(self, id_: str) -> None:
        """Remove a source and all its outcomes in one transaction; candidates and items stay.

        Raises:
            InvalidInput: If there is none of this name; the message names the closest.
        """
        with self.transaction() as writer:
            writer.remove_source(id_)

    def add_spend(self, name: str, spends: Iterable[Spend], *, keep_from: int | Mapping[str, int]) -> None:
        """Add to what a limit has taken, and forget buckets before `keep_from`; see `cit_core.policy.SpendBook`."""
        with self._connections.writing() as connection:
            add_spend(connection, name, spends, keep_from)

    def add_log(self, records: Iterable[str], *, keep: int) -> None:
        """Append records to the log of decisions, and forget the oldest beyond `keep`."""
        with self._connections.writing() as connection:
            add_log(connection, records, keep)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._connections.reading() as connection, damage_errors(self._url):
            yield connection


def _opened_again(portable: str, timeout_s: float) -> CapabilityStore:
    """Open the store of a pickle; where its file is not, nothing is made in its place."""
    return CapabilityStore(complete_url(portable), create=False, timeout_s=timeout_s)
