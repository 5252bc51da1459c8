"""Sources are counted and taken back, without those of loads that have not ended."""

from __future__ import annotations

import pytest

from cit_core.errors import InvalidInput
from cit_core.records import Outcome
from cit_core.store import CapabilityStore


def outcome(item: str, source: str, candidate: str = "small") -> Outcome:
    return Outcome(candidate=candidate, item=item, correct=1.0, source=source)


def test_each_source_has_its_counts_and_dates(seeded: CapabilityStore) -> None:
    first, second = (item.id for item in seeded.items()[:2])
    given = [outcome(first, "a"), outcome(second, "a", "big"), outcome(first, "b")]
    seeded.add_outcomes(given)
    seeded.hold("test")
    with seeded.bulk_load() as load:
        with load.batch() as writer:
            writer.add_outcomes([outcome(second, "b"), outcome(second, "loaded")])
        found = {source.id: source for source in seeded.sources()}
    assert [(s.id, s.outcomes, s.candidates, s.held) for s in found.values()] == [
        ("a", 2, 2, False),
        ("b", 1, 1, False),
        ("test", 0, 0, True),
    ]
    assert (found["a"].since, found["a"].until) == (min(o.when for o in given[:2]), max(o.when for o in given[:2]))
    assert found["test"].since is None
    assert [(s.id, s.outcomes) for s in seeded.sources()] == [("a", 2), ("b", 2), ("test", 0), ("loaded", 1)]


def test_a_source_is_removed_whole(seeded: CapabilityStore) -> None:
    item, version = seeded.items()[0].id, seeded.version
    seeded.add_outcomes([outcome(item, "a"), outcome(item, "b")])
    seeded.remove_source("a")
    assert [o.source for o in seeded.outcomes()] == ["b"]
    assert seeded.version == version + 2
    assert len(seeded.items()) == 4
    with pytest.raises(InvalidInput, match=r"no source 'a' in the store; closest: ('b'|there is none)"):
        seeded.remove_source("a")
