"""The outcomes that suites are sampled from and rankings are computed on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from cit_core.outcomes import UNASSIGNED, OutcomeMatrix
from cit_core.records import Item
from cit_core.store import CapabilityStore

__all__ = ["known_items", "responses_of"]


def known_items(store: CapabilityStore, given: Iterable[Item]) -> dict[str, Item]:
    """Return the items of a store and the given ones, by id. A given one wins, with the stored task if it has none."""
    known = {item.id: item for item in store.items()}
    for item in given:
        lacks_task = item.task == UNASSIGNED and item.id in known
        known[item.id] = item.model_copy(update={"task": known[item.id].task}) if lacks_task else item
    return known


def responses_of(store: CapabilityStore, items: Mapping[str, Item]) -> OutcomeMatrix:
    """Return every outcome that counts, of items that have a task; sorted by id.

    Args:
        store: The store with the outcomes.
        items: Items by id, with their tasks; outcomes of others are left out.
    """
    stored = store.outcome_matrix()
    tasks = tuple(items[id_].task if id_ in items else UNASSIGNED for id_ in stored.item_ids)
    with_task = replace(stored, tasks=tasks, categories=()).rows(np.array([task != UNASSIGNED for task in tasks], bool))
    return with_task.measured().sorted_by_id()
