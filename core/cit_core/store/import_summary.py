"""Report of outcomes that were written: how many were new, known or refused, and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from cit_core.records import Outcome

__all__ = ["REFUSED_SHOWN", "BatchResult", "Conflict", "ImportSummary"]

REFUSED_SHOWN = 100
"""Maximum number of refused outcomes in a summary; all of them are counted."""


class Conflict(NamedTuple):
    """An outcome that was refused because the same candidate, item and source is stored with another result."""

    position: int
    """Position in the batch, from 0."""
    outcome: Outcome
    stored: float
    since: datetime
    """`when` of the stored outcome."""

    @property
    def what(self) -> str:
        """Name the outcome."""
        return f"{self.outcome.candidate!r} on item {self.outcome.item!r} from {self.outcome.source!r}"

    @property
    def reason(self) -> str:
        """Say why it was refused."""
        return f"correct={self.outcome.correct:g} came and {self.stored:g} is stored; outcomes are never changed"


@dataclass(frozen=True)
class ImportSummary:
    """Counts of the outcomes that were added, known and refused."""

    new: int = 0
    known: int = 0
    """Number of outcomes that were stored already, with the same result."""
    refused_count: int = 0
    refused: tuple[tuple[str, str], ...] = ()
    """(Outcome, reason) of the first 100 that conflict with what is stored."""

    def __add__(self, other: ImportSummary) -> ImportSummary:
        return ImportSummary(
            self.new + other.new,
            self.known + other.known,
            self.refused_count + other.refused_count,
            (self.refused + other.refused)[:REFUSED_SHOWN],
        )


class BatchResult(NamedTuple):
    """Counts and conflicts of one batch of outcomes."""

    new: int
    known: int
    conflicts: tuple[Conflict, ...]
