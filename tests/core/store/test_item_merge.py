"""What two records say about one item is put together, and never overwritten."""

from __future__ import annotations

import pytest
from store_records import seed

from cit_core.errors import InvalidInput
from cit_core.records import Item, Task
from cit_core.store import UNASSIGNED, CapabilityStore


def test_items_are_completed_but_not_changed(store: CapabilityStore) -> None:
    seed(store)
    with store.transaction() as writer:
        writer.add_tasks([Task(id="unassigned", keywords=("any",))])
        writer.add_items([Item(id="q", task="unassigned")])
    assert store.add_items([Item(id="q", task="law", instruction="Why?", answer="so")]) == 1
    assert store.add_items([Item(id="q", task="unassigned", options=("so", "not so"))]) == 1
    full = Item(id="q", task="law", instruction="Why?", options=("so", "not so"), answer="so")
    assert store.items(["q"]) == (full,)
    assert store.add_items([Item(id="q", task="law")]) == 0, "says nothing new"
    for other in (Item(id="q", task="algebra"), Item(id="q", task="law", instruction="When?")):
        with pytest.raises(InvalidInput, match="items: 'q' has other facts"):
            store.add_items([other])
    assert store.add_items([Item(id="q", task="algebra")], replace=True) == 1
    assert store.items(["q"]) == (Item(id="q", task="algebra"),)


def test_an_assigned_task_gives_way_to_a_stated_one_and_to_nothing_else(seeded: CapabilityStore) -> None:
    seeded.add_tasks([Task(id=UNASSIGNED, keywords=("unassigned",))])

    def now(task: str, *, assigned: bool = False) -> tuple[str, bool]:
        seeded.add_items([Item(id="loose", task=task, assigned=assigned)])
        (item,) = seeded.items(["loose"])
        return item.task, item.assigned

    assert now(UNASSIGNED) == (UNASSIGNED, False)
    assert now("law", assigned=True) == ("law", True)
    assert now("algebra", assigned=True) == ("law", True)
    assert now(UNASSIGNED) == ("law", True)
    assert now("algebra") == ("algebra", False)
    assert now("law", assigned=True) == ("algebra", False)
