"""Exploration: probabilities add up, the regret budget holds, what is known well is not tried."""

from __future__ import annotations

import random

import numpy as np
import pytest

from cit_core.errors import InvalidInput
from cit_core.policy import Best, CostAware, Scored, Threshold
from cit_core.policy.exploration import Epsilon, Thompson, as_exploration, choice_probabilities
from cit_core.records import Candidate


def scored(*numbers: tuple[float, float, float]) -> list[Scored]:
    """(P, cost, deviation) in the order of the policy."""
    return [Scored(Candidate(id=f"m{place}"), p, cost, None, sd) for place, (p, cost, sd) in enumerate(numbers)]


ALIKE = scored((0.8, 0.01, 0.05), (0.79, 0.01, 0.05), (0.78, 0.01, 0.05))


@pytest.mark.parametrize("way", [Epsilon(0.1), Thompson()])
def test_probabilities_add_up_and_everyone_alike_has_a_chance(way: Epsilon | Thompson) -> None:
    found = choice_probabilities(way, ALIKE, Best(), random.Random(0).random)
    assert found.sum() == pytest.approx(1.0)
    assert found.argmax() == 0
    assert (found > 0.01).all()


def test_what_a_query_may_cost_is_kept_whatever_the_rate() -> None:
    bad = scored((0.9, 0.0, 0.3), (0.1, 0.0, 0.3))
    for way in (Epsilon(1.0, regret=0.004), Thompson(regret=0.004)):
        found = choice_probabilities(way, bad, Best(), random.Random(0).random)
        assert found[1] * 0.8 <= 0.004 + 1e-12
    free = choice_probabilities(Epsilon(0.5, regret=1.0), bad, Best())
    assert free[1] == pytest.approx(0.25)


def test_money_is_regret_too() -> None:
    dear = scored((0.8, 0.001, 0.0), (0.8, 0.101, 0.0))
    found = choice_probabilities(Epsilon(1.0, regret=0.05), dear, CostAware(0.1))
    assert found[1] == pytest.approx(0.05), "a dollar of cost less at 0.1 a correct answer is one correct answer"


def test_thompson_tries_who_may_be_the_best_and_ends_by_itself() -> None:
    unsure = scored((0.8, 0.01, 0.01), (0.7, 0.01, 0.15), (0.5, 0.01, 0.01))
    found = choice_probabilities(Thompson(regret=1.0, draws=2_000), unsure, Best(), random.Random(0).random)
    assert 0.15 < found[1] < 0.45
    assert found[2] < 0.001
    known = scored((0.8, 0.01, 0.001), (0.7, 0.01, 0.001))
    assert choice_probabilities(Thompson(), known, Best(), random.Random(0).random).tolist() == [1.0, 0.0]
    stepped = choice_probabilities(Thompson(regret=1.0), unsure, Threshold(0.75), random.Random(0).random)
    assert stepped[1] > 0.1, "a policy that is not linear is asked draw by draw"


def test_as_settings_write_it() -> None:
    for way in (Epsilon(0.02), Epsilon(0.5, 0.1), Thompson(), Thompson(0.5)):
        assert as_exploration(way.name) == way
    assert as_exploration(None) is None
    for wrong in ("epsilon", "epsilon:2", "thompson:1", "greedy", 0.02, Epsilon):
        with pytest.raises(InvalidInput, match="epsilon"):
            as_exploration(wrong)
    with pytest.raises(InvalidInput, match="regret is 2"):
        Thompson(regret=2)
    assert np.isfinite(choice_probabilities(Thompson(), scored((1.0, 0.0, 0.0), (0.0, 0.0, 0.0)), Best())).all()
