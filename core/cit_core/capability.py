"""Compute a capability from outcomes: accuracy and count on every task on which a candidate was measured."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Real
from typing import cast

from cit_core.errors import InvalidInput
from cit_core.messages import shown
from cit_core.records import Candidate, Capability, Task, TaskResult, Usage

__all__ = [
    "SURE_ANSWERS",
    "assumed_tokens",
    "capability_from_outcomes",
    "capability_from_results",
    "level_deviation",
]

COMPLETION_TOKENS = 256.0
"""Length of an answer that is assumed where none of any candidate was measured."""
UNKNOWN = 1.0
"""Standard deviation of the level of a candidate of which nothing is known [log-odds]."""
SURE_ANSWERS = 100
"""Answers of a candidate from which on nothing else that is known of it counts: those of an adaptive test."""


def capability_from_outcomes(
    candidate: Candidate, tasks: Sequence[Task], outcomes: Iterable[tuple[str, float]]
) -> Capability:
    """Average outcomes task by task.

    Args:
        candidate: Candidate that was measured.
        tasks: The tasks to report, in this order; outcomes of other tasks are left out.
        outcomes: (task id, correct in [0, 1]) of every measured item.

    Returns:
        The capability; a task without outcomes has no line in it.

    Raises:
        InvalidInput: If an outcome is not a number in [0, 1].
    """
    totals: dict[str, list[float]] = {task.id: [] for task in tasks}
    for task_id, correct in _pairs(outcomes):
        if not (isinstance(correct, Real) and 0.0 <= cast("float", correct) <= 1.0):  # NaN is not either
            raise InvalidInput(
                f"an outcome of {candidate.id!r} on task {shown(task_id)} is {shown(correct)}; it must be in [0, 1]"
            )
        if task_id in totals:
            totals[task_id].append(correct)
    return capability_from_results(
        candidate, tasks, {task_id: (sum(seen) / len(seen), len(seen)) for task_id, seen in totals.items() if seen}
    )


def capability_from_results(
    candidate: Candidate,
    tasks: Sequence[Task],
    results: Mapping[str, tuple[float, int]],
    *,
    usage: Usage | None = None,
) -> Capability:
    """Put accuracies that are already averaged into a capability.

    Args:
        candidate: Candidate that was measured.
        tasks: The tasks to report, in this order.
        results: Task id to (accuracy in [0, 1], number of questions behind it).
        usage: Mean usage of its answers.

    Raises:
        InvalidInput: If an accuracy is not in [0, 1] or a count is not positive.
    """
    if not isinstance(results, Mapping) or not all(
        isinstance(r, tuple | list) and len(r) == 2 for r in results.values()
    ):
        raise InvalidInput(f"results is {shown(results)}; it must be a dict: task id to (accuracy, count)")
    lines = tuple(
        TaskResult(task=task, accuracy=results[task.id][0], count=results[task.id][1])
        for task in tasks
        if task.id in results
    )
    return Capability(candidate=candidate, results=lines, usage=usage or Usage())


def level_deviation(capability: Capability, *, is_linked: bool = False) -> float:
    """Return the standard deviation of a candidate's level [log-odds], from the counts of its profile.

    Args:
        capability: The profile; without results, models in general are the guess.
        is_linked: True if all tasks were inferred from the same scores, so that their errors do not cancel.
    """
    lines = [(r.accuracy, r.count) for r in capability.results]
    if not lines:
        return UNKNOWN
    # Laplace's rule: ten right answers of ten are not certainty
    smooth = [((accuracy * count + 1.0) / (count + 2.0), count) for accuracy, count in lines]
    errors = [math.sqrt(p * (1.0 - p) / count) for p, count in smooth]
    mean = sum(p for p, _ in smooth) / len(smooth)
    error = sum(errors) / len(errors) if is_linked else math.sqrt(sum(e * e for e in errors)) / len(errors)
    return min(UNKNOWN, error / (mean * (1.0 - mean)))


def assumed_tokens(capabilities: Iterable[Capability]) -> float:
    """Return the length of an answer to assume: what others write in answer to such queries, at their efforts."""
    told = [
        c.usage.completion_tokens / (c.candidate.samples * c.candidate.length_share)
        for c in capabilities
        if c.usage.completion_tokens is not None
    ]
    return sum(told) / len(told) if told else COMPLETION_TOKENS


def _pairs(outcomes: object) -> Iterator[tuple[str, float]]:
    if isinstance(outcomes, str | Mapping) or not isinstance(outcomes, Iterable):
        raise InvalidInput(f"outcomes is {shown(outcomes)}; it must be a list of (task id, correct)")
    for pair in outcomes:
        if not (isinstance(pair, tuple | list) and len(pair) == 2 and isinstance(pair[0], str)):
            raise InvalidInput(f"an outcome is {shown(pair)}; it must be (task id, correct)")
        yield pair[0], pair[1]
