"""From outcomes to a capability: the accuracy and count of every task a candidate was measured on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from numbers import Real

from cit_core.errors import InvalidInput
from cit_core.records import Candidate, Capability, Task, TaskResult, Usage

__all__ = ["capability_from_outcomes", "capability_from_results"]


def capability_from_outcomes(
    candidate: Candidate, tasks: Sequence[Task], outcomes: Iterable[tuple[str, float]]
) -> Capability:
    """Average outcomes task by task.

    Args:
        candidate: Who was measured.
        tasks: The tasks to report, in this order; outcomes of other tasks are left out.
        outcomes: (task id, correct in [0, 1]) of every measured item.

    Returns:
        The capability; a task without outcomes has no line in it.

    Raises:
        InvalidInput: If an outcome is not a number in [0, 1].
    """
    totals: dict[str, list[float]] = {task.id: [] for task in tasks}
    for task_id, correct in outcomes:
        if not (isinstance(correct, Real) and 0.0 <= correct <= 1.0):  # NaN is not either
            raise InvalidInput(
                f"an outcome of {candidate.id!r} on task {task_id!r} is {correct!r}; it must be in [0, 1]"
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
        candidate: Who was measured.
        tasks: The tasks to report, in this order.
        results: Task id to (accuracy in [0, 1], number of questions behind it).
        usage: What its answers took.

    Raises:
        InvalidInput: If an accuracy is not in [0, 1] or a count is not positive.
    """
    lines = tuple(
        TaskResult(task=task, accuracy=results[task.id][0], count=results[task.id][1])
        for task in tasks
        if task.id in results
    )
    return Capability(candidate=candidate, results=lines, usage=usage or Usage())
