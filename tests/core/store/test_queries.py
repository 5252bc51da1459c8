"""Capabilities and evidence are computed from the outcomes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_records import ALGEBRA, LAW, lines, outcome, seed

from cit_core.capability import capability_from_outcomes
from cit_core.records import Candidate, Item, Suite, Task, Usage
from cit_core.store import UNASSIGNED, CapabilityStore, queries


def test_an_item_measured_by_several_sources_counts_once(store: CapabilityStore) -> None:
    seed(store)
    store.add_outcomes(
        [
            outcome("i0", 1.0, source="a"), outcome("i0", 0.0, source="b"), outcome("i0", 0.5, source="c"),
            outcome("i2", 1.0, source="a"),
        ]
    )  # fmt: skip
    assert lines(store, "small") == {"algebra": (0.75, 2)}


def test_a_candidate_that_was_not_measured_has_no_results(store: CapabilityStore) -> None:
    seed(store)
    store.add_outcomes([outcome("i0")])
    small, big = store.capabilities()
    assert (len(small.results), big.results, big.candidate.id) == (1, (), "big")


def test_a_suite_counts_its_items_alone_under_its_own_tasks(
    store: CapabilityStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed(store, items=8)
    store.add_outcomes(outcome(f"i{n}", n / 8, candidate=c) for n in range(8) for c in ("small", "big"))
    low, all_ = Task(id="low", keywords=("little",)), Task(id="law", keywords=("words", "of the suite"))
    never = Task(id="never", keywords=("asked",))
    suite = Suite(
        name="s",
        tasks=(low, all_, never),
        items={"low": ("i0", "i1", "i2", "unheard of"), "law": ("i1", "i5", "i6", "i7"), "never": ("elsewhere",)},
    )
    expected = {"low": (pytest.approx(1 / 8), 3), "law": (pytest.approx(19 / 32), 4)}
    assert lines(store, "small", suite) == expected
    assert store.capability("small", suite).results[1].task.keywords == ("words", "of the suite")
    assert [c.candidate.id for c in store.capabilities(suite)] == ["small", "big"]
    monkeypatch.setattr(queries, "LOOKUP", 2)  # a suite that does not fit into one query
    assert lines(store, "small", suite) == expected
    assert store.capabilities(suite)[1].results == store.capability("big", suite).results


@given(
    correct=st.dictionaries(
        st.tuples(st.integers(0, 9), st.sampled_from("xyz")),
        st.floats(0, 1) | st.sampled_from([0.0, 1.0]),
        max_size=30,
    )
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_capability_equals_the_plain_computation(
    store: CapabilityStore, correct: dict[tuple[int, str], float]
) -> None:
    """Whatever the outcomes: mean over sources of every item, then mean over the items of every task."""
    me = f"c{len(store.candidates())}"
    if me == "c0":
        seed(store, items=10, candidates=())
    store.add_candidates([Candidate(id=me)])
    store.add_outcomes(outcome(f"i{n}", value, me, source) for (n, source), value in correct.items())
    by_item = {n: [value for (m, _), value in correct.items() if m == n] for n, _ in correct}
    means = [(("algebra", "law")[n % 2], sum(values) / len(values)) for n, values in by_item.items()]
    expected = capability_from_outcomes(Candidate(id=me), (ALGEBRA, LAW), means)
    found = store.capability(me)
    assert store.capabilities()[-1] == found, "to the last bit: the fingerprint depends on it"
    assert [(r.task, r.count) for r in found.results] == [(r.task, r.count) for r in expected.results]
    assert [r.accuracy for r in found.results] == pytest.approx([r.accuracy for r in expected.results], abs=1e-9)


def test_equal_outcomes_give_an_equal_capability_in_whatever_order(store: CapabilityStore) -> None:
    """To the last bit, because a scorer caches by fingerprint: 0.1 + 0.2 + 0.3 depends on the order of the sum."""
    seed(store, items=6)
    facts = {"i0": 0.1, "i2": 0.2, "i4": 0.3}
    store.add_outcomes(outcome(item, correct) for item, correct in facts.items())
    store.add_outcomes(outcome(item, correct, "big") for item, correct in reversed(facts.items()))
    small, big = store.capabilities()
    assert small.results[0].accuracy == 0.2
    assert small.fingerprint == big.fingerprint == store.capability("big").fingerprint


def test_usage_is_the_mean_over_the_outcomes_that_say_so(seeded: CapabilityStore) -> None:
    seeded.add_outcomes(
        [
            outcome("i0", latency_s=1.0, prompt_tokens=10, completion_tokens=5, cost_usd=0.5),
            outcome("i1", latency_s=3.0, prompt_tokens=20),
            outcome("i2"),
            outcome("i0", candidate="big"),
        ]
    )
    assert seeded.capability("small").usage == Usage(prompt_tokens=15, completion_tokens=5, cost_usd=0.5, latency_s=2.0)
    assert {c.candidate.id: c.usage.latency_s for c in seeded.capabilities()} == {"small": 2.0, "big": None}


def test_what_has_no_task_yet_is_no_line_of_a_capability(seeded: CapabilityStore) -> None:
    with seeded.transaction() as writer:
        writer.add_tasks([Task(id=UNASSIGNED, keywords=("unassigned",))])
        writer.add_items([Item(id="loose", task=UNASSIGNED)])
    seeded.add_outcomes([outcome("loose"), outcome("i0")])
    assert lines(seeded, "small") == {"algebra": (1.0, 1)}


def test_what_has_no_task_yet_is_evidence_all_the_same(seeded: CapabilityStore) -> None:
    with seeded.transaction() as writer:
        writer.add_tasks([Task(id=UNASSIGNED, keywords=("unassigned",))])
        writer.add_items([Item(id="loose", task=UNASSIGNED)])
        writer.set_vectors({"loose": np.ones(2), "i1": np.ones(2)}, "trunk")
    assert seeded.outcome_matrix(encoder="trunk").task_I.tolist() == [0, -1]
    assert seeded.outcome_matrix(encoder="trunk").correct_IK.shape == (2, 2)
