"""The fixed choice knows the aptitude test and nothing of the query."""

from __future__ import annotations

from cit_core.catalogue import catalogue_capabilities
from cit_core.evaluate.baselines import BestByAptitude
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
