"""The matrix of who answered what: outcomes that count, of items that have a task, in an order of its own."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from cit_core.aptitude.suites.responses import known_items, responses_of
from cit_core.records import Candidate, Item, Outcome, Task
from cit_core.store import UNASSIGNED, CapabilityStore

ITEMS = [Item(id="b", task="t"), Item(id="a", task="u"), Item(id="lost", task=UNASSIGNED)]
OUTCOMES = [
    ("y", "b", 1.0, "s"),
    ("x", "b", 0.0, "s"),
    ("x", "b", 1.0, "another"),
    ("y", "a", 0.5, "s"),
    ("x", "lost", 1.0, "s"),
    ("x", "a", 1.0, "held"),
]


def fill(store: CapabilityStore, outcomes: list[tuple[str, str, float, str]], items: list[Item] = ITEMS) -> None:
    with store.transaction() as writer:
        writer.add_tasks([Task(id=id_, keywords=("k",)) for id_ in sorted({item.task for item in items})])
        writer.add_items(items)
        writer.add_candidates([Candidate(id=id_) for id_ in dict.fromkeys(who for who, *_ in outcomes)])
        writer.add_outcomes(
            Outcome(candidate=who, item=what, correct=correct, source=source) for who, what, correct, source in outcomes
        )


def test_it_is_sorted_averaged_over_sources_and_full_of_holes(store: CapabilityStore) -> None:
    fill(store, OUTCOMES)
    store.hold("held")
    found = responses_of(store, known_items(store, []))
    assert (found.item_ids, found.tasks, found.candidates) == (("a", "b"), ("u", "t"), ("x", "y"))
    np.testing.assert_array_equal(found.correct_IK, [[np.nan, 0.5], [0.5, 1.0]])
    store.release("held")
    np.testing.assert_array_equal(responses_of(store, known_items(store, [])).correct_IK, [[1.0, 0.5], [0.5, 1.0]])


@pytest.mark.parametrize("seed", [1, 2])
def test_the_order_in_which_outcomes_came_changes_nothing(store: CapabilityStore, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    with CapabilityStore(f"sqlite:///{tmp_path / 'shuffled.db'}") as other:
        fill(store, OUTCOMES)
        fill(other, chance.sample(OUTCOMES, len(OUTCOMES)), chance.sample(ITEMS, len(ITEMS)))
        one, another = (responses_of(each, known_items(each, [])) for each in (store, other))
    assert (one.item_ids, one.tasks, one.candidates) == (another.item_ids, another.tasks, another.candidates)
    np.testing.assert_array_equal(one.correct_IK, another.correct_IK)


def test_an_item_that_nobody_describes_is_left_out(store: CapabilityStore) -> None:
    fill(store, OUTCOMES)
    assert responses_of(store, {"a": ITEMS[1]}).item_ids == ("a",)


def test_nothing_gives_an_empty_matrix(store: CapabilityStore) -> None:
    assert responses_of(store, {}).correct_IK.shape == (0, 0)


def test_what_is_given_counts_with_the_stored_task_where_it_has_none(store: CapabilityStore) -> None:
    fill(store, OUTCOMES)
    given = [
        Item(id="a", task=UNASSIGNED, instruction="A?"),
        Item(id="b", task="mine"),
        Item(id="lost", task="found"),
        Item(id="new", task=UNASSIGNED),
    ]
    found = known_items(store, given)
    assert {id_: (item.task, item.instruction) for id_, item in found.items()} == {
        "a": ("u", "A?"),
        "b": ("mine", None),
        "lost": ("found", None),
        "new": (UNASSIGNED, None),
    }
    assert responses_of(store, found).tasks == ("u", "mine", "found")
