"""The store keeps what it is given and gives it back."""

from __future__ import annotations

import pickle
from datetime import date

import pytest
from store_records import ALGEBRA, LAW, lines, outcome, seed

from cit_core.errors import InvalidInput, UnknownCandidate
from cit_core.records import Candidate, Item, Outcome
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


def test_a_store_is_pickled_as_its_url(seeded: CapabilityStore) -> None:
    with pickle.loads(pickle.dumps(seeded)) as again:
        assert again.candidates() == seeded.candidates()
