"""What is held out is decided by names alone; outcome files are read as they are, absent is not wrong."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from outcome_tables import SHARED, made_up_table, needs_shared_data, some_items, write_table

from cit_core.catalogue import catalogue_capabilities, catalogue_profiles, core_suite
from cit_core.core_suite import build_core_suite
from cit_core.errors import InvalidInput, UnknownCandidate
from cit_core.outcomes import Split, random_zoos, read_outcomes

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


# ---- outcome files


def test_what_is_written_is_read(tmp_path: Path) -> None:
    table = made_up_table(["b", "a", "c"], tasks=3, items_of_task=4)
    table.correct_IM[0, 1] = np.nan
    table.correct_IM[5, 0] = 0.25
    found = read_outcomes(write_table(table, tmp_path, "made-up"), "made-up")
    for field in ("name", "item_ids", "tasks", "categories", "instructions", "questions", "models"):
        assert getattr(found, field) == getattr(table, field), field
    np.testing.assert_array_equal(found.correct_IM, table.correct_IM)
    assert math.isnan(found.correct_IM[0, 1]), "absent is not wrong"
    assert found.digest() == table.digest()
    assert [found.column(model) for model in found.models] == [0, 1, 2]


def test_the_digest_knows_ids_and_outcomes() -> None:
    table = made_up_table(["a", "b"], tasks=2, items_of_task=5)
    other = made_up_table(["a", "b"], tasks=2, items_of_task=5)
    assert other.digest() == table.digest()
    other.correct_IM[3, 1] = 1.0 - other.correct_IM[3, 1]
    assert other.digest() != table.digest()
    assert some_items(table, range(9)).digest() != table.digest()
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
    parts, models = Split().items(table.item_ids), Split().models(table.models)
    suite = build_core_suite(table, Split())
    assert (len(suite.tasks), len(suite.item_ids)) == (50, 1000)
    table.correct_IM[np.concatenate([parts["validation"], parts["test"]])] = 1.0
    table.correct_IM[:, [table.column(model) for model in models["validation"] + models["test"]]] = np.nan
    assert build_core_suite(table, Split()) == suite
    table.correct_IM[parts["train"]] = table.correct_IM[np.random.default_rng(0).permutation(parts["train"])]
    assert build_core_suite(table, Split()) != suite


# ---- profiles and zoos


def test_the_catalogues_profiles_come_in_the_order_asked_for() -> None:
    known = catalogue_capabilities()
    ids = [known[place].candidate.id for place in (5, 0, 5)]
    assert catalogue_profiles(ids) == [known[5], known[0], known[5]]
    with pytest.raises(UnknownCandidate, match="no candidate 'nobody' among the 22 in the catalogue"):
        catalogue_profiles(["nobody"])


@quick
@given(aptitude=st.lists(st.floats(0, 1), min_size=1, max_size=9), most=st.integers(1, 80))
def test_zoos_of_similar_strength_are_within_the_spread_and_complete(aptitude: list[float], most: int) -> None:
    aptitude_K = np.array(aptitude)
    zoos = random_zoos(aptitude_K, most=most)

    def close(size: int) -> list[tuple[int, ...]]:
        return [z for z in itertools.combinations(range(len(aptitude)), size) if np.ptp(aptitude_K[list(z)]) <= 0.15]

    larger, pairs = [zoo for size in (3, 4, 5, 6) for zoo in close(size)], close(2)
    possible = larger or pairs or [tuple(range(len(aptitude)))]
    assert len(set(zoos)) == len(zoos) == min(most, len(possible))
    assert set(zoos) <= set(possible)
    assert random_zoos(aptitude_K, most=most) == zoos


def test_zoos_are_sampled_from_all_sizes() -> None:
    assert {len(zoo) for zoo in random_zoos(np.full(9, 0.5))} == {3, 4, 5, 6}
