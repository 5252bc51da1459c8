"""Writes: facts are added once and completed, never changed unasked."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from sqlalchemy import create_engine, text
from store_records import LAW, outcome, seed

from cit_core.errors import InvalidInput, UnknownCandidate
from cit_core.records import Candidate, Item, Outcome, Task
from cit_core.store import CapabilityStore


def test_duplicates_inside_one_batch_are_known_or_refused(store: CapabilityStore) -> None:
    seed(store)
    summary = store.add_outcomes([outcome("i0", 1.0), outcome("i0", 1.0), outcome("i0", 0.0)])
    assert (summary.new, summary.known, summary.refused_count) == (1, 1, 1)


def test_a_number_that_does_not_fit_is_refused(store: CapabilityStore) -> None:
    seed(store)
    with pytest.raises(InvalidInput, match="the store cannot keep"):
        store.add_outcomes([outcome("i0").model_copy(update={"prompt_tokens": 10**30})])
    assert store.outcome_count() == 0


def test_other_facts_need_replace(store: CapabilityStore) -> None:
    assert store.add_candidates([Candidate(id="small", price_in=1.0)]) == 1
    assert store.add_candidates([Candidate(id="small", price_in=1.0), Candidate(id="new")]) == 1
    with pytest.raises(
        InvalidInput, match=r"'small' has other facts \(price_in: 1.0 is stored and 2.0 came\).*replace"
    ):
        store.add_candidates([Candidate(id="newer"), Candidate(id="small", price_in=2.0)])
    assert [c.id for c in store.candidates()] == ["small", "new"], "all or nothing"
    assert store.add_candidates([Candidate(id="small", price_in=2.0)], replace=True) == 1
    assert store.candidate("small").price_in == 2.0
    store.add_tasks([LAW])
    with pytest.raises(InvalidInput, match="'law' has other facts"):
        store.add_tasks([Task(id="law", keywords=("torts",))])
    store.add_tasks([Task(id="law", keywords=("torts",))], replace=True)
    assert store.tasks()[0].description == "torts"


def test_the_same_id_twice_in_one_call_is_refused(store: CapabilityStore) -> None:
    with pytest.raises(InvalidInput, match="duplicate ids of candidates: 'x'"):
        store.add_candidates([Candidate(id="x"), Candidate(id="x", notes="other")])


def test_an_item_needs_its_task(store: CapabilityStore) -> None:
    with pytest.raises(InvalidInput, match="item 'q' names task 'law', which is not stored"):
        store.add_items([Item(id="q", task="law")])


def test_a_candidate_goes_with_its_outcomes(store: CapabilityStore) -> None:
    seed(store)
    store.add_outcomes(outcome(f"i{n}", candidate=c) for n in range(4) for c in ("small", "big"))
    version = store.version
    store.remove_candidate("small")
    assert (store.outcome_count(), [c.id for c in store.candidates()]) == (4, ["big"])
    assert store.version == version + 1
    for ask in (store.remove_candidate, store.candidate, store.capability, store.measured):
        with pytest.raises(UnknownCandidate, match=r"no candidate 'bigg' .* closest: 'big'"):
            ask("bigg")


def test_times_are_kept_to_the_microsecond(store: CapabilityStore) -> None:
    seed(store)
    when = datetime(2026, 7, 1, 1, 2, 3, 456789, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    store.add_outcomes([outcome("i0").model_copy(update={"when": when.astimezone(timezone.utc)})])
    with store.transaction() as writer:
        (conflict,) = writer.add_outcomes([outcome("i0", 0.0)]).conflicts
    assert conflict.since == when


def test_a_transaction_counts_one_version_and_says_what_it_did(store: CapabilityStore, store_url: str) -> None:
    seed(store)
    store.add_outcomes([outcome("i0")])
    store.remove_candidate("small")
    engine = create_engine(store_url)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT number, what FROM versions ORDER BY number")).all()
    engine.dispose()
    assert [tuple(row) for row in rows] == [
        (1, "2 tasks, 4 items, 2 candidates"),
        (2, "1 outcomes"),
        (3, "1 candidate removed: 'small', 1 outcomes removed"),
    ]


def test_vectors_belong_to_an_encoder_and_to_a_text(seeded: CapabilityStore) -> None:
    vectors = {"i0": np.array([1.0, 0.5, -0.25]), "i2": np.array([0.0, 1.0, 2.0])}
    with seeded.transaction() as writer:
        writer.set_vectors(vectors, "trunk")
    assert [item.id for item in seeded.without_vector("trunk", 10)] == ["i1", "i3"]
    assert [item.id for item in seeded.without_vector("another", 3)] == ["i0", "i1", "i2"]
    seeded.add_outcomes(
        [outcome("i0", 1.0), outcome("i0", 0.0, source="again"), outcome("i1"), outcome("i2", 0.0, candidate="big")]
    )
    seeded.hold("held")
    seeded.add_outcomes([outcome("i2", source="held")])
    evidence = seeded.outcome_matrix(encoder="trunk")
    assert evidence.item_ids == ("i0", "i2")
    assert evidence.vectors_ID.tolist() == [[1.0, 0.5, -0.25], [0.0, 1.0, 2.0]]
    assert evidence.candidates == ("small", "big")
    assert evidence.task_I.tolist() == [0, 0]
    nan = float("nan")
    assert evidence.correct_IK == pytest.approx(np.array([[0.5, nan], [nan, 0.0]]), nan_ok=True), (
        "the mean over sources, of what counts"
    )
    snapshot = seeded.snapshot(encoder="trunk")
    assert snapshot.evidence is not None
    assert (snapshot.version, snapshot.evidence.item_ids) == (seeded.version, ("i0", "i2"))
    assert seeded.outcome_matrix(encoder="another").item_ids == ()

    seeded.add_items([Item(id="i0", task="algebra", instruction="another question")], replace=True)
    assert seeded.outcome_matrix(encoder="trunk").item_ids == ("i2",), "a vector goes with its text"


def test_a_text_that_comes_later_keeps_the_vector_that_was_there(store: CapabilityStore) -> None:
    """The catalogue ships vectors of questions whose texts the user brings."""
    store.add_tasks([LAW])
    store.add_items([Item(id="q", task="law")])
    assert store.without_vector("trunk", 1) == (), "nothing to encode"
    with store.transaction() as writer:
        writer.set_vectors({"q": np.ones(2)}, "trunk")
    store.add_items([Item(id="q", task="law", instruction="the text")])
    assert store.outcome_matrix(encoder="trunk").item_ids == ("q",)


def test_a_setting_stays_with_the_version_it_was_made_at(seeded: CapabilityStore, store_url: str) -> None:
    assert seeded.setting("evidence") is None
    for value in ({"bandwidth": 0.5}, {"bandwidth": 0.25}):
        with seeded.transaction() as writer:
            writer.set_setting("evidence", value)
        assert seeded.setting("evidence") == value
    engine = create_engine(store_url)
    with engine.connect() as connection:
        kept = connection.execute(text("SELECT version, name FROM settings ORDER BY version")).all()
        assert [tuple(row) for row in kept] == [(seeded.version - 1, "evidence"), (seeded.version, "evidence")]
    engine.dispose()


def test_holding_counts_a_version_only_if_it_changes_something(seeded: CapabilityStore) -> None:
    seeded.hold("test")
    version = seeded.version
    seeded.hold("test")
    assert seeded.version == version
    seeded.release("test")
    assert seeded.version == version + 1


def test_ids_are_data_whatever_they_say(seeded: CapabilityStore) -> None:
    evil = "x'; DROP TABLE outcomes; --\" :name %s %(a)s ?"
    seeded.add_candidates([Candidate(id=evil)])
    seeded.add_items([Item(id=evil, task=seeded.tasks()[0].id)])
    seeded.add_outcomes([Outcome(candidate=evil, item=evil, correct=1.0, source=evil)])
    assert [(o.candidate, o.item, o.source) for o in seeded.outcomes(candidate=evil, source=evil)] == [(evil,) * 3]
    assert seeded.measured(evil) == {evil}
    seeded.remove_source(evil)
    seeded.remove_candidate(evil)
    assert seeded.outcome_count() == 0
