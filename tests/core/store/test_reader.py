"""What was stored is read as of one moment, held sources apart."""

from __future__ import annotations

import threading
from datetime import datetime, timezone

import pytest
from store_records import lines, outcome, seed

from cit_core.errors import UnknownCandidate
from cit_core.records import Outcome, Usage
from cit_core.store import CapabilityStore


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
