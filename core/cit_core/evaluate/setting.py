"""A setting of the benchmark: the questions, the candidates, and the data that routers may use.

Axes: N items that are routed, I items that are known, K candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cit_core.aptitude.evidence_sources import Log
from cit_core.capability import capability_from_outcomes
from cit_core.evaluate.baselines import BaselineData
from cit_core.outcomes import OutcomeMatrix, Split
from cit_core.records import Candidate, Capability, Task

__all__ = ["Compared", "Part", "Setting", "profile_of", "unseen_items"]


@dataclass(frozen=True)
class Setting:
    """One setting in which routers are compared."""

    name: str
    title: str
    held_out: str
    """Description of the held-out data."""
    instructions: tuple[str, ...]
    """N texts."""
    groups: tuple[str, ...]
    """Task or dataset of each, for what is best per dataset in hindsight."""
    correct_NK: NDArray[np.float64]
    """NaN where a candidate was not measured; in what routers are compared on, nowhere."""
    capabilities: tuple[Capability, ...]
    """Capabilities of the K candidates."""
    known: BaselineData
    known_instructions: tuple[str, ...]
    """Texts of the I known items."""
    known_questions: frozenset[str]
    """The same without their answer options, where the source tells them apart."""
    log: Log | None = None
    """Content of a store without these questions, if its router is judged; else evidence reads `known`."""

    @property
    def candidates(self) -> tuple[str, ...]:
        """K ids."""
        return tuple(capability.candidate.id for capability in self.capabilities)

    @property
    def aptitude(self) -> NDArray[np.float64]:
        """Mean accuracy of the profiles: what a user knows without us."""
        return np.array([capability.mean_accuracy for capability in self.capabilities])

    def part(self, candidates: Sequence[str], name: str, title: str, held_out: str) -> Part:
        """Return the part with some of the candidates, on the items on which all of these were measured."""
        columns = np.array([self.candidates.index(candidate) for candidate in candidates])
        rows = np.flatnonzero(~np.isnan(self.correct_NK[:, columns]).any(axis=1))
        setting = replace(
            self,
            name=name,
            title=title,
            held_out=held_out,
            instructions=tuple(self.instructions[row] for row in rows),
            groups=tuple(self.groups[row] for row in rows),
            correct_NK=self.correct_NK[np.ix_(rows, columns)],
            capabilities=tuple(self.capabilities[column] for column in columns),
        )
        return Part(setting, rows, columns)


class Part(NamedTuple):
    """A setting within another one; its scores are part of the other's."""

    setting: Setting
    rows_N: NDArray[np.intp]
    """Rows of its items in the whole."""
    columns_K: NDArray[np.intp]
    """Columns of its candidates in the whole."""

    def scores_of(self, scores: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
        """Return its share of the whole's scores, for every method."""
        return {name: given[np.ix_(self.rows_N, self.columns_K)] for name, given in scores.items()}


class Compared(NamedTuple):
    """A setting that routers are compared on, and how its scores are had."""

    setting: Setting
    scores: Callable[[], dict[str, NDArray[np.float64]]]


def unseen_items(table: OutcomeMatrix, split: Split) -> NDArray[np.intp]:
    """Return the rows of test items with a question that is nowhere else: exams repeat themselves under other ids."""
    parts = split.items(table.item_ids)
    seen = {table.questions[row] for part in ("train", "validation") for row in parts[part]}
    return np.array([row for row in parts["test"] if table.questions[row] not in seen], np.intp)


def profile_of(
    candidate: Candidate, tasks: Sequence[Task], of_items: Sequence[str], correct_I: NDArray[np.floating]
) -> Capability:
    """Compute the capability of a candidate from its outcomes.

    Args:
        candidate: The candidate.
        tasks: Its lines.
        of_items: Task of each of the I items.
        correct_I: NaN where it was not measured.
    """
    measured = ((task, float(mark)) for task, mark in zip(of_items, correct_I, strict=True) if not np.isnan(mark))
    return capability_from_outcomes(candidate, tasks, measured)
