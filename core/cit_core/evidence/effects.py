"""The two effects that explain most of what is known of stored questions: levels and easiness.

    log-odds of y_ik = theta_k + b_i        candidate k, question i (Rasch, 1960)

Axes: I questions, K candidates.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cit_core.calibration import sigmoid

__all__ = ["Effects", "fit_effects"]

ROUNDS = 12
"""Number of alternating Newton steps; the effects move by less than 0.01 after ten."""
LEVEL_RIDGE = 0.5
"""Inverse variance, in log-odds, of a candidate's distance from the mean level."""
EASINESS_RIDGES = (0.1, 4.0)
"""Range of the fitted inverse variance of a question's easiness."""

Array = NDArray[np.float64]


class Effects(NamedTuple):
    """theta and b, with the residuals."""

    theta_K: Array
    easiness_I: Array
    level_K: Array
    """Log-odds of each candidate's mean over all questions, those it was not asked included: its plain level."""
    residual_IK: NDArray[np.float32]
    """y - p; 0 where a candidate was not measured."""
    weight_IK: NDArray[np.float32]
    """p (1 - p) where a candidate was measured; 0 elsewhere."""

    def rows(self, rows_I: NDArray[np.bool_] | slice) -> Effects:
        """Return the effects of some questions."""
        return self._replace(
            easiness_I=self.easiness_I[rows_I],
            residual_IK=self.residual_IK[rows_I],
            weight_IK=self.weight_IK[rows_I],
        )


def fit_effects(correct_IK: NDArray[np.floating], count_IK: NDArray[np.floating] | None = None) -> Effects:
    """Fit levels and easiness by alternating Newton steps.

    Args:
        correct_IK: Outcomes in [0, 1]; NaN where a candidate was not measured.
        count_IK: Number of answers behind each outcome; 1 if not given.
    """
    known_IK = ~np.isnan(correct_IK)
    count_IK = known_IK.astype(np.float32) if count_IK is None else np.where(known_IK, count_IK, 0.0).astype(np.float32)
    correct_IK = np.where(known_IK, correct_IK, 0.0).astype(np.float32)
    theta_K, easiness_I = np.zeros(correct_IK.shape[1], np.float32), np.zeros(len(correct_IK), np.float32)

    def left() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        expected_IK = sigmoid(theta_K + easiness_I[:, None])
        return (correct_IK - expected_IK) * count_IK, expected_IK * (1.0 - expected_IK) * count_IK

    ridge = 1.0
    for _ in range(ROUNDS if len(theta_K) else 0):  # a log may be empty
        residual_IK, weight_IK = left()
        middle = theta_K.mean()
        step_K = residual_IK.sum(0) - LEVEL_RIDGE * (theta_K - middle) - 0.05 * middle
        theta_K += np.clip(step_K / (weight_IK.sum(0) + LEVEL_RIDGE + 0.05), -2.0, 2.0)
        residual_IK, weight_IK = left()
        easiness_I += (residual_IK.sum(1) - ridge * easiness_I) / (weight_IK.sum(1) + ridge)
        spread_I = easiness_I**2 + 1.0 / (weight_IK.sum(1) + ridge)  # the posterior's second moment
        ridge = float(np.clip(1.0 / max(float(spread_I.mean()), 1e-3), *EASINESS_RIDGES)) if len(spread_I) else ridge
    residual_IK, weight_IK = left()
    return Effects(
        theta_K.astype(np.float64),
        easiness_I.astype(np.float64),
        _marginal(theta_K, easiness_I, count_IK.max(axis=1, initial=0.0)),
        residual_IK,
        weight_IK,
    )


def _marginal(theta_K: NDArray[np.float32], easiness_I: NDArray[np.float32], count_I: NDArray[np.float32]) -> Array:
    """Return log-odds of the mean probability over questions."""
    if not count_I.sum() > 0.0:
        return theta_K.astype(np.float64)
    share_I = (count_I / count_I.sum()).astype(np.float64)
    mean_K = np.clip(share_I @ sigmoid(theta_K + easiness_I[:, None]), 1e-4, 1.0 - 1e-4)
    return np.asarray(np.log(mean_K) - np.log1p(-mean_K))
