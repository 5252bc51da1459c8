"""Ridge regressions on the features of questions, with exact predictions for questions or groups left out.

One eigendecomposition serves all targets, all ridges and all ways to leave questions out:

    X = Z B',  Z'Z = diag(v),  B orthonormal;  coefficients in that basis: c = Z'y / (v + ridge)
    left out:  y_g - (I - H_gg)^-1 (y_g - Z_g c),  H = Z diag(1 / (v + ridge)) Z'

Axes: I questions, F features, J of the basis, T targets, G questions of a group.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ridge"]

Floats = NDArray[np.float32]


class Ridge:
    """Ridge regressions of several targets on the same features.

    Args:
        features_IF: Features of the questions, centred.
    """

    def __init__(self, features_IF: Floats) -> None:
        items, width = features_IF.shape
        if items <= width:
            value_J, vectors_IJ = np.linalg.eigh(features_IF @ features_IF.T)
            value_J = np.maximum(value_J, 1e-6 * max(float(value_J[-1]), 1e-6))
            self.scores_IJ = vectors_IJ * np.sqrt(value_J)
            self._basis_FJ = features_IF.T @ (vectors_IJ / np.sqrt(value_J))
        else:
            value_J, self._basis_FJ = np.linalg.eigh(features_IF.T @ features_IF)
            value_J = np.maximum(value_J, 0.0)
            self.scores_IJ = features_IF @ self._basis_FJ
        self._value_J = value_J

    def coefficients(self, target_IT: Floats, ridge: float) -> Floats:
        """Return the coefficients of the features, (F, T)."""
        coefficients_FT: Floats = self._basis_FJ @ self._rotated(target_IT, ridge)
        return coefficients_FT

    def left_out(self, target_IT: Floats, ridge: float) -> Floats:
        """Predict each question by all others, (I, T)."""
        fitted_IT = self.scores_IJ @ self._rotated(target_IT, ridge)
        own_I = np.minimum((self.scores_IJ**2) @ (1.0 / (self._value_J + ridge)), 0.999)[:, None]
        left_out_IT: Floats = (fitted_IT - own_I * target_IT) / (1.0 - own_I)
        return left_out_IT

    def groups_left_out(self, target_IT: Floats, ridge: float, groups: Sequence[NDArray[np.intp]]) -> Floats:
        """Predict each group of questions by all that are not in it, (I, T); 0 for those in no group."""
        predicted_IT = np.zeros_like(target_IT)
        for rows in groups:
            scores_GJ = self.scores_IJ[rows]
            if len(rows) <= len(self._value_J):
                predicted_IT[rows] = self._solved_by_hat(scores_GJ, target_IT, rows, ridge)
            else:
                predicted_IT[rows] = self._solved_by_rest(scores_GJ, target_IT, rows, ridge)
        return predicted_IT

    def _solved_by_hat(self, scores_GJ: Floats, target_IT: Floats, rows: NDArray[np.intp], ridge: float) -> Floats:
        hat_GG = (scores_GJ / (self._value_J + ridge)) @ scores_GJ.T
        rest_GT = target_IT[rows] - scores_GJ @ self._rotated(target_IT, ridge)
        alone_GG = np.eye(len(rows), dtype=np.float32) - hat_GG
        return np.asarray(target_IT[rows] - np.linalg.solve(alone_GG, rest_GT))

    def _solved_by_rest(self, scores_GJ: Floats, target_IT: Floats, rows: NDArray[np.intp], ridge: float) -> Floats:
        rest_JJ = np.diag(self._value_J + ridge) - scores_GJ.T @ scores_GJ
        moment_JT = self.scores_IJ.T @ target_IT - scores_GJ.T @ target_IT[rows]
        return np.asarray(scores_GJ @ np.linalg.solve(rest_JJ, moment_JT))

    def best(self, target_IT: Floats, ridges: Sequence[float]) -> float:
        """Return the ridge with the least squared error on questions left out."""
        if len(ridges) == 1:
            return ridges[0]
        return min(ridges, key=lambda ridge: float(((self.left_out(target_IT, ridge) - target_IT) ** 2).sum()))

    def _rotated(self, target_IT: Floats, ridge: float) -> Floats:
        return np.asarray((self.scores_IJ.T @ target_IT) / (self._value_J + ridge)[:, None])
