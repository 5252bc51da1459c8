"""Spend and the log of decisions: added up, bounded, and no version of the store."""

from __future__ import annotations

from cit_core.policy import Spend
from cit_core.store import CapabilityStore


def test_spend_is_added_up_and_old_buckets_go(store: CapabilityStore) -> None:
    store.add_spend(
        "budget:1/day", [Spend("a", 1, 2.0, 0.5), Spend("a", 9, 1.0, 0.1), Spend("b", 9, 1.0, 0.2)], keep_from=0
    )
    store.add_spend("budget:1/day", [Spend("a", 9, 1.0, 0.3)], keep_from=2)
    store.add_spend("other", [Spend("a", 1, 7.0, 7.0)], keep_from=0)
    assert store.spend("budget:1/day", ["a", "absent"]) == [Spend("a", 9, 2.0, 0.4)]
    assert store.spend("other", ["a"]) == [Spend("a", 1, 7.0, 7.0)]
    assert store.version == 0


def test_the_log_keeps_the_newest(store: CapabilityStore) -> None:
    for n in range(5):
        store.add_log([f"{n}a", f"{n}b"], keep=4)
    assert list(store.log()) == ["3a", "3b", "4a", "4b"]
    store.add_log([], keep=4)
    assert store.version == 0
