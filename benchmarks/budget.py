"""A simulated day of drifting traffic under a budget: python benchmarks/budget.py [--queries 100000] [--seeds 3].

Traffic rises and falls by a factor of nine, has a burst, gets harder at three fifths of the day, and prompts are 2.5
times as long for a quarter of it. Nothing of this is told to the pacer. No model is asked and no file is written.
"""

from __future__ import annotations

import argparse
import random
import time
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cit_core.policy import BudgetPacer, Scored, parse_policy, rank
from cit_core.policy.goals import Goal
from cit_core.records import Candidate

DAY_S = 86_400.0
USD = np.array([0.0001, 0.0004, 0.001, 0.004, 0.012])
"""Mean cost of an answer of each candidate."""
LEVEL = np.array([0.0, 0.5, 1.0, 1.6, 2.2])
"""Level of each candidate [log-odds]."""
ZOO = [Candidate(id=f"m{place}") for place in range(len(USD))]


class Day(NamedTuple):
    """One simulated run, query by query."""

    when_s: NDArray[np.float64]
    spend_usd: NDArray[np.float64]
    probability: NDArray[np.float64]
    best: NDArray[np.float64]

    def windows(self, length_s: float = DAY_S) -> NDArray[np.float64]:
        """Return the spend in the window that ends at each query."""
        total = np.concatenate([[0.0], np.cumsum(self.spend_usd)])
        return total[1:] - total[np.searchsorted(self.when_s, self.when_s - length_s)]


def simulate(policy: str, queries: int, *, days: float = 1.0, seed: int = 0, drifts: bool = True) -> Day:
    """Route queries of some days under a policy with a limit."""
    draw, end = np.random.default_rng(seed), days * DAY_S
    when = _arrivals(queries, end, draw, drifts)
    part = when / end
    hard = draw.normal(0.5, 1.2, queries) + np.where(part > 0.6, 1.0, 0.0) * drifts
    length = draw.lognormal(0.0, 1.0, queries) * np.where((part > 0.45) & (part < 0.7) & drifts, 2.5, 1.0)
    chance = 1.0 / (1.0 + np.exp(hard[:, None] - LEVEL - draw.normal(0.0, 0.5, (queries, len(LEVEL)))))
    goal, now = parse_policy(policy), 0.0
    assert isinstance(goal, Goal)
    pacer = BudgetPacer(goal, clock=lambda: now, draw=random.Random(seed).random)  # noqa: S311
    spend, taken = np.zeros(queries), np.zeros(queries)
    for place in range(queries):
        now = float(when[place])
        scored = [
            Scored(candidate, float(p), float(usd * length[place]), 1.0)
            for candidate, p, usd in zip(ZOO, chance[place], USD, strict=True)
        ]
        chosen = rank(scored, pacer.of_query(scored)[0], {})[0][0]
        pacer.charge(chosen.model, chosen.expected_cost_usd, chosen.expected_latency_s)
        spend[place], taken[place] = chosen.expected_cost_usd or 0.0, chosen.probability
    return Day(when, spend, taken, chance.max(axis=1))


def _arrivals(queries: int, end: float, draw: np.random.Generator, drifts: bool) -> NDArray[np.float64]:
    """Return times of a day's rise and fall, with a burst of an hour."""
    grid = np.linspace(0.0, end, 20_001)
    middle = (grid[1:] + grid[:-1]) / 2.0
    rate = 1.0 + 0.8 * np.sin(2.0 * np.pi * (middle / DAY_S - 0.3)) * drifts
    rate *= np.where((middle % DAY_S > 50_000) & (middle % DAY_S < 53_600) & drifts, 4.0, 1.0)
    share = np.concatenate([[0.0], np.cumsum(rate)])
    return np.interp(np.sort(draw.random(queries)), share / share[-1], grid)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=100_000)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    for usd in (75.0, 300.0):
        for seed in range(options.seeds):
            began = time.perf_counter()
            day = simulate(f"budget:{usd:g}/day", options.queries, seed=seed)
            took = (time.perf_counter() - began) / options.queries
            used = day.spend_usd.sum() / usd
            print(
                f"budget:{usd:g}/day, {options.queries:,} queries, seed {seed}: {100 * used:.2f} % used, most in any "
                f"window {100 * day.windows().max() / usd:.2f} %, mean P {day.probability.mean():.4f} "
                f"(always the best: {day.best.mean():.4f}), {1e6 * took:.0f} us a query with the simulation"
            )


if __name__ == "__main__":
    main()
