"""Who answered what right, as a matrix: what suites are sampled from and rankings are read from."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cit_core.records import Item
from cit_core.store import UNASSIGNED, CapabilityStore

__all__ = ["Responses", "known_items", "responses_of"]


@dataclass(frozen=True)
class Responses:
    """I items x M models, sorted by id: the order in which they were stored changes nothing."""

    item_ids: tuple[str, ...]
    tasks: tuple[str, ...]
    """Of each item."""
    models: tuple[str, ...]
    correct_IM: NDArray[np.float64]
    """In [0, 1], the mean over sources; NaN where a model was not measured."""

    def of_models(self, models: Collection[str]) -> Responses:
        """The same items with some of the models alone."""
        columns = [column for column, model in enumerate(self.models) if model in models]
        kept = tuple(self.models[column] for column in columns)
        return replace(self, models=kept, correct_IM=self.correct_IM[:, columns])


def known_items(store: CapabilityStore, given: Iterable[Item]) -> dict[str, Item]:
    """Every item of a store and every given one, by id. A given one counts, with the stored task if it has none."""
    known = {item.id: item for item in store.items()}
    for item in given:
        lacks_task = item.task == UNASSIGNED and item.id in known
        known[item.id] = item.model_copy(update={"task": known[item.id].task}) if lacks_task else item
    return known


def responses_of(store: CapabilityStore, items: Mapping[str, Item]) -> Responses:
    """Every outcome that counts, of items that have a task.

    Args:
        store: Read an outcome at a time; 24 bytes of each are kept.
        items: By id; of others no outcome is taken.
    """
    held = set(store.held())
    row_of: dict[str, int] = {}
    column_of: dict[str, int] = {}
    row_O, column_O, correct_O = array("q"), array("q"), array("d")
    for outcome in store.outcomes():
        item = items.get(outcome.item)
        if item is not None and item.task != UNASSIGNED and outcome.source not in held:
            row_O.append(row_of.setdefault(outcome.item, len(row_of)))
            column_O.append(column_of.setdefault(outcome.candidate, len(column_of)))
            correct_O.append(outcome.correct)
    cells = np.frombuffer(row_O, np.int64), np.frombuffer(column_O, np.int64)
    sum_IM = np.zeros((len(row_of), len(column_of)))
    count_IM = np.zeros_like(sum_IM)
    np.add.at(sum_IM, cells, np.frombuffer(correct_O))
    np.add.at(count_IM, cells, 1.0)
    mean_IM = np.divide(sum_IM, count_IM, out=np.full_like(sum_IM, np.nan), where=count_IM > 0)
    item_ids, models = sorted(row_of), sorted(column_of)
    return Responses(
        item_ids=tuple(item_ids),
        tasks=tuple(items[id_].task for id_ in item_ids),
        models=tuple(models),
        correct_IM=mean_IM[[row_of[id_] for id_ in item_ids]][:, [column_of[id_] for id_ in models]],
    )
