"""From results that somebody else has measured to outcomes in a store: what every importer shares.

An importer turns its files into `Row`s; `import_rows` writes them, all in one transaction, a batch in memory at a time.
Candidates, tasks and items that the store lacks are added with what the rows say about them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, NoReturn, TypeVar

from cit_core.catalogue import known_tasks
from cit_core.errors import InvalidInput
from cit_core.records import Candidate, Item, Outcome, Task
from cit_core.store import REFUSED_SHOWN, UNASSIGNED, CapabilityStore, Conflict, Writer, in_batches, merge_items

__all__ = ["BadRow", "ImportReport", "ItemRow", "Row", "import_rows", "refuse", "row_or_bad"]

BATCH = 10_000
"""Rows in memory at a time."""


class BadRow(NamedTuple):
    """What cannot be read."""

    where: str
    """File and line."""
    reason: str


class ItemRow(NamedTuple):
    """What a line says about an item."""

    where: str
    item: str
    task: str | None = None
    instruction: str | None = None
    options: tuple[str, ...] = ()
    answer: str | None = None


class Row(NamedTuple):
    """What a line says about an item and an outcome of it. All outcomes of an import have the same `when`."""

    about: ItemRow
    outcome: Outcome


R = TypeVar("R", Row, ItemRow)


@dataclass(frozen=True)
class ImportReport:
    """What became of the rows that were imported."""

    new: int
    known: int
    """Were stored already, with the same result."""
    refused_count: int
    refused: tuple[tuple[str, str], ...]
    """(File and line, reason) of the first 100 rows that were not taken."""


def import_rows(
    rows: Iterable[Row | BadRow],
    store: CapabilityStore,
    *,
    items: Iterable[ItemRow | BadRow] = (),
    task: str | None = None,
    skip_bad: bool = False,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Write rows into a store: all of them in one transaction, or nothing if it raises.

    Args:
        rows: May be a generator.
        store: Where they go. Other writers wait until the import is done.
        items: What is known about the items from elsewhere; written first.
        task: Of new items that come without one.
        skip_bad: Leave bad rows out and report them, rather than refuse them all.
        progress: Told after every batch how many rows have been read so far.

    Raises:
        InvalidInput: If a row cannot be read or contradicts another, with its file and line.
    """
    with store.transaction() as writer:
        run = _Import(writer, skip_bad, task or UNASSIGNED)
        for about in in_batches(items, BATCH):
            run.add_items(run.good(about))
        read = 0
        for batch in in_batches(rows, BATCH):
            run.add_rows(run.good(batch))
            read += len(batch)
            if progress is not None:
                progress(read)
    return ImportReport(run.new, run.known, run.refused_count, tuple(run.refused))


class _Import:
    """One import under way: its writer, its counts, and what it has made sure is stored."""

    def __init__(self, writer: Writer, skip_bad: bool, task: str) -> None:
        self.new = self.known = self.refused_count = 0
        self.refused: list[tuple[str, str]] = []
        self._writer = writer
        self._skip_bad = skip_bad
        self._task = task
        self._candidates = {candidate.id for candidate in writer.candidates()}
        self._tasks = {task.id for task in writer.tasks()}

    def good(self, rows: Iterable[R | BadRow]) -> list[R]:
        """The rows that can be read."""
        kept = []
        for row in rows:
            reason = row.reason if isinstance(row, BadRow) else _unkeepable(row)
            if isinstance(row, BadRow) or reason:
                self._bad(BadRow(row.about.where if isinstance(row, Row) else row.where, reason))
            else:
                kept.append(row)
        return kept

    def add_rows(self, rows: Sequence[Row]) -> None:
        """One batch."""
        clashing = self.add_items([row.about for row in rows])
        kept = [row for row in rows if row.about.where not in clashing]
        missing = dict.fromkeys(row.outcome.candidate for row in kept if row.outcome.candidate not in self._candidates)
        self._writer.add_candidates([Candidate(id=id_) for id_ in missing])
        self._candidates |= missing.keys()
        result = self._writer.add_outcomes([row.outcome for row in kept])
        self.new += result.new
        self.known += result.known
        for conflict in result.conflicts:
            self._conflicting(kept[conflict.position], conflict)

    def add_items(self, rows: Sequence[ItemRow]) -> set[str]:
        """Store what rows say about their items; returns where the rows stand that contradict what is known."""
        items = self._writer.find_items({row.item for row in rows})
        changed: dict[str, Item] = {}
        clashing = set()
        for row in rows:
            before = items.get(row.item)
            if before is not None and _says_nothing_new(row, before):
                continue
            said = Item(
                id=row.item,
                task=row.task or (self._task if before is None else UNASSIGNED),
                instruction=row.instruction,
                options=row.options,
                answer=row.answer,
            )
            if before is not None and (reason := _contradiction(before, said)):
                self._bad(BadRow(row.where, reason))
                clashing.add(row.where)
            else:
                items[row.item] = changed[row.item] = said if before is None else merge_items(before, said)
        self._add_tasks(dict.fromkeys(item.task for item in changed.values()))
        self._writer.add_items(changed.values())
        return clashing

    def _add_tasks(self, ids: Iterable[str]) -> None:
        missing = [id_ for id_ in ids if id_ not in self._tasks]
        known = {task.id: task for task in known_tasks()} if missing else {}
        self._writer.add_tasks([known.get(id_) or Task(id=id_, keywords=_words(id_)) for id_ in missing])
        self._tasks.update(missing)

    def _conflicting(self, row: Row, conflict: Conflict) -> None:
        if conflict.since == row.outcome.when:  # the other one was imported just now
            reason = f"correct={conflict.outcome.correct:g}, but an earlier row says {conflict.stored:g}"
            self._bad(BadRow(row.about.where, f"{conflict.what}: {reason}"))
        else:
            self._refuse(row.about.where, f"{conflict.what}: {conflict.reason}")

    def _bad(self, row: BadRow) -> None:
        if not self._skip_bad:
            refuse(row)
        self._refuse(row.where, row.reason)

    def _refuse(self, where: str, reason: str) -> None:
        self.refused_count += 1
        if len(self.refused) < REFUSED_SHOWN:
            self.refused.append((where, reason))


def refuse(row: BadRow) -> NoReturn:
    """Stop an import at a row that cannot be read.

    Raises:
        InvalidInput: Says why, and how to leave such rows out.
    """
    raise InvalidInput(
        f"{row.where}: {row.reason}; nothing was imported. "
        "Correct the row, or leave bad rows out: --skip-bad, or skip_bad=True in Python"
    )


def row_or_bad(where: str, make: Callable[[], R]) -> R | BadRow:
    """What `make` makes of a line; if it cannot, because of what stands there, why."""
    try:
        return make()
    except InvalidInput as error:
        return BadRow(where, str(error))


def _unkeepable(row: Row | ItemRow) -> str:
    """Why no database can keep a text of this row; nothing if it can."""
    about = row.about if isinstance(row, Row) else row
    texts = [about.item, about.task, about.instruction, about.answer, *about.options]
    whole = "".join(text for text in texts if text) + (row.outcome.candidate if isinstance(row, Row) else "")
    if "\0" in whole:
        return "a text holds the character NUL"
    try:
        whole.encode()
    except UnicodeEncodeError as error:
        return f"a text holds {whole[error.start]!r}, half a surrogate pair, which is no Unicode"
    return ""


def _says_nothing_new(row: ItemRow, item: Item) -> bool:
    return (
        (row.task is None or (row.task == item.task and not item.assigned))
        and row.instruction in (None, item.instruction)
        and row.options in ((), item.options)
        and row.answer in (None, item.answer)
    )


def _contradiction(before: Item, said: Item) -> str:
    if UNASSIGNED not in (before.task, said.task) and before.task != said.task and not before.assigned:
        return f"item {said.id!r} has task {said.task!r} here and {before.task!r} before"
    for what, old, new in (
        ("another instruction", before.instruction, said.instruction),
        ("other options", before.options, said.options),
        ("another answer", before.answer, said.answer),
    ):
        if old and new and old != new:
            return f"item {said.id!r} has {what} here ({new!r:.60}) than before"
    return ""


def _words(task: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(re.findall(r"[^\W_]+", task)))[:10] or (task,)
