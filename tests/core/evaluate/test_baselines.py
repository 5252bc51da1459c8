"""The fixed choice knows only the aptitude test; the control gives everybody everyone's profile equally often."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from cit_core.catalogue import catalogue_capabilities
from cit_core.evaluate.baselines import BestByAptitude, shuffles
from cit_core.records import Candidate, Capability
from cit_core.router import Router, Scorer


def test_the_fixed_choice_is_the_mean_accuracy_for_every_query() -> None:
    zoo = catalogue_capabilities()
    scores = BestByAptitude().score(["one", "two", ""], zoo)
    assert isinstance(BestByAptitude(), Scorer)
    assert scores.shape == (3, len(zoo))
    for row in scores:
        assert row.tolist() == [capability.mean_accuracy for capability in zoo]


def test_who_was_never_measured_stands_in_the_middle() -> None:
    zoo = [*catalogue_capabilities()[:3], Capability(candidate=Candidate(id="new"))]
    assert BestByAptitude().score(["q"], zoo)[0, 3] == 0.5


def test_it_routes() -> None:
    zoo = catalogue_capabilities()
    best = max(zoo, key=lambda capability: capability.mean_accuracy)
    router = Router(BestByAptitude(), zoo)
    assert {decision.model for decision in router.route_many(["law", "algebra"])} == {best.candidate.id}


@pytest.mark.parametrize("size", range(1, 14))
def test_every_profile_stands_at_every_candidate_equally_often(size: int) -> None:
    orders = shuffles(size)
    assert all(sorted(order.tolist()) == list(range(size)) for order in orders)
    stands = Counter((place, int(profile)) for order in orders for place, profile in enumerate(order))
    assert len(stands) == size * size
    assert set(stands.values()) == {len(orders) // size}
    assert all(np.array_equal(a, b) for a, b in zip(orders, shuffles(size), strict=True)), "seeded"


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_of_a_few_candidates_all_permutations_are_taken(size: int) -> None:
    assert [tuple(order) for order in shuffles(size)] == list(itertools.permutations(range(size)))


@pytest.mark.parametrize(("size", "most"), [(5, 60), (6, 60), (13, 60), (6, 7)])
def test_of_many_candidates_about_as_many_as_asked_for(size: int, most: int) -> None:
    assert most <= len(shuffles(size, most)) < most + size
