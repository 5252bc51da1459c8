"""Settings of the benchmark on logs: outcomes of models without an aptitude test, over tasks of their own.

Profiles and evidence come from a part of the log, its other questions are routed. The network knows none of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cit_core.aptitude.evidence_sources import Log
from cit_core.catalogue import known_tasks
from cit_core.errors import InvalidInput
from cit_core.evaluate.baselines import BaselineData
from cit_core.evaluate.setting import Setting, profile_of, unseen_items
from cit_core.outcomes import OutcomeMatrix, Split
from cit_core.records import Candidate, Capability, Task
from cit_core.store import CapabilityStore

__all__ = ["as_stored", "compared_on_log", "measured_alike", "own_tasks_setting", "stored_outcomes", "tasks_held_out"]

HELD_OUT_TASKS = 0.3
"""Share of a log's tasks that are hidden where tasks are held out, those with the lowest hashes."""


def stored_outcomes(store: CapabilityStore) -> OutcomeMatrix:
    """Return the outcomes of a store's items with a text, without items and candidates that have none, sorted by id.

    Raises:
        InvalidInput: If there is none.
    """
    found = store.outcome_matrix(texts=True).measured().sorted_by_id()
    if not len(found):
        raise InvalidInput(f"{store.url} holds no outcome of a question with a known text; `cit import` adds some")
    return found


def measured_alike(table: OutcomeMatrix) -> OutcomeMatrix:
    """Return a large part of a table in which every model was measured on every item: routers are compared there.

    From every model in turn the others are added by how many items they share with it, as long as that keeps more
    outcomes; the largest part that is found so is taken.

    Raises:
        InvalidInput: If no two models have an item in common.
    """
    measured_IM = table.measured_IK
    most, rows, columns = 0, np.zeros(0, np.intp), np.zeros(0, np.intp)
    for first in range(len(table.candidates)):
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
            f"{table.name}: no two of {len(table.candidates)} models were measured on the same item, so there is "
            "nothing to compare routers on"
        )
    return table.rows(rows).of_models([table.candidates[column] for column in columns])


def tasks_held_out(table: OutcomeMatrix, split: Split) -> tuple[str, ...]:
    """Return the tasks that are held out as a whole."""
    tasks = sorted(set(table.tasks), key=split.fraction)
    return tuple(sorted(tasks[: max(1, round(HELD_OUT_TASKS * len(tasks)))]))


def compared_on_log(
    log: OutcomeMatrix,
    vectors_ID: NDArray[np.float32],
    split: Split,
    told: Mapping[str, Capability],
    learnt: bool,
    stored: Log | None,
) -> Iterator[Setting]:
    """Yield what routers are compared on with a log: its questions, then tasks that are held out as a whole.

    Args:
        log: The outcomes; a large part of them is compared on.
        vectors_ID: Trunk vectors of its items.
        split: Split into training and held-out items.
        told: Capabilities of models with facts, prices and the usage of their answers.
        learnt: True if the network has learnt from the log: then no task can be held out.
        stored: All that a store holds, if the log is its outcomes.
    """
    table, place = measured_alike(log), {id_: row for row, id_ in enumerate(log.item_ids)}
    vectors_ID = vectors_ID[[place[id_] for id_ in table.item_ids]]
    several = len(set(table.tasks)) > 1 and not learnt
    for hidden in ((), tasks_held_out(table, split)) if several else ((),):
        setting = own_tasks_setting(table, vectors_ID, split, hidden=hidden, told=told, learnt=learnt)
        yield setting if stored is None else as_stored(setting, stored, split, hidden)


def own_tasks_setting(
    table: OutcomeMatrix,
    vectors_ID: NDArray[np.float32],
    split: Split,
    *,
    hidden: Collection[str] = (),
    told: Mapping[str, Capability] | None = None,
    learnt: bool = False,
) -> Setting:
    """Return the setting of models with a log of their answers.

    Args:
        table: Outcomes of every model on every item.
        vectors_ID: Trunk vectors of its items.
        split: Split into training and held-out items.
        hidden: Tasks of which nothing is known: their questions are routed, and no others.
        told: Capabilities of models with facts, prices and the usage of their answers.
        learnt: True if the network has learnt from the questions that are not held out.

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
    for column, model in enumerate(table.candidates):
        fact = (told or {}).get(model, Capability(candidate=Candidate(id=model)))
        profile = profile_of(fact.candidate, tasks, of_seen, table.correct_IK[seen, column])
        profiles.append(profile.model_copy(update={"usage": fact.usage}))
    network = "has learnt from it too" if learnt else "knows none of it"
    what = f"The questions of {', '.join(sorted(hidden))}, and all else of these" if hidden else "The questions"
    return Setting(
        name=f"{table.name}-held-out-datasets" if hidden else table.name,
        title=f"Held-out datasets: {table.name}" if hidden else f"Models with a log: {table.name}",
        held_out=f"{what}. Profiles and evidence come from the rest of the log; the network {network}.",
        instructions=tuple(table.instructions[row] for row in rows),
        groups=tuple(table.tasks[row] for row in rows),
        correct_NK=table.correct_IK[rows],
        capabilities=tuple(profiles),
        known=BaselineData(
            vectors_ID=vectors_ID[seen],
            tasks_I=tuple(of_seen),
            correct_IM=table.correct_IK[seen],
            capabilities=tuple(profiles),
            trained=(True,) * len(table.candidates),
            validation_I=np.isin(seen, parts["validation"]),
        ),
        known_instructions=tuple(table.instructions[row] for row in seen),
        known_questions=frozenset(known),
    )


def as_stored(setting: Setting, log: Log, split: Split, hidden: Collection[str] = ()) -> Setting:
    """The same questions for the router that the store gives without them: its profiles, its evidence, its order.

    Args:
        setting: Of a store's outcomes.
        log: All that the store holds.
        split: Which items are held out.
        hidden: Tasks of which nothing is known.
    """
    outcomes, routed = log.outcomes, set(setting.instructions)
    out_I = np.isin(outcomes.tasks, list(hidden)) | np.isin(
        np.arange(len(outcomes.item_ids)), split.items(outcomes.item_ids)["test"]
    )
    out_I |= np.array([text in routed for text in outcomes.instructions], bool)
    usage = {capability.candidate.id: capability.usage for capability in setting.capabilities}
    profiles = tuple(
        capability.model_copy(update={"usage": usage.get(capability.candidate.id, capability.usage)})
        for capability in log.capabilities_without(np.flatnonzero(out_I))
    )
    by_id = {capability.candidate.id: capability for capability in profiles}
    of_zoo = tuple(by_id[id_] for id_ in setting.candidates)
    kept = log._replace(outcomes=outcomes.rows(np.flatnonzero(~out_I)), capabilities=profiles)
    return replace(setting, capabilities=of_zoo, known=replace(setting.known, capabilities=of_zoo), log=kept)


def _tasks(of_items: Sequence[str]) -> list[Task]:
    words = {task.id: task for task in known_tasks()}
    return [
        words.get(id_) or Task(id=id_, keywords=tuple(id_.replace("_", "-").split("-"))) for id_ in sorted({*of_items})
    ]
