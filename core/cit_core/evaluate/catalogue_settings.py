"""Settings of the catalogue: models new and known, categories and data sets that are held out.

Every setting comes from one split, by a seeded hash of item ids and model names: `known` never holds an item that is
routed, nor more of a new model than its answers to the core set.

Axes: N items that are routed, I items that are known, M models that are known, K candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cit_core.catalogue import catalogue_candidates, core_suite
from cit_core.evaluate.baselines import BaselineData
from cit_core.evaluate.setting import Compared, Part, Setting, profile_of, unseen_items
from cit_core.outcomes import OutcomeMatrix, Split
from cit_core.records import Candidate, Capability

__all__ = [
    "catalogue_parts",
    "catalogue_setting",
    "categories_held_out",
    "compared_on_catalogue",
    "other_dataset_setting",
]

HELD_OUT_CATEGORIES = 4
"""Number of held-out categories of the 14 of MMLU-Pro: those with the lowest hashes."""


def categories_held_out(table: OutcomeMatrix, split: Split) -> tuple[str, ...]:
    """Return the held-out categories of the setting of that name."""
    return tuple(sorted(sorted(set(table.categories), key=split.fraction)[:HELD_OUT_CATEGORIES]))


def compared_on_catalogue(
    table: OutcomeMatrix,
    vectors_ID: NDArray[np.float32],
    split: Split,
    logs: Sequence[OutcomeMatrix],
    scores: Callable[[Setting], dict[str, NDArray[np.float64]]],
) -> Iterator[Compared]:
    """Yield all that routers are compared on with the catalogue: parts of its models, other data sets, categories.

    Args:
        table: MMLU-Pro outcomes.
        vectors_ID: Trunk vectors of its items.
        split: Split that names the items to route and the new models.
        logs: Other data sets.
        scores: Returns the scores of a setting; the parts of one share them.
    """

    def of_part(part: Part, whole: Setting) -> dict[str, NDArray[np.float64]]:
        return part.scores_of(scores(whole))

    for hidden in ((), categories_held_out(table, split)):
        whole = catalogue_setting(table, vectors_ID, split, hidden=hidden)
        for part in catalogue_parts(whole, split, hidden):
            yield Compared(part.setting, partial(of_part, part, whole))
        for log in () if hidden else logs:
            if (setting := other_dataset_setting(whole, log)) is not None:
                yield Compared(setting, partial(scores, setting))


def catalogue_setting(
    table: OutcomeMatrix,
    vectors_ID: NDArray[np.float32],
    split: Split,
    *,
    hidden: Collection[str] = (),
    asked: int | None = None,
    logged: int = 0,
) -> Setting:
    """Return the setting of all models in the catalogue: the split's test models are known by their core answers alone.

    Not every model was measured on everything; routers are compared on `Setting.part`s.

    Args:
        table: MMLU-Pro outcomes.
        vectors_ID: Trunk vectors of its items.
        split: Split that names the items to route and the new models.
        hidden: Categories of which nothing is known: their questions are routed, and no others.
        asked: Core questions that a new model has answered; all of them if not given.
        logged: Other items that it has answered besides.
    """
    inside = np.isin(table.categories, list(hidden))
    rows = unseen_items(table, split)
    rows = rows[inside[rows]] if hidden else rows
    known, profiles = _known(table, vectors_ID, split, ~inside, asked, logged)
    seen = _seen_items(table, split, ~inside)
    return Setting(
        name=f"{table.name}-held-out-categories" if hidden else table.name,
        title="",
        held_out="",
        instructions=tuple(table.instructions[row] for row in rows),
        groups=tuple(table.categories[row] for row in rows),
        correct_NK=table.correct_IK[rows],
        capabilities=tuple(profiles[model] for model in table.candidates),
        known=known,
        known_instructions=tuple(table.instructions[row] for row in seen),
        known_questions=frozenset(table.questions[row] for row in seen),
    )


def catalogue_parts(whole: Setting, split: Split, hidden: Sequence[str] = ()) -> list[Part]:
    """Return the parts with new models, with the models of the training run, and with all of them.

    Args:
        whole: A `catalogue_setting`.
        split: Its split.
        hidden: Its categories.
    """
    models = split.models(whole.candidates)
    where = f" on categories that are held out: {', '.join(hidden)}" if hidden else ""
    seen = (
        " No outcome, vector or profile line of these categories is known; the network alone has seen training "
        "questions of them."
        if hidden
        else ""
    )
    suffix = "-held-out-categories" if hidden else ""
    return [
        whole.part(
            models["test"],
            f"new-models{suffix}",
            f"Models that were in no training run{where}",
            f"The questions, and the models: of a new model everyone sees its answers to the core set and nothing "
            f"else.{seen}",
        ),
        whole.part(
            models["train"],
            f"known-models{suffix}",
            f"Models of the training run{where}",
            f"The questions. Every training outcome of the candidates may be looked at.{seen}",
        ),
        whole.part(
            tuple(sorted(whole.candidates)),
            f"all-models{suffix}",
            f"All models{where}",
            f"The questions; of {', '.join(models['test'])} everyone sees the answers to the core set and nothing "
            f"else.{seen}",
        ),
    ]


def other_dataset_setting(whole: Setting, log: OutcomeMatrix) -> Setting | None:
    """Return the setting of another data set, for models with a profile from `whole`; None if no two share an item.

    Args:
        whole: The setting with the known outcomes and models.
        log: Every item that the models were measured on is routed, but for questions that are known.
    """
    shared = [model for model in log.candidates if model in whole.candidates]
    if len(shared) < 2:
        return None
    correct_NK = log.correct_IK[:, [log.column(model) for model in shared]]
    measured = np.flatnonzero(~np.isnan(correct_NK).any(axis=1))
    rows = [row for row in measured if log.questions[row] not in whole.known_questions]
    if not rows:
        return None
    profiles = {capability.candidate.id: capability for capability in whole.capabilities}
    return replace(
        whole,
        name=f"{whole.name}-to-{log.name}",
        title=f"Held-out datasets: from {whole.name} to {log.name}",
        held_out=f"All of {log.name} but for {len(measured) - len(rows)} questions that {whole.name} asks too. "
        f"Everything known comes from {whole.name}; only {' and '.join(shared)} are in both under one name.",
        instructions=tuple(log.instructions[row] for row in rows),
        groups=tuple(log.tasks[row] for row in rows),
        correct_NK=correct_NK[rows],
        capabilities=tuple(profiles[model] for model in shared),
    )


def _seen_items(table: OutcomeMatrix, split: Split, visible: NDArray[np.bool_]) -> NDArray[np.intp]:
    parts = split.items(table.item_ids)
    seen: NDArray[np.intp] = np.sort(np.concatenate([parts["train"], parts["validation"]]))
    return seen[visible[seen]]


def _known(
    table: OutcomeMatrix,
    vectors_ID: NDArray[np.float32],
    split: Split,
    visible: NDArray[np.bool_],
    asked: int | None,
    logged: int,
) -> tuple[BaselineData, dict[str, Capability]]:
    seen, suite = _seen_items(table, split, visible), core_suite()
    core_task = {item: task.id for task in suite.tasks for item in suite.items[task.id]}
    core = np.array([table.item_ids[row] in core_task for row in seen], bool)
    new = np.isin(table.candidates, split.models(table.candidates)["test"])
    draw = np.random.default_rng(0)
    test, log = draw.permutation(np.flatnonzero(core))[:asked], draw.permutation(np.flatnonzero(~core))[:logged]
    hidden = np.ones(len(seen), bool)
    hidden[test] = hidden[log] = False
    correct_IM = table.correct_IK[seen].copy()
    correct_IM[np.ix_(hidden, new)] = np.nan
    facts = {candidate.id: candidate for candidate in catalogue_candidates()}
    profiles = {}
    for model, is_new in zip(table.candidates, new, strict=True):
        rows = seen[np.sort(test)] if is_new else seen[core]
        tasks = [core_task[table.item_ids[row]] for row in rows]
        marks = table.correct_IK[rows, table.column(model)]
        profiles[model] = profile_of(facts.get(model, Candidate(id=model)), suite.tasks, tasks, marks)
    known = BaselineData(
        vectors_ID=vectors_ID[seen],
        tasks_I=tuple(table.tasks[row] for row in seen),
        correct_IM=correct_IM,
        capabilities=tuple(profiles[model] for model in table.candidates),
        trained=tuple((~new).tolist()),
        validation_I=np.isin(seen, split.items(table.item_ids)["validation"]),
    )
    return known, profiles
