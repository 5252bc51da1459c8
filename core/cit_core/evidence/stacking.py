"""Weights of the parts of a prediction, fitted by the log-loss on questions left out.

    z_nk = base_nk + c + sum_p w_p part_pnk,    w_p >= 0,  both shrunk by ridges

Axes: N questions, K candidates, P parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cit_core.calibration import sigmoid
from cit_core.evidence.effects import Array

__all__ = ["Scaled", "fit_gate", "fit_weights", "way_scale"]

WEIGHT_RIDGE, SHIFT_RIDGE = 3.0, 1.0
"""OutcomeMatrix that speak for a weight, or a shift, of 0."""
SMALLEST = 0.05
"""Log-odds that a part is taken to have in the mean at least: one that says next to nothing has no large weight."""
STEPS = 40
SCALES = (0.125, 0.25, 0.375, 0.5, 0.75, 1.0)
CAUTION, CAUTION_OF_KINDS = 0.5, 2.0
"""Standard errors by which ways must route better, over questions and over whole kinds of them: a log has few kinds."""
DOUBTED, ENOUGH = 8.0, 128
"""Questions, half of them won and half lost, that are added to those on which ways route; questions from which on a
scale is taken that changes no choice among them."""
TRUSTED = 8.0
"""Questions that all ways at weight 1 are taken to have won before any was seen, fewer the more there are up to ENOUGH:
no fit tells from a handful how good ways are, and on other logs they were."""
ZOO, ZOO_STEP = 5, 1
"""Candidates of similar level among which ways are judged beside all; and by how many places these zoos differ."""
GATE_RIDGE = 1.0
IN_THE_LOG = 1.0
"""Prior odds that a query is of a kind that the log has."""


def fit_weights(
    base_NK: NDArray[np.floating], parts_PNK: NDArray[np.floating], correct_NK: NDArray[np.floating]
) -> tuple[Array, float]:
    """Fit by Newton's method, a weight at 0 staying there while the loss would pull it below.

    Returns:
        Weights (P,) and the shift.
    """
    known_NK = ~np.isnan(correct_NK)
    correct_NK = np.where(known_NK, correct_NK, 0.0)
    size_P = np.maximum(np.sqrt((parts_PNK**2).mean(axis=(1, 2), dtype=np.float64)), SMALLEST)
    # the last row is the shift, which may be negative
    scaled_PNK = np.concatenate([parts_PNK / size_P[:, None, None], np.ones((1, *base_NK.shape))]).astype(np.float64)
    ridge_P = np.append(np.full(len(parts_PNK), WEIGHT_RIDGE), SHIFT_RIDGE)
    weight_P = np.zeros(len(scaled_PNK))
    for _ in range(STEPS):
        p_NK = sigmoid(base_NK + np.tensordot(weight_P, scaled_PNK, 1))
        left_NK, slope_NK = (correct_NK - p_NK) * known_NK, p_NK * (1.0 - p_NK) * known_NK
        pull_P = np.einsum("pnk,nk->p", scaled_PNK, left_NK) - ridge_P * weight_P
        free_P = (weight_P > 0.0) | (pull_P > 0.0)
        free_P[-1] = True
        curve = np.einsum("pnk,qnk->pq", scaled_PNK[free_P] * slope_NK, scaled_PNK[free_P]) + np.diag(ridge_P[free_P])
        step = np.linalg.solve(curve, pull_P[free_P])
        before_P = weight_P.copy()
        weight_P[free_P] += step * min(1.0, 4.0 / max(float(np.abs(step).max()), 1e-9))
        weight_P[:-1] = np.maximum(weight_P[:-1], 0.0)
        if np.abs(weight_P - before_P).max() < 1e-5:
            break
    return weight_P[:-1] / size_P, float(weight_P[-1])


class Scaled(NamedTuple):
    """Scale of the ways' part in log-odds, and its gain."""

    scale: float
    gain: tuple[float, float] = (0.0, 0.0)
    """Accuracy of routing above the plain level as it was observed, and its standard error."""
    worth: float = 0.0
    """The gain, less what is in doubt and with what was trusted in advance."""


def way_scale(
    base_NK: NDArray[np.floating],
    way_NK: NDArray[np.floating],
    correct_NK: NDArray[np.floating],
    kind_N: NDArray[np.integer] | None = None,
    *,
    scales: Sequence[float] = SCALES,
    trusted: float = 0.0,
) -> Scaled:
    """Choose the scale in [0, 1] that routes best, in accuracy above `base_NK` alone.

    Args:
        base_NK: Log-odds without ways.
        way_NK: What is scaled.
        correct_NK: Outcomes; NaN where a candidate was not measured.
        kind_N: Kinds of which the log has few, so that the gain is surer than it looks.
        scales: To choose from, beside 0.
        trusted: Questions that ways are taken to have won in advance, in place of doubt.
    """
    known_N = (~np.isnan(correct_NK)).sum(axis=1) > 1
    base_NK = np.where(np.isnan(correct_NK), -np.inf, base_NK)  # chosen among those that were asked
    base_NK, way_NK, correct_NK = base_NK[known_N], way_NK[known_N], correct_NK[known_N]
    best = Scaled(0.0)
    if len(base_NK) < 2 or not way_NK.any():
        return best
    caution = CAUTION if kind_N is None else CAUTION_OF_KINDS
    group_N = np.arange(len(base_NK)) if kind_N is None else np.unique(kind_N[known_N], return_inverse=True)[1]
    zoos = _zoos(np.nansum(correct_NK, axis=0) / np.maximum((~np.isnan(correct_NK)).sum(axis=0), 1))
    plain_N = _routed(base_NK, correct_NK, zoos)
    doubted = 0.0 if trusted else DOUBTED
    for scale in scales:
        gained_N = _routed(base_NK + scale * way_NK, correct_NK, zoos) - plain_N
        mean = float((gained_N.sum() + trusted) / (len(gained_N) + doubted))
        error = float(np.sqrt((np.bincount(group_N, gained_N - mean) ** 2).sum() + doubted) / len(gained_N))
        unmoved = len(gained_N) >= ENOUGH and not gained_N.any()  # it changes no choice: probabilities gain
        worth = 0.0 if unmoved and not trusted else mean - caution * error
        if worth >= best.worth and (unmoved or worth > 0.0):
            seen = float(gained_N.mean())
            of_groups = np.bincount(group_N, gained_N - seen)
            best = Scaled(scale, (seen, float(np.sqrt((of_groups**2).sum())) / len(gained_N)), worth)
    return best


def _zoos(level_K: Array) -> list[NDArray[np.intp]]:
    """Return what may be routed among: all candidates, and those next to each other in level."""
    order = np.argsort(level_K)
    return [order] + [order[at : at + ZOO] for at in range(0, len(order) - ZOO, ZOO_STEP)]


def _routed(
    log_odds_NK: NDArray[np.floating], correct_NK: NDArray[np.floating], zoos: Sequence[NDArray[np.intp]]
) -> Array:
    """Return the mean over zoos of the outcome of the likeliest candidate."""
    row_N = np.arange(len(log_odds_NK))
    of_zoos = [correct_NK[row_N, zoo[log_odds_NK[:, zoo].argmax(axis=1)]] for zoo in zoos]
    return np.asarray(np.nan_to_num(of_zoos).mean(axis=0))  # where none of a zoo was asked, nothing is won


def fit_gate(known_SG: NDArray[np.floating], new_SG: NDArray[np.floating]) -> Array:
    """Fit a logistic regression that separates questions of a known kind from others; offset and slopes, (1 + G,)."""
    features = np.concatenate([known_SG, new_SG]).astype(np.float64)
    design = np.column_stack([np.ones(len(features)), features])
    target = np.repeat([1.0, 0.0], [len(known_SG), len(new_SG)])
    weights = np.zeros(design.shape[1])
    ridge = GATE_RIDGE * np.diag([1e-6, *np.ones(features.shape[1])])
    for _ in range(STEPS):
        p = sigmoid(design @ weights)
        curve = (design * (p * (1.0 - p))[:, None]).T @ design + ridge
        step = np.linalg.solve(curve, design.T @ (target - p) - ridge @ weights)
        weights += step * min(1.0, 4.0 / max(float(np.abs(step).max()), 1e-9))
        if np.abs(step).max() < 1e-6:
            break
    weights[0] += np.log(IN_THE_LOG)
    return weights
