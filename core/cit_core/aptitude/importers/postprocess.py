"""Complete an import: vectors of the new items, tasks of those without one, keywords of new tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from cit_core.aptitude.item_vectors import Encoder, encode_items
from cit_core.aptitude.task_assignment import assign_tasks, describe_tasks
from cit_core.errors import InvalidInput
from cit_core.records import Suite, Task
from cit_core.store import CapabilityStore

__all__ = ["Completed", "complete", "name_tasks"]


class Completed(NamedTuple):
    """Counts of completed items."""

    encoded: int
    """Number of items that got a vector."""
    assigned: int
    """Number of items that got a task."""


def complete(
    store: CapabilityStore,
    scorer: Encoder,
    suite: Suite,
    *,
    progress: Callable[[str, int], None] | None = None,
) -> Completed:
    """Give items their vectors, and those without a task the nearest one of a suite.

    Each batch is kept as it comes, so what is stopped goes on the next time.

    Args:
        store: The store with the items.
        scorer: The encoder.
        suite: The suite with the tasks.
        progress: Called with the name of a step and the number of items it has covered.
    """
    tell = progress or (lambda _what, _count: None)
    encoded = encode_items(store, scorer, progress=lambda done: tell("items encoded", done))
    return Completed(encoded, assign_tasks(store, suite, scorer, progress=lambda done: tell("items assigned", done)))


def name_tasks(
    store: CapabilityStore, keywords: Mapping[str, Sequence[str]] | None = None, *, from_texts: bool = False
) -> tuple[Task, ...]:
    """Give keywords to tasks, in one transaction; returns those that changed.

    Args:
        store: The store with the tasks.
        keywords: Task id to words; they replace the stored ones.
        from_texts: For tasks with keywords that only repeat their id, find keywords in the texts of their items.

    Raises:
        InvalidInput: If keywords are given for a task that the store does not have; nothing is written.
        MissingExtra: If texts must be searched and scikit-learn is not installed.
    """
    stored = {task.id: task for task in store.tasks()}
    given = {id_: Task(id=id_, keywords=tuple(words)) for id_, words in (keywords or {}).items()}
    unknown = sorted(given.keys() - stored.keys())
    if unknown:
        raise InvalidInput(
            f"keywords are given for task {unknown[0]!r}, and the store has only {', '.join(stored)}; "
            "no keywords were changed, outcomes that were imported stay"
        )
    found = {task.id: task for task in describe_tasks(store.items(), {}, stored.values())} if from_texts else {}
    changed = tuple(task for id_, task in (found | given).items() if task != stored[id_])
    if changed:
        store.add_tasks(changed, replace=True)
    return changed
