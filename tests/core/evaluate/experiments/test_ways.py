"""The replay of cascades does what a `CascadeRun` does, and finds the money where it was planted."""

import numpy as np
import pytest

from cit_core.evaluate.experiments.ways import (
    BLIND,
    BLIND_BY_LEVEL,
    Zoo,
    mixture,
    play,
    residual_correlation,
    route_all,
    ways_of,
)
from cit_core.records import Decision, Ranked
from cit_core.router import Cascade, ScoreRatio, Verdict
from cit_core.router.cascade import Reading

COSTS = np.array([0.001, 0.004, 0.02])


def zoo(items=200, seed=0):
    """Return models of which the dearer are better, on items of which some are hard for all."""
    draw = np.random.default_rng(seed)
    p = np.clip(np.array([0.5, 0.7, 0.85]) + draw.normal(0.0, 0.15, (items, 1)), 0.05, 0.95)
    correct = (draw.random(p.shape) < p).astype(float)
    return Zoo(p, correct, COSTS, draw.normal(size=p.shape), 2)


def test_the_replay_is_what_a_router_would_do():
    items, value, verifier = zoo(), 0.05, ScoreRatio.from_auroc(0.85)
    score = items.noise_NK + verifier.distance * items.correct_NK
    found = play(items, np.array([value]), score, Reading(verifier, 0.3, np.zeros(3)))
    cascade = Cascade(lambda question, answer: True, value=value, reliability=verifier, dependence=0.3)
    for n, p in enumerate(items.scores_NK):
        order = np.argsort(-(value * p - COSTS))
        ranking = tuple(Ranked(model=str(k), probability=p[k], expected_cost_usd=COSTS[k], utility=0.0) for k in order)
        decision = Decision(
            model=ranking[0].model, probability=p[order[0]], ranking=ranking, policy="cost:0.05", scorer="fake"
        )
        run = cascade.begin(cascade.planned(decision))
        model, spent = int(run.decision.model), COSTS[int(run.decision.model)]
        if not run.final and not run.verified(str(model), model, Verdict(float(score[n, model]))):
            model = int(run.decision.model)
            spent += COSTS[model]
        assert found.correct_FN[0, n] == items.correct_NK[n, model]
        assert found.usd_FN[0, n] == pytest.approx(spent)


def test_a_mixture_by_levels_saves_as_far_as_these_are_right():
    items = zoo(2_000)
    half = np.arange(2_000) % 2 == 0
    true = items.correct_NK.mean(axis=0)
    costs = {}
    for name, level in {"right": true, "wrong": true[[1, 0, 2]]}.items():
        ways = ways_of(items, half, (), 200, level)
        costs[name] = ways[BLIND_BY_LEVEL][1].mean()
        assert ways[BLIND_BY_LEVEL][0].mean() == pytest.approx(true[2] - 0.005, abs=0.005)
        assert BLIND_BY_LEVEL not in ways_of(items, half, (), 200)
    assert costs["right"] == pytest.approx(ways[BLIND][1].mean(), rel=0.01)
    assert costs["wrong"] > costs["right"]


def test_a_perfect_verifier_saves_and_a_blind_one_does_not():
    items, values = zoo(2_000), np.geomspace(0.001, 10.0, 30)
    best = items.correct_NK[:, 2].mean()

    def usd(auroc):
        verifier = ScoreRatio.from_auroc(auroc)
        score = items.noise_NK + verifier.distance * items.correct_NK
        played = play(items, values, score, Reading(verifier, 0.0, np.zeros(3)))
        return played.usd_FN[played.knob(best)].mean()

    alone = route_all(items, values)
    assert usd(0.5) == pytest.approx(alone.usd_FN[alone.knob(best)].mean())
    assert usd(1.0) < 0.6 * usd(0.75) < 0.6 * usd(0.5)


def test_the_cheapest_mixture():
    items = Zoo(np.zeros((2, 3)), np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]]), COSTS, np.zeros((2, 3)), 2)
    assert mixture(items, 0.75) == pytest.approx([0.5, 0.0, 0.5])
    assert mixture(items, 0.4) == pytest.approx([1.0, 0.0, 0.0])


def test_what_is_hard_for_all_is_correlated():
    items = zoo(5_000)
    flat = np.tile(items.scores_NK.mean(axis=0), (5_000, 1))
    assert residual_correlation(items.scores_NK, items.correct_NK) < 0.03
    assert residual_correlation(flat, items.correct_NK) > 0.05
