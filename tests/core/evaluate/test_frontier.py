"""Knobs keep their promise on the queries they were found on, and on the other half; labels correct what P says."""

from __future__ import annotations

import numpy as np
import pytest

from cit_core.errors import InvalidInput
from cit_core.evaluate.frontier import Outlook, calibrate_policy, curve_figure, outlook_of
from cit_core.policy import Quality, parse_policy
from cit_core.records import Candidate
from cit_core.router import FakeScorer, Router


def outlook(queries: int = 400, seed: int = 0) -> Outlook:
    """Three models; the dear one is better on hard queries alone."""
    draw = np.random.default_rng(seed)
    hard = draw.random(queries)[:, None]
    chance = np.clip(np.hstack([0.9 - 0.8 * hard, 0.9 - 0.4 * hard, 0.92 - 0.1 * hard]), 0, 1)
    cost = np.array([0.0001, 0.001, 0.01]) * draw.lognormal(0, 0.5, (queries, 1))
    return Outlook(("small", "middle", "large"), chance, cost, np.full((queries, 3), np.nan))


def test_quality_is_kept_for_less_than_query_by_query() -> None:
    data = outlook()
    found = calibrate_policy(data, parse_policy("quality:0.98"))
    assert found.kept.mean >= 0.98
    assert found.held_out[0] == pytest.approx(0.98, abs=0.01)
    assert isinstance(found.policy, Quality)
    assert found.policy.value == pytest.approx(found.value, rel=1e-5)
    per_query = np.where(data.probability_NK >= 0.98 * data.probability_NK.max(axis=1, keepdims=True), data.cost_NK, 9)
    assert found.cost_usd.mean < 0.9 * per_query.min(axis=1).mean()
    assert found.cost_usd.low < found.cost_usd.mean < found.cost_usd.high
    assert found.quality.mean > found.mixture_quality, "routing beats mixing single models at the same cost"


def test_no_cheaper_value_keeps_it() -> None:
    data = outlook(60)
    found = calibrate_policy(data, parse_policy("quality:0.95"))
    goal = 0.95 * data.of(data.quality_NK, data.best()).mean()
    for value in np.geomspace(found.value / 30, found.value * 0.8, 20):
        assert data.of(data.quality_NK, data.at_value(value)).mean() < goal


def test_labels_count_more_than_what_was_predicted() -> None:
    data = outlook(600)
    never_right = np.broadcast_to(np.array([0.0, np.nan, np.nan]), (600, 3))
    labelled = Outlook(data.ids, data.probability_NK, data.cost_NK, never_right)
    costs = [calibrate_policy(one, parse_policy("quality:0.9")).cost_usd.mean for one in (labelled, data)]
    assert costs[0] > 1.2 * costs[1]


def test_a_budget_and_a_share() -> None:
    data = outlook()
    spent = calibrate_policy(data, parse_policy("budget:2/1k"))
    assert 1e3 * spent.cost_usd.mean == pytest.approx(2.0, rel=0.02)
    assert spent.policy == parse_policy("budget:2/1k"), "kept online; the knob says what to expect"
    shared = calibrate_policy(data, parse_policy("share:large=20%"))
    assert shared.shares["large"] == pytest.approx(0.2, abs=0.005)
    with pytest.raises(InvalidInput, match="share is of 'larg', which is no candidate with a price; closest: large"):
        calibrate_policy(data, parse_policy("share:larg=20%"))
    with pytest.raises(InvalidInput, match="policy budget:2/day has no knob to calibrate"):
        calibrate_policy(data, parse_policy("budget:2/day"))


def test_the_curve_shows_single_models_and_the_policy() -> None:
    data = outlook(100)
    figure = curve_figure(data, calibrate_policy(data, parse_policy("quality:0.98")))
    assert [series.name for series in figure.series][:2] == ["routing", "single models"]
    assert figure.series[1].labels == ("small", "middle", "large")
    assert figure.x_log


def test_an_outlook_is_of_candidates_with_prices_and_of_queries_with_texts() -> None:
    zoo = [Candidate(id="a", price_in=1, price_out=1), Candidate(id="b")]
    router = Router(FakeScorer({"a": 0.5, "b": 0.9}), zoo)
    decisions = router.route_many(["what?", "", "why?"])
    found = outlook_of(decisions, [{"a": 1.0}, {}, {"b": 0.0}])
    assert found.ids == ("a",)
    assert found.correct_NK.tolist()[0] == [1.0]
    assert len(found) == 2
    with pytest.raises(InvalidInput, match="a label is of 'c', which is no candidate"):
        outlook_of(decisions, [{"c": 1.0}, {}, {}])
    with pytest.raises(InvalidInput, match="could be decided; they need a text"):
        outlook_of(decisions[1:2])
