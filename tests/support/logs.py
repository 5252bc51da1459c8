"""A log of simulated traffic in which the truth is known: a bandit with two models and easy and hard queries."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cit_core.policy import Policy
from cit_core.records import Candidate, Decision
from cit_core.router import FakeScorer, Router
from cit_core.router.decision_log import DecisionLog

SMALL, LARGE = "small", "large"
ZOO = (Candidate(id=SMALL, price_in=0.1, price_out=0.4), Candidate(id=LARGE, price_in=1.25, price_out=10.0))
TRUTH = {("easy", SMALL): 0.9, ("easy", LARGE): 0.95, ("hard", SMALL): 0.2, ("hard", LARGE): 0.8}
"""P(correct) by kind of query and model."""


def chance(text: str, candidate: str) -> float:
    return TRUTH[text.partition(" ")[0], candidate]


def router(policy: Policy | str = "cost:0.01", wrong: float = 0.0, **options: object) -> Router:
    """A router whose probabilities are the truth, or off by `wrong`."""
    return Router(FakeScorer(lambda text, id_: min(0.99, chance(text, id_) + wrong)), ZOO, policy=policy, **options)


def write_log(
    path: Path,
    queries: int = 400,
    *,
    policy: Policy | str = "cost:0.01",
    rated: float = 0.5,
    seed: int = 0,
    texts: bool = False,
    hard: float = 0.5,
    **options: object,
) -> list[Decision]:
    """Route simulated queries with a log, give feedback on some, and report every bill as twice the expected one."""
    draw = np.random.default_rng(seed)
    log = DecisionLog(path, texts=texts, waiting=100_000)
    opened = router(policy, log=log, **options)
    kinds = np.where(draw.random(queries) < hard, "hard", "easy")
    decisions = opened.route_many([f"{kind} {'x' * int(draw.integers(400))} {n}" for n, kind in enumerate(kinds)])
    for kind, decision in zip(kinds, decisions, strict=True):
        opened.settle(decision, cost_usd=2.0 * (decision.expected_cost_usd or 0.0), latency_s=1.0)
        if draw.random() < rated:
            opened.feedback(decision, decision.model, float(draw.random() < TRUTH[str(kind), decision.model]))
    assert log.flush()
    return decisions
