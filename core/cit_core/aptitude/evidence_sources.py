"""Read evidence from a store: outcomes of questions, and profiles of tasks without stored questions.

Axes: I stored questions, K candidates, T tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from cit_core.evidence import Profiles
from cit_core.outcomes import OutcomeMatrix
from cit_core.records import Candidate, Capability, Suite, TaskResult

if TYPE_CHECKING:
    from cit_core.store import CapabilityStore

__all__ = ["Log", "log_of", "mean_profile", "profiles_of", "with_texts"]

REFERENCE = Candidate(id="mean of the log")


class Encoder(Protocol):
    """Anything that turns texts into vectors."""

    @property
    def encoder(self) -> str:
        """Name and version of the encoder."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return unit vectors, (len(texts), D)."""


class Log(NamedTuple):
    """A snapshot of a store."""

    outcomes: OutcomeMatrix
    profiles: Profiles | None
    capabilities: tuple[Capability, ...]
    """Capabilities of the candidates of `outcomes`, in their order."""
    version: int

    def capabilities_without(self, rows: NDArray[np.intp]) -> list[Capability]:
        """Return the candidates' profiles without the outcomes of some questions."""
        counts = _counts(self.outcomes, rows)
        return [_less(capability, counts.get(capability.candidate.id, {})) for capability in self.capabilities]


def log_of(store: CapabilityStore, scorer: Encoder, suite: Suite | None = None) -> Log:
    """Read a snapshot of a store, without the texts of its questions."""
    snapshot = store.snapshot(suite, encoder=scorer.encoder)
    outcomes = snapshot.evidence
    assert outcomes is not None  # an encoder was given
    profiles = profiles_of(snapshot.capabilities, outcomes, scorer, of_suite=suite is not None)
    return Log(outcomes, profiles, snapshot.capabilities, snapshot.version)


def with_texts(store: CapabilityStore, log: Log) -> Log:
    """Return the log with the texts of its questions; "" where one is not known."""
    texts = {item.id: item.instruction or "" for item in store.items(log.outcomes.item_ids)}
    instructions = tuple(texts.get(id_, "") for id_ in log.outcomes.item_ids)
    return log._replace(outcomes=replace(log.outcomes, instructions=instructions))


def profiles_of(
    capabilities: Sequence[Capability],
    outcomes: OutcomeMatrix,
    scorer: Encoder,
    *,
    of_suite: bool = False,
) -> Profiles | None:
    """Return accuracies on tasks beyond the questions that have vectors; None where there are none.

    Args:
        capabilities: Capabilities of the candidates of `outcomes`, in their order.
        outcomes: Outcomes of questions with vectors.
        scorer: Gives tasks their vectors.
        of_suite: True if the capabilities are over a suite's tasks, which are not those of `outcomes`.
    """
    if of_suite and len(outcomes.vectors_ID):
        return None
    counts = _counts(outcomes, np.arange(len(outcomes.vectors_ID)))
    beyond = [_less(capability, counts.get(capability.candidate.id, {})) for capability in capabilities]
    described = {result.task.id: result.task for capability in beyond for result in capability.results}
    if not described:
        return None
    place = {id_: at for at, id_ in enumerate(described)}
    correct_TK = np.full((len(place), len(beyond)), np.nan)
    count_TK = np.zeros(correct_TK.shape)
    for column, capability in enumerate(beyond):
        for result in capability.results:
            correct_TK[place[result.task.id], column] = result.accuracy
            count_TK[place[result.task.id], column] = result.count
    return Profiles(scorer.encode([task.description for task in described.values()]), correct_TK, count_TK)


def mean_profile(capabilities: Sequence[Capability]) -> Capability:
    """Return a candidate with the mean accuracy of the measured candidates on every task."""
    found: dict[str, list[TaskResult]] = {}
    for capability in capabilities:
        for result in capability.results:
            found.setdefault(result.task.id, []).append(result)
    lines = tuple(
        TaskResult(
            task=results[0].task,
            accuracy=float(np.mean([result.accuracy for result in results])),
            count=max(1, round(float(np.mean([result.count for result in results])))),
        )
        for results in found.values()
    )
    return Capability(candidate=REFERENCE, results=lines)


def _counts(outcomes: OutcomeMatrix, rows: NDArray[np.intp]) -> Mapping[str, Mapping[str, tuple[float, int]]]:
    """Return candidate to task to (sum of outcomes, number of questions), over some questions."""
    task_R, correct_RK = outcomes.task_I[rows], outcomes.correct_IK[rows]
    found: dict[str, dict[str, tuple[float, int]]] = {id_: {} for id_ in outcomes.candidates}
    for task in np.unique(task_R[task_R >= 0]):
        mine_RK = correct_RK[task_R == task]
        counts_K, sums_K = (~np.isnan(mine_RK)).sum(axis=0), np.nansum(mine_RK, axis=0)
        for id_, total, count in zip(outcomes.candidates, sums_K, counts_K, strict=True):
            if count:
                found[id_][outcomes.task_ids[task]] = (float(total), int(count))
    return found


def _less(capability: Capability, counts: Mapping[str, tuple[float, int]]) -> Capability:
    """Return a profile without some of its outcomes."""
    lines = []
    for result in capability.results:
        total, count = counts.get(result.task.id, (0.0, 0))
        left = result.count - count
        if left > 0:
            accuracy = min(max((result.accuracy * result.count - total) / left, 0.0), 1.0)
            lines.append(TaskResult(task=result.task, accuracy=accuracy, count=left))
    return Capability(candidate=capability.candidate, results=tuple(lines))
