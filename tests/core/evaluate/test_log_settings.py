"""A log becomes a comparison: a store as a table, what everyone was measured on, and what is held out of it."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from bench_tables import log_table, text_vectors
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cit_core.catalogue import known_tasks
from cit_core.errors import InvalidInput
from cit_core.evaluate.log_settings import measured_alike, own_tasks_setting, stored_outcomes, tasks_held_out
from cit_core.outcomes import OutcomeMatrix, Split
from cit_core.records import Candidate, Capability, Item, Outcome, Task, Usage
from cit_core.store import CapabilityStore

SPLIT = Split()


def table_of(measured: np.ndarray) -> OutcomeMatrix:
    """Outcomes are told apart by their places."""
    items, models = measured.shape
    ids = tuple(f"i{row}" for row in range(items))
    marks = np.arange(measured.size).reshape(measured.shape) / measured.size
    names = tuple(f"m{column}" for column in range(models))
    return OutcomeMatrix(
        name="tiny",
        item_ids=ids,
        candidates=names,
        correct_IK=np.where(measured, marks, np.nan),
        tasks=ids,
        instructions=ids,
    )


# ---- measured_alike


@settings(deadline=None, max_examples=200)
@given(st.tuples(st.integers(1, 7), st.integers(2, 5)).flatmap(lambda shape: arrays(bool, shape)))
def test_everyone_was_measured_on_everything_and_no_two_models_alone_would_keep_more(measured: np.ndarray) -> None:
    pairs = itertools.combinations(range(measured.shape[1]), 2)
    most = max(2 * int(measured[:, list(pair)].all(axis=1).sum()) for pair in pairs)
    everyone = measured.shape[1] * int(measured.all(axis=1).sum())
    table = table_of(measured)
    if not most:
        with pytest.raises(InvalidInput, match="so there is nothing to compare routers on"):
            measured_alike(table)
        return
    found = measured_alike(table)
    assert found.correct_IK.size >= max(most, everyone)
    assert len(found.candidates) > 1
    assert not np.isnan(found.correct_IK).any()
    rows = [table.item_ids.index(id_) for id_ in found.item_ids]
    columns = [table.column(model) for model in found.candidates]
    assert found.correct_IK.tolist() == table.correct_IK[np.ix_(rows, columns)].tolist()
    assert rows == sorted(rows)
    assert columns == sorted(columns)
    for name in ("tasks", "categories", "instructions", "questions"):
        assert getattr(found, name) == found.item_ids, "texts follow their items"


def test_a_whole_table_stays_whole() -> None:
    table = log_table()
    found = measured_alike(table)
    assert found.digest() == table.digest()


def test_two_that_met_are_found_beside_one_that_met_nobody() -> None:
    measured = np.zeros((20, 3), bool)
    measured[:10, 0] = measured[10:, 1] = measured[10:19, 2] = True
    found = measured_alike(table_of(measured))
    assert (found.candidates, len(found.item_ids)) == (("m1", "m2"), 9)


def test_models_that_never_met_are_refused_by_the_name_of_their_table() -> None:
    with pytest.raises(InvalidInput, match="tiny: no two of 2 models were measured on the same item"):
        measured_alike(table_of(np.array([[True, False], [False, True]])))


# ---- stored_outcomes


def item(id_: str, task: str = "sums", text: str | None = "given") -> Item:
    return Item(id=id_, task=task, instruction=f"{id_}?" if text == "given" else text)


def outcome(candidate: str, item: str, correct: float, source: str = "exam") -> Outcome:
    return Outcome(candidate=candidate, item=item, correct=correct, source=source)


@pytest.fixture
def filled(store: CapabilityStore) -> CapabilityStore:
    store.add_candidates([Candidate(id="b"), Candidate(id="a"), Candidate(id="silent")])
    store.add_tasks([Task(id="sums", keywords=("sums",)), Task(id="law", keywords=("law",))])
    store.add_items([item("i1"), item("i2", "law"), item("untold", text=None), item("unasked"), item("i3")])
    store.add_outcomes(
        [
            outcome("a", "i1", 1.0),
            outcome("a", "i1", 0.0, "second"),
            outcome("a", "i1", 0.5, "third"),
            outcome("b", "i1", 0.0),
            outcome("b", "i1", 1.0, "rumour"),
            outcome("a", "i2", 1.0, "rumour"),
            outcome("b", "i2", 1.0),
            outcome("a", "untold", 1.0),
            outcome("b", "i3", 1.0, "rumour"),
        ]
    )
    store.hold("rumour")
    return store


def test_a_store_is_a_table_of_means_over_the_sources_that_count(filled: CapabilityStore) -> None:
    table = stored_outcomes(filled)
    place = {id_: row for row, id_ in enumerate(table.item_ids)}
    assert set(place) == {"i1", "i2"}, "no text, no outcome, or rumours alone: left out"
    assert table.candidates == ("a", "b"), "who answered nothing is left out"
    assert table.correct_IK[place["i1"]].tolist() == [0.5, 0.0]
    assert np.isnan(table.correct_IK[place["i2"], 0])
    assert table.correct_IK[place["i2"], 1] == 1.0
    assert [table.tasks[place[id_]] for id_ in ("i1", "i2")] == ["sums", "law"]
    assert table.categories == table.tasks
    assert [table.instructions[place[id_]] for id_ in ("i1", "i2")] == ["i1?", "i2?"]
    assert table.questions == table.instructions
    assert table.name == "store"


def test_a_source_that_is_released_counts(filled: CapabilityStore) -> None:
    filled.release("rumour")
    table = stored_outcomes(filled)
    assert set(table.item_ids) == {"i1", "i2", "i3"}
    assert table.correct_IK[table.item_ids.index("i1"), 1] == 0.5


def test_a_store_without_questions_is_refused(store: CapabilityStore) -> None:
    with pytest.raises(InvalidInput, match="holds no outcome of a question with a known text; `cit import` adds"):
        stored_outcomes(store)
    store.add_candidates([Candidate(id="a")])
    store.add_tasks([Task(id="sums", keywords=("sums",))])
    store.add_items([item("untold", text=None), item("told")])
    store.add_outcomes([outcome("a", "untold", 1.0), outcome("a", "told", 1.0, "rumour")])
    store.hold("rumour")
    with pytest.raises(InvalidInput, match="holds no outcome"):
        stored_outcomes(store)


# ---- what is held out of a log


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 20), st.builds(Split, seed=st.text(max_size=5)))
def test_three_tasks_in_ten_are_held_out_those_with_the_lowest_hashes(number: int, split: Split) -> None:
    names = tuple(f"task {place % number}" for place in range(3 * number))
    table = replace(table_of(np.ones((3 * number, 2), bool)), tasks=names)
    found = tasks_held_out(table, split)
    left = set(names) - set(found)
    assert len(found) == max(1, round(0.3 * number))
    assert found == tuple(sorted(set(found)))
    assert all(split.fraction(out) < split.fraction(kept) for out in found for kept in left)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 1000), st.builds(Split, seed=st.text(max_size=5)), st.booleans())
def test_nothing_that_is_routed_is_known(seed: int, split: Split, hide: bool) -> None:
    table = log_table(seed=seed)
    twins = list(table.questions)
    for row in range(0, 100, 5):
        twins[row + 3] = twins[row]
    table = replace(table, questions=tuple(twins))
    hidden = tasks_held_out(table, split) if hide else ()
    setting = own_tasks_setting(table, text_vectors(table.instructions), split, hidden=hidden)
    row_of = {text: row for row, text in enumerate(table.instructions)}
    known, routed = ([row_of[text] for text in texts] for texts in (setting.known_instructions, setting.instructions))
    assert not {table.questions[row] for row in known} & {table.questions[row] for row in routed}
    if hide:
        assert {table.tasks[row] for row in routed} == set(hidden)
        assert not {table.tasks[row] for row in known} & set(hidden)
        assert not {r.task.id for c in setting.capabilities for r in c.results} & set(hidden)
    parts = split.items(table.item_ids)
    test, validation = set(parts["test"].tolist()), set(parts["validation"].tolist())
    assert not set(known) & test
    assert hide or set(routed) <= test
    assert setting.known.validation_I.tolist() == [row in validation for row in known]
    assert setting.correct_NK.tolist() == table.correct_IK[routed].tolist()
    assert setting.known.correct_IM.tolist() == table.correct_IK[known].tolist()
    np.testing.assert_array_equal(setting.known.vectors_ID, text_vectors(setting.known_instructions))
    assert setting.groups == tuple(table.tasks[row] for row in routed)
    assert all(setting.known.trained)


def test_hidden_tasks_are_routed_whole_whatever_the_split_says_of_their_items() -> None:
    table = log_table()
    hidden = tasks_held_out(table, SPLIT)
    setting = own_tasks_setting(table, text_vectors(table.instructions), SPLIT, hidden=hidden)
    assert len(setting.instructions) == sum(task in hidden for task in table.tasks)
    assert (setting.name, setting.title) == ("log-held-out-datasets", "Held-out datasets: log")
    assert all(task in setting.held_out for task in hidden)


def test_profiles_come_from_what_is_known_and_facts_from_what_is_told() -> None:
    table = log_table()
    usage, fact = Usage(completion_tokens=70, cost_usd=0.01), Candidate(id="b", price_in=1.0, price_out=2.0)
    told = {"b": Capability(candidate=fact, usage=usage), "nobody": Capability(candidate=Candidate(id="nobody"))}
    setting = own_tasks_setting(table, text_vectors(table.instructions), SPLIT, told=told)
    assert setting.candidates == table.candidates
    by_id = {capability.candidate.id: capability for capability in setting.capabilities}
    assert (by_id["b"].candidate, by_id["b"].usage) == (fact, usage)
    assert (by_id["a"].candidate, by_id["a"].usage) == (Candidate(id="a"), Usage())
    seen = [table.instructions.index(text) for text in setting.known_instructions]
    for model, capability in by_id.items():
        marks = {
            task: [table.correct_IK[row, table.column(model)] for row in seen if table.tasks[row] == task]
            for task in sorted(set(table.tasks))
        }
        assert {r.task.id: (r.accuracy, r.count) for r in capability.results} == {
            task: (pytest.approx(np.mean(values)), len(values)) for task, values in marks.items()
        }
    assert setting.known.capabilities == setting.capabilities


def test_a_task_is_described_by_the_catalogue_or_by_the_words_of_its_name() -> None:
    known = known_tasks()[0]
    table = log_table(tasks=2)
    own = {"own_task_0": known.id, "own_task_1": "tax_law-2024"}
    table = replace(table, tasks=tuple(own[task] for task in table.tasks))
    setting = own_tasks_setting(table, text_vectors(table.instructions), SPLIT)
    found = {result.task.id: result.task for result in setting.capabilities[0].results}
    assert found[known.id] == known
    assert found["tax_law-2024"].keywords == ("tax", "law", "2024")


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_log_that_leaves_nothing_to_route_or_to_learn_from_is_refused(share: float) -> None:
    table = log_table(items=40)
    split = Split(test_items=share, validation_items=0.0)
    to_route, to_learn = (0, 40) if share == 0.0 else (40, 0)
    with pytest.raises(InvalidInput, match=f"leave {to_route} to route and {to_learn} to learn from; `cit import`"):
        own_tasks_setting(table, text_vectors(table.instructions), split)
