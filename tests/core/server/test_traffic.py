"""The dashboard's numbers, counted by hand."""

from __future__ import annotations

import itertools

import pytest

from cit_core import Candidate, FakeScorer, Router
from cit_core.router import Fallback
from cit_core.server.protocols import Usage
from cit_core.server.traffic import ENOUGH, SHOWN, Traffic

BIG = Candidate(id="big", price_in=10.0, price_out=10.0)
SMALL = Candidate(id="small", price_in=1.0, price_out=1.0)


def answered(traffic: Traffic, policy: str, times: int = 1) -> None:
    """Route and answer with a million tokens in and out."""
    router = Router(FakeScorer({"big": 0.9, "small": 0.6}), [BIG, SMALL], policy=policy)
    for _ in range(times):
        decision = router.route("What is 7 times 8?")
        traffic.opened(decision, Fallback().attempts(decision), "why")
        traffic.answered(decision.model, router.candidates, Usage(1_000_000, 1_000_000), 0.5)
        traffic.spent(router.candidates[decision.model == "small"], Usage(1_000_000, 1_000_000))


def test_spend_beside_always_best_and_a_content_blind_choice() -> None:
    traffic = Traffic()
    answered(traffic, "best", 1)
    answered(traffic, "cost:0.000001", 3)
    found = traffic.summary()
    assert (found["answers"], found["shares"]) == (4, {"big": 0.25, "small": 0.75})
    assert found["spend_usd"] == pytest.approx(20 + 3 * 2)
    assert found["always_best"] == {"model": "big", "spend_usd": pytest.approx(80), "probability": pytest.approx(0.9)}
    assert found["content_blind"]["spend_usd"] == pytest.approx(0.25 * 80 + 0.75 * 8)
    assert found["content_blind"]["probability"] == pytest.approx(0.25 * 0.9 + 0.75 * 0.6)
    assert found["probability"] == pytest.approx(0.25 * 0.9 + 0.75 * 0.6)


def test_cached_tokens_have_their_price() -> None:
    traffic = Traffic()
    cheaper = BIG.model_copy(update={"price_cached": 1.0, "price_cache_write": 12.5})
    traffic.spent(cheaper, Usage(1_000_000, 0, 800_000, 100_000))
    assert traffic.summary()["spend_usd"] == pytest.approx(1.0 + 0.8 + 1.25)


def test_the_curve_rises_with_what_an_answer_is_worth() -> None:
    traffic = Traffic()
    answered(traffic, "best", 5)
    curve = traffic.summary()["curve"]
    assert [point["probability"] for point in (curve[0], curve[-1])] == pytest.approx([0.6, 0.9])
    assert all(a["cost_usd"] <= b["cost_usd"] for a, b in itertools.pairwise(curve))


def test_drift() -> None:
    traffic = Traffic()
    decision = Router(FakeScorer({"big": 0.9, "small": 0.1}), [BIG, SMALL]).route("What is 7 times 8?")
    first, *others = decision.ranking
    for place in range(400):
        sure = 0.6 + (place * 37 % 100) / 1000 + (0.2 if place >= 300 else 0.0)
        ranking = (first.model_copy(update={"probability": sure}), *others)
        now = decision.model_copy(update={"ranking": ranking})
        traffic.opened(now, Fallback().attempts(now), "why")
        if place == ENOUGH - 2:
            assert traffic.drift() is None
        if place == 299:
            assert (traffic.drift() or 9.0) < 0.1
    assert (traffic.drift() or 0.0) > 0.25


def test_what_is_kept_is_bounded() -> None:
    traffic = Traffic()
    answered(traffic, "best", SHOWN + 10)
    assert len(traffic.summary()["decisions"]) == SHOWN


def test_nothing_has_happened_yet() -> None:
    found = Traffic().summary()
    assert (found["answers"], found["always_best"], found["curve"], found["probability"]) == (0, None, [], None)
