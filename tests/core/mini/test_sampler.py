"""A step sees only what it may: its own items are in no test, and held-out items and models are nowhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from outcome_tables import made_up_table

from cit_core.capability import capability_from_outcomes
from cit_core.catalogue import known_tasks
from cit_core.catalogue.resolve import public_profiles
from cit_core.mini.sampler import FEWEST_LINES, SHOTS, Profiles, PublicSampler, Sampler, Step, measured_profiles
from cit_core.outcomes import OutcomeMatrix
from cit_core.records import Candidate

MODELS = tuple(f"m{number}" for number in range(6))
TASKS = [task.id for task in known_tasks()]
ONE_HOT = np.eye(len(TASKS), dtype=np.float32)
"""Task vectors that say which task a line of a profile belongs to."""


def table_with(correct_IM: NDArray[np.float64] | None = None, items_of_task: int = 22) -> OutcomeMatrix:
    table = made_up_table(MODELS, tasks=len(TASKS), items_of_task=items_of_task)
    return table if correct_IM is None else replace(table, correct_IK=correct_IM)


def sampler(
    table: OutcomeMatrix,
    rows: NDArray[np.intp] | None = None,
    models: tuple[str, ...] = MODELS,
    seed: int = 0,
    vectors: NDArray[np.float32] = ONE_HOT,
) -> Sampler:
    return Sampler(table, np.arange(len(table.item_ids)) if rows is None else rows, models, TASKS, vectors, seed)


def tasks_of(profiles: Profiles) -> list[int]:
    return [int(vector.argmax()) for vector in profiles.vectors_KSD[0]]


def test_no_item_of_a_step_is_in_its_tests() -> None:
    """Outcomes that say who they are: the j-th item of a task counts 2^-j, so a sum names the items that were asked."""
    per_task = 22
    worth = np.tile(2.0 ** -np.arange(1, per_task + 1), len(TASKS))
    drawer = sampler(table_with(np.repeat(worth[:, None], len(MODELS), axis=1), per_task))
    overlaps = 0
    for _ in range(20):
        step = drawer.step(items=200, candidates=2, chimeras=0.0)
        for line, task in enumerate(tasks_of(step.profiles)):
            count = int(step.profiles.count_KS[0, line])
            total = round(float(step.profiles.accuracy_KS[0, line]) * count * 2**per_task)
            asked = {task * per_task + j for j in range(per_task) if total >> (per_task - 1 - j) & 1}
            assert len(asked) == count, "or the sum was not decoded"
            assert asked.isdisjoint(step.rows.tolist())
            overlaps += count < SHOTS
    assert overlaps > 100, "items of the step would often have been asked"


def test_only_the_given_rows_and_models_are_used() -> None:
    table = table_with(items_of_task=44)
    rows, models = np.arange(0, len(table.item_ids), 2), MODELS[:3]
    drawer = sampler(table, rows, models)
    clean = [drawer.step(items=32, candidates=12, chimeras=0.5) for _ in range(5)]
    poisoned = np.full_like(table.correct_IK, 7.0)
    allowed = np.ix_(rows, [table.column(model) for model in models])
    poisoned[allowed] = table.correct_IK[allowed]
    drawer = sampler(replace(table, correct_IK=poisoned), rows, models)
    for step in clean:
        assert np.isin(step.rows, rows).all()
        same(drawer.step(items=32, candidates=12, chimeras=0.5), step)


def same(found: Step, expected: Step) -> None:
    assert np.array_equal(found.rows, expected.rows)
    assert torch.equal(found.correct_NK, expected.correct_NK)
    assert all(torch.equal(a, b) for a, b in zip(found.profiles, expected.profiles, strict=True))


def test_the_same_seed_draws_the_same_steps_and_another_seed_others() -> None:
    table = table_with()
    mine, again, other = (sampler(table, seed=seed) for seed in (3, 3, 4))
    for _ in range(3):
        step = mine.step(16, 8, 0.5)
        same(again.step(16, 8, 0.5), step)
        assert not np.array_equal(other.step(16, 8, 0.5).rows, step.rows)


def test_a_step_has_the_shape_that_was_asked_for() -> None:
    step = sampler(table_with()).step(items=16, candidates=9, chimeras=0.5)
    assert step.correct_NK.shape == (16, 9)
    assert len(set(step.rows.tolist())) == 16
    lines = step.profiles.accuracy_KS.shape[1]
    assert 35 <= lines < 60
    assert step.profiles.vectors_KSD.shape == (9, lines, len(TASKS))
    assert step.profiles.accuracy_KS.shape == step.profiles.count_KS.shape == (9, lines)
    assert len(set(tasks_of(step.profiles))) == lines, "each task once"


def test_tests_are_drawn_anew_at_every_step() -> None:
    drawer = sampler(table_with())
    assert len({tuple(tasks_of(drawer.step(4, 2, 0.0).profiles)) for _ in range(10)}) == 10


@pytest.mark.parametrize(("chimeras", "sources"), [(0.0, 1), (1.0, 2)])
def test_a_chimera_is_two_models_each_on_its_side_of_the_tasks(chimeras: float, sources: int) -> None:
    """Every answer of model number m is m / 10: an accuracy names its model."""
    table = table_with()
    table = replace(table, correct_IK=np.tile(np.arange(len(MODELS)) / 10, (len(table.item_ids), 1)))
    task_of = {id_: number for number, id_ in enumerate(TASKS)}
    vectors = np.random.default_rng(0).normal(size=(len(TASKS), 40)).astype(np.float32)
    number_of = {tuple(vector.tolist()): number for number, vector in enumerate(vectors)}
    drawer, pairs = sampler(table, vectors=vectors), set()
    for _ in range(10):
        step = drawer.step(items=64, candidates=12, chimeras=chimeras)
        lines = [number_of[tuple(vector.tolist())] for vector in step.profiles.vectors_KSD[0]]
        for k in range(12):
            source = dict(zip(lines, step.profiles.accuracy_KS[k].mul(10).round().int().tolist(), strict=True))
            seen = set(source.values())
            assert len(seen) == sources
            for n, row in enumerate(step.rows):  # what is to be predicted is what the profile shows
                task = task_of[table.tasks[row]]
                answer = int(step.correct_NK[n, k].mul(10).round())
                assert answer in seen
                assert source.setdefault(task, answer) == answer
            smaller = min(sum(model == one for model in source.values()) for one in seen) / len(source)
            assert smaller > 0.1 or sources == 1
            pairs.add(frozenset(seen))
    assert len(pairs) > 5, "all kinds of pairs"


def test_what_was_not_measured_is_not_counted() -> None:
    table = table_with()
    table.correct_IK[:, 2] = np.nan
    table.correct_IK[::2, 3] = np.nan
    step = sampler(table).step(items=64, candidates=40, chimeras=0.0)
    kinds = {"never": 0, "half": 0, "always": 0}
    for k in range(40):
        counts, unknown = step.profiles.count_KS[k], step.correct_NK[:, k].isnan()
        kind = "never" if counts.sum() == 0 else "always" if counts.max() > 15 else "half"
        kinds[kind] += 1
        assert {"never": unknown.all(), "half": unknown.any(), "always": not unknown.any()}[kind]
    assert min(kinds.values()) > 0
    assert not step.profiles.accuracy_KS.isnan().any()


def test_measured_profiles_are_the_capabilities_of_the_same_outcomes() -> None:
    table = table_with()
    table.correct_IK[3, 1] = np.nan
    tasks = known_tasks()[:5]
    items = [[id_ for id_, task in zip(table.item_ids, table.tasks, strict=True) if task == t.id][:7] for t in tasks]
    models = (MODELS[4], MODELS[1])
    found = measured_profiles(table, models, items, ONE_HOT[:5])
    place = {id_: row for row, id_ in enumerate(table.item_ids)}
    for k, model in enumerate(models):
        outcomes = [
            (task.id, table.correct_IK[place[id_], table.column(model)])
            for task, asked in zip(tasks, items, strict=True)
            for id_ in asked
            if not np.isnan(table.correct_IK[place[id_], table.column(model)])
        ]
        expected = capability_from_outcomes(Candidate(id=model), tasks, outcomes).results
        np.testing.assert_allclose(found.accuracy_KS[k], [line.accuracy for line in expected], atol=1e-6)
        assert found.count_KS[k].tolist() == [line.count for line in expected]
    assert found.count_KS[1, 0] == 6
    assert torch.equal(found.vectors_KSD, torch.from_numpy(ONE_HOT[:5]).expand(2, -1, -1))


# ---- public profiles


def test_public_profiles_go_with_the_outcomes_of_their_models() -> None:
    """The models answer at once all or nothing, so that outcomes say whose they are."""
    found = public_profiles(["gpt-5-mini", "Qwen1.5-7B-Chat", "nobody-knows-this", "claude-sonnet-4-5"])
    known = [one.capability for one in found]
    names = [one.candidate.id for one in known]
    assert names == ["gpt-5-mini", "Qwen1.5-7B-Chat", "claude-sonnet-4-5"]
    table = made_up_table([*names, "nobody-knows-this"], tasks=2, items_of_task=20)
    share_M = np.array([0.9, 0.1, 0.5, 0.7])
    table = replace(table, correct_IK=np.tile(share_M, (len(table), 1)))
    vector_of = {task.description: vector for task, vector in zip(known_tasks(), ONE_HOT, strict=True)}
    drawer = PublicSampler(table, np.arange(10, 30), known, vector_of, seed=0)
    lines_of = {table.correct_IK[0, table.column(one.candidate.id)]: one for one in known}
    sizes = set()
    for _ in range(30):
        step = drawer.step(items=8, candidates=2)
        assert ((step.rows >= 10) & (step.rows < 30)).all()
        assert len(set(step.rows.tolist())) == 8
        assert step.correct_NK.shape == (8, 2)
        sizes.add(len(tasks_of(step.profiles)))
        for column in range(2):
            one = lines_of[min(lines_of, key=lambda share: abs(share - float(step.correct_NK[0, column])))]
            told = {TASKS.index(result.task.id): (result.accuracy, result.count) for result in one.results}
            shown = zip(
                step.profiles.accuracy_KS[column].tolist(), step.profiles.count_KS[column].tolist(), strict=True
            )
            for task, line in zip(tasks_of(step.profiles), shown, strict=True):
                assert line == pytest.approx(told[task])
    whole = len(known[0].results)
    assert len(sizes) > 5
    assert sizes <= set(range(FEWEST_LINES, whole + 1)), "lines are hidden, never many"
    assert len(tasks_of(drawer.profiles())) == whole
    assert drawer.step(items=500, candidates=9).correct_NK.shape == (20, 3), "as many as there are"
