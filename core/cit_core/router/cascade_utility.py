"""Expected utility and cost of asking a candidate, verifying its answer, and asking another where that pays.

Axes: K candidates, V kinds of verdict; leading axes are queries.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cit_core.router.reliability import Reliability

__all__ = ["TINY", "Array", "Reading", "after_verdict", "expected_cost", "expected_utility"]

Array = NDArray[np.float64]
TINY = 1e-12
"""Differences below are rounding."""


@dataclass(frozen=True)
class Reading:
    """What verification tells and costs.

    Attributes:
        reliability: What verdicts are worth.
        dependence: Correlation of the candidates' being right.
        cost_K: Verification of one answer of each candidate [USD].
    """

    reliability: Reliability
    dependence: float
    cost_K: Array


def after_verdict(p_K: Array, asked: int, probability: float, dependence: float) -> Array:
    """Return P(right) of all candidates once that of the asked one's answer is known better.

    Args:
        p_K: Before.
        asked: Place of the candidate that answered.
        probability: P(right) of its answer after the verdict.
        dependence: Correlation of the candidates' being right.
    """
    right_KK, wrong_KK = _given(p_K, dependence)
    after_K = probability * right_KK[asked] + (1.0 - probability) * wrong_KK[asked]
    after_K[asked] = probability
    clipped: Array = np.clip(after_K, 0.0, 1.0)
    return clipped


def expected_utility(p_K: Array, cost_K: Array, value: float, reading: Reading, held: float = 0.0) -> Array:
    """Return the expected value less cost [USD] of asking each candidate, verifying, and asking the best other or not.

    Args:
        p_K: P(right), (..., K).
        cost_K: Cost of one answer of each [USD].
        value: Value of a right answer [USD].
        reading: What verification tells and costs.
        held: P(right) of an answer that is there already.
    """
    likely_KV, post_KV, other_KKV = _branches(p_K, reading)
    after_KKV = value * other_KKV - cost_K[:, None]
    own = np.eye(len(cost_K), dtype=bool)[:, :, None]
    onward_KV = np.where(own, -math.inf, after_KKV).max(axis=-2)
    best_KV = np.maximum(np.maximum(value * post_KV, value * held), onward_KV)
    utility: Array = (likely_KV * best_KV).sum(axis=-1) - cost_K - reading.cost_K
    return utility


def expected_cost(p_K: Array, cost_K: Array, target: int, reading: Reading, tolerance: float = 0.0) -> Array:
    """Return the expected cost [USD] of asking each first, and the target where the answer is less likely right.

    Args:
        p_K: P(right), (..., K).
        cost_K: Cost of one answer of each [USD].
        target: Place of the candidate that is asked where the first answer is not accepted.
        reading: What verification tells and costs.
        tolerance: How much less likely right an answer may be.
    """
    likely_KV, post_KV, other_KKV = _branches(p_K, reading)
    refused_KV = post_KV + tolerance + TINY < other_KKV[..., target, :]
    spent: Array = cost_K + reading.cost_K + cost_K[target] * (likely_KV * refused_KV).sum(axis=-1)
    return spent


def _branches(p_K: Array, reading: Reading) -> tuple[Array, Array, Array]:
    """Return for each first candidate P(verdict), P(right | verdict), and that of each other candidate, (K, K, V)."""
    right_V, wrong_V = reading.reliability.verdicts
    joint_KV = p_K[..., None] * right_V
    likely_KV = joint_KV + (1.0 - p_K[..., None]) * wrong_V
    post_KV = joint_KV / np.maximum(likely_KV, TINY)
    right_KK, wrong_KK = _given(p_K, reading.dependence)
    post_K1V = post_KV[..., :, None, :]
    other_KKV = post_K1V * right_KK[..., None] + (1.0 - post_K1V) * wrong_KK[..., None]
    return likely_KV, post_KV, other_KKV


def _given(p_K: Array, dependence: float) -> tuple[Array, Array]:
    """Return P(column right | row right) and P(column right | row wrong), (..., K, K)."""
    row, column = p_K[..., :, None], p_K[..., None, :]
    spread = np.sqrt(row * (1.0 - row) * column * (1.0 - column))
    both = np.clip(row * column + dependence * spread, np.maximum(row + column - 1.0, 0.0), np.minimum(row, column))
    right = np.where(row > TINY, both / np.maximum(row, TINY), column)
    wrong = np.where(row < 1.0 - TINY, (column - both) / np.maximum(1.0 - row, TINY), column)
    return right, wrong
