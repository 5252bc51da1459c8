"""Replay a log under another policy or another zoo: what it would have cost, and how well it would have answered."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cit_core.errors import InvalidInput, NoCandidate
from cit_core.evaluate.log_records import Logged
from cit_core.evaluate.metrics import Interval, mean_interval
from cit_core.evaluate.off_policy import OffPolicy, off_policy
from cit_core.policy import BudgetPacer, Goal, Policy, Scored, rank
from cit_core.records import Candidate, Decision, Ranked

__all__ = ["Replay", "Replayed", "replay"]

OWN_CHOICES = ("policy", "exploration")
"""What chose where the router was free to choose."""


@dataclass(frozen=True)
class Replayed:
    """One query under the other policy: its choice, and the probability of the logged choice under it."""

    chosen: Ranked
    target: float


@dataclass(frozen=True)
class Replay:
    """Comparison of a log with another policy.

    Attributes:
        policy: The other policy.
        queries: Queries on which the router was free to choose.
        cost_usd: Expected cost of a query under it.
        logged_cost_usd: Expected cost of the logged choices; of a cascade, what all its steps cost.
        saved_usd: Cost that it saves on a query.
        quality: Mean P(correct) of its choices.
        logged_quality: Mean P(correct) of the logged choices.
        rewards: Mean feedback of the logged choices; None without any.
        off_policy: Estimates of its mean feedback.
        shares: Share of queries by model.
        same: Share of queries with the logged choice.
    """

    policy: str
    queries: int
    cost_usd: Interval | None
    logged_cost_usd: Interval | None
    saved_usd: Interval | None
    quality: Interval
    logged_quality: Interval
    rewards: Interval | None
    off_policy: OffPolicy
    shares: Mapping[str, float]
    same: float


def replay(logged: Sequence[Logged], policy: Policy, anew: Mapping[str, Decision] | None = None) -> Replay:
    """Compare a log with what another policy, or another zoo, would have chosen.

    Args:
        logged: The log.
        policy: The other policy; a limit is paced by the times of the log.
        anew: Decisions of another zoo by the id of the logged one: the policy chooses among their candidates.

    Raises:
        InvalidInput: If there is nothing to compare.
    """
    free = [one for one in logged if one.by in OWN_CHOICES and (anew is None or one.id in anew)]
    if not free:
        raise InvalidInput("the log holds no decision of a policy; route with Router(log=...) first")
    done = _chosen(free, policy, anew)
    pairs = [(one, other) for one, other in zip(free, done, strict=True) if other is not None]
    if not pairs:
        raise InvalidInput(f"policy {policy.name} leaves no candidate on any query of the log; are prices known?")
    cost_N = np.array([_number(other.chosen.expected_cost_usd) for _, other in pairs])
    before_N = np.array([_number(one.cost_usd if one.steps else one.chosen.cost) for one, _ in pairs])
    reward_N = np.array([_number(one.correct) for one, _ in pairs])
    chance_N = np.array([other.chosen.probability for _, other in pairs])
    model_N = np.array([one.chosen.probability for one, _ in pairs])
    propensity_N = np.array([one.propensity for one, _ in pairs])
    target_N = np.array([other.target for _, other in pairs])
    counts = Counter(other.chosen.model for _, other in pairs)
    return Replay(
        policy.name,
        len(pairs),
        _mean(cost_N),
        _mean(before_N),
        _mean(before_N - cost_N),
        mean_interval(chance_N),
        mean_interval(model_N),
        _mean(reward_N),
        off_policy(reward_N, propensity_N, target_N, model_N, chance_N),
        {model: count / len(pairs) for model, count in counts.most_common()},
        float(np.mean([one.model == other.chosen.model for one, other in pairs])),
    )


def _chosen(free: Sequence[Logged], policy: Policy, anew: Mapping[str, Decision] | None) -> list[Replayed | None]:
    """Choose anew among the logged candidates, or those of another zoo, at the times of the log."""
    now = free[0].when_s
    goal = policy if isinstance(policy, Goal) else None
    pacer = None if goal is None else BudgetPacer(goal, clock=lambda: now, draw=random.Random(0).random)  # noqa: S311
    done: list[Replayed | None] = []
    for one in free:
        now = one.when_s
        candidates = one.scored if anew is None else _scored(anew[one.id])
        moment: Policy = policy
        share, other = 1.0, None
        left = [scored for scored in candidates if scored.cost is not None or not policy.needs_prices]
        if pacer is not None and left:
            moment, share, other = pacer.of_query(left, one.tenant)
        try:
            chosen = rank(candidates, moment, {})[0][0]
        except NoCandidate:
            done.append(None)
            continue
        if pacer is not None:
            pacer.charge(chosen.model, chosen.expected_cost_usd, chosen.expected_latency_s, one.tenant)
        target = share * (chosen.model == one.model)
        if other is not None:
            target += (1.0 - share) * (rank(candidates, other, {})[0][0].model == one.model)
        done.append(Replayed(chosen, target))
    return done


def _scored(decision: Decision) -> list[Scored]:
    return [
        Scored(Candidate(id=one.model), one.probability, one.expected_cost_usd, one.expected_latency_s)
        for one in decision.ranking
    ]


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _mean(values_N: NDArray[np.float64]) -> Interval | None:
    return None if np.isnan(values_N).all() else mean_interval(values_N)
