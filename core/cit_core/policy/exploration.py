"""Exploration: now and then another candidate than the best one, within a regret budget, with its probability known.

What is never tried is never learned, and no other policy can be judged on a log in which chance had no part.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from cit_core.errors import InvalidInput
from cit_core.messages import shown
from cit_core.policy.rules import Best, CostAware, Policy, Scored, Tradeoff, options_written, within

__all__ = ["Epsilon", "Exploration", "Thompson", "as_exploration", "choice_probabilities"]

REGRET = 0.01
"""Default of what exploration may give away on a query, on average [correct answers]."""
HELP = "'epsilon:0.02', 'thompson', or Epsilon(...) or Thompson(...) of cit_core.policy.exploration"


@runtime_checkable
class Exploration(Protocol):
    """A way to explore."""

    @property
    def name(self) -> str:
        """Return how settings write it."""
        ...

    @property
    def regret(self) -> float:
        """Return the most that may be given away on a query, on average [correct answers]."""
        ...

    def probabilities(self, scored: Sequence[Scored], policy: Policy, draw: Callable[[], float]) -> NDArray[np.float64]:
        """Return how likely each candidate is to be tried, the policy's choice being the first of them."""
        ...


def _check_regret(regret: object) -> None:
    if not within(regret, 0.0, 1.0):
        raise InvalidInput(f"regret is {shown(regret)}; it must be 0 to 1, the correct answers that a query may cost")


@dataclass(frozen=True)
class Epsilon:
    """Any candidate with the same small probability.

    Attributes:
        rate: Share of queries that explore, 0 to 1.
        regret: Most that may be given away on a query, on average [correct answers].
    """

    rate: float
    regret: float = REGRET

    def __post_init__(self) -> None:
        if not within(self.rate, 0.0, 1.0):
            raise InvalidInput(f"epsilon is {shown(self.rate)}; it must be a share of queries, 0 to 1: epsilon:0.02")
        _check_regret(self.regret)

    @property
    def name(self) -> str:
        """Return `epsilon:RATE`."""
        return f"epsilon:{self.rate:g}" + ("" if self.regret == REGRET else options_written(regret=self.regret))

    def probabilities(
        self,
        scored: Sequence[Scored],
        policy: Policy,  # noqa: ARG002 - as every way takes them
        draw: Callable[[], float],  # noqa: ARG002
    ) -> NDArray[np.float64]:
        """Return the same for all but the first, which has the rest."""
        found = np.full(len(scored), self.rate / len(scored))
        found[0] += 1.0 - self.rate
        return found


@dataclass(frozen=True)
class Thompson:
    """Each candidate as likely as it is to be the best, by how well its level is known (Thompson, 1933).

    The posterior is normal in log-odds, with the deviation that the counts of its profile leave; outcomes narrow it, so
    exploration ends by itself.

    Attributes:
        regret: Most that may be given away on a query, on average [correct answers].
        draws: Draws from the posterior by which the probabilities are told.
    """

    regret: float = REGRET
    draws: int = 64

    def __post_init__(self) -> None:
        _check_regret(self.regret)
        if not (isinstance(self.draws, int) and 1 <= self.draws <= 10_000):
            raise InvalidInput(f"draws is {shown(self.draws)}; it must be a whole number from 1 to 10,000")

    @property
    def name(self) -> str:
        """Return `thompson`."""
        return "thompson" + ("" if self.regret == REGRET else options_written(regret=self.regret))

    def probabilities(self, scored: Sequence[Scored], policy: Policy, draw: Callable[[], float]) -> NDArray[np.float64]:
        """Return the share of draws from the posterior in which each is chosen."""
        generator = np.random.default_rng(int(draw() * 2**53))
        p_K = np.clip([one.probability for one in scored], 1e-6, 1.0 - 1e-6)
        spread_K = np.array([one.deviation for one in scored]) / (p_K * (1.0 - p_K))
        odds_DK = np.log(p_K / (1.0 - p_K)) + generator.normal(size=(self.draws, len(scored))) * spread_K
        drawn_DK = 1.0 / (1.0 + np.exp(-odds_DK))
        value = _value_of(policy)
        if value is None:
            best_D = np.array([_best_of(scored, policy, drawn_K) for drawn_K in drawn_DK])
        else:
            fixed_K = np.array([policy.utility(one)[0] - value * one.probability for one in scored])
            best_D = (fixed_K + value * drawn_DK).argmax(axis=1)
        return np.bincount(best_D, minlength=len(scored)) / self.draws


def choice_probabilities(
    exploration: Exploration, scored: Sequence[Scored], policy: Policy, draw: Callable[[], float] = random.random
) -> NDArray[np.float64]:
    """Return the probability with which each candidate is chosen, so that the regret budget holds on every query.

    Args:
        exploration: The way to explore.
        scored: Candidates in the order of the policy, its choice first.
        policy: The policy, which says what is lost by another choice: utility in units of a correct answer where it has
            one, P(correct) otherwise.
        draw: Random number in [0, 1).
    """
    tried_K = exploration.probabilities(scored, policy, draw)
    lost = float(tried_K @ _losses(scored, policy))
    weight = 1.0 if lost <= exploration.regret else exploration.regret / lost
    found_K = weight * tried_K
    found_K[0] += 1.0 - weight
    return found_K


def _losses(scored: Sequence[Scored], policy: Policy) -> NDArray[np.float64]:
    value = _value_of(policy)
    numbers_K = np.array([one.probability if value is None else policy.utility(one)[0] / value for one in scored])
    losses: NDArray[np.float64] = np.maximum(0.0, numbers_K[0] - numbers_K)
    return losses


def _value_of(policy: Policy) -> float | None:
    """Return what a correct answer is worth in the unit of the utility; None where utility is not linear in P."""
    if isinstance(policy, Best):
        return 1.0
    return policy.value if isinstance(policy, CostAware | Tradeoff) else None


def _best_of(scored: Sequence[Scored], policy: Policy, drawn_K: NDArray[np.float64]) -> int:
    moved = [replace(one, probability=float(p)) for one, p in zip(scored, drawn_K, strict=True)]
    return max(range(len(moved)), key=lambda place: policy.utility(moved[place]))


def as_exploration(given: object) -> Exploration | None:
    """Return a way to explore, whether it came as one or as settings write it; None for none.

    Raises:
        InvalidInput: If it is neither.
    """
    if given is None or (isinstance(given, Exploration) and not isinstance(given, type)):
        return given
    if isinstance(given, str) and len(given) < 100:
        head, _, option = given.partition(",regret:")
        kind, _, rate = head.partition(":")
        try:
            regret = float(option) if option else REGRET
            if kind == "epsilon":
                return Epsilon(float(rate), regret)
            if kind == "thompson" and not rate:
                return Thompson(regret)
        except InvalidInput:
            raise
        except ValueError:
            pass
    raise InvalidInput(f"explore is {shown(given)}; use {HELP}")
