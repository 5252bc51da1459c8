"""How far a short test's ranking can be trusted: on models it has not seen, by questions that are not in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cit_core.aptitude.suites import agreement as module
from cit_core.aptitude.suites.agreement import agreement, held_out_agreement, spearman
from cit_core.core_suite import core_suite_from_outcomes
from cit_core.errors import InvalidInput
from cit_core.outcomes import OutcomeMatrix
from cit_core.records import Suite, Task

TASKS = [Task(id=f"t{number}", keywords=("k",)) for number in range(3)]
ITEMS = 40
"""Of each task."""


def table(correct_IM: NDArray[np.floating], models: int) -> OutcomeMatrix:
    ids = [f"{task.id}/{number:02}" for task in TASKS for number in range(ITEMS)]
    of = [task.id for task in TASKS for _ in range(ITEMS)]
    return OutcomeMatrix(
        item_ids=tuple(ids),
        tasks=tuple(of),
        candidates=tuple(f"m{number:02}" for number in range(models)),
        correct_IK=correct_IM,
    )


def levels(levels_M: Any, seed: int = 0) -> NDArray[np.float64]:
    """Models that get a stated share of every task right, and of each half of it."""
    rng, half = np.random.default_rng(seed), ITEMS // 2
    of_half = [[1.0] * round(level * half) + [0.0] * (half - round(level * half)) for level in levels_M]
    return np.concatenate(
        [np.stack([rng.permutation(marks) for marks in of_half], axis=1) for _ in range(2 * len(TASKS))]
    )


def first_half() -> Suite:
    items = {task.id: [f"{task.id}/{number:02}" for number in range(ITEMS // 2)] for task in TASKS}
    return Suite(name="s", tasks=TASKS, items=items)


# -- the correlation --------------------------------------------------------------------------------------------------


@settings(deadline=None)  # the first example imports SciPy
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=3, max_size=12))
def test_it_is_spearmans_with_ties(pairs: list[tuple[int, int]]) -> None:
    stats = pytest.importorskip("scipy.stats", reason="it comes with scikit-learn: pip install 'cit-router[bench]'")
    a, b = np.array(pairs, float).T
    if len(set(a)) == 1 or len(set(b)) == 1:
        assert np.isnan(spearman(a, b))
    else:
        assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)
        assert -1 <= spearman(a, b) <= 1


# -- a suite against the rest -----------------------------------------------------------------------------------------


def test_the_rest_ranks_as_the_suite_does_or_the_other_way_round() -> None:
    marks = levels([0.2, 0.4, 0.6, 0.8])
    found = agreement(table(marks, 4), first_half(), ["m00", "m01", "m02", "m03"])
    assert (found.rho, found.models, found.short, found.others) == (1.0, ("m00", "m01", "m02", "m03"), 60, 60)
    assert found.low > 0.5
    outside = np.array([id_ not in first_half().item_ids for id_ in table(marks, 4).item_ids])
    marks[outside] = marks[outside][:, ::-1]
    found = agreement(table(marks, 4), first_half(), ["m00", "m01", "m02", "m03"])
    assert found.rho == -1.0, "the suite's own items do not count on the other side"
    assert found.high < -0.5


def test_only_the_models_that_are_named_are_ranked() -> None:
    marks = levels([0.2, 0.4, 0.6, 0.8])
    marks[:, 3] = 1 - marks[:, 3]
    found = agreement(table(marks, 4), first_half(), ["m02", "m00", "m01"])
    assert found.models == ("m00", "m01", "m02")
    assert found == agreement(table(levels([0.2, 0.4, 0.6, 0.8]), 4), first_half(), ["m02", "m00", "m01"])


def test_each_task_counts_once_however_many_items_it_has() -> None:
    """Outside the suite, model m00 leads on the one item of t1 and of t2, and m02 on the twenty of t0."""
    marks = np.full((3 * ITEMS, 3), np.nan)
    marks[: ITEMS // 2] = marks[ITEMS : ITEMS + 20] = marks[2 * ITEMS : 2 * ITEMS + 20] = [1.0, 0.5, 0.0]
    marks[ITEMS // 2 : ITEMS] = [0.0, 0.5, 1.0]
    marks[ITEMS + 20] = marks[2 * ITEMS + 20] = [1.0, 0.5, 0.0]
    assert agreement(table(marks, 3), first_half(), ["m00", "m01", "m02"]).rho == 1.0


@settings(deadline=None, max_examples=6)
@given(st.integers(0, 10_000), st.integers(3, 8))
def test_the_interval_holds_the_number_and_the_seed_decides(seed: int, models: int) -> None:
    rng = np.random.default_rng(seed)
    responses = table(rng.integers(0, 2, (3 * ITEMS, models)).astype(float), models)
    names = responses.candidates
    found = agreement(responses, first_half(), names, seed=seed)
    assert -1 <= found.low <= found.rho <= found.high <= 1
    assert found == agreement(responses, first_half(), names, seed=seed)
    marks = responses.correct_IK[:, ::-1]
    mirrored = agreement(replace(responses, candidates=names, correct_IK=marks), first_half(), names, seed=seed)
    assert mirrored.rho == pytest.approx(found.rho)


def test_the_more_items_the_narrower_the_interval() -> None:
    rng = np.random.default_rng(1)
    chance = np.linspace(0.35, 0.65, 6)
    wide, narrow = (
        agreement(responses, suite, responses.candidates)
        for responses, suite in (sized(rng, chance, per_task) for per_task in (20, 2000))
    )
    assert narrow.high - narrow.low < (wide.high - wide.low) / 2
    assert narrow.rho > 0.9


def sized(rng: np.random.Generator, chance_M: NDArray[np.floating], per_task: int) -> tuple[OutcomeMatrix, Suite]:
    ids = {task.id: [f"{task.id}/{number:04}" for number in range(per_task)] for task in TASKS}
    marks = (rng.random((per_task * len(TASKS), len(chance_M))) < chance_M).astype(float)
    flat, of = [id_ for own in ids.values() for id_ in own], [task for task, own in ids.items() for _ in own]
    models = tuple(f"m{number}" for number in range(len(chance_M)))
    suite = Suite(name="s", tasks=TASKS, items={task: own[::2] for task, own in ids.items()})
    return OutcomeMatrix(item_ids=tuple(flat), tasks=tuple(of), candidates=models, correct_IK=marks), suite


@pytest.mark.parametrize("sign", [1, -1])
def test_a_number_that_resampling_can_only_lower_is_still_in_its_interval(sign: int) -> None:
    """Forty models in steps that noise can hardly turn round, and then the other way round outside the suite."""
    responses, suite = sized(np.random.default_rng(2), np.linspace(0.1, 0.9, 40), 200)
    if sign < 0:
        outside = ~np.isin(responses.item_ids, suite.item_ids)
        responses.correct_IK[outside] = 1.0 - responses.correct_IK[outside]
    found = agreement(responses, suite, responses.candidates)
    assert sign * found.rho > 0.95
    assert found.low <= found.rho <= found.high
    assert found.high - found.low < 0.1


def test_a_model_that_lacks_a_task_is_not_ranked() -> None:
    marks = levels([0.2, 0.4, 0.6, 0.8])
    marks[:ITEMS, 3] = np.nan
    marks[5, 2] = np.nan
    assert agreement(table(marks, 4), first_half(), ["m00", "m01", "m02", "m03"]).models == ("m00", "m01", "m02")
    marks[ITEMS : ITEMS + 20, 2] = np.nan
    with pytest.raises(InvalidInput, match="2 models that the suite was not sampled from have answers in every task"):
        agreement(table(marks, 4), first_half(), ["m00", "m01", "m02", "m03"])


def test_where_there_is_no_number_it_says_why() -> None:
    marks = levels([0.5, 0.5, 0.5])
    with pytest.raises(InvalidInput, match="the 3 held-out models do equally well"):
        agreement(table(marks, 3), first_half(), ["m00", "m01", "m02"])
    whole = Suite(name="s", tasks=TASKS, items={t.id: [f"{t.id}/{n:02}" for n in range(ITEMS)] for t in TASKS})
    with pytest.raises(InvalidInput, match="the suite takes every item"):
        agreement(table(marks, 3), whole, ["m00", "m01", "m02"])


# -- held-out models --------------------------------------------------------------------------------------------------

SIZE = {"number_of_tasks": 3, "shots": 5}


def skilled(models: int, seed: int = 0) -> OutcomeMatrix:
    rng = np.random.default_rng(seed)
    chance = np.linspace(0.2, 0.8, models)
    return table((rng.random((3 * ITEMS, models)) < chance).astype(float), models)


def test_the_suite_is_sampled_without_the_models_that_it_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    responses, seen = skilled(20), []

    def sampled(*arguments: Any, **options: Any) -> Suite:
        seen.append((arguments[3], options))
        return core_suite_from_outcomes(*arguments, **options)

    monkeypatch.setattr(module, "core_suite_from_outcomes", sampled)
    found = held_out_agreement(responses, TASKS, share=0.3, seed=4, **SIZE)
    assert (len(found.models), found.short, found.others) == (6, 15, 105)
    ((looked_at, options),) = seen
    others = [column for column, name in enumerate(responses.candidates) if name not in found.models]
    np.testing.assert_array_equal(looked_at, responses.correct_IK[:, others])
    assert options == {"seed": 4, **SIZE}


def test_the_seed_decides_who_is_held_out_and_names_do_not_hang_on_who_else_is_there() -> None:
    one, again, another = (held_out_agreement(skilled(20), TASKS, seed=seed, **SIZE) for seed in (1, 1, 2))
    assert one == again
    assert set(one.models) != set(another.models)


def test_a_telling_table_gives_a_high_agreement() -> None:
    found = held_out_agreement(skilled(40), TASKS, share=0.5, number_of_tasks=3, shots=10)
    assert found.rho > 0.8
    assert found.low > 0.5


@pytest.mark.parametrize(
    ("models", "share", "says"),
    [
        (9, 0.2, "2 of 9 models are held out; a ranking needs 3"),
        (9, 0.0, "0 of 9 models are held out"),
        (4, 1.0, "only 0 tasks have 5 items that tell models apart"),
        (4, 0.75, "only 0 tasks have 5 items"),
    ],
)
def test_too_few_models_are_a_reason(models: int, share: float, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        held_out_agreement(skilled(models), TASKS, share=share, **SIZE)
