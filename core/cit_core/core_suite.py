"""Choose the questions of an aptitude test: the paper's core-task sampling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cit_core.catalogue import known_tasks
from cit_core.errors import InvalidInput
from cit_core.outcomes import OutcomeMatrix, Split
from cit_core.records import Suite, Task

__all__ = ["build_core_suite", "core_suite_from_outcomes", "distinguishability"]

TOO_CLEAR = 0.05
"""Share of models: an item that fewer get right, or wrong, does not distinguish models."""


def distinguishability(correct_IM: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return how well each item distinguishes models: 4 p (1 - p), with p the share of models that are right.

    Args:
        correct_IM: I items x M models, in [0, 1]; NaN where a model was not measured.

    Returns:
        I weights in [0, 1]; 1 where half of the models are right, 0 where nearly all agree or none was measured.
    """
    known_IM = ~np.isnan(correct_IM)
    share_I = np.where(known_IM, correct_IM, 0.0).sum(1) / np.maximum(known_IM.sum(1), 1)
    clear_I = (share_I < TOO_CLEAR) | (share_I > 1.0 - TOO_CLEAR)
    return np.where(clear_I, 0.0, 4.0 * share_I * (1.0 - share_I))


def core_suite_from_outcomes(
    name: str,
    item_ids: Sequence[str],
    item_tasks: Sequence[str],
    correct_IM: NDArray[np.floating],
    tasks: Sequence[Task],
    *,
    groups: Mapping[str, str] | None = None,
    number_of_tasks: int = 50,
    shots: int = 20,
    seed: int = 0,
) -> Suite:
    """Sample a core set: items by their distinguishability, tasks by that of their items (paper, core-task sampling).

    Args:
        name: Name of the suite.
        item_ids: I items that may be asked.
        item_tasks: The task of each.
        correct_IM: I items x M models that may be looked at; NaN where not measured.
        tasks: Every task, with keywords.
        groups: Task id to a wider field; each field gets two tasks before any gets a third by merit.
        number_of_tasks: Tasks in the suite.
        shots: Items of each task.
        seed: Seed of the sampling.

    Raises:
        InvalidInput: If fewer tasks than asked for have enough telling items.
    """
    weight_I = distinguishability(correct_IM)
    # Weighted sampling without replacement: the largest keys u^(1/w) (Efraimidis and Spirakis, 2006).
    key_I = np.random.default_rng(seed).random(len(item_ids)) ** (1.0 / np.maximum(weight_I, 1e-9))
    order = np.argsort(-key_I)
    of_task: dict[str, list[int]] = {task.id: [] for task in tasks}
    for place in order:
        if weight_I[place] > 0.0 and item_tasks[place] in of_task:
            of_task[item_tasks[place]].append(int(place))
    merit = {id_: float(weight_I[found[:shots]].mean()) for id_, found in of_task.items() if len(found) >= shots}
    if len(merit) < number_of_tasks:
        raise InvalidInput(
            f"only {len(merit)} tasks have {shots} items that tell models apart; {number_of_tasks} were asked for: ask "
            "for fewer tasks or shots, or give outcomes of more models"
        )
    chosen = _choose(merit, groups or {}, number_of_tasks)
    return Suite(
        name=name,
        tasks=tuple(task for task in tasks if task.id in chosen),
        items={
            task.id: tuple(sorted(item_ids[place] for place in of_task[task.id][:shots]))
            for task in tasks
            if task.id in chosen
        },
    )


def _choose(merit: Mapping[str, float], groups: Mapping[str, str], number: int) -> set[str]:
    by_merit = sorted(merit, key=lambda id_: (-merit[id_], id_))
    seen: dict[str, int] = {}
    first: list[str] = []
    for id_ in by_merit:
        group = groups.get(id_, "")
        seen[group] = seen.get(group, 0) + 1
        if groups and seen[group] <= 2:
            first.append(id_)
    rest = [id_ for id_ in by_merit if id_ not in first]
    return set((first + rest)[:number])


def build_core_suite(table: OutcomeMatrix, split: Split) -> Suite:
    """Build the core set: the 50 tasks x 20 training items that distinguish training models best."""
    seen = table.split(split)["train"].of_models(split.models(table.candidates)["train"])
    return core_suite_from_outcomes(
        "mmlu-pro-core",
        seen.item_ids,
        seen.tasks,
        seen.correct_IK,
        known_tasks(),
        groups=dict(zip(table.tasks, table.categories, strict=True)),
    )
