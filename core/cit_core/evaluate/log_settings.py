"""What is compared on logs: outcomes of models that nobody has tested, over tasks of their own.

Profiles and evidence come from a part of the log, its other questions are routed. The network knows none of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cit_core.catalogue import known_tasks
from cit_core.errors import InvalidInput
from cit_core.evaluate.baselines import Known
from cit_core.evaluate.settings import Setting, profile_of, unseen_items
from cit_core.outcomes import OutcomeTable, Split
from cit_core.records import Candidate, Capability, Task
from cit_core.store import CapabilityStore

__all__ = ["measured_alike", "own_tasks_setting", "stored_outcomes", "tasks_held_out"]

HELD_OUT_TASKS = 0.3
"""Share of a log's tasks that are hidden where tasks are held out, those with the lowest hashes."""


def stored_outcomes(store: CapabilityStore) -> OutcomeTable:
    """What a store knows, as a table: every item with a text and an outcome that counts, the mean over sources.

    Raises:
        InvalidInput: If there is none.
    """
    held = set(store.held())
    items = {item.id: item for item in store.items() if item.instruction}
    sums: dict[tuple[str, str], tuple[float, int]] = {}
    for outcome in store.outcomes():
        if outcome.item in items and outcome.source not in held:
            total, count = sums.get((outcome.item, outcome.candidate), (0.0, 0))
            sums[outcome.item, outcome.candidate] = total + outcome.correct, count + 1
    if not sums:
        raise InvalidInput(f"{store.url} holds no outcome of a question whose text is known; `cit import` adds some")
    rows = {id_: row for row, id_ in enumerate(dict.fromkeys(item for item, _ in sums))}
    models = tuple(sorted({model for _, model in sums}))
    columns = {model: column for column, model in enumerate(models)}
    correct_IM = np.full((len(rows), len(models)), np.nan)
    for (item, model), (total, count) in sums.items():
        correct_IM[rows[item], columns[model]] = total / count
    kept = [items[id_] for id_ in rows]
    tasks = tuple(item.task for item in kept)
    texts = tuple(item.instruction or "" for item in kept)
    return OutcomeTable("store", tuple(rows), tasks, tasks, texts, texts, models, correct_IM)


def measured_alike(table: OutcomeTable) -> OutcomeTable:
    """A large part of a table in which everyone was measured on everything: routers are compared there.

    From every model in turn the others are added by how many items they share with it, as long as that keeps more
    outcomes; the largest part that is found so is taken.

    Raises:
        InvalidInput: If no two models have an item in common.
    """
    measured_IM = ~np.isnan(table.correct_IM)
    most, rows, columns = 0, np.zeros(0, np.intp), np.zeros(0, np.intp)
    for first in range(len(table.models)):
        shared_M = measured_IM[measured_IM[:, first]].sum(axis=0)
        shared_M[first] += 1  # it comes first
        order = np.argsort(-shared_M, kind="stable")
        together_IM = np.logical_and.accumulate(measured_IM[:, order], axis=1)
        kept = together_IM.sum(axis=0) * (np.arange(len(order)) + 1)
        kept[0] = 0
        if kept.max() > most:
            last = int(kept.argmax())
            most, rows, columns = int(kept.max()), np.flatnonzero(together_IM[:, last]), np.sort(order[: last + 1])
    if not most:
        raise InvalidInput(
            f"{table.name}: no two of {len(table.models)} models were measured on the same item, so there is nothing "
            "to compare routers on"
        )
    return OutcomeTable(
        name=table.name,
        item_ids=tuple(table.item_ids[row] for row in rows),
        tasks=tuple(table.tasks[row] for row in rows),
        categories=tuple(table.categories[row] for row in rows),
        instructions=tuple(table.instructions[row] for row in rows),
        questions=tuple(table.questions[row] for row in rows),
        models=tuple(table.models[column] for column in columns),
        correct_IM=table.correct_IM[np.ix_(rows, columns)],
    )


def tasks_held_out(table: OutcomeTable, split: Split) -> tuple[str, ...]:
    """Which tasks nobody may look at where whole tasks are held out."""
    tasks = sorted(set(table.tasks), key=split.fraction)
    return tuple(sorted(tasks[: max(1, round(HELD_OUT_TASKS * len(tasks)))]))


def own_tasks_setting(
    table: OutcomeTable,
    vectors_ID: NDArray[np.float32],
    split: Split,
    *,
    hidden: Collection[str] = (),
    told: Mapping[str, Capability] | None = None,
    learnt: bool = False,
) -> Setting:
    """Models with a log of their answers.

    Args:
        table: Everyone was measured on everything.
        vectors_ID: Trunk vectors of its items.
        split: Which items are held out.
        hidden: Tasks of which nothing is known: their questions are routed, and no others.
        told: What is known of a model besides: facts, prices, what its answers took.
        learnt: Whether the network has learnt from the questions that are not held out.

    Raises:
        InvalidInput: If there is nothing to route, or nothing to learn from.
    """
    parts = split.items(table.item_ids)
    inside = np.isin(table.tasks, list(hidden))
    rows = np.flatnonzero(inside) if hidden else unseen_items(table, split)
    seen = np.sort(np.concatenate([parts["train"], parts["validation"]]))
    seen = seen[~inside[seen]]
    known = {table.questions[row] for row in seen}
    rows = np.array([row for row in rows if table.questions[row] not in known], np.intp)
    if not len(rows) or not len(seen):
        raise InvalidInput(
            f"{table.name}: {len(table.item_ids):,} questions that everyone was measured on leave {len(rows):,} to "
            f"route and {len(seen):,} to learn from; `cit import` adds outcomes"
        )
    of_seen = [table.tasks[row] for row in seen]
    tasks = _tasks(of_seen)
    profiles = []
    for column, model in enumerate(table.models):
        fact = (told or {}).get(model, Capability(candidate=Candidate(id=model)))
        profile = profile_of(fact.candidate, tasks, of_seen, table.correct_IM[seen, column])
        profiles.append(profile.model_copy(update={"usage": fact.usage}))
    network = "has learnt from it too" if learnt else "knows none of it"
    what = f"The questions of {', '.join(sorted(hidden))}, and all else of these" if hidden else "The questions"
    return Setting(
        name=f"{table.name}-held-out-datasets" if hidden else table.name,
        title=f"Held-out datasets: {table.name}" if hidden else f"Models with a log: {table.name}",
        held_out=f"{what}. Profiles and evidence come from the rest of the log; the network {network}.",
        instructions=tuple(table.instructions[row] for row in rows),
        groups=tuple(table.tasks[row] for row in rows),
        correct_NK=table.correct_IM[rows],
        capabilities=tuple(profiles),
        known=Known(
            vectors_ID=vectors_ID[seen],
            tasks_I=tuple(of_seen),
            correct_IM=table.correct_IM[seen],
            capabilities=tuple(profiles),
            trained=(True,) * len(table.models),
            validation_I=np.isin(seen, parts["validation"]),
        ),
        known_instructions=tuple(table.instructions[row] for row in seen),
        known_questions=frozenset(known),
    )


def _tasks(of_items: Sequence[str]) -> list[Task]:
    words = {task.id: task for task in known_tasks()}
    return [
        words.get(id_) or Task(id=id_, keywords=tuple(id_.replace("_", "-").split("-"))) for id_ in sorted({*of_items})
    ]
