"""Smaller tables of outcomes, by a seeded hash of the items' ids."""

from __future__ import annotations

from cit_core.catalogue import core_suite
from cit_core.outcomes import OutcomeMatrix, Split

__all__ = ["MOST", "QUICK", "at_most", "thin"]

QUICK = 0.12
"""Share of the items besides the core set that a quick run looks at."""
MOST = 5_500
"""Items of a table that is halved, about."""


def thin(table: OutcomeMatrix, split: Split, share: float = QUICK) -> OutcomeMatrix:
    """Return a smaller table: the core set, and some of the other items."""
    core = set(core_suite().item_ids)
    kept = [row for row, id_ in enumerate(table.item_ids) if id_ in core or split.fraction(f"quick:{id_}") < share]
    return table.rows(kept)


def at_most(table: OutcomeMatrix, split: Split, number: int = MOST) -> OutcomeMatrix:
    """Return about so many items of a table."""
    if len(table.item_ids) <= number:
        return table
    share = number / len(table.item_ids)
    return table.rows([row for row, id_ in enumerate(table.item_ids) if split.fraction(f"most:{id_}") < share])
