"""Bulk loads: written in batches between which others write, counted all at once or not at all."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import update
from store_records import LAW, lines, outcome

from cit_core.errors import InvalidInput, StoreError
from cit_core.records import Candidate, Item, Task
from cit_core.store import CapabilityStore
from cit_core.store.bulk_load import _stretches
from cit_core.store.schema import loads


def contents(store: CapabilityStore) -> tuple[object, ...]:
    return store.candidates(), store.tasks(), store.items(), list(store.outcomes()), store.held(), store.version


def test_a_load_counts_at_its_end_as_one_version(seeded: CapabilityStore) -> None:
    version = seeded.version
    with seeded.bulk_load() as load:
        for batch in (["i0", "i1"], ["i2"]):
            with load.batch() as writer:
                if "i0" in batch:
                    writer.add_candidates([Candidate(id="new")])
                assert writer.add_outcomes([outcome(item, candidate="new") for item in batch]).new == len(batch)
            assert seeded.capabilities()[-1].candidate.id == "big", "a candidate is shown with its outcomes"
            assert (seeded.outcome_count(), list(seeded.outcomes()), seeded.held()) == (0, [], ())
            assert seeded.version == version
    assert lines(seeded, "new") == {"algebra": (1.0, 2), "law": (1.0, 1)}
    assert seeded.measured("new", "run") == {"i0", "i1", "i2"}
    assert (seeded.version, seeded.held(), load.superseded) == (version + 1, (), 0)


def test_others_write_between_the_batches_of_a_load(seeded: CapabilityStore, store_url: str) -> None:
    def feed_back() -> None:
        with CapabilityStore(store_url, timeout_s=10) as other:
            other.add_outcomes([outcome("i0", source="feedback")])

    with seeded.bulk_load() as load:
        with load.batch() as writer:
            writer.add_outcomes([outcome("i1")])
        thread = threading.Thread(target=feed_back)
        thread.start()
        thread.join(20)
        assert seeded.measured("small") == {"i0"}
    assert seeded.measured("small") == {"i0", "i1"}


@pytest.mark.parametrize("error", [KeyError("of the caller"), KeyboardInterrupt()])
def test_a_load_that_raises_leaves_everything_as_it_was(seeded: CapabilityStore, error: BaseException) -> None:
    seeded.add_tasks([Task(id="unassigned", keywords=("any",))])
    seeded.add_items([Item(id="bare", task="law", options=("a", "b"))])
    seeded.add_outcomes([outcome("i0")])
    before = contents(seeded)

    def fail() -> None:
        with seeded.bulk_load() as load:
            for item in ("fresh", "i0"):
                with load.batch() as writer:
                    writer.add_tasks([Task(id="task of " + item, keywords=("k",))])
                    writer.add_items([Item(id="fresh " + item, task="task of " + item)])
                    writer.add_items([Item(id="bare", task="law", instruction="What?", answer=item[:1])], replace=True)
                    writer.add_candidates([Candidate(id="new " + item)])
                    writer.add_outcomes([outcome("fresh " + item, candidate="new " + item), outcome("i1")])
            raise error

    with pytest.raises(type(error)):
        fail()
    assert contents(seeded) == before


def test_what_is_stored_is_known_or_refused_and_what_came_meanwhile_wins(seeded: CapabilityStore) -> None:
    seeded.add_outcomes([outcome("i0", 1.0), outcome("i1", 1.0)])
    with seeded.bulk_load() as load:
        with load.batch() as writer:
            result = writer.add_outcomes([outcome("i0", 1.0), outcome("i1", 0.0), outcome("i2"), outcome("i3")])
            assert (result.new, result.known, [c.stored for c in result.conflicts]) == (2, 1, [1.0])
        with load.batch() as writer:
            again = writer.add_outcomes([outcome("i2", 1.0), outcome("i3", 0.0)])
            assert (again.new, again.known, len(again.conflicts)) == (0, 1, 1), "within one load too"
        seeded.add_outcomes([outcome("i2", 0.5)])
    assert load.superseded == 1
    assert {o.item: o.correct for o in seeded.outcomes()} == {"i0": 1.0, "i1": 1.0, "i2": 0.5, "i3": 1.0}


def test_what_others_need_too_stays_when_a_load_fails(seeded: CapabilityStore) -> None:
    def fail() -> None:
        with seeded.bulk_load() as load, seeded.bulk_load() as other:
            for each in (load, other):
                with each.batch() as writer:
                    known = {candidate.id for candidate in writer.candidates()}
                    writer.add_candidates(Candidate(id=id_) for id_ in ("shared", "given") if id_ not in known)
                    writer.add_items([Item(id=id_, task="law") for id_ in ("q", "r")])
                    writer.add_outcomes([outcome("q", candidate="shared", source=f"run {each is other}")])
            with load.batch() as writer:
                writer.add_items([Item(id="alone", task="law")])
            seeded.add_candidates([Candidate(id="given")])
            seeded.add_items([Item(id="r", task="law")])
            other.publish()
            assert [c.id for c in seeded.candidates()] == ["small", "big", "shared", "given"]
            raise InvalidInput("a line that cannot be read")

    with pytest.raises(InvalidInput, match="a line"):
        fail()
    assert [c.id for c in seeded.candidates()] == ["small", "big", "shared", "given"]
    assert [item.id for item in seeded.items()] == ["i0", "i1", "i2", "i3", "q", "r"]
    assert [o.source for o in seeded.outcomes()] == ["run True"]


def test_a_load_that_was_killed_is_unseen_and_removed_by_a_later_one(seeded: CapabilityStore) -> None:
    killed = seeded.bulk_load()
    load = killed.__enter__()
    with load.batch() as writer:
        writer.add_candidates([Candidate(id="new")])
        writer.add_outcomes([outcome("i0", candidate="new")])
    with seeded.bulk_load() as later, later.batch() as writer:
        assert [candidate.id for candidate in writer.candidates()] == ["small", "big", "new"], "it may be under way"
    with seeded.transaction() as writer:
        long_ago = datetime.now(timezone.utc) - timedelta(hours=2)
        writer._connection.execute(update(loads).values(touched=long_ago))
    with seeded.bulk_load() as later, later.batch() as writer:
        assert [candidate.id for candidate in writer.candidates()] == ["small", "big"]
    with pytest.raises(StoreError, match="this load was removed"), load.batch():
        pass
    with pytest.raises(StoreError, match="this load was removed"):
        killed.__exit__(None, None, None)
    assert seeded.outcome_count() == 0


def test_a_load_without_a_batch_changes_nothing(seeded: CapabilityStore) -> None:
    before = contents(seeded)
    with seeded.bulk_load():
        pass
    assert contents(seeded) == before
    assert LAW in seeded.tasks()


def test_what_a_load_has_added_is_taken_back_some_outcomes_at_a_time(
    seeded: CapabilityStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cit_core.store.bulk_load.AT_ONCE", 4)
    before = contents(seeded)

    def fail() -> None:
        with seeded.bulk_load() as load:
            with load.batch() as writer:
                writer.add_candidates(Candidate(id=f"m{number}") for number in range(7))
                writer.add_outcomes(
                    outcome(f"i{item}", candidate=f"m{number}") for number in range(7) for item in range(1 + number % 3)
                )
            raise KeyError("a line that cannot be read")

    with pytest.raises(KeyError):
        fail()
    assert contents(seeded) == before
    assert list(_stretches([(3, 9), (5, 1), (8, 3), (9, 1)])) == [(3, 3), (5, 8), (9, 9)]
    assert list(_stretches([])) == []
