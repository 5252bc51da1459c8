"""Copy the catalogue's answers on the core set into a store, with the vectors of the questions."""

from __future__ import annotations

import numpy as np

from cit_core.catalogue import (
    VECTORS_OF,
    catalogue_candidates,
    core_responses,
    core_suite,
    core_vectors,
)
from cit_core.errors import UnknownCandidate
from cit_core.records import Item, Outcome
from cit_core.store import CapabilityStore, Writer

__all__ = ["SOURCE", "add_from_catalogue", "copy_profile"]

SOURCE = "catalogue"
"""Source of the copied outcomes."""


def add_from_catalogue(store: CapabilityStore, id_: str) -> int:
    """Add a model that the catalogue knows, measured, in one transaction; returns how many outcomes are new.

    Raises:
        UnknownCandidate: If the catalogue does not hold it.
        InvalidInput: If it is stored with other facts.
    """
    known = {candidate.id: candidate for candidate in catalogue_candidates()}
    if id_ not in known:
        raise UnknownCandidate(id_, known, "the catalogue")
    with store.transaction() as writer:
        writer.add_candidates([known[id_]])
        return copy_profile(writer, id_)


def copy_profile(writer: Writer, id_: str) -> int:
    """Copy the outcomes of a model that is stored and in the catalogue; returns how many are new.

    Tasks that the store knows keep its keywords.
    """
    suite = core_suite()
    stored = {task.id for task in writer.tasks()}
    writer.add_tasks(task for task in suite.tasks if task.id not in stored)
    writer.add_items(Item(id=item, task=task.id) for task in suite.tasks for item in suite.items[task.id])
    writer.set_vectors(dict(zip(suite.item_ids, core_vectors(), strict=True)), VECTORS_OF)
    answers = zip(suite.item_ids, core_responses()[id_], strict=True)
    return writer.add_outcomes(
        Outcome(candidate=id_, item=item, correct=float(correct), source=SOURCE)
        for item, correct in answers
        if not np.isnan(correct)
    ).new
