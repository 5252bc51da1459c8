"""What is kept: outcomes are facts, a capability is computed from them.

    with CapabilityStore("sqlite:///zoo.db") as store:
        with store.transaction() as writer:             # all of it or nothing
            writer.add_tasks([task])
            writer.add_items(items)
        store.add_outcomes(outcomes)                    # a transaction per batch
        store.capabilities()

`transaction` is the one way to write; every `add_*` of the store goes through it. Writers take turns, readers never
wait and never see half a transaction, and each transaction that changed something counts the version up by one.
"""

from cit_core.store.capability_store import CapabilityStore, Snapshot
from cit_core.store.queries import ASKED, UNASSIGNED, in_batches
from cit_core.store.writer import (
    REFUSED_SHOWN,
    BatchResult,
    Conflict,
    ImportSummary,
    Writer,
    merge_items,
)

__all__ = [
    "ASKED",
    "REFUSED_SHOWN",
    "UNASSIGNED",
    "BatchResult",
    "CapabilityStore",
    "Conflict",
    "ImportSummary",
    "Snapshot",
    "Writer",
    "in_batches",
    "merge_items",
]
