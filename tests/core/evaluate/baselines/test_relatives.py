"""Each relative finds what was planted, gives probabilities, repeats itself, and knows only models that answered."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from planted import SPECIALISTS, Planted, planted, profile

from cit_core.errors import UnknownCandidate
from cit_core.evaluate.baselines import Fitted, R2Router, relatives
from cit_core.evaluate.baselines.relatives import _sample_model_loss, _sample_sample_loss
from cit_core.evaluate.metrics import routed

NAMES = ("EquiRouter", "R2-Router", "Avengers-Pro", "GraphRouter-lite", "RouterDC")


@pytest.fixture(scope="module")
def plan() -> Planted:
    return planted()


@pytest.fixture(scope="module")
def fitted(plan: Planted) -> dict[str, Fitted]:
    return {each.name: each.fit(plan.known, plan.encode) for each in relatives()}


def test_all_are_there() -> None:
    assert tuple(each.name for each in relatives()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_it_routes_better_than_any_constant(plan: Planted, fitted: dict[str, Fitted], name: str) -> None:
    zoo = [each for each in plan.trained if 0.2 < each.mean_accuracy < 0.8][:5]
    chance_NK = plan.chance[:, plan.columns(zoo)]
    value = routed(fitted[name].score(plan.texts, zoo), chance_NK).mean()
    assert value > chance_NK.mean(axis=0).max() + 0.05
    assert (
        routed(fitted[name].score(plan.texts, plan.new), plan.chance[:, plan.columns(plan.new)]).mean()
        > np.mean(SPECIALISTS) + 0.2
    ), "new models answered the first items alone"


@pytest.mark.parametrize("name", NAMES)
def test_scores_are_probabilities_and_nobody_depends_on_the_zoo(
    plan: Planted, fitted: dict[str, Fitted], name: str
) -> None:
    zoo = [plan.new[1], *plan.trained[:3]]
    scores_NK = fitted[name].score(plan.texts[:7], zoo)
    assert ((scores_NK >= 0.0) & (scores_NK <= 1.0)).all()
    alone_NK = np.column_stack([fitted[name].score(plan.texts[:7], [each])[:, 0] for each in zoo])
    np.testing.assert_array_equal(scores_NK, alone_NK)
    with pytest.raises(UnknownCandidate, match="model-99"):
        fitted[name].score(plan.texts[:2], [profile("model-99", (0.5, 0.5, 0.5))])


def test_more_effort_never_predicts_less(plan: Planted) -> None:
    ids = {0: "gpt@low", 1: "gpt@high", 2: "gpt@medium"}
    capabilities = tuple(
        each.model_copy(update={"candidate": each.candidate.model_copy(update={"id": ids.get(k, each.candidate.id)})})
        for k, each in enumerate(plan.known.capabilities)
    )
    fitted = R2Router((10.0,)).fit(replace(plan.known, capabilities=capabilities), plan.encode)
    low, high, medium = fitted.score(plan.texts, capabilities[:3]).T
    assert (low <= medium + 1e-12).all()
    assert (medium <= high + 1e-12).all()


def test_the_slopes_of_the_contrastive_losses_are_those_of_the_losses() -> None:
    draw = np.random.default_rng(0)
    right_IM = draw.random((5, 4)) < 0.5
    right_IM[:, 0], right_IM[:, 1] = True, False
    friends_I4 = draw.integers(5, size=(5, 4))
    for loss, at in (
        (lambda x: _sample_model_loss(x, right_IM, ~right_IM), draw.normal(size=(5, 4))),
        (lambda x: _sample_sample_loss(x, friends_I4), draw.normal(size=(5, 3))),
    ):
        step = np.zeros_like(at)
        step[2, 1] = 1e-6
        numeric = (loss(at + step)[0] - loss(at - step)[0]) / 2e-6
        assert loss(at)[1][2, 1] == pytest.approx(numeric, rel=1e-5, abs=1e-8)
