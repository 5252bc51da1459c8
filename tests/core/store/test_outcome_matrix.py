"""The one reader of outcomes: what counts, grouped in SQL, and one meaning for an item that was answered twice."""

from __future__ import annotations

import numpy as np
import pytest

from cit_core.outcomes import UNASSIGNED
from cit_core.records import Candidate, Item, Outcome, Task
from cit_core.store import CapabilityStore


def said(candidate: str, item: str, correct: float, source: str = "exam") -> Outcome:
    return Outcome(candidate=candidate, item=item, correct=correct, source=source)


@pytest.fixture
def asked(store: CapabilityStore) -> CapabilityStore:
    """Two questions with texts, one without, one without a task; a candidate that answered nothing."""
    with store.transaction() as writer:
        writer.add_tasks([Task(id=id_, keywords=("k",)) for id_ in ("law", "cell", UNASSIGNED)])
        writer.add_candidates([Candidate(id=id_) for id_ in ("b", "idle", "a")])
        writer.add_items(
            [
                Item(id="two", task="law", instruction="May I?"),
                Item(id="one", task="cell", instruction="What is it?"),
                Item(id="mute", task="cell"),
                Item(id="loose", task=UNASSIGNED, instruction="And this?"),
            ]
        )
        writer.add_outcomes([said("a", "one", 1.0), said("b", "two", 0.0), said("b", "mute", 1.0)])
    return store


def test_items_and_candidates_are_in_the_order_in_which_they_were_added(asked: CapabilityStore) -> None:
    found = asked.outcome_matrix()
    assert (found.item_ids, found.candidates) == (("two", "one", "mute", "loose"), ("b", "idle", "a"))
    assert found.tasks == ("law", "cell", "cell", UNASSIGNED)
    assert (found.task_ids, found.task_I.tolist()) == (("cell", "law"), [1, 0, 0, -1])
    nan = np.nan
    expected = [[0.0, nan, nan], [nan, nan, 1.0], [1.0, nan, nan], [nan, nan, nan]]
    np.testing.assert_array_equal(found.correct_IK, expected)
    assert found.instructions == ()
    assert found.circle_IK is None
    assert (found.measured().item_ids, found.measured().candidates) == (("two", "one", "mute"), ("b", "a"))


def test_an_item_that_was_answered_twice_counts_once_by_the_mean_over_its_sources(asked: CapabilityStore) -> None:
    asked.add_outcomes([said("a", "one", 0.0, "again"), said("a", "one", 0.0, "third")])
    found = asked.outcome_matrix()
    assert found.correct_IK[found.item_ids.index("one"), found.column("a")] == pytest.approx(1 / 3, abs=1e-9)


def test_a_circle_test_is_a_source_like_any_other_and_its_turns_do_not_count(asked: CapabilityStore) -> None:
    circle = "aptitude:law@1:a:circle4"
    asked.add_outcomes([said("a", "one", 0.0, circle), said("a", "two", 1.0, circle)])
    for turn, correct in enumerate((1.0, 1.0, 1.0)):
        asked.hold(f"{circle}#turn{turn}")
        asked.add_outcomes([said("a", "one", correct, f"{circle}#turn{turn}")])
    asked.add_outcomes([said("b", "one", 1.0, "my:circles")])
    found = asked.outcome_matrix()
    marks = dict(zip(found.item_ids, found.correct_IK[:, found.column("a")].tolist(), strict=True))
    assert (marks["one"], marks["two"]) == (0.5, 1.0)
    assert found.circle_IK is not None
    assert found.circle_IK[:, found.column("a")].tolist()[:2] == [1.0, 0.0]
    assert np.isnan(found.circle_IK[:, found.column("b")]).all()
    labels = dict(zip(found.item_ids, found.labels_IK[:, found.column("a")].tolist(), strict=True))
    assert (labels["one"], labels["two"]) == (0.0, 1.0), "a lucky answer is no label"


def test_every_reader_gives_an_item_that_was_answered_twice_the_same_value(asked: CapabilityStore) -> None:
    """The profile, what evidence, suites and the benchmark are made of, and what is trained on."""
    from cit_core.aptitude.suites.responses import known_items, responses_of
    from cit_core.evaluate.log_settings import stored_outcomes
    from cit_core.paper.dataset import from_matrix

    asked.add_outcomes([said("a", "one", 0.0, "again"), said("a", "one", 0.25, "aptitude:cell@1:a:circle3")])
    with asked.transaction() as writer:
        writer.set_vectors({"one": np.ones(2)}, "trunk")
    matrices = (
        asked.outcome_matrix(encoder="trunk"),
        responses_of(asked, known_items(asked, [])),
        stored_outcomes(asked),
        from_matrix(asked.outcome_matrix(texts=True), asked.tasks(), asked.candidates()).table,
    )
    values = [m.correct_IK[m.item_ids.index("one"), m.column("a")] for m in matrices]
    values.append(asked.capability("a").mean_accuracy)
    assert values == pytest.approx([1.25 / 3] * 5, abs=1e-9)


def test_held_sources_do_not_count_until_they_are_released(asked: CapabilityStore) -> None:
    asked.hold("rumour")
    asked.add_outcomes([said("a", "two", 1.0, "rumour")])
    assert np.isnan(asked.outcome_matrix().correct_IK[0, 2])
    asked.release("rumour")
    assert asked.outcome_matrix().correct_IK[0, 2] == 1.0


def test_only_items_with_a_text_or_a_vector_where_that_is_asked_for(asked: CapabilityStore) -> None:
    told = asked.outcome_matrix(texts=True)
    assert (told.item_ids, told.instructions) == (("two", "one", "loose"), ("May I?", "What is it?", "And this?"))
    assert told.questions == told.instructions
    with asked.transaction() as writer:
        writer.set_vectors({"mute": np.array([1.0, 0.5]), "one": np.array([0.0, 2.0])}, "trunk")
    read = asked.outcome_matrix(encoder="trunk")
    assert (read.item_ids, read.vectors_ID.tolist()) == (("one", "mute"), [[0.0, 2.0], [1.0, 0.5]])
    assert read.correct_IK[1, 0] == 1.0
    both = asked.outcome_matrix(encoder="trunk", texts=True)
    assert (both.item_ids, both.instructions, len(both.vectors_ID)) == (("one",), ("What is it?",), 1)
    assert asked.outcome_matrix(encoder="another").correct_IK.shape == (0, 3)


def test_an_empty_store_gives_an_empty_matrix(store: CapabilityStore) -> None:
    assert store.outcome_matrix().correct_IK.shape == (0, 0)
    assert len(store.outcome_matrix(encoder="trunk", texts=True).measured()) == 0
