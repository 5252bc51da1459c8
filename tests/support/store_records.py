"""Records for tests of the store: two tasks, items that alternate between them, outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cit_core.records import Candidate, Item, Outcome, Suite, Task
from cit_core.store import CapabilityStore

ALGEBRA = Task(id="algebra", keywords=("equations", "groups"))
LAW = Task(id="law", keywords=("contracts",))
ITEMS = [Item(id=f"i{n}", task=("algebra", "law")[n % 2], instruction=f"question {n}") for n in range(4)]


def seed(store: CapabilityStore, items: int = 4, candidates: Sequence[str] = ("small", "big")) -> None:
    """Two tasks, items i0, i1, ... that alternate between them, and candidates."""
    with store.transaction() as writer:
        writer.add_tasks([ALGEBRA, LAW])
        writer.add_items(Item(id=f"i{n}", task=("algebra", "law")[n % 2]) for n in range(items))
        writer.add_candidates(Candidate(id=id_) for id_ in candidates)


def outcome(item: str, correct: float = 1.0, candidate: str = "small", source: str = "run", **facts: Any) -> Outcome:
    return Outcome(candidate=candidate, item=item, correct=correct, source=source, **facts)


def lines(store: CapabilityStore, candidate: str, suite: Suite | None = None) -> dict[str, tuple[float, int]]:
    return {r.task.id: (r.accuracy, r.count) for r in store.capability(candidate, suite).results}
