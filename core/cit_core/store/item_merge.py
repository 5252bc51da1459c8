"""Merge two records of one item."""

from __future__ import annotations

from cit_core.errors import InvalidInput
from cit_core.outcomes import UNASSIGNED
from cit_core.records import Candidate, Item, Task

__all__ = ["differs", "merge_items"]

STATED = 2
"""Settledness of a task that the source itself has named."""


def merge_items(stored: Item, given: Item) -> Item:
    """Add what an item's record lacks: its text, or its task if that is `unassigned` or only found by similarity.

    Raises:
        InvalidInput: If the two say different things.
    """
    lacks = {"instruction": None, "options": (), "answer": None, "grader": None}
    facts = {
        name: getattr(given if getattr(stored, name) == absent else stored, name) for name, absent in lacks.items()
    }
    settled = given if _settledness(given) > _settledness(stored) else stored
    merged = Item(id=stored.id, task=settled.task, assigned=settled.assigned, **facts)
    said = {name: getattr(given, name) for name, absent in lacks.items() if getattr(given, name) != absent}
    if _settledness(given) == STATED:
        said["task"] = given.task
    if any(getattr(merged, name) != value for name, value in said.items()):
        raise differs("items", merged, merged.model_copy(update=said))
    return merged


def _settledness(item: Item) -> int:
    return 0 if item.task == UNASSIGNED else 1 if item.assigned else STATED


def differs(what: str, stored: Candidate | Task | Item, given: Candidate | Task | Item) -> InvalidInput:
    """Return the error which names the facts that two records disagree about."""
    pairs = ((name, getattr(stored, name), getattr(given, name)) for name in type(stored).model_fields)
    facts = ", ".join(f"{name}: {old!r:.60} is stored and {new!r:.60} came" for name, old, new in pairs if old != new)
    return InvalidInput(f"{what}: {given.id!r} has other facts ({facts}); pass replace=True to change what is stored")
