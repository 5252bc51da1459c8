"""The store keeps what it is given and gives it back."""

from __future__ import annotations

import pickle
import threading
from datetime import date, datetime, timezone

import pytest
from store_records import ALGEBRA, LAW, lines, outcome, seed

from cit_core.errors import InvalidInput, UnknownCandidate
from cit_core.records import Candidate, Item, Outcome, Usage
from cit_core.store import CapabilityStore


def test_records_come_back_as_they_went_in(store: CapabilityStore) -> None:
    full = Candidate(
        id="modèle/大 7b", context_window=8192, price_in=0.1, price_out=0.3, modalities=("text", "image"), tools=True,
        structured_output=False, released=date(2026, 5, 1), params_b=7.5, license="Apache-2.0", notes="two\nlines",
    )  # fmt: skip
    item = Item(id="q", task="law", instruction="Is it? 🙂", options=("yes", "no"), answer="no")
    store.add_candidates([full, Candidate(id="bare")])
    store.add_tasks([LAW, ALGEBRA])
    store.add_items([item, Item(id="textless", task="algebra")])
    assert store.candidates() == (full, Candidate(id="bare"))
    assert store.candidate("bare") == Candidate(id="bare")
    assert store.tasks() == (LAW, ALGEBRA)
    assert store.items() == (item, Item(id="textless", task="algebra"))
    assert store.items(["textless", "unheard of"]) == (Item(id="textless", task="algebra"),)


def test_a_new_store_is_empty(store: CapabilityStore) -> None:
    assert (store.version, store.outcome_count(), store.capabilities(), store.items()) == (0, 0, (), ())


def test_adding_outcomes_again_adds_nothing(store: CapabilityStore) -> None:
    seed(store)
    facts = [outcome(f"i{n}", candidate=c) for n in range(4) for c in ("small", "big")]
    first = store.add_outcomes(facts)
    version = store.version
    again = store.add_outcomes(facts)
    assert (first.new, first.known, first.refused_count) == (8, 0, 0)
    assert (again.new, again.known, again.refused_count) == (0, 8, 0)
    assert store.outcome_count() == 8
    assert store.version == version, "nothing was changed"


def test_a_conflicting_outcome_is_refused_with_a_reason(store: CapabilityStore) -> None:
    seed(store)
    store.add_outcomes([outcome("i0", 1.0)])
    summary = store.add_outcomes([outcome("i0", 0.25), outcome("i1")])
    assert (summary.new, summary.known, summary.refused_count) == (1, 0, 1)
    ((what, reason),) = summary.refused
    assert what == "'small' on item 'i0' from 'run'"
    assert "correct=0.25 came and 1 is stored" in reason
    assert lines(store, "small")["algebra"] == (1.0, 1), "never overwritten"


def test_many_refusals_are_all_counted_and_the_first_hundred_named(store: CapabilityStore) -> None:
    seed(store, items=120)
    store.add_outcomes(outcome(f"i{n}", 1.0) for n in range(120))
    summary = store.add_outcomes((outcome(f"i{n}", 0.0) for n in range(120)), batch_size=50)
    assert (summary.refused_count, len(summary.refused)) == (120, 100)


def test_batches_and_progress(store: CapabilityStore) -> None:
    seed(store, items=10)
    seen: list[int] = []
    before = store.version
    summary = store.add_outcomes((outcome(f"i{n}") for n in range(10)), batch_size=4, progress=seen.append)
    assert (summary.new, seen, store.version - before) == (10, [4, 8, 10], 3)
    with pytest.raises(InvalidInput, match="batch_size is 0"):
        store.add_outcomes([], batch_size=0)


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (outcome("i9"), InvalidInput, "no item 'i9' in the store; add it with add_items first"),
        (outcome("i0", candidate="smal"), UnknownCandidate, "no candidate 'smal' .* closest: 'small'"),
    ],
)
def test_an_unknown_id_rolls_its_batch_back(
    store: CapabilityStore, bad: Outcome, error: type[InvalidInput], message: str
) -> None:
    seed(store)
    with pytest.raises(error, match=message):
        store.add_outcomes([outcome("i0"), outcome("i1"), outcome("i2"), bad, outcome("i3")], batch_size=2)
    assert store.measured("small") == {"i0", "i1"}, "the batch before it stays, nothing of its own does"


def test_measured_is_what_a_resuming_runner_asks(store: CapabilityStore) -> None:
    seed(store)
    store.add_outcomes([outcome("i0"), outcome("i1", source="log"), outcome("i2", candidate="big")])
    assert store.measured("small") == {"i0", "i1"}
    assert store.measured("small", "run") == {"i0"}
    assert store.measured("small", "never seen") == set()


def test_a_snapshot_is_of_one_moment(store: CapabilityStore) -> None:
    """While others write, the version that a snapshot names is the one its capabilities were computed from."""
    seed(store, items=100)
    stop = threading.Event()
    torn: list[tuple[int, int]] = []

    def read() -> None:
        while not stop.is_set():
            version, capabilities, _ = store.snapshot()
            asked = sum(result.count for capability in capabilities for result in capability.results)
            if version - before != asked:  # each write below is one outcome and one version
                torn.append((version, asked))

    before = store.version
    reader = threading.Thread(target=read)
    reader.start()
    for number in range(100):
        store.add_outcomes([outcome(f"i{number}")])
    stop.set()
    reader.join()
    assert torn == []
    assert store.snapshot() == (store.version, store.capabilities(), None)


def test_an_outcome_comes_back_with_everything_that_was_said(seeded: CapabilityStore) -> None:
    full = Outcome(
        candidate="small", item="i1", correct=0.5, source="run", when=datetime(2026, 11, 1, tzinfo=timezone.utc),
        cost_usd=0.25, latency_s=1.5, prompt_tokens=12, completion_tokens=3, answer="C\nbecause … 🙂",
    )  # fmt: skip
    others = [outcome("i0", candidate="big"), outcome("i0", 0.0, source="again")]
    seeded.add_outcomes([full, *others])
    assert list(seeded.outcomes(candidate="small", source="run")) == [full]
    assert set(seeded.outcomes()) == {full, *others}
    assert [o.item for o in seeded.outcomes(candidate="small")] == ["i0", "i1"]
    with pytest.raises(UnknownCandidate, match="'smal'"):
        list(seeded.outcomes(candidate="smal"))


def test_a_held_source_does_not_count_until_it_is_released(seeded: CapabilityStore) -> None:
    seeded.hold("test")
    seeded.add_outcomes([outcome("i0", 1.0, source="test", cost_usd=1.0), outcome("i1", 0.0)])
    assert seeded.held() == ("test",)
    assert lines(seeded, "small") == {"law": (0.0, 1)}
    assert seeded.capability("small").usage == Usage()
    assert seeded.measured("small", "test") == {"i0"}, "a resumed run finds it"
    seeded.release("test")
    assert seeded.held() == ()
    assert lines(seeded, "small") == {"algebra": (1.0, 1), "law": (0.0, 1)}
    assert seeded.capability("small").usage == Usage(cost_usd=1.0)


def test_a_store_is_pickled_as_its_url(seeded: CapabilityStore) -> None:
    with pickle.loads(pickle.dumps(seeded)) as again:
        assert again.candidates() == seeded.candidates()
