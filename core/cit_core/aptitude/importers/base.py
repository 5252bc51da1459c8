"""Rows to outcomes in a store: the part that all importers share.

An importer turns its files into `Row`s; `import_rows` checks and writes them, one batch in memory at a time, all of
them or none. Candidates, tasks and items that the store lacks are added with what the rows say about them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, NoReturn, TypeVar

from cit_core.aptitude.importers.limits import DEFAULT_LIMITS, Limits
from cit_core.catalogue import known_tasks
from cit_core.errors import InvalidInput
from cit_core.records import Candidate, Item, Outcome, Task
from cit_core.store import REFUSED_SHOWN, UNASSIGNED, CapabilityStore, Conflict, merge_items
from cit_core.store.bulk_load import NotFresh, OutcomeColumns, StagingWriter

__all__ = ["BadRow", "Block", "ImportReport", "ItemRow", "Row", "import_rows", "refuse", "row_or_bad", "source_of"]

BATCH = 10_000
"""Rows in memory at a time."""
BATCH_CHARACTERS = 8 * 2**20
"""Characters of the rows in memory at a time: a batch ends where either is reached."""
MALFORMED = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""Errors of code that meets a value of another kind than it was promised, such as a number where a list is due."""


class BadRow(NamedTuple):
    """A row that cannot be read."""

    where: str
    """File and line."""
    reason: str


class ItemRow(NamedTuple):
    """Data of a row about an item."""

    where: str
    item: str
    task: str | None = None
    instruction: str | None = None
    options: tuple[str, ...] = ()
    answer: str | None = None


class Row(NamedTuple):
    """Data of a row about an item, and an outcome of it. All outcomes of an import have the same `when`."""

    about: ItemRow
    outcome: Outcome


@dataclass(frozen=True)
class Block:
    """Rows in columns, in which nothing is odd as far as the file itself can tell."""

    about: Sequence[ItemRow]
    """What is said about each item, once; in the order of the first rows about them."""
    columns: OutcomeColumns
    rows: Callable[[], Iterator[Row | BadRow]]
    """The same row by row, if the store finds something odd."""

    def __len__(self) -> int:
        return len(self.columns.item)


R = TypeVar("R", Row, ItemRow)
T = TypeVar("T")


@dataclass(frozen=True)
class ImportReport:
    """Counts of an import."""

    new: int
    known: int
    """Rows that were stored already, with the same result."""
    refused_count: int
    refused: tuple[tuple[str, str], ...]
    """(File and line, reason) of the first 100 rows that were not taken."""
    replaced: int = 0
    """Outcomes of the same sources that were stored before and were removed."""


def import_rows(
    rows: Iterable[Row | BadRow | Block],
    store: CapabilityStore,
    *,
    items: Iterable[ItemRow | BadRow] = (),
    task: str | None = None,
    skip_bad: bool = False,
    replace: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Write rows into a store: all of them, or none if it raises.

    Args:
        rows: May be a generator. What a block holds is written at once, and is the same as if its rows came.
        store: The store. Rows are read while nothing is locked, and other writers pass between two batches.
        items: Facts about the items from elsewhere; written first.
        task: Task of items that come without one and have none, or one that was found by similarity.
        skip_bad: Leave bad rows out and report them, rather than refuse them all.
        replace: Remove what the store has of the sources that come, and take what the rows say about items in place
            of what is stored.
        limits: Limits on the number of models and tasks.
        progress: Called after every batch with the number of rows read so far.

    Raises:
        InvalidInput: If a row cannot be read or contradicts another, with its file and line.
        StoreError: If the store cannot be written.
    """
    with store.bulk_load(replace=replace) as load:
        run = _Import(load.batch, skip_bad, task or UNASSIGNED, limits, replace=replace)
        for about in _in_batches(items):
            run.write_items(about)  # type: ignore[arg-type]  # blocks come among rows only
        read = 0
        for some in _in_batches(rows):
            if isinstance(some, Block):
                run.write_block(some)
            else:
                run.write_rows(some)
            read += len(some)
            if progress is not None:
                progress(read)
    return ImportReport(run.new, run.known, run.refused_count, tuple(run.refused), load.replaced)


Batch = Callable[[], AbstractContextManager[StagingWriter]]
"""Opens the transaction that one batch is written in."""


def _in_batches(rows: Iterable[R | BadRow | Block]) -> Iterator[list[R | BadRow] | Block]:
    """Group rows so that neither their number nor their length fills the memory; blocks pass as they are."""
    batch: list[R | BadRow] = []
    length = 0
    for row in rows:
        if isinstance(row, Block):
            if batch:
                yield batch
            yield row
            batch, length = [], 0
            continue
        batch.append(row)
        length += _length(row)
        if len(batch) >= BATCH or length >= BATCH_CHARACTERS:
            yield batch
            batch, length = [], 0
    if batch:
        yield batch


def _length(row: Row | ItemRow | BadRow) -> int:
    if isinstance(row, BadRow):
        return len(row.reason)
    about = row.about if isinstance(row, Row) else row
    return len(about.instruction or "") + len(about.answer or "") + sum(map(len, about.options))


class _Import:
    """A running import: its counts, and the candidates and tasks known to be stored."""

    def __init__(self, batch: Batch, skip_bad: bool, task: str, limits: Limits, *, replace: bool) -> None:
        self.new = self.known = self.refused_count = 0
        self.refused: list[tuple[str, str]] = []
        self._batch = batch
        self._skip_bad = skip_bad
        self._task = task
        self._limits = limits
        self._replace = replace
        self._replaced: set[str] = set()
        self._candidates: set[str] = set()
        self._tasks: set[str] = set()
        self._said: set[int] = set()
        """Hashes of what the last blocks have said about items: it is not compared with the store again."""

    def write_items(self, rows: Iterable[ItemRow | BadRow]) -> None:
        """Write what one batch of rows says about items."""
        good = self._good(rows)
        with self._batch() as self._writer:
            self._add_items(good)

    def write_rows(self, rows: Iterable[Row | BadRow]) -> None:
        """Write one batch of rows."""
        good = self._good(rows)
        self._said.clear()  # these may change what is stored
        with self._batch() as self._writer:
            self._add_rows(good)

    def write_block(self, block: Block) -> None:
        """Write rows in columns, or one by one if something about them is odd."""
        before = set(self._candidates), set(self._tasks)
        said = {hash(row[1:]): row for row in block.about}
        unread = [row for key, row in said.items() if key not in self._said]
        try:
            with self._batch() as self._writer:
                self._add_columns(block, unread)
        except NotFresh:
            self._candidates, self._tasks = before
            for some in _in_batches(block.rows()):
                self.write_rows(some)  # type: ignore[arg-type]  # rows are no blocks
        else:
            self.new += len(block)
            self._said |= said.keys()

    def _add_columns(self, block: Block, about: Sequence[ItemRow]) -> None:
        """Write columns, and what is said about items that this import has not said before."""
        stored = self._writer.find_items(row.item for row in about)
        fresh = [row for row in about if row.item not in stored]
        odd = any(self._says_more(row, stored[row.item]) for row in about if row.item in stored)
        named = self._candidates.union(block.columns.candidates), self._tasks.union(row.task or "" for row in fresh)
        if odd or max(map(len, named)) > self._limits.names:
            raise NotFresh
        self._add_items(fresh)
        self._add_candidates(block.columns.candidates)
        self._writer.add_columns(block.columns)

    def _good(self, rows: Iterable[R | BadRow]) -> list[R]:
        """Return the rows that can be read."""
        kept = []
        for row in rows:
            reason = row.reason if isinstance(row, BadRow) else _unkeepable(row)
            if isinstance(row, BadRow) or reason:
                self._bad(BadRow(row.about.where if isinstance(row, Row) else row.where, reason))
            else:
                kept.append(row)
        return kept

    def _add_rows(self, rows: Sequence[Row]) -> None:
        clashing = self._add_items([row.about for row in rows])
        kept = [row for row in rows if row.about.where not in clashing]
        self._add_candidates(dict.fromkeys(row.outcome.candidate for row in kept))
        result = self._writer.add_outcomes([row.outcome for row in kept])
        self.new += result.new
        self.known += result.known
        for conflict in result.conflicts:
            self._conflicting(kept[conflict.position], conflict)

    def _add_candidates(self, ids: Iterable[str]) -> None:
        new = [id_ for id_ in ids if id_ not in self._candidates]
        if new:
            self._candidates.update(new)
            self._limits.check("names", len(self._candidates), "the files name {n} models or more")
            known = {candidate.id for candidate in self._writer.candidates()}
            self._writer.add_candidates([Candidate(id=id_) for id_ in new if id_ not in known])

    def _add_items(self, rows: Sequence[ItemRow]) -> set[str]:
        """Store what rows say about their items; return the places of rows that contradict what is known."""
        items = self._writer.find_items({row.item for row in rows})
        changed: dict[str, Item] = {}
        clashing = set()
        for row in rows:
            before = items.get(row.item)
            if before is not None and not self._says_more(row, before):
                continue
            said = Item(
                id=row.item,
                task=row.task or (self._task if before is None or _lacks_task(before) else UNASSIGNED),
                instruction=row.instruction,
                options=row.options,
                answer=row.answer,
            )
            reason = "" if before is None else _contradiction(before, said)
            if before is not None and reason and self._replace and row.item not in self._replaced:
                self._replaced.add(row.item)
                items[row.item] = changed[row.item] = _corrected(before, said)
            elif reason:
                self._bad(BadRow(row.where, reason))
                clashing.add(row.where)
            else:
                items[row.item] = changed[row.item] = said if before is None else merge_items(before, said)
        self._add_tasks(dict.fromkeys(item.task for item in changed.values()))
        self._writer.add_items(changed.values(), replace=self._replace)
        return clashing

    def _says_more(self, row: ItemRow, item: Item) -> bool:
        """Return whether a row, or the task of those without one, adds to what is stored or contradicts it."""
        named = self._task != UNASSIGNED and row.task is None and _lacks_task(item)
        return named or not _says_nothing_new(row, item)

    def _add_tasks(self, ids: Iterable[str]) -> None:
        new = [id_ for id_ in ids if id_ not in self._tasks]
        if new:
            self._tasks.update(new)
            self._limits.check("names", len(self._tasks), "the files name {n} tasks or more")
            stored = {task.id for task in self._writer.tasks()}
            known = {task.id: task for task in known_tasks()}
            lacking = [id_ for id_ in new if id_ not in stored]
            self._writer.add_tasks([known.get(id_) or Task(id=id_, keywords=_words(id_)) for id_ in lacking])

    def _conflicting(self, row: Row, conflict: Conflict) -> None:
        if conflict.since == row.outcome.when:  # the other one was imported just now
            reason = f"correct={conflict.outcome.correct:g}, but an earlier row says {conflict.stored:g}"
            self._bad(BadRow(row.about.where, f"{conflict.what}: {reason}"))
        else:
            self._refuse(row.about.where, f"{conflict.what}: {conflict.reason}; for a corrected file: --replace")

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


def row_or_bad(where: str, make: Callable[[], T]) -> T | BadRow:
    """Return what `make` makes of a row, or why it cannot: no value in a file may break an import in another way."""
    try:
        return make()
    except InvalidInput as error:
        return BadRow(where, str(error))
    except MALFORMED as error:
        return BadRow(where, f"holds a value of another kind than is needed ({type(error).__name__})")


def source_of(kind: str, path: Path) -> str:
    """Return the default source of a file's outcomes: `table:results.csv`."""
    return f"{kind}:{path.name}".encode("utf-8", "backslashreplace").decode()[:500]


def _unkeepable(row: Row | ItemRow) -> str:
    """Say why no database can keep a text of this row; nothing if one can."""
    about = row.about if isinstance(row, Row) else row
    texts = [about.item, about.task, about.instruction, about.answer, *about.options]
    whole = "".join(text for text in texts if text) + (row.outcome.candidate if isinstance(row, Row) else "")
    if "\0" in whole:
        return "a text holds the character NUL"
    try:
        whole.encode()
    except UnicodeEncodeError as error:
        return f"a text holds {whole[error.start]!r}, half a surrogate pair, which is not valid Unicode"
    return ""


def _lacks_task(item: Item) -> bool:
    return item.task == UNASSIGNED or item.assigned


def _says_nothing_new(row: ItemRow, item: Item) -> bool:
    return (
        (row.task is None or (row.task == item.task and not item.assigned))
        and row.instruction in (None, item.instruction)
        and row.options in ((), item.options)
        and row.answer in (None, item.answer)
    )


def _corrected(before: Item, said: Item) -> Item:
    """Return an item as a corrected file describes it; what the file does not say stays."""
    given = said.model_dump(include={"instruction", "options", "answer"})
    task = {} if said.task == UNASSIGNED else {"task": said.task, "assigned": False}
    return before.model_copy(update={**{name: value for name, value in given.items() if value}, **task})


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
