"""Choices with chance in them: the stated propensity is the frequency, and a log of them judges other policies."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from logs import LARGE, SMALL, TRUTH, ZOO, router

from cit_core.errors import InvalidInput, UnknownCandidate
from cit_core.evaluate.log_records import read_logged
from cit_core.evaluate.replay import replay
from cit_core.policy import Best, Constraints, Scored, as_constraints, as_policy
from cit_core.policy.exploration import Epsilon, Thompson
from cit_core.policy.goals import Budget
from cit_core.policy.pacer import BudgetPacer
from cit_core.records import Candidate
from cit_core.router import FakeScorer, Query, Router, Sticky
from cit_core.router.choice import choose
from cit_core.router.decision_log import DecisionLog, read_log
from cit_core.router.serialization import router_from_config, router_to_config

PUBLIC = [Candidate(id="openai:gpt-5", price_out=10.0), Candidate(id="openai:gpt-5-nano", price_out=0.4)]


def public(**options: object) -> Router:
    return Router(FakeScorer({"openai:gpt-5": 0.9, "openai:gpt-5-nano": 0.5}), PUBLIC, **options)  # type: ignore[arg-type]


def of(*ids: str) -> Router:
    return Router(FakeScorer(lambda _, id_: 0.5), [Candidate(id=id_) for id_ in ids])


@pytest.mark.parametrize(
    ("name", "denied"),
    [
        ("gpt-5", ["openai:gpt-5", "azure:gpt-5", "openai:gpt-5@low", "openai:gpt-5@max_tokens=500"]),
        ("openai:gpt-5", ["openai:gpt-5"]),
        ("gpt-5@low", ["openai:gpt-5@low"]),
        ("gpt-5@max_tokens=500", ["openai:gpt-5@max_tokens=500"]),
        ("gpt-4o", ["gpt-4o@samples=5"]),
    ],
)
def test_a_plain_name_means_every_arm_of_its_model(name: str, denied: list[str]) -> None:
    ids = ["openai:gpt-5", "azure:gpt-5", "openai:gpt-5@low", "openai:gpt-5@max_tokens=500", "gpt-4o@samples=5", "last"]
    decision = of(*ids).route("q", constraints=Constraints(deny=frozenset({name})))
    assert sorted(decision.excluded) == sorted(denied)


def test_a_limit_on_an_arm_is_none_on_its_model() -> None:
    with pytest.raises(UnknownCandidate):
        of("openai:gpt-5", "last").route("q", constraints=Constraints(deny=frozenset({"gpt-5@max_tokens=500"})))


def test_a_share_or_a_default_is_of_one() -> None:
    arms = of("openai:gpt-5@low", "openai:gpt-5@high", "openai:gpt-4o@low")
    assert arms.with_options(policy="share:gpt-4o=5%").policy.name == "share:openai:gpt-4o@low=5%"
    with pytest.raises(InvalidInput, match="share: is of one candidate, and 'gpt-5' may be 'openai:gpt-5@low', "):
        arms.with_options(policy="share:gpt-5=5%")
    assert arms.decide(Query("", default="gpt-4o")).model == "openai:gpt-4o@low"
    assert arms.decide(Query("q", model="gpt-4o")).model == "openai:gpt-4o@low"
    with pytest.raises(UnknownCandidate):
        arms.decide(Query("q", model="gpt-5"))


@pytest.mark.parametrize("name", ["openai:gpt-5", "gpt-5", "azure_openai:gpt-5-2025-08-07"])
def test_a_limit_reaches_a_candidate_by_any_name_of_its_model(name: str) -> None:
    deny = Constraints(deny=frozenset({name}))
    for decision in (
        public(constraints=deny).route("q"),
        public().route("q", constraints=deny),
        public().with_options(constraints=deny).route("q"),
    ):
        assert decision.excluded == {"openai:gpt-5": "denied"}
    assert public(constraints={"allow": [name]}).route("q").model == "openai:gpt-5"
    share = f"share:{name}=20%"
    assert (
        public(policy=share).policy == public().with_options(policy=share).policy == as_policy("share:openai:gpt-5=20%")
    )
    assert public().route("q", policy=share).policy == "share:openai:gpt-5=20%"


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"constraints": {"deny": ["gpt-6"]}}, "in deny="),
        ({"constraints": {"allow": ["gpt-6", "gpt-5"]}}, "in allow="),
        ({"policy": "share:gpt-6=20%"}, "in share:"),
    ],
)
def test_a_limit_on_nobody_is_an_error(options: dict[str, object], where: str) -> None:
    """A typing error would deny nobody, and nobody would know."""
    told = f"no candidate 'gpt-6' among the 2 in the router .{where}.; closest: 'openai:gpt-5'"
    with pytest.raises(UnknownCandidate, match=told):
        public(**options)
    with pytest.raises(UnknownCandidate, match=told):
        public().with_options(**options)  # type: ignore[arg-type]
    call = {name: as_constraints(given) if name == "constraints" else given for name, given in options.items()}
    with pytest.raises(UnknownCandidate, match=told):
        public().route("q", **call)  # type: ignore[arg-type]


@pytest.mark.parametrize("with_limit", [False, True])
@pytest.mark.parametrize("way", [Epsilon(0.3, regret=1.0), Thompson(regret=1.0, draws=400)])
def test_the_propensity_is_the_frequency(way: Epsilon | Thompson, with_limit: bool) -> None:
    draw = random.Random(0).random
    scored = [Scored(ZOO[0], 0.7, 0.001, None, 0.1), Scored(ZOO[1], 0.8, 0.011, None, 0.1)]
    budget = Budget(usd=4.0, per="1k")
    pacer = BudgetPacer(budget, draw=draw) if with_limit else None
    policy = budget if with_limit else Best()
    seen: Counter[str] = Counter()
    stated: dict[str, list[float]] = {SMALL: [], LARGE: []}
    for _ in range(3_000):
        found = choose(scored, policy, {}, pacer=pacer, exploration=way, draw=draw)
        chosen = found.ranking[0]
        if pacer is not None:
            pacer.charge(chosen.model, chosen.expected_cost_usd, None)
        seen[chosen.model] += 1
        stated[chosen.model].append(found.propensity)
    for model in (SMALL, LARGE):
        # sum of 1 / propensity over the choices of a model estimates the number of queries
        assert sum(1.0 / p for p in stated[model]) == pytest.approx(3_000, rel=0.1)
        assert np.mean(stated[model]) == pytest.approx(seen[model] / 3_000, abs=0.06)


def test_a_router_explores_within_its_regret_and_says_so() -> None:
    opened = router("best", explore=Epsilon(0.2, regret=0.03))
    decisions = opened.route_many([f"{'easy' if n % 2 else 'hard'} {n}" for n in range(2_000)])
    tried = [decision for decision in decisions if decision.chosen_by == "exploration"]
    lost = sum(d.ranking[1].probability - d.probability for d in tried) / 2_000
    assert 0.005 < lost <= 0.03
    assert 0.02 < len(tried) / 2_000 < 0.12
    assert all(decision.model == SMALL and decision.propensity < 0.2 for decision in tried)
    assert all(decision.ranking[0].model == decision.model for decision in decisions)
    assert "tried by chance, once in" in tried[0].explain()
    greedy = router("best").route_many(["easy 1"] * 50)
    assert {(decision.model, decision.propensity) for decision in greedy} == {(LARGE, 1.0)}, "off by default"


def test_a_conversation_and_a_caller_are_never_explored_on() -> None:
    opened, sticky = router("best", explore="epsilon:1,regret:1"), Sticky()
    for n in range(20):
        assert opened.decide(Query("easy", conversation=sticky.conversation(n))).model == LARGE
        named = opened.decide(Query("easy", model=LARGE))
        assert (named.chosen_by, named.propensity) == ("caller", 1.0)


def test_another_policy_is_judged_by_a_log_of_a_simulated_bandit(tmp_path: Path) -> None:
    """The router's probabilities are wrong; feedback on explored answers says how good another policy is."""
    wrong = Router(
        FakeScorer(lambda text, id_: 0.6 if id_ == LARGE else 0.7),
        ZOO,
        policy="best",
        explore=Epsilon(0.3, regret=1.0),
        log=DecisionLog(tmp_path / "log.jsonl", waiting=10**6),
    )
    draw = np.random.default_rng(0)
    kinds = np.where(draw.random(3_000) < 0.5, "hard", "easy")
    for kind, decision in zip(kinds, wrong.route_many([f"{kind} {n}" for n, kind in enumerate(kinds)]), strict=True):
        wrong.feedback(decision, decision.model, float(draw.random() < TRUTH[str(kind), decision.model]))
    assert wrong.log is not None
    assert wrong.log.flush(30)
    logged = read_logged(read_log(tmp_path / "log.jsonl"))

    def large(one: Scored) -> float:
        return float(one.candidate.id == LARGE)

    found = replay(logged, as_policy(large))
    truth = (TRUTH["easy", LARGE] + TRUTH["hard", LARGE]) / 2
    estimates = found.off_policy
    for one in (estimates.inverse_propensity, estimates.self_normalised, estimates.doubly_robust):
        assert one is not None
        assert one.low - 0.02 <= truth <= one.high + 0.02
    assert found.rewards is not None
    assert found.rewards.high < truth - 0.1, "the log itself does much worse"
    assert abs(found.quality.mean - truth) > 0.2, "and P(correct) alone would have misled"


def test_doors() -> None:
    plain = router("best")
    assert plain.with_options(explore="thompson").explore == Thompson()
    assert plain.explore is None
    with pytest.raises(InvalidInput, match="explore is 'often'"):
        router("best", explore="often")


def test_a_router_that_explores_is_written_down_and_opened_again() -> None:
    models = ["openai:gpt-5-nano", "openai:gpt-5-mini"]
    opened = Router.from_models(models, policy="budget:0.77/hour").with_options(explore=Epsilon(0.05))
    config = json.loads(json.dumps(router_to_config(opened)))
    assert config["explore"] == "epsilon:0.05"
    again = router_from_config(config)
    assert (again.explore, again.policy) == (Epsilon(0.05), opened.policy)
