"""Read a store, each time in a snapshot of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, func, or_, select

from cit_core.outcomes import OutcomeMatrix
from cit_core.policy import Spend
from cit_core.records import Candidate, Capability, Item, Outcome, Suite, Task
from cit_core.store.journal import read_log, read_spend
from cit_core.store.outcome_matrix import read_completion_tokens, read_outcome_matrix
from cit_core.store.queries import (
    ASKED,
    UNASSIGNED,
    candidate_key_of,
    not_staged,
    read_candidates,
    read_capabilities,
    read_items,
    read_tasks,
)
from cit_core.store.schema import candidates, items, outcomes, settings, sources, tasks, versions
from cit_core.store.sources import Source, read_sources

__all__ = ["Reader", "Snapshot"]


class Snapshot(NamedTuple):
    """Content of a store at one moment, as a router needs it."""

    version: int
    capabilities: tuple[Capability, ...]
    evidence: OutcomeMatrix | None


class Reader(ABC):
    """Reading half of `CapabilityStore`: nothing here waits for a writer."""

    @abstractmethod
    def _reading(self) -> AbstractContextManager[Connection]:
        """Return a connection that sees the store as it is at one moment."""

    @property
    def version(self) -> int:
        """Number of transactions that have changed something; 0 for a new store."""
        with self._reading() as connection:
            return _version(connection)

    def stamp(self, version: int | None = None) -> str:
        """Return a name of a version, the newest if none is given, that no version of any other store has."""
        with self._reading() as connection:
            number = _version(connection) if version is None else version
            when = connection.scalar(select(versions.c.when).where(versions.c.number == number))
        return f"{number}-{0 if when is None else round(when.timestamp() * 1e6)}"

    def candidates(self) -> tuple[Candidate, ...]:
        """Return every candidate, in the order in which they were added."""
        with self._reading() as connection:
            return tuple(read_candidates(connection).values())

    def candidate(self, id_: str) -> Candidate:
        """Return the candidate with this id.

        Raises:
            UnknownCandidate: If it is not stored; the message names the closest ids.
        """
        with self._reading() as connection:
            return read_candidates(connection)[candidate_key_of(connection, id_)]

    def tasks(self) -> tuple[Task, ...]:
        """Return every task, in the order in which they were added."""
        with self._reading() as connection:
            return tuple(read_tasks(connection).values())

    def items(self, ids: Iterable[str] | None = None) -> tuple[Item, ...]:
        """Return the items with these ids that are stored, or all of them, in the order in which they were added."""
        with self._reading() as connection:
            return tuple(read_items(connection, ids))

    def outcomes(self, *, candidate: str | None = None, source: str | None = None) -> Iterator[Outcome]:
        """Yield every outcome, held ones included, item by item; those of one candidate or source if given.

        Raises:
            UnknownCandidate: If the candidate is not stored; the message names the closest ids.
        """
        table = outcomes.c
        facts = [table[name] for name in Outcome.model_fields if name in table]
        names = {"candidate": candidates.c.id, "item": items.c.id, "source": sources.c.id}
        query = select(*facts, *(column.label(name) for name, column in names.items()))
        query = query.select_from(outcomes.join(candidates).join(items).join(sources)).where(not_staged())
        query = query.order_by(table.item_key, table.candidate_key, table.source_key)
        with self._reading() as connection:
            if candidate is not None:
                query = query.where(table.candidate_key == candidate_key_of(connection, candidate))
            if source is not None:
                query = query.where(sources.c.id == source)
            for row in connection.execution_options(yield_per=10_000).execute(query).mappings():
                yield Outcome(**row)

    def unassigned(self) -> tuple[str, ...]:
        """Return the ids of items without a task, but for those that only feedback knows: they belong to no test."""
        loose = items.c.task_key.in_(select(tasks.c.key).where(tasks.c.id == UNASSIGNED))
        query = select(items.c.id).where(loose, items.c.id.not_like(f"{ASKED}%")).order_by(items.c.key)
        with self._reading() as connection:
            return tuple(connection.scalars(query))

    def without_vector(self, encoder: str, limit: int) -> tuple[Item, ...]:
        """Return at most `limit` items with a text and no vector of this encoder, in the order they were added."""
        lacking = or_(items.c.encoder.is_(None), items.c.encoder != encoder)
        query = select(items.c.id).where(items.c.instruction.is_not(None), lacking).order_by(items.c.key).limit(limit)
        with self._reading() as connection:
            return tuple(read_items(connection, connection.scalars(query).all()))

    def outcome_matrix(self, *, encoder: str | None = None, texts: bool = False) -> OutcomeMatrix:
        """Return every outcome that counts as items x candidates, both in the order in which they were added.

        An item that a candidate answered more than once counts once: the mean over its sources that are not held, a
        circle test being one of them. `OutcomeMatrix.measured` leaves out candidates and items without outcomes.

        Args:
            encoder: Only items with a vector by this encoder, with the vectors.
            texts: Only items with a known text, with the texts.
        """
        with self._reading() as connection:
            return read_outcome_matrix(connection, encoder=encoder, texts=texts)

    def completion_tokens(self, outcomes: OutcomeMatrix) -> NDArray[np.float64]:
        """Return the mean length of each answer of a matrix of this store [tokens], (I, K); NaN where none is known."""
        with self._reading() as connection:
            return read_completion_tokens(connection, outcomes)

    def setting(self, name: str) -> Any:
        """Return the value last kept under this name with `Writer.set_setting`; None if there is none."""
        query = select(settings.c.value).where(settings.c.name == name).order_by(settings.c.version.desc()).limit(1)
        with self._reading() as connection:
            return connection.scalar(query)

    def held(self) -> tuple[str, ...]:
        """Return the sources with outcomes that are stored and not counted, in the order in which they came."""
        with self._reading() as connection:
            return tuple(
                connection.scalars(
                    select(sources.c.id).where(sources.c.held, sources.c.load_key.is_(None)).order_by(sources.c.key)
                )
            )

    def sources(self) -> tuple[Source, ...]:
        """Return where outcomes come from, with how many and of when, in the order in which they came."""
        with self._reading() as connection:
            return read_sources(connection)

    def outcome_count(self) -> int:
        """Return the number of outcomes, held ones included."""
        with self._reading() as connection:
            return connection.scalar(select(func.count()).select_from(outcomes).where(not_staged())) or 0

    def measured(self, candidate: str, source: str | None = None) -> set[str]:
        """Return the ids of items that have an outcome of this candidate, from one source or from any.

        Raises:
            UnknownCandidate: If it is not stored; the message names the closest ids.
        """
        with self._reading() as connection:
            mine = outcomes.c.candidate_key == candidate_key_of(connection, candidate)
            query = select(items.c.id).select_from(outcomes.join(items).join(sources)).where(mine, not_staged())
            if source is not None:
                query = query.where(sources.c.id == source)
            return set(connection.scalars(query))

    def capability(self, candidate_id: str, suite: Suite | None = None) -> Capability:
        """Return the measured capability of a candidate; see `capabilities`.

        Raises:
            UnknownCandidate: If it is not stored; the message names the closest ids.
        """
        with self._reading() as connection:
            return read_capabilities(connection, suite, candidate_key_of(connection, candidate_id))[0]

    def capabilities(self, suite: Suite | None = None) -> tuple[Capability, ...]:
        """Return the measured capability of every candidate, computed now from the outcomes.

        An item counts once, however many sources it was measured from: their mean. A task's accuracy is the mean over
        its measured items.

        Args:
            suite: Count its items alone, with its tasks and its assignment of items to them.
        """
        with self._reading() as connection:
            return tuple(read_capabilities(connection, suite))

    def snapshot(self, suite: Suite | None = None, *, encoder: str | None = None) -> Snapshot:
        """Return `version`, `capabilities(suite)` and, for an encoder, `outcome_matrix(encoder=...)` of one moment."""
        with self._reading() as connection:
            return Snapshot(
                version=_version(connection),
                capabilities=tuple(read_capabilities(connection, suite)),
                evidence=None if encoder is None else read_outcome_matrix(connection, encoder=encoder),
            )

    def spend(self, name: str, tenants: Iterable[str]) -> list[Spend]:
        """Return what a limit has taken of some tenants."""
        with self._reading() as connection:
            return read_spend(connection, name, tenants)

    def log(self) -> Iterator[str]:
        """Yield the records of the log of decisions, oldest first."""
        with self._reading() as connection:
            yield from read_log(connection)


def _version(connection: Connection) -> int:
    return connection.scalar(select(func.max(versions.c.number))) or 0
