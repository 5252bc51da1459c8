"""What is trained on: tables, or a store's outcomes with their circle tests; tests from training items alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from outcome_tables import made_up_table, write_table
from paper_runs import MODELS, data

from cit_core.catalogue import catalogue_candidates, known_tasks
from cit_core.errors import InvalidInput
from cit_core.outcomes import Split, read_outcomes
from cit_core.paper.dataset import from_matrix, from_tables
from cit_core.records import Candidate, Item, Outcome, Task
from cit_core.store import CapabilityStore


def test_the_aptitude_test_is_made_of_training_items_by_training_models_alone() -> None:
    on, split = data(), Split()
    suite = on.suite(split, tasks=4, shots=8)
    assert len(suite.tasks) == 4
    assert set(suite.item_ids) <= {on.table.item_ids[row] for row in split.items(on.table.item_ids)["train"]}
    poisoned = on.table.correct_IK.copy()
    poisoned[:, [on.table.column(model) for model in split.models(on.table.candidates)["test"]]] = 0.0
    assert replace(on, table=replace(on.table, correct_IK=poisoned)).suite(split, tasks=4, shots=8) == suite
    assert len(on.suite(split, tasks=50, shots=8).tasks) == 6, "as many as there are"
    with pytest.raises(InvalidInput, match="tell models apart"):
        on.suite(split, tasks=4, shots=1000)


def test_capabilities_are_the_outcomes_on_the_suite() -> None:
    on = data()
    on.table.correct_IK[:, 3] = np.nan
    suite = on.suite(Split(), tasks=3, shots=8)
    models = [on.table.candidates[5], on.table.candidates[3]]
    found, nobody = on.capabilities(suite, models)
    place = {id_: row for row, id_ in enumerate(on.table.item_ids)}
    for result in found.results:
        marks = on.table.correct_IK[[place[id_] for id_ in suite.items[result.task.id]], 5]
        assert (result.accuracy, result.count) == (marks.mean(), 8)
    assert nobody.results == ()
    assert [found.candidate.id, nobody.candidate.id] == models


def test_tables_have_the_catalogues_words_and_facts(tmp_path: Path) -> None:
    names = [candidate.id for candidate in catalogue_candidates()][:4]
    write_table(made_up_table(names, tasks=2, items_of_task=5), tmp_path, "mine")
    found = from_tables(tmp_path, "mine")
    assert found.tasks == known_tasks()
    assert found.candidates[names[0]] == next(iter(catalogue_candidates()))
    write_table(replace(found.table, tasks=("knitting",) * 10), tmp_path, "odd")
    with pytest.raises(InvalidInput, match=r"no keywords for: knitting; a store has words .*--store URL"):
        from_tables(tmp_path, "odd")


def test_a_circle_test_takes_lucky_guesses_from_the_labels_and_nothing_else(tmp_path: Path) -> None:
    table = made_up_table(MODELS, tasks=2, items_of_task=5)
    circle_IM = np.full_like(table.correct_IK, np.nan)
    circle_IM[:4] = 0.0
    circle_IM[4:6] = 1.0
    circled = replace(table, circle_IK=circle_IM)
    assert (circled.labels_IK[:4] == 0.0).all()
    np.testing.assert_array_equal(circled.labels_IK[4:], table.correct_IK[4:], "who was wrong stays wrong")
    np.testing.assert_array_equal(table.labels_IK, table.correct_IK)
    assert circled.digest() != table.digest()
    write_table(table, tmp_path, "c")
    outcomes = pq.read_table(tmp_path / "outcomes-c.parquet")
    row = {id_: place for place, id_ in enumerate(table.item_ids)}
    marks = [circle_IM[row[id_], 0] for id_ in outcomes["item_id"].to_pylist()]
    values = [None if np.isnan(mark) else float(mark) for mark in marks]
    pq.write_table(outcomes.append_column("circle", pa.array(values)), tmp_path / "outcomes-c.parquet")
    np.testing.assert_array_equal(read_outcomes(tmp_path, "c").labels_IK, circled.labels_IK)
    pq.write_table(outcomes.append_column("circle", pa.array([2.0] * len(values))), tmp_path / "outcomes-c.parquet")
    with pytest.raises(InvalidInput, match=r"circle must be in \[0, 1\], got 2.0"):
        read_outcomes(tmp_path, "c")


def test_a_stores_outcomes_are_a_table(store: CapabilityStore) -> None:
    tasks = [Task(id="law", keywords=("contract", "lease")), Task(id="cell", keywords=("biology",))]
    store.add_tasks(tasks)
    store.add_candidates([Candidate(id="a", notes="speaks Latin"), Candidate(id="b"), Candidate(id="idle")])
    store.add_items(
        [
            Item(id="one", task="law", instruction="May I?"),
            Item(id="two", task="cell", instruction="What is it?"),
            Item(id="mute", task="cell"),
        ]
    )

    def said(candidate: str, item: str, correct: float, source: str = "exam") -> Outcome:
        return Outcome(candidate=candidate, item=item, correct=correct, source=source)

    store.add_outcomes(
        [
            said("a", "one", 1.0), said("a", "one", 0.0, "again"), said("b", "one", 1.0), said("b", "mute", 1.0),
            said("b", "one", 0.0, "aptitude:law@1:b:circle4"), said("a", "two", 1.0, "aptitude:law@1:a:circle4"),
            said("b", "two", 1.0, "aptitude:law@1:b:circle4#turn0"),
        ]
    )  # fmt: skip
    store.hold("aptitude:law@1:b:circle4#turn0")
    found = from_matrix(store.outcome_matrix(texts=True), store.tasks(), store.candidates())
    assert found.table.item_ids == ("one", "two")
    assert found.table.instructions == ("May I?", "What is it?")
    assert found.table.candidates == ("a", "b")
    np.testing.assert_array_equal(found.table.correct_IK, [[0.5, 0.5], [1.0, np.nan]])
    np.testing.assert_array_equal(found.table.labels_IK, [[0.5, 0.0], [1.0, np.nan]])
    assert set(tasks) <= set(found.tasks)
    assert found.candidates["a"].notes == "speaks Latin"


def test_an_empty_store_is_nothing_to_learn_from(store: CapabilityStore) -> None:
    with pytest.raises(InvalidInput, match="has no outcomes of items with a text: `cit import`"):
        from_matrix(store.outcome_matrix(texts=True), store.tasks(), store.candidates())
