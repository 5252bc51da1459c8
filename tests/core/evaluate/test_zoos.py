"""Zoos come from sizes, dates and aptitudes alone, and the seeded ones are the same every time."""

from __future__ import annotations

from datetime import date

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cit_core.catalogue import catalogue_candidates
from cit_core.evaluate.zoos import described, named_zoos
from cit_core.outcomes import SPREAD, random_zoos
from cit_core.records import Candidate


def test_the_zoos_of_the_paper_from_the_catalogues_facts() -> None:
    candidates = catalogue_candidates()
    zoos = {name: [candidates[k] for k in zoo] for name, zoo in named_zoos(candidates).items()}
    assert {name: len(zoo) for name, zoo in zoos.items()} == {
        "smaller-scale": 5,
        "smaller-mixed": 8,
        "middle-mixed": 8,
        "larger-mixed": 11,
        "high-performance": 3,
        "all": 22,
    }
    assert all(c.params_b is not None and c.params_b < 10 for c in zoos["smaller-mixed"])
    assert {c.id for c in zoos["smaller-scale"]} < {c.id for c in zoos["middle-mixed"]}
    assert "gemini-1.5-pro-002" in {c.id for c in zoos["high-performance"]}, "whose size is not told is large"


def test_newest_means_released_last() -> None:
    old = [Candidate(id=f"old{n}", params_b=7, released=date(2023, 1, 1 + n)) for n in range(6)]
    new = [Candidate(id=f"new{n}", params_b=7, released=date(2025, 1, 1 + n)) for n in range(5)]
    zoos = named_zoos(old + new)
    assert zoos["smaller-scale"] == (6, 7, 8, 9, 10)
    assert zoos["smaller-mixed"] == (0, 1, 2, 6, 7, 8, 9, 10)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(0, 1), min_size=3, max_size=20), st.integers(0, 5))
def test_random_zoos_are_close_distinct_and_seeded(aptitude: list[float], seed: int) -> None:
    values = np.array(aptitude)
    if (np.diff(np.sort(values)) > SPREAD).all():
        assert random_zoos(values, 5, seed=seed) == [tuple(range(len(values)))]
        return
    zoos = random_zoos(values, 5, seed=seed)
    assert zoos == random_zoos(values, 5, seed=seed)
    assert len(set(zoos)) == len(zoos) <= 5
    assert all(np.ptp(values[list(zoo)]) <= SPREAD + 1e-12 for zoo in zoos)
    assert all(len(set(zoo)) == len(zoo) >= 2 for zoo in zoos)


def test_where_three_are_never_close_pairs_are_taken() -> None:
    assert random_zoos(np.array([0.1, 0.2, 0.6, 0.7])) == [(0, 1), (2, 3)]


def test_where_no_two_are_close_everybody_is_one_zoo() -> None:
    assert random_zoos(np.array([0.1, 0.9])) == [(0, 1)]
    assert described([(0, 1)]) == "one zoo of 2"
    assert described([(0, 1), (2, 3)]) == "2 zoos of similar strength"
