"""Capability store: outcomes are facts, and a capability is computed from them.

    with CapabilityStore("sqlite:///zoo.db") as store:
        with store.transaction() as writer:             # all of it or nothing
            writer.add_tasks([task])
            writer.add_items(items)
        store.add_outcomes(outcomes)                    # a transaction per batch
        with store.bulk_load() as load:                 # batches that others can write between; all of it counts at
            for outcomes in batches:                    # the end, or nothing
                with load.batch() as writer:
                    writer.add_outcomes(outcomes)
        store.capabilities()

Every write goes through `transaction` or `bulk_load`. Writers take turns in the order in which they came, readers never
wait and never see half a transaction, and each transaction that changed something counts the version up by one.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cit_core.store.bulk_load import BulkLoad
    from cit_core.store.capability_store import CapabilityStore, Snapshot
    from cit_core.store.import_summary import REFUSED_SHOWN, BatchResult, Conflict, ImportSummary
    from cit_core.store.item_merge import merge_items
    from cit_core.store.queries import ADAPTIVE, ASKED, UNASSIGNED, estimate_of, in_batches
    from cit_core.store.sources import Source
    from cit_core.store.writer import Writer

__all__ = [
    "ADAPTIVE",
    "ASKED",
    "REFUSED_SHOWN",
    "UNASSIGNED",
    "BatchResult",
    "BulkLoad",
    "CapabilityStore",
    "Conflict",
    "ImportSummary",
    "Snapshot",
    "Source",
    "Writer",
    "estimate_of",
    "in_batches",
    "merge_items",
]

MODULES = {
    "BulkLoad": "bulk_load",
    "CapabilityStore": "capability_store",
    "Snapshot": "capability_store",
    "merge_items": "item_merge",
    "ADAPTIVE": "queries",
    "ASKED": "queries",
    "UNASSIGNED": "queries",
    "estimate_of": "queries",
    "in_batches": "queries",
    "Source": "sources",
    "REFUSED_SHOWN": "import_summary",
    "BatchResult": "import_summary",
    "Conflict": "import_summary",
    "ImportSummary": "import_summary",
    "Writer": "writer",
}
"""Module of every name, imported when the name is used: a URL can be read without waiting for SQLAlchemy."""


def __getattr__(name: str) -> object:
    """Import what is used."""
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{MODULES[name]}"), name)
