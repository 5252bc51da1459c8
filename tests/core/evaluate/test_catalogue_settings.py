"""Nothing that is routed is known: not the question, not what a new model answered, not a category that is hidden."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pytest
from bench_tables import CORE_TASK, MODELS, core_table, item_of, log_table, question_of, text_vectors
from hypothesis import given, settings
from hypothesis import strategies as st

from cit_core.catalogue import catalogue_candidates, core_suite
from cit_core.evaluate.catalogue_settings import (
    HELD_OUT_CATEGORIES,
    catalogue_parts,
    catalogue_setting,
    categories_held_out,
    other_dataset_setting,
)
from cit_core.evaluate.setting import Setting, profile_of, unseen_items
from cit_core.outcomes import OutcomeMatrix, Split
from cit_core.records import Candidate

SPLIT = Split()
seeds = st.integers(0, 10_000)
any_split = st.builds(Split, seed=st.text(max_size=5))


def setting_of(
    table: OutcomeMatrix,
    split: Split = SPLIT,
    hidden: Collection[str] = (),
    asked: int | None = None,
    logged: int = 0,
) -> Setting:
    vectors = text_vectors(table.instructions)
    return catalogue_setting(table, vectors, split, hidden=hidden, asked=asked, logged=logged)


def known_items(setting: Setting) -> list[str]:
    return [item_of(text) for text in setting.known_instructions]


@settings(deadline=None, max_examples=25)
@given(seeds, any_split, st.booleans())
def test_no_routed_question_is_known_under_any_id(seed: int, split: Split, hide: bool) -> None:
    table = core_table(seed=seed, missing=0.1, repeated=0.3)
    hidden = categories_held_out(table, split) if hide else ()
    setting = setting_of(table, split, hidden)
    known = {question_of(text) for text in setting.known_instructions}
    routed = {question_of(text) for text in setting.instructions}
    assert known
    assert not known & routed
    parts = split.items(table.item_ids)
    assert {item_of(text) for text in setting.instructions} <= {table.item_ids[row] for row in parts["test"]}
    assert setting.groups == tuple(table.categories[table.item_ids.index(item_of(t))] for t in setting.instructions)


@settings(deadline=None, max_examples=25)
@given(seeds, any_split, st.integers(1, 120), st.integers(0, 150))
def test_of_a_new_model_its_core_answers_and_its_log_are_known_and_nothing_else(
    seed: int, split: Split, asked: int, logged: int
) -> None:
    table = core_table(seed=seed)
    setting = setting_of(table, split, asked=asked, logged=logged)
    items, new = known_items(setting), split.models(table.candidates)["test"]
    core = np.array([item in CORE_TASK for item in items])
    for model in table.candidates:
        column = setting.known.ids.index(model)
        answers = setting.known.correct_IM[:, column]
        truth = table.correct_IK[[table.item_ids.index(item) for item in items], table.column(model)]
        there = ~np.isnan(answers)
        np.testing.assert_array_equal(answers[there], truth[there])
        assert setting.known.trained[column] is (model not in new)
        if model in new:
            assert there[core].sum() == min(asked, core.sum())
            assert there[~core].sum() == min(logged, (~core).sum())
        else:
            assert there.all()


@settings(deadline=None, max_examples=15)
@given(seeds, any_split, st.booleans())
def test_what_may_not_be_looked_at_makes_no_difference(seed: int, split: Split, hide: bool) -> None:
    table = core_table(seed=seed, missing=0.1)
    hidden = categories_held_out(table, split) if hide else ()
    secret = np.zeros(table.correct_IK.shape, bool)
    new = np.isin(table.candidates, split.models(table.candidates)["test"])
    secret[:, new] = ~np.isin(table.item_ids, list(CORE_TASK))[:, None]
    secret[split.items(table.item_ids)["test"]] = True
    secret[np.isin(table.categories, hidden)] = True
    other = replace(table, correct_IK=np.where(secret, 1.0 - table.correct_IK, table.correct_IK))
    vectors = text_vectors(table.instructions)
    moved = np.where(np.isin(table.categories, hidden)[:, None], -vectors, vectors)
    before = catalogue_setting(table, vectors, split, hidden=hidden)
    after = catalogue_setting(other, moved, split, hidden=hidden)
    np.testing.assert_array_equal(before.known.correct_IM, after.known.correct_IM)
    np.testing.assert_array_equal(before.known.vectors_ID, after.known.vectors_ID)
    assert before.known.capabilities == after.known.capabilities
    assert before.capabilities == after.capabilities
    assert not np.array_equal(before.correct_NK, after.correct_NK, equal_nan=True), "what is routed did change"


@settings(deadline=None, max_examples=15)
@given(seeds, any_split)
def test_hidden_categories_leave_no_outcome_vector_or_profile_line(seed: int, split: Split) -> None:
    table = core_table(seed=seed)
    hidden = categories_held_out(table, split)
    setting = setting_of(table, split, hidden)
    field = dict(zip(table.item_ids, table.categories, strict=True))
    assert set(setting.groups) <= set(hidden)
    assert not {field[item] for item in known_items(setting)} & set(hidden)
    assert len(setting.known.vectors_ID) == len(setting.known_instructions) == len(setting.known.tasks_I)
    field_of_task = dict(zip(table.tasks, table.categories, strict=True))
    for capability in setting.capabilities:
        assert capability.results
        assert not {field_of_task[result.task.id] for result in capability.results} & set(hidden)


@pytest.mark.parametrize("asked", [None, 30])
def test_profiles_are_the_accuracies_on_known_core_items(asked: int | None) -> None:
    table = core_table(core=200, missing=0.15)
    setting = setting_of(table, asked=asked)
    facts = {candidate.id: candidate for candidate in catalogue_candidates()}
    items = known_items(setting)
    for capability in setting.capabilities:
        model = capability.candidate.id
        answers = setting.known.correct_IM[:, setting.known.ids.index(model)]
        marks: dict[str, list[float]] = {}
        for item, mark in zip(items, answers, strict=True):
            if item in CORE_TASK and not np.isnan(mark):
                marks.setdefault(CORE_TASK[item], []).append(mark)
        found = {result.task.id: (result.accuracy, result.count) for result in capability.results}
        assert found == {task: (pytest.approx(np.mean(seen)), len(seen)) for task, seen in marks.items()}
        assert capability.candidate == facts[model]
    assert setting.aptitude.tolist() == [capability.mean_accuracy for capability in setting.capabilities]


def test_validation_items_and_vectors_stand_with_their_texts() -> None:
    table = core_table()
    setting, parts = setting_of(table), SPLIT.items(table.item_ids)
    validation = {table.item_ids[row] for row in parts["validation"]}
    assert setting.known.validation_I.tolist() == [item in validation for item in known_items(setting)]
    assert setting.known.validation_I.any()
    np.testing.assert_array_equal(setting.known.vectors_ID, text_vectors(setting.known_instructions))
    assert setting.known.tasks_I == tuple(table.tasks[table.item_ids.index(item)] for item in known_items(setting))


def test_who_is_asked_more_is_asked_the_same_questions_and_more() -> None:
    table, answered = core_table(core=200), []
    new = SPLIT.models(table.candidates)["test"][0]
    for asked, logged in [(20, 0), (50, 0), (50, 30), (200, 60)]:
        setting = setting_of(table, asked=asked, logged=logged)
        marks = setting.known.correct_IM[:, setting.known.ids.index(new)]
        answered.append({item for item, mark in zip(known_items(setting), marks, strict=True) if mark >= 0})
    assert answered[0] < answered[1] < answered[2] < answered[3]


def test_an_exam_that_repeats_itself_is_not_routed() -> None:
    table = core_table(core=0, others=60, repeated=0.0)
    parts = SPLIT.items(table.item_ids)
    test, train, validation = (int(parts[part][0]) for part in ("test", "train", "validation"))
    twin = int(parts["test"][1])
    questions = list(table.questions)
    questions[test], questions[twin] = questions[train], questions[validation]
    rows = unseen_items(replace(table, questions=tuple(questions)), SPLIT)
    assert rows.tolist() == [row for row in parts["test"].tolist() if row not in (test, twin)]


def test_the_categories_with_the_lowest_hashes_are_held_out() -> None:
    table = core_table()
    found = categories_held_out(table, SPLIT)
    left = set(table.categories) - set(found)
    assert len(found) == HELD_OUT_CATEGORIES
    assert max(map(SPLIT.fraction, found)) < min(map(SPLIT.fraction, left))
    assert found == tuple(sorted(found))


def test_a_part_holds_the_items_that_all_of_its_candidates_were_measured_on() -> None:
    whole = setting_of(core_table(MODELS[:12], missing=0.2))
    names = (whole.candidates[7], whole.candidates[2], whole.candidates[5])
    part = whole.part(names, "three", "Three of them", "The rest")
    expected = [n for n, row in enumerate(whole.correct_NK) if not np.isnan(row[[7, 2, 5]]).any()]
    assert 0 < len(expected) < len(whole.instructions)
    assert part.rows_N.tolist() == expected
    assert part.setting.candidates == names
    assert (part.setting.name, part.setting.title, part.setting.held_out) == ("three", "Three of them", "The rest")
    assert part.setting.instructions == tuple(whole.instructions[n] for n in expected)
    assert part.setting.groups == tuple(whole.groups[n] for n in expected)
    assert part.setting.correct_NK.tolist() == [[whole.correct_NK[n, k] for k in (7, 2, 5)] for n in expected]
    assert part.setting.known is whole.known, "one fit serves all parts"
    scores = np.arange(whole.correct_NK.size, dtype=float).reshape(whole.correct_NK.shape)
    found = part.scores_of({"x": scores, "y": -scores})
    assert found["x"].tolist() == [[scores[n, k] for k in (7, 2, 5)] for n in expected]
    assert found["y"].tolist() == (-found["x"]).tolist()


@pytest.mark.parametrize("hide", [False, True])
def test_the_parts_are_new_models_models_of_the_training_run_and_all(hide: bool) -> None:
    table = core_table()
    hidden = categories_held_out(table, SPLIT) if hide else ()
    new, known, everyone = (p.setting for p in catalogue_parts(setting_of(table, hidden=hidden), SPLIT, hidden))
    models = SPLIT.models(table.candidates)
    assert new.candidates == models["test"]
    assert known.candidates == models["train"]
    assert everyone.candidates == tuple(sorted(MODELS))
    suffix = "-held-out-categories" if hide else ""
    assert [s.name for s in (new, known, everyone)] == [f"{n}-models{suffix}" for n in ("new", "known", "all")]
    for setting in (new, known, everyone):
        assert all((name in setting.title) is hide for name in categories_held_out(table, SPLIT))
        assert ("these categories" in setting.held_out) is hide
    assert all(name in everyone.held_out for name in models["test"])


def test_another_data_set_is_routed_by_what_is_known_from_the_first() -> None:
    whole = setting_of(core_table())
    log = log_table(models=(MODELS[3], "stranger", MODELS[9]), items=60)
    log.correct_IK[:20, 0] = np.nan
    log.correct_IK[20:30, 1] = np.nan
    setting = other_dataset_setting(whole, log)
    assert setting is not None
    assert setting.name == "mmlu-pro-to-log"
    assert setting.candidates == tuple(model for model in log.candidates if model != "stranger")
    assert setting.known is whole.known
    own = {capability.candidate.id: capability for capability in whole.capabilities}
    assert setting.capabilities == tuple(own[model] for model in setting.candidates)
    columns = [log.column(model) for model in setting.candidates]
    rows = [row for row in range(60) if not np.isnan(log.correct_IK[row, columns]).any()]
    assert setting.instructions == tuple(log.instructions[row] for row in rows)
    assert setting.groups == tuple(log.tasks[row] for row in rows)
    assert setting.correct_NK.tolist() == log.correct_IK[np.ix_(rows, columns)].tolist()
    assert all(model in setting.held_out for model in setting.candidates)


def test_what_the_other_data_set_shares_with_the_first_is_not_routed() -> None:
    table = core_table()
    whole = setting_of(table)
    log = log_table(models=MODELS[:2], items=30)
    asked_too = question_of(whole.known_instructions[0])
    setting = other_dataset_setting(whole, replace(log, questions=(asked_too, *log.questions[1:])))
    assert setting is not None
    assert setting.instructions == log.instructions[1:], "whatever its options are"
    assert setting.correct_NK.tolist() == log.correct_IK[1:].tolist()
    assert "but for 1 questions that mmlu-pro asks too" in setting.held_out


def test_two_models_and_an_item_of_both_are_needed_in_the_other_data_set() -> None:
    whole = setting_of(core_table())
    assert other_dataset_setting(whole, log_table(models=("stranger", MODELS[0]))) is None
    apart = log_table(models=MODELS[:2], items=40)
    apart.correct_IK[:20, 0] = apart.correct_IK[20:, 1] = np.nan
    assert other_dataset_setting(whole, apart) is None


def test_a_profile_leaves_out_what_was_not_measured() -> None:
    tasks = core_suite().tasks[:3]
    of_items = [tasks[0].id, tasks[0].id, tasks[1].id, tasks[2].id, "no task of ours"]
    profile = profile_of(Candidate(id="a"), tasks, of_items, np.array([1.0, 0.5, np.nan, 0.0, 1.0]))
    assert [(r.task.id, r.accuracy, r.count) for r in profile.results] == [
        (tasks[0].id, 0.75, 2),
        (tasks[2].id, 0.0, 1),
    ]
