"""What is shipped is what was measured: profiles follow from responses, responses from the data, and nobody's texts."""

import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cit_core import catalogue
from cit_core.catalogue import (
    VECTORS_OF,
    catalogue_candidates,
    catalogue_capabilities,
    core_responses,
    core_suite,
    core_vectors,
    known_tasks,
    provenance,
    task_vectors,
)
from cit_core.errors import UnknownCandidate
from cit_core.runtime import load_scorer

DATA = Path(__file__).parents[4] / "shared" / "data"
NAMES = ("models.json", "tasks.json", "core.json", "responses.json")
needs_data = pytest.mark.skipif(
    not (DATA / "outcomes-mmlu-pro.parquet").exists(),
    reason=f"the outcomes that the catalogue was made of are not in {DATA}",
)


def shipped(name: str) -> str:
    return files(catalogue).joinpath(name).read_text(encoding="utf-8")


@cache
def table() -> Any:
    pytest.importorskip("pyarrow", reason="reading the outcomes needs pyarrow")
    from cit_core.outcomes import read_outcomes

    return read_outcomes(DATA, "mmlu-pro")


def test_the_data_that_ships_stays_small() -> None:
    """Every install downloads it: 1.5 MB are enough for facts, profiles and evidence of what is served today."""
    data = [file for file in files(catalogue).iterdir() if file.name.endswith((".json", ".npy"))]
    assert sum(len(file.read_bytes()) for file in data) < 1_500_000


# -- models -----------------------------------------------------------------------------------------------------------


def test_there_are_22_models_each_with_responses_and_a_profile() -> None:
    ids = [candidate.id for candidate in catalogue_candidates()]
    assert len(ids) == len(set(ids)) == 22
    assert {c.candidate.id for c in catalogue_capabilities()} == set(core_responses()) == set(ids)


def test_every_model_says_where_its_outcomes_facts_and_prices_come_from() -> None:
    for candidate in catalogue_candidates():
        sources = provenance(candidate.id)
        assert {"outcomes", "facts"} <= set(sources) <= {"outcomes", "facts", "price"}
        assert all(source.strip() for source in sources.values())
        assert (candidate.price_in is not None) == (candidate.price_out is not None) == ("price" in sources)
        assert candidate.license
        assert candidate.released
        assert candidate.context_window


def test_provenance_is_the_callers_own_and_an_unknown_model_names_the_closest() -> None:
    known = catalogue_candidates()[0].id
    provenance(known).clear()
    assert provenance(known)
    with pytest.raises(UnknownCandidate, match=f"in the catalogue; closest: '{known}'"):
        provenance(known.lower())


def test_profiles_are_what_the_responses_average_to() -> None:
    """Recomputed from the shipped marks with nothing of ours but json."""
    marks, core = json.loads(shipped("responses.json")), json.loads(shipped("core.json"))
    for capability in catalogue_capabilities():
        rest = marks[capability.candidate.id]
        expected: dict[str, Any] = {}
        for task in (task["id"] for task in core["tasks"]):
            own, rest = rest[: len(core["items"][task])], rest[len(core["items"][task]) :]
            if asked := len(own) - own.count("-"):
                expected[task] = (own.count("1") / asked, asked)
        assert rest == ""
        found: dict[str, Any] = {line.task.id: (line.accuracy, line.count) for line in capability.results}
        assert found == {task: (pytest.approx(accuracy), count) for task, (accuracy, count) in expected.items()}
        assert len(found) > 0


# -- the core set -----------------------------------------------------------------------------------------------------


def test_the_core_set_is_50_tasks_of_20_items() -> None:
    suite = core_suite()
    assert (suite.name, suite.version) == ("mmlu-pro-core", 1)
    assert [len(suite.items[task.id]) for task in suite.tasks] == [20] * 50
    assert len(set(suite.item_ids)) == 1000


def test_every_task_has_five_keywords_of_its_own() -> None:
    assert set(core_suite().tasks) <= set(known_tasks())
    for task in known_tasks():
        assert len({word.lower() for word in task.keywords}) == 5, task
        assert all(word == word.strip() and "," not in word for word in task.keywords), task
    descriptions = [task.description for task in known_tasks()]
    assert len(set(descriptions)) == len(descriptions), "two tasks that read the same could not be told apart"


def test_vectors_are_unit_length_within_float16() -> None:
    vectors = core_vectors()
    assert vectors.shape == (1000, 384)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(1000), abs=2e-3)
    assert len(np.unique(vectors, axis=0)) > 990, "the benchmark itself holds a few questions twice"


def test_responses_are_right_wrong_or_not_measured() -> None:
    for model, marks in core_responses().items():
        assert marks.shape == (1000,), model
        assert set(np.unique(marks[~np.isnan(marks)])) == {0.0, 1.0}, model


def test_every_core_item_has_a_hash() -> None:
    hashes = core_suite().hashes
    assert set(hashes) == set(core_suite().item_ids)
    assert all(len(digest) == 16 and int(digest, 16) >= 0 for digest in hashes.values())
    assert len(set(hashes.values())) > 990, "the benchmark itself holds a few questions twice"


# -- against the data -------------------------------------------------------------------------------------------------


@needs_data
def test_the_core_set_is_what_the_data_gives_by_training_items_and_models_alone() -> None:
    """Rebuilt; then once more from outcomes in which everybody else's answers are turned around."""
    from dataclasses import replace

    from cit_core.core_suite import build_core_suite
    from cit_core.outcomes import Split

    split, data = Split(), table()
    without_hashes = core_suite().model_copy(update={"hashes": {}})
    assert build_core_suite(data, split) == without_hashes
    train_items = split.items(data.item_ids)["train"]
    assert set(core_suite().item_ids) <= {data.item_ids[row] for row in train_items}
    train_models = split.models(data.candidates)["train"]
    assert 0 < len(train_models) < len(data.candidates)
    turned = 1.0 - data.correct_IK
    kept = np.ix_(train_items, [data.column(model) for model in train_models])
    turned[kept] = data.correct_IK[kept]
    assert build_core_suite(replace(data, correct_IK=turned), split) == without_hashes


@needs_data
def test_the_responses_are_the_datas_outcomes() -> None:
    place = {id_: row for row, id_ in enumerate(table().item_ids)}
    rows = [place[id_] for id_ in core_suite().item_ids]
    assert set(core_responses()) == set(table().candidates)
    for model, marks in core_responses().items():
        np.testing.assert_array_equal(marks, table().correct_IK[rows, table().column(model)], err_msg=model)


@needs_data
def test_each_item_stands_under_its_task() -> None:
    task_of = dict(zip(table().item_ids, table().tasks, strict=True))
    assert all({task_of[item] for item in items} == {task} for task, items in core_suite().items.items())
    assert set(task_of.values()) == {task.id for task in known_tasks()}


@needs_data
def test_core_json_is_what_the_maintainers_command_writes(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the command also makes vectors, which takes torch")
    from cit_core.aptitude.suites import save_suite
    from cit_core.aptitude.suites.shipped import hashed_core_suite

    save_suite(hashed_core_suite(table(), DATA / "items-mmlu-pro.parquet"), tmp_path / "core.json")
    assert (tmp_path / "core.json").read_text("utf-8") == shipped("core.json")


@needs_data
def test_the_texts_of_the_core_set_are_found_in_the_data_and_checked_against_their_hashes() -> None:
    from cit_core.aptitude.suites.sources import texts

    items = texts(core_suite(), DATA / "items-mmlu-pro.parquet")
    assert tuple(item.id for item in items) == core_suite().item_ids
    place = {id_: row for row, id_ in enumerate(table().item_ids)}
    assert [item.instruction for item in items] == [table().instructions[place[item.id]] for item in items]
    assert all(item.answer in "ABCDEFGHIJ"[: len(item.options)] for item in items)


@needs_data
def test_no_question_is_shipped() -> None:
    """Not one sentence of any core item: neither its whole question nor the first or last 40 characters of it."""
    everything = "".join(shipped(name) for name in NAMES)
    place = {id_: row for row, id_ in enumerate(table().item_ids)}
    for item in core_suite().item_ids:
        for text in (table().instructions[place[item]], table().questions[place[item]]):
            for part in {text, text[:40], text[-40:]} - {""}:
                assert len(part) < 12 or json.dumps(part)[1:-1] not in everything, item
                assert len(part) < 12 or part not in everything, item


@needs_data
def test_ids_are_no_texts_in_disguise() -> None:
    assert max(len(item) for item in core_suite().item_ids) < 80


def test_every_known_tasks_vector_is_the_one_that_the_shipped_network_makes() -> None:
    scorer, shipped = load_scorer("mini"), task_vectors()
    assert list(shipped) == [task.description for task in known_tasks()]
    assert scorer.encoder == VECTORS_OF
    some = [task.description for task in known_tasks()[::20]]
    made_SD = scorer.encode(some)
    kept_SD = np.stack([shipped[description] for description in some])
    assert np.linalg.norm(kept_SD, axis=1) == pytest.approx(1.0, abs=1e-4)
    assert np.abs(made_SD - kept_SD).max() < 0.02, "another processor rounds otherwise"
