"""Validation counts the routed model's answers in zoos of similar strength, however many models there are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from outcome_tables import made_up_table
from paper_runs import data

from cit_core.catalogue import known_tasks
from cit_core.errors import InvalidInput
from cit_core.outcomes import Split
from cit_core.paper.dataset import TrainingData
from cit_core.paper.validation import validation_of


def test_routing_accuracy_is_that_of_the_best_scored_candidate_of_each_zoo() -> None:
    on, split = data(), Split()
    models = split.models(on.table.candidates)["train"]
    capabilities = on.capabilities(on.suite(split, 4, 8), models)
    validation = validation_of(on.table, split, models, capabilities, most=7)
    assert len(validation) == len(validation.instructions) == 7
    oracle = validation.metrics(validation.correct_NK * 10.0)
    correct_NK = validation.correct_NK
    best = [correct_NK[:, list(zoo)].max(1).mean() for zoo in validation.zoos]
    assert oracle["routing_accuracy"] == pytest.approx(np.mean(best))
    level_K = np.array([capability.mean_accuracy for capability in capabilities])
    fixed = validation.metrics(np.broadcast_to(level_K, correct_NK.shape))
    assert fixed["routing_accuracy"] == pytest.approx(fixed["best_by_aptitude"])
    assert validation.metrics(np.zeros(correct_NK.shape))["log_loss"] == pytest.approx(np.log(2.0))
    rows = [on.table.instructions.index(text) for text in validation.instructions]
    assert all(on.table.item_ids[row] for row in rows)


def test_who_was_not_measured_is_in_no_zoo_of_an_item() -> None:
    on, split = data(), Split()
    models = split.models(on.table.candidates)["train"]
    capabilities = on.capabilities(on.suite(split, 4, 8), models)
    table = replace(on.table, correct_IK=on.table.correct_IK.copy())
    table.correct_IK[::2, table.column(models[0])] = np.nan
    found = validation_of(table, split, models, capabilities, most=20)
    assert all(np.isfinite(list(found.metrics(np.zeros(found.correct_NK.shape)).values())))
    table.correct_IK[:, [table.column(model) for model in models[1:]]] = np.nan
    with pytest.raises(InvalidInput, match="none was answered by two of the"):
        validation_of(table, split, models, capabilities, most=20)


def test_forty_models_of_one_strength_are_sampled_and_not_listed() -> None:
    """There are 99 million zoos of eight among them: a store of 36 models used to hang here for hours."""
    names = [f"model-{number:02}" for number in range(40)]
    table = made_up_table(names, tasks=6, items_of_task=40)
    draw = np.random.default_rng(0)
    on = TrainingData(
        replace(table, correct_IK=draw.integers(0, 2, table.correct_IK.shape).astype(float)), known_tasks()
    )
    models = Split().models(names)["train"]
    capabilities = on.capabilities(on.suite(Split(), 4, 8), models)
    validation = validation_of(on.table, Split(), models, capabilities, most=20)
    assert len(validation.zoos) <= 50
    metrics = validation.metrics(np.zeros(validation.correct_NK.shape))
    assert 0.0 < metrics["routing_accuracy"] < 1.0
