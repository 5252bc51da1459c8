"""Off-policy estimates: what another policy would have earned, from what was logged and how likely each choice was.

Inverse propensity scoring (Horvitz and Thompson, 1952), its self-normalised form, and the doubly robust estimate
(Dudik, Langford and Li, 2011). N queries.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cit_core.evaluate.metrics import Interval, mean_interval, ratio_interval

__all__ = ["OffPolicy", "doubly_robust", "inverse_propensity", "off_policy", "self_normalised"]

Array = NDArray[np.float64]
LARGEST_WEIGHT = 100.0
"""Bound of 1 / propensity: a choice that was rarer counts as if it were this rare, at the price of a small bias."""


class OffPolicy(NamedTuple):
    """Estimates of the mean reward of another policy.

    `matched` is the number of queries on which the log has made that policy's choice, `effective` the number of equally
    weighted ones that say as much.
    """

    inverse_propensity: Interval | None
    self_normalised: Interval | None
    doubly_robust: Interval | None
    matched: int
    effective: float


def off_policy(
    reward_N: Array, propensity_N: Array, target_N: Array, model_N: Array, model_target_N: Array
) -> OffPolicy:
    """Estimate a policy's mean reward by all three ways; None where no query says anything.

    Args:
        reward_N: Reward of the logged choice, NaN where it is not known: those queries are left out, as if it were
            unknown at random.
        propensity_N: Probability of the logged choice.
        target_N: Probability with which the other policy makes the logged choice.
        model_N: Predicted reward of the logged choice.
        model_target_N: Predicted reward of what the other policy chooses.
    """
    known_N = ~np.isnan(reward_N)
    reward, propensity, target = reward_N[known_N], propensity_N[known_N], target_N[known_N]
    weight = _weights(propensity, target)
    matched = int((target > 0.0).sum())
    if not matched:
        return OffPolicy(None, None, None, 0, 0.0)
    effective = float(weight.sum() ** 2 / (weight**2).sum())
    return OffPolicy(
        inverse_propensity(reward, propensity, target),
        self_normalised(reward, propensity, target),
        doubly_robust(reward, propensity, target, model_N[known_N], model_target_N[known_N]),
        matched,
        effective,
    )


def inverse_propensity(reward_N: Array, propensity_N: Array, target_N: Array) -> Interval:
    """Return the mean of weighted rewards: unbiased if every choice of the other policy could have been logged."""
    return mean_interval(_weights(propensity_N, target_N) * reward_N)


def self_normalised(reward_N: Array, propensity_N: Array, target_N: Array) -> Interval:
    """Return the weighted mean of rewards: slightly biased, and far less spread where weights are large."""
    weight_N = _weights(propensity_N, target_N)
    return ratio_interval(weight_N * reward_N, weight_N)


def doubly_robust(
    reward_N: Array, propensity_N: Array, target_N: Array, model_N: Array, model_target_N: Array
) -> Interval:
    """Return the predicted rewards, corrected where they were tried: right if predictions or propensities are."""
    weight_N = _weights(propensity_N, target_N)
    return mean_interval(model_target_N + weight_N * (reward_N - model_N))


def _weights(propensity_N: Array, target_N: Array) -> Array:
    weights: Array = target_N / np.maximum(propensity_N, 1.0 / LARGEST_WEIGHT)
    return weights
