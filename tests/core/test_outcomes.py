"""What is held out is decided by names alone; outcome files are read as they are, absent is not wrong."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from outcome_tables import SHARED, made_up_table, needs_shared_data, write_table

from cit_core.catalogue import catalogue_capabilities, catalogue_profiles, core_suite
from cit_core.core_suite import build_core_suite
from cit_core.errors import InvalidInput, UnknownCandidate
from cit_core.outcomes import NO_TASK, UNASSIGNED, OutcomeMatrix, Split, random_zoos, read_outcomes

names = st.lists(st.text(min_size=1, max_size=20), unique=True, max_size=60)
quick = settings(max_examples=50, deadline=None)


# ---- the split


@quick
@given(names=names, seed=st.text(max_size=5))
def test_every_item_is_in_one_part(names: list[str], seed: str) -> None:
    parts = Split(seed=seed).items(names)
    assert set(parts) == {"train", "validation", "test"}
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(len(names)))


@quick
@given(names=names, data=st.data())
def test_the_part_of_an_item_depends_on_its_name_alone(names: list[str], data: st.DataObject) -> None:
    def part_of(chosen: list[str]) -> dict[str, str]:
        return {chosen[row]: part for part, rows in Split().items(chosen).items() for row in rows}

    kept = data.draw(st.lists(st.sampled_from(names), unique=True)) if names else []
    whole = part_of(names)
    assert part_of(kept) == {name: whole[name] for name in kept}
    assert part_of(names) == whole


def test_the_shares_are_what_was_asked_for() -> None:
    parts = Split().items([f"item-{number}" for number in range(20_000)])
    shares = [len(parts[part]) / 20_000 for part in ("test", "validation", "train")]
    assert shares == pytest.approx([0.2, 0.1, 0.7], abs=0.01)
    assert len(Split(test_items=0.5, validation_items=0.0).items(["a"] * 7)["validation"]) == 0


def test_another_seed_is_another_split() -> None:
    ids = [f"item-{number}" for number in range(1000)]
    mine, other = (set(Split(seed=seed).items(ids)["test"].tolist()) for seed in ("cit-2502", "else"))
    assert len(mine & other) < 100


def test_these_are_the_parts_of_the_shipped_network() -> None:
    """A change here makes every published number wrong: the test part would have been trained on."""
    assert [round(Split().fraction(name), 6) for name in ("a", "gpt-4o", "é")] == [0.212285, 0.458004, 0.366137]


@quick
@given(models=names, data=st.data())
def test_every_model_is_in_one_part_whatever_the_order(models: list[str], data: st.DataObject) -> None:
    split = Split()
    parts = split.models(models)
    assert sorted(itertools.chain(*parts.values())) == sorted(models)
    assert len(parts["test"]) == min(6, len(models))
    assert len(parts["validation"]) == min(3, max(0, len(models) - 6))
    assert split.models(data.draw(st.permutations(models))) == parts
    highest = max((split.fraction(model) for model in parts["test"]), default=0.0)
    assert all(split.fraction(model) >= highest for model in parts["validation"] + parts["train"])


# ---- the matrix


def tiny() -> OutcomeMatrix:
    return OutcomeMatrix(
        item_ids=("y", "x", "z"),
        candidates=("b", "a", "idle"),
        correct_IK=np.array([[1.0, 0.0, np.nan], [0.5, np.nan, np.nan], [np.nan, np.nan, np.nan]]),
        tasks=("law", UNASSIGNED, "cell"),
        instructions=("Y?", "X?", "Z?"),
        vectors_ID=np.eye(3),
        circle_IK=np.array([[0.0, 1.0, np.nan], [np.nan, 1.0, np.nan], [np.nan, np.nan, np.nan]]),
    )


def test_rows_take_a_mask_or_places_and_everything_goes_with_them() -> None:
    for found in (tiny().rows(np.array([True, False, True])), tiny().rows([0, 2])):
        assert (found.item_ids, found.tasks, found.instructions) == (("y", "z"), ("law", "cell"), ("Y?", "Z?"))
        assert (found.questions, found.categories) == (found.instructions, found.tasks)
        assert found.vectors_ID.tolist() == [[1, 0, 0], [0, 0, 1]]
        np.testing.assert_array_equal(found.correct_IK, tiny().correct_IK[[0, 2]])
        assert found.circle_IK is not None
        np.testing.assert_array_equal(found.circle_IK, [[0.0, 1.0, np.nan], [np.nan] * 3])
    assert tiny().rows([2, 0]).item_ids == ("z", "y"), "in the order wanted"
    assert len(tiny().rows([])) == 0


def test_some_of_the_models_in_the_order_wanted_and_a_stranger_is_refused() -> None:
    found = tiny().of_models(["idle", "b"])
    assert found.candidates == ("idle", "b")
    np.testing.assert_array_equal(found.correct_IK[:, 1], tiny().correct_IK[:, 0])
    assert found.circle_IK is not None
    np.testing.assert_array_equal(found.circle_IK[:, 1], [0.0, np.nan, np.nan])
    assert found.column("b") == 1
    with pytest.raises(InvalidInput, match="outcomes has no outcomes of 'c'"):
        tiny().of_models(["b", "c"])


def test_who_and_what_has_no_outcome_is_left_out() -> None:
    found = tiny().measured()
    assert (found.item_ids, found.candidates, found.correct_IK.shape) == (("y", "x"), ("b", "a"), (2, 2))


def test_sorted_by_id_it_does_not_depend_on_the_order() -> None:
    found = tiny().sorted_by_id()
    again = tiny().rows([2, 0, 1]).of_models(["idle", "a", "b"]).sorted_by_id()
    assert (found.item_ids, found.candidates) == (("x", "y", "z"), ("a", "b", "idle"))
    assert found.digest() == again.digest() != tiny().digest()


def test_tasks_are_numbered_and_an_unknown_one_is_minus_one() -> None:
    assert (tiny().task_ids, tiny().task_I.tolist()) == (("cell", "law"), [1, NO_TASK, 0])


def test_a_label_is_never_more_than_what_a_circle_test_found() -> None:
    np.testing.assert_array_equal(tiny().labels_IK[:2], [[0.0, 0.0, np.nan], [0.5, 1.0, np.nan]])
    without = replace(tiny(), circle_IK=None)
    np.testing.assert_array_equal(without.labels_IK, without.correct_IK)


def test_the_parts_of_a_split_are_its_items_with_all_candidates() -> None:
    table = made_up_table(["a", "b"], tasks=4, items_of_task=10)
    parts, rows = table.split(Split()), Split().items(table.item_ids)
    assert set(parts) == {"train", "validation", "test"}
    for part, found in parts.items():
        assert found.item_ids == tuple(table.item_ids[row] for row in rows[part])
        assert found.candidates == table.candidates


@pytest.mark.parametrize(
    "wrong",
    [
        {"tasks": ("law",)},
        {"tasks": ()},
        {"instructions": ("Y?",)},
        {"correct_IK": np.zeros((2, 3))},
        {"circle_IK": np.zeros((3, 2))},
        {"vectors_ID": np.eye(2)},
    ],
)
def test_parts_of_different_sizes_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="of 3 items x 3 candidates needs a task for each item"):
        replace(tiny(), **{"categories": (), "questions": (), **wrong})


# ---- outcome files


def test_what_is_written_is_read(tmp_path: Path) -> None:
    table = made_up_table(["b", "a", "c"], tasks=3, items_of_task=4)
    table.correct_IK[0, 1] = np.nan
    table.correct_IK[5, 0] = 0.25
    found = read_outcomes(write_table(table, tmp_path, "made-up"), "made-up")
    for field in ("name", "item_ids", "tasks", "categories", "instructions", "questions", "candidates"):
        assert getattr(found, field) == getattr(table, field), field
    np.testing.assert_array_equal(found.correct_IK, table.correct_IK)
    assert math.isnan(found.correct_IK[0, 1]), "absent is not wrong"
    assert found.digest() == table.digest()
    assert [found.column(model) for model in found.candidates] == [0, 1, 2]


def test_the_digest_knows_ids_and_outcomes() -> None:
    table = made_up_table(["a", "b"], tasks=2, items_of_task=5)
    other = made_up_table(["a", "b"], tasks=2, items_of_task=5)
    assert other.digest() == table.digest()
    other.correct_IK[3, 1] = 1.0 - other.correct_IK[3, 1]
    assert other.digest() != table.digest()
    assert table.rows(range(9)).digest() != table.digest()
    assert made_up_table(["a", "c"], tasks=2, items_of_task=5).digest() != table.digest()


def test_questions_are_the_instructions_where_the_file_does_not_tell_them_apart(tmp_path: Path) -> None:
    table = made_up_table(["a"], tasks=1, items_of_task=3)
    write_table(table, tmp_path)
    items = pq.read_table(tmp_path / "items-mmlu-pro.parquet").drop_columns(["question"])
    pq.write_table(items, tmp_path / "items-mmlu-pro.parquet")
    assert read_outcomes(tmp_path, "mmlu-pro").questions == table.instructions


@pytest.mark.parametrize("column", ["item_id", "task", "category", "instruction"])
def test_items_without_a_column_are_refused_with_what_is_needed(tmp_path: Path, column: str) -> None:
    path = write_table(made_up_table(["a"], 1, 3), tmp_path) / "items-mmlu-pro.parquet"
    pq.write_table(pq.read_table(path).drop_columns([column]), path)
    with pytest.raises(InvalidInput, match=rf"needs items-mmlu-pro.parquet \(item_id, task, .*: '{column}'"):
        read_outcomes(tmp_path, "mmlu-pro")


@pytest.mark.parametrize("column", ["item_id", "model", "correct"])
def test_outcomes_without_a_column_are_refused_with_what_is_needed(tmp_path: Path, column: str) -> None:
    path = write_table(made_up_table(["a"], 1, 3), tmp_path) / "outcomes-mmlu-pro.parquet"
    pq.write_table(pq.read_table(path).drop_columns([column]), path)
    with pytest.raises(InvalidInput, match=rf"outcomes-mmlu-pro.parquet \(item_id, model, correct\): '{column}'"):
        read_outcomes(tmp_path, "mmlu-pro")


def test_files_that_are_not_there_or_no_parquet_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"needs items-mmlu-pro.parquet .*: .*items-mmlu-pro.parquet$"):
        read_outcomes(tmp_path, "mmlu-pro")
    (tmp_path / "items-mmlu-pro.parquet").write_text("item_id,task\n")
    with pytest.raises(InvalidInput, match=r"needs items-mmlu-pro.parquet"):
        read_outcomes(tmp_path, "mmlu-pro")


def test_an_item_that_is_listed_twice_is_refused_by_its_id(tmp_path: Path) -> None:
    path = write_table(made_up_table(["a"], 1, 3), tmp_path) / "items-mmlu-pro.parquet"
    items = pq.read_table(path)
    pq.write_table(pa.concat_tables([items, items.slice(1, 1)]), path)
    with pytest.raises(InvalidInput, match=f"duplicate item ids in items-mmlu-pro.parquet: '{items['item_id'][1]}'"):
        read_outcomes(tmp_path, "mmlu-pro")


@pytest.mark.parametrize("correct", [1.5, -0.1, math.inf])
def test_an_outcome_that_is_no_number_between_0_and_1_is_refused(tmp_path: Path, correct: float) -> None:
    path = write_table(made_up_table(["a"], 1, 3), tmp_path) / "outcomes-mmlu-pro.parquet"
    outcomes = pq.read_table(path).to_pydict() | {"correct": [0.0, correct, 1.0]}
    pq.write_table(pa.table(outcomes), path)
    with pytest.raises(InvalidInput, match=r"correct must be in \[0, 1\]"):
        read_outcomes(tmp_path, "mmlu-pro")


def test_two_outcomes_of_one_model_on_one_item_are_refused(tmp_path: Path) -> None:
    path = write_table(made_up_table(["a"], 1, 3), tmp_path) / "outcomes-mmlu-pro.parquet"
    outcomes = pq.read_table(path)
    pq.write_table(pa.concat_tables([outcomes, outcomes.slice(0, 1)]), path)
    with pytest.raises(InvalidInput, match=f"duplicate outcomes .*'{outcomes['item_id'][0]} of a'"):
        read_outcomes(tmp_path, "mmlu-pro")


def test_an_outcome_of_an_item_that_is_not_listed_is_refused_by_its_id(tmp_path: Path) -> None:
    table = made_up_table(["a"], 1, 3)
    write_table(table, tmp_path)
    outcomes = pq.read_table(tmp_path / "outcomes-mmlu-pro.parquet").to_pydict()
    outcomes["item_id"][1] = "elsewhere"
    pq.write_table(pa.table(outcomes), tmp_path / "outcomes-mmlu-pro.parquet")
    with pytest.raises(InvalidInput, match="elsewhere"):
        read_outcomes(tmp_path, "mmlu-pro")


@needs_shared_data
def test_the_shipped_core_set_can_be_built_again_from_the_real_outcomes() -> None:
    table = read_outcomes(SHARED, "mmlu-pro")
    assert build_core_suite(table, Split()) == core_suite().model_copy(update={"hashes": {}})
    train = {table.item_ids[row] for row in Split().items(table.item_ids)["train"]}
    assert set(core_suite().item_ids) <= train, "profiles stand on training items alone"


def test_the_core_set_is_chosen_without_looking_at_what_is_held_out() -> None:
    table = made_up_table([f"model {number}" for number in range(20)], tasks=60, items_of_task=36)
    parts, models = Split().items(table.item_ids), Split().models(table.candidates)
    suite = build_core_suite(table, Split())
    assert (len(suite.tasks), len(suite.item_ids)) == (50, 1000)
    table.correct_IK[np.concatenate([parts["validation"], parts["test"]])] = 1.0
    table.correct_IK[:, [table.column(model) for model in models["validation"] + models["test"]]] = np.nan
    assert build_core_suite(table, Split()) == suite
    table.correct_IK[parts["train"]] = table.correct_IK[np.random.default_rng(0).permutation(parts["train"])]
    assert build_core_suite(table, Split()) != suite


# ---- profiles and zoos


def test_the_catalogues_profiles_come_in_the_order_asked_for() -> None:
    known = catalogue_capabilities()
    ids = [known[place].candidate.id for place in (5, 0, 5)]
    assert catalogue_profiles(ids) == [known[5], known[0], known[5]]
    with pytest.raises(UnknownCandidate, match="no candidate 'nobody' among the 22 in the catalogue"):
        catalogue_profiles(["nobody"])


@quick
@given(aptitude=st.lists(st.floats(0, 1), min_size=1, max_size=9), number=st.integers(1, 20), seed=st.integers(0, 9))
def test_zoos_of_similar_strength_are_within_the_spread(aptitude: list[float], number: int, seed: int) -> None:
    aptitude_K = np.array(aptitude)
    zoos = random_zoos(aptitude_K, number, seed=seed)
    spread = [np.ptp(aptitude_K[list(zoo)]) for zoo in zoos]
    close = [abs(a - b) <= 0.15 for a, b in itertools.combinations(aptitude, 2)]
    assert 1 <= len(zoos) == len(set(zoos)) <= number
    assert all(zoo == tuple(sorted(set(zoo))) for zoo in zoos)
    if any(close):
        assert max(spread) <= 0.15
        assert min(map(len, zoos)) >= 2
    else:
        assert zoos == [tuple(range(len(aptitude)))], "nobody is close to anybody: everybody is the one zoo"
    assert random_zoos(aptitude_K, number, seed=seed) == zoos


def test_zoos_are_sampled_from_all_sizes() -> None:
    assert {len(zoo) for zoo in random_zoos(np.full(9, 0.5))} == {3, 4, 5, 6, 7, 8}


def test_pairs_are_taken_where_no_three_are_close() -> None:
    assert random_zoos(np.array([0.1, 0.2, 0.5, 0.6, 0.9])) == [(0, 1), (2, 3)]


def test_a_large_zoo_of_equals_is_sampled_and_not_listed() -> None:
    """Of 300 models of one strength there are more than 10^14 zoos of eight."""
    zoos = random_zoos(np.full(300, 0.5))
    assert len(zoos) == 50
    assert len({model for zoo in zoos for model in zoo}) > 100
