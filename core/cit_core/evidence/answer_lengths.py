"""Predict how long a candidate's answer to a query is, relative to its mean answer, hidden reasoning included.

    log t_ik = mu_k + g(x_i) + h_k(x_i) + e_ik          t tokens, g of all candidates, h_k of this one
    E t_ik   = mean_k exp(c_k + a_k G_i + b_k H_ik)     G, H: g and h with question i left out

g and h are ridge regressions on the query's vector and counts of its text. The second line turns medians into means: it
is a Poisson regression on questions left out, so the predictions of a candidate add up to its tokens. Its slopes are
shrunk to those of all candidates together, where little is known of one, and are 0 where they save no deviance.

Axes: N queries, I stored questions, K candidates of the log, C candidates of a decision, F features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cit_core.evidence.effects import Array
from cit_core.evidence.regression import Ridge
from cit_core.evidence.serialization import array_of, text_of
from cit_core.evidence.text_features import COUNT_WEIGHT, COUNTS, text_counts

__all__ = ["AnswerLengths", "fit_answer_lengths", "poisson_deviance"]

SHARED_RIDGES, OWN_RIDGES = (1.0, 3.0, 10.0, 30.0, 100.0), (3.0, 10.0, 30.0, 100.0, 300.0)
REGRESSED, FEWEST = 20_000, 20
"""Questions that are regressed on at most, and answers of a candidate from which on it has slopes of its own."""
SLOPE = 0.5
"""Prior standard deviation of a candidate's slopes."""
STEPS, LONGEST_STEP = 15, 1.0
CLIPPED = 3.0
"""Largest effect of a query [log tokens]."""
SURE = 1.0
"""Standard errors by which the saved deviance must exceed 0."""
FORMAT = 1

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class AnswerLengths:
    """Fitted lengths of answers. Immutable, so threads share it."""

    candidates: tuple[str, ...]
    scale_2F: Array
    """Mean and scale of the counts of a text."""
    centre_F: Floats
    coefficients_FT: Floats
    """Effect of the features on each candidate's log tokens, and in the end on those of one that is not in the log."""
    offset_T: Array
    """What makes means of them."""
    deviance: tuple[float, float] = (0.0, 0.0)
    """Deviance on questions left out as a share of that of the candidates' means, and its standard error."""
    questions: int = 0
    names: Mapping[str, str] | None = None
    """For candidates with another id in the log, that id."""

    def under(self, names: Mapping[str, str]) -> AnswerLengths:
        """Return this for candidates under other names: id in a decision to id in the log."""
        return replace(self, names=dict(names))

    def ratios(self, vectors_ND: NDArray[np.floating], texts: Sequence[str], candidates: Sequence[str]) -> Array:
        """Return the expected length of each candidate's answer, as a share of its mean answer, (N, C).

        Args:
            vectors_ND: Unit vectors of the queries, by the encoder of the stored questions.
            texts: The queries.
            candidates: C ids; of one that is not in the log, the effect of all is expected.
        """
        counts_NF = _scaled(np.stack([text_counts(text) for text in texts]), self.scale_2F)
        features_NF = np.hstack([vectors_ND, counts_NF]).astype(np.float32)
        log_NT = (features_NF - self.centre_F) @ self.coefficients_FT + self.offset_T
        column, names = {id_: at for at, id_ in enumerate(self.candidates)}, self.names or {}
        columns = [column.get(names.get(id_, id_), len(column)) for id_ in candidates]
        return np.asarray(np.exp(np.clip(log_NT[:, columns], -CLIPPED, CLIPPED)), np.float64)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {
            "format": FORMAT,
            "candidates": list(self.candidates),
            "counts": self.scale_2F.tolist(),
            "centre": text_of(self.centre_F),
            "coefficients": text_of(self.coefficients_FT),
            "offset": self.offset_T.tolist(),
            "deviance": list(self.deviance),
            "questions": self.questions,
        }

    @classmethod
    def from_json(cls, kept: Any) -> AnswerLengths | None:
        """Read what `to_json` gave; None if it is nothing, or of another format."""
        if not isinstance(kept, dict) or kept.get("format") != FORMAT:
            return None
        return cls(
            candidates=tuple(kept["candidates"]),
            scale_2F=np.array(kept["counts"]),
            centre_F=array_of(kept["centre"]),
            coefficients_FT=array_of(kept["coefficients"]).reshape(-1, len(kept["candidates"]) + 1),
            offset_T=np.array(kept["offset"]),
            deviance=(kept["deviance"][0], kept["deviance"][1]),
            questions=kept["questions"],
        )


def fit_answer_lengths(
    vectors_ID: NDArray[np.floating],
    texts: Sequence[str],
    tokens_IK: NDArray[np.floating],
    candidates: Sequence[str],
    *,
    seed: int = 0,
) -> AnswerLengths | None:
    """Fit lengths of answers.

    Args:
        vectors_ID: Unit vectors of stored questions.
        texts: The questions; "" where only the vector was kept.
        tokens_IK: Tokens of the answers; NaN where none were counted.
        candidates: K ids.
        seed: Seed of the draw where there are many questions.

    Returns:
        None where too little is known, or no query tells anything about lengths.
    """
    told = ~np.isnan(tokens_IK)
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(told.any(axis=1)))[:REGRESSED]
    columns = np.flatnonzero(told[rows].sum(axis=0) >= FEWEST)
    if not len(columns):
        return None
    rows = np.sort(rows[told[np.ix_(rows, columns)].any(axis=1)])
    tokens_IK, told = (matrix[np.ix_(rows, columns)] for matrix in (tokens_IK, told))
    counts_IF, scale_2F = _counts([texts[row] for row in rows.tolist()])
    features_IF = np.hstack([vectors_ID[rows], counts_IF]).astype(np.float32)
    centre_F = features_IF.mean(axis=0)
    log_IK = np.log(np.maximum(tokens_IK, 1.0))
    way_IK = np.where(told, log_IK - np.nanmean(log_IK, axis=0), 0.0).astype(np.float32)
    shared_I1 = (way_IK.sum(axis=1) / told.sum(axis=1)).astype(np.float32)[:, None]
    ridge = Ridge(features_IF - centre_F)
    of_all, of_each = ridge.best(shared_I1, SHARED_RIDGES), ridge.best(way_IK, OWN_RIDGES)
    left_I, left_IK = ridge.left_out(shared_I1, of_all)[:, 0], ridge.left_out(way_IK, of_each)
    weight_2, weight_K3, deviance = _weights(tokens_IK, left_I, left_IK)
    if not weight_K3.any():
        return None
    shared_F1, own_FK = ridge.coefficients(shared_I1, of_all), ridge.coefficients(way_IK, of_each)
    of_each_FK = shared_F1 * weight_K3[:, 1] + own_FK * weight_K3[:, 2]
    return AnswerLengths(
        candidates=tuple(candidates[at] for at in columns.tolist()),
        scale_2F=scale_2F,
        centre_F=centre_F,
        coefficients_FT=np.hstack([of_each_FK, shared_F1 * weight_2[1]]).astype(np.float32),
        offset_T=np.append(weight_K3[:, 0], weight_2[0]),
        deviance=deviance,
        questions=len(rows),
    )


def poisson_deviance(tokens: NDArray[np.floating], mean: NDArray[np.floating]) -> Array:
    """Return the deviance of each answer's length; the mean over answers is least where the means are right."""
    kept = np.where(tokens > 0.0, tokens, 1.0)
    return np.asarray(2.0 * (np.where(tokens > 0.0, tokens * np.log(kept / mean), 0.0) - tokens + mean))


def _counts(texts: Sequence[str]) -> tuple[Array, Array]:
    """Return the scaled counts of texts, and their mean and scale; what is not known counts as the mean."""
    known_I = np.array([bool(text) for text in texts])
    counts_IF = np.stack([text_counts(text) for text in texts])
    known_IF = counts_IF[known_I] if known_I.any() else np.zeros((1, COUNTS))
    scale_2F = np.stack([known_IF.mean(axis=0), known_IF.std(axis=0) + 1e-3])
    counts_IF[~known_I] = scale_2F[0]
    return _scaled(counts_IF, scale_2F), scale_2F


def _scaled(counts_NF: Array, scale_2F: Array) -> Array:
    return np.asarray(COUNT_WEIGHT * np.clip((counts_NF - scale_2F[0]) / scale_2F[1], -4.0, 4.0))


def _weights(
    tokens_IK: NDArray[np.floating], left_I: Floats, left_IK: Floats
) -> tuple[Array, Array, tuple[float, float]]:
    """Return the weights for all candidates, those of each, and the share of the deviance that is left."""
    told = ~np.isnan(tokens_IK)
    relative_IK = tokens_IK / np.maximum(np.nanmean(tokens_IK, axis=0), 1e-9)
    of_all_I2 = np.column_stack([np.ones(len(left_I)), left_I])
    pooled_A2 = np.repeat(of_all_I2, told.sum(axis=1), axis=0)
    weight_2 = _poisson(pooled_A2, relative_IK[told], np.zeros(2))
    weight_K3 = np.zeros((tokens_IK.shape[1], 3))
    ours, theirs = np.zeros(tokens_IK.shape), np.zeros(tokens_IK.shape)
    for at, relative_I in enumerate(relative_IK.T):
        mine = told[:, at]
        parts_A3 = np.column_stack([of_all_I2[mine], left_IK[mine, at]])
        weight_3 = _poisson(parts_A3, relative_I[mine], np.array([0.0, weight_2[1], 0.0]))
        flat_A = poisson_deviance(relative_I[mine], np.ones(mine.sum()))
        found_A = poisson_deviance(relative_I[mine], _mean(parts_A3, weight_3))
        theirs[mine, at] = ours[mine, at] = flat_A
        if _saves(flat_A - found_A):
            weight_K3[at], ours[mine, at] = weight_3, found_A
    if not _saves((theirs - ours).sum(axis=1)):
        return np.zeros(2), np.zeros_like(weight_K3), (1.0, 0.0)
    share = float(ours.sum() / max(theirs.sum(), 1e-9))
    error_I = (ours - share * theirs).sum(axis=1)
    return weight_2, weight_K3, (share, float(np.sqrt(len(error_I)) * error_I.std() / max(theirs.sum(), 1e-9)))


def _saves(saved: Array) -> bool:
    return bool(saved.mean() > SURE * saved.std() / np.sqrt(len(saved)))


def _mean(parts_AP: Array, weight_P: Array) -> Array:
    return np.asarray(np.exp(np.clip(parts_AP @ weight_P, -CLIPPED, CLIPPED)))


def _poisson(parts_AP: Array, tokens_A: Array, prior_P: Array) -> Array:
    """Fit the slopes of a Poisson regression with a free offset in the first column, by Newton's method."""
    spread = max(float(((tokens_A - tokens_A.mean()) ** 2).mean()), 1e-6)  # answers vary more than counts do
    shrink_P = np.full(len(prior_P), spread / SLOPE**2)
    shrink_P[0] = 0.0
    weight_P = prior_P.copy()
    for _ in range(STEPS):
        mean_A = _mean(parts_AP, weight_P)
        slope_P = parts_AP.T @ (tokens_A - mean_A) - shrink_P * (weight_P - prior_P)
        curve_PP = (parts_AP * mean_A[:, None]).T @ parts_AP + np.diag(shrink_P + 1e-9)
        weight_P = weight_P + np.clip(np.linalg.solve(curve_PP, slope_P), -LONGEST_STEP, LONGEST_STEP)
    return weight_P
