"""Tasks with known accuracies and without stored questions: the nearest to a query count.

Axes: T tasks, N queries, K candidates, D width.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cit_core.evidence.effects import Effects

__all__ = ["Profiles", "nearest_tasks", "profile_ways"]

WAY_RIDGE = 5.0
"""Inverse variance of a candidate's way with a task, in log-odds."""

SHARPNESS = 0.05
"""Difference in cosine by which a task is e times as likely as another."""
NO_NEARER = 0.15
"""Cosine from which on a query is rather like a task than like none: unrelated texts have 0.05 to 0.1."""


class Profiles(NamedTuple):
    """Accuracies of tasks, without those of their questions that are stored with a vector."""

    vectors_TD: NDArray[np.floating]
    """Unit vectors of the tasks' descriptions."""
    correct_TK: NDArray[np.floating]
    """Accuracies; NaN where a candidate was not measured."""
    count_TK: NDArray[np.floating]
    """Questions behind each."""


def nearest_tasks(vectors_ND: NDArray[np.floating], vectors_TD: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the similarity of each query to each task, (N, T); the rest of a row, to 1, is for none of them."""
    cosine_NT = vectors_ND @ vectors_TD.T.astype(np.float32)
    odds = np.column_stack([cosine_NT, np.full(len(cosine_NT), NO_NEARER)]) / SHARPNESS
    raised = np.exp(odds - odds.max(axis=1, keepdims=True))
    return np.asarray((raised / raised.sum(axis=1, keepdims=True))[:, :-1], np.float32)


def profile_ways(vectors_ND: NDArray[np.float32], profiles: Profiles | None, effects: Effects) -> NDArray[np.float32]:
    """Return the deviations of candidates from their level on the tasks nearest to queries, in log-odds, (N, K).

    Args:
        vectors_ND: Unit vectors of the queries.
        profiles: T tasks.
        effects: Effects of these tasks.
    """
    candidates = effects.residual_IK.shape[1]
    if profiles is None or not len(profiles.correct_TK):
        return np.zeros((len(vectors_ND), candidates), np.float32)
    way_TK = effects.residual_IK / (effects.weight_IK + WAY_RIDGE)
    return nearest_tasks(vectors_ND, profiles.vectors_TD) @ way_TK
