"""The core set: items that tell models apart, tasks by merit, the same for the same seed."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from cit_core.core_suite import core_suite_from_outcomes, distinguishability
from cit_core.errors import InvalidInput
from cit_core.records import Suite, Task

MODELS = 40


def share(*counts: int) -> NDArray[np.float64]:
    """One row an item: so many of 40 models are right."""
    return np.array([[1.0] * count + [0.0] * (MODELS - count) for count in counts])


# -- distinguishability -----------------------------------------------------------------------------------------------


def test_an_item_tells_most_where_half_are_right_and_nothing_where_nearly_all_agree() -> None:
    assert distinguishability(share(20, 10, 30, 2, 38)) == pytest.approx([1.0, 0.75, 0.75, 0.19, 0.19])
    assert distinguishability(share(0, 1, 39, 40)).tolist() == [0, 0, 0, 0]


def test_who_was_not_measured_does_not_count() -> None:
    holes = np.full((3, MODELS), np.nan)
    holes[0, :4] = [1, 0, 1, 0]
    holes[1, :2] = [1, 1]
    assert distinguishability(holes).tolist() == [1, 0, 0], "half right, all right, and measured by nobody"


@given(
    arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.sampled_from([0, 0.5, 1, np.nan]))
)
def test_weights_lie_in_0_1_and_right_and_wrong_are_alike(correct_IM: NDArray[np.float64]) -> None:
    weight_I = distinguishability(correct_IM)
    assert weight_I.shape == (len(correct_IM),)
    assert ((weight_I >= 0) & (weight_I <= 1)).all()
    assert weight_I == pytest.approx(distinguishability(1 - correct_IM))
    assert weight_I == pytest.approx(distinguishability(correct_IM[:, ::-1]))


# -- the suite --------------------------------------------------------------------------------------------------------

TASKS = [Task(id=f"t{n}", keywords=(f"k{n}",)) for n in range(6)]
IDS = [f"i{n:03}" for n in range(120)]
OF = [f"t{n % 6}" for n in range(120)]
"""Twenty items of each task."""


def suite(correct_IM: NDArray[np.floating], **options: Any) -> Suite:
    options = {"number_of_tasks": 4, "shots": 5, **options}
    return core_suite_from_outcomes("s", IDS, OF, correct_IM, TASKS, **options)


def random_outcomes(seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).integers(0, 2, (120, MODELS)).astype(float)


@given(st.integers(0, 1000), st.integers(1, 6), st.integers(1, 15))
def test_it_has_as_many_tasks_and_items_as_asked_for_and_each_item_is_its_tasks_own(
    seed: int, number: int, shots: int
) -> None:
    made = suite(random_outcomes(seed), number_of_tasks=number, shots=shots, seed=seed)
    assert len(made.tasks) == number
    of = dict(zip(IDS, OF, strict=True))
    for task, items in made.items.items():
        assert len(items) == len(set(items)) == shots
        assert {of[item] for item in items} == {task}
        assert list(items) == sorted(items)
    assert [task for task in TASKS if task in made.tasks] == list(made.tasks)


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    outcomes = random_outcomes(1)
    assert suite(outcomes, seed=3) == suite(outcomes, seed=3) != suite(outcomes, seed=4)


def test_every_seed_gives_a_suite_of_its_own() -> None:
    outcomes = random_outcomes(1)
    assert len({suite(outcomes, seed=seed).item_ids for seed in range(50)}) == 50


@given(
    seed=st.integers(0, 2**32),
    shots=st.integers(1, 4),
    number=st.integers(1, 6),
    correct_IM=arrays(np.float64, (120, 5), elements=st.sampled_from([0.0, 1.0, np.nan])),
)
def test_what_nobody_told_apart_is_never_asked(
    seed: int, shots: int, number: int, correct_IM: NDArray[np.float64]
) -> None:
    """Whatever was measured: a suite of the size that was asked for, of items that at least two models differ on."""
    telling = [len(set(row[~np.isnan(row)])) > 1 for row in correct_IM]
    enough = sum(count >= shots for count in Counter(np.array(OF)[telling].tolist()).values())
    if enough < number:
        with pytest.raises(InvalidInput, match=f"only {enough} tasks have {shots} items"):
            suite(correct_IM, seed=seed, shots=shots, number_of_tasks=number)
        return
    made = suite(correct_IM, seed=seed, shots=shots, number_of_tasks=number)
    assert made == suite(correct_IM, seed=seed, shots=shots, number_of_tasks=number)
    assert [len(items) for items in made.items.values()] == [shots] * number
    assert all(telling[int(item[1:])] for item in made.item_ids)


@given(st.integers(0, 1000), st.integers(1, 6), st.lists(st.sampled_from("abc"), min_size=6, max_size=6))
def test_no_field_has_three_tasks_while_another_lacks_its_second(seed: int, number: int, fields: list[str]) -> None:
    groups = {task.id: field for task, field in zip(TASKS, fields, strict=True)}
    made = suite(random_outcomes(seed), groups=groups, number_of_tasks=number)
    there, chosen = Counter(fields), Counter(groups[task.id] for task in made.tasks)
    if max(chosen.values()) > 2:
        assert all(chosen[field] >= min(2, count) for field, count in there.items())


def test_an_item_on_which_all_agree_is_never_drawn_and_a_telling_one_more_often() -> None:
    counts = np.array(
        [[0, 40, 3, 20][n // 6 % 4] for n in range(120)]
    )  # of each task 5 clear, 5 clear, 5 weak, 5 strong
    drawn = [item for seed in range(40) for item in suite(share(*counts), seed=seed, number_of_tasks=6).item_ids]
    times = {count: sum(counts[int(item[1:])] == count for item in drawn) for count in (0, 40, 3, 20)}
    assert times[0] == times[40] == 0
    assert times[3] + times[20] == 40 * 6 * 5
    assert times[20] > 2 * times[3] > 0, "weights 1 against 0.28: drawn by weight, not simply the best"


def test_tasks_go_by_merit() -> None:
    counts = [[20, 15, 12, 9, 7, 5][n % 6] for n in range(120)]
    assert [task.id for task in suite(share(*counts)).tasks] == ["t0", "t1", "t2", "t3"]


def test_every_field_gets_two_tasks_before_any_gets_a_third() -> None:
    counts = [[20, 15, 12, 9, 7, 5][n % 6] for n in range(120)]
    groups = {"t0": "law", "t1": "law", "t2": "law", "t3": "law", "t4": "art", "t5": "art"}
    assert [task.id for task in suite(share(*counts), groups=groups).tasks] == ["t0", "t1", "t4", "t5"]
    five = suite(share(*counts), groups=groups, number_of_tasks=5)
    assert [task.id for task in five.tasks] == ["t0", "t1", "t2", "t4", "t5"]
    three = suite(share(*counts), groups=groups, number_of_tasks=3)
    assert [task.id for task in three.tasks] == ["t0", "t1", "t4"], "among those two a field, by merit"


def test_too_few_telling_items_are_an_error_that_counts() -> None:
    with pytest.raises(InvalidInput, match=r"only 6 tasks have 20 items that tell models apart; 7 .*: ask for fewer"):
        suite(random_outcomes(0), number_of_tasks=7, shots=20)
    with pytest.raises(InvalidInput, match="only 0 tasks have 21 items"):
        suite(random_outcomes(0), shots=21)
    with pytest.raises(InvalidInput, match="only 0 tasks have 5 items"):
        suite(share(*[40] * 120))


def test_a_task_without_keywords_is_left_out() -> None:
    with pytest.raises(InvalidInput, match="only 2 tasks"):
        core_suite_from_outcomes("s", IDS, OF, random_outcomes(0), TASKS[:2], number_of_tasks=3, shots=5)
