"""Evidence: what happened on questions like this one corrects what the network expects.

The network is the prior. Outcomes on stored questions are explained by three effects, all in log-odds,

    z_ik = theta_k + b_i + delta_tk        candidate's level, question's easiness, candidate's way with the task t of i

each shrunk towards 0 by a ridge (`fit_effects`), and for a new question x its neighbours among the stored ones, with
kernel weights w_i, say how far to go from the network's log-odds n_k:

    n_k + s_k a (theta_k + b(x) - n_k) + s_k c delta_k(x) + g_k(x)
    a = W / (W + difficulty)            W = sum of w_i: how much evidence there is
    b(x)                                weighted mean over the neighbours; c = W / (W + 1)
    delta_k(x)                          the same; or the mean over the tasks by `TaskClassifier`'s p(t | x), and for
                                        its p(none | x) the same
    s_k = m_k / (m_k + 30)              m_k: outcomes of k at all, so that one of them does not move it everywhere
    g_k(x) = sum w_i (y_ik - p_ik) / (sum w_i p_ik (1 - p_ik) + local)     what the three effects leave, one Newton step

Who else takes part in a decision changes nobody's score. Without neighbours, or
for a candidate without outcomes, every term is 0 and the score is the network's, bit for bit.

Axes: N queries, I stored questions, J neighbours, K candidates, T tasks, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from cit_core.calibration import sigmoid
from cit_core.errors import InvalidInput
from cit_core.evidence.effects import Array, Effects, fit_effects
from cit_core.evidence.task_classifier import TaskClassifier
from cit_core.outcomes import OutcomeMatrix
from cit_core.records import Capability

__all__ = ["Evidence", "EvidenceScorer", "EvidenceSettings", "Reader"]

FEW = 30
"""Outcomes with which a candidate's level and ways count one half."""
NARROWEST = 0.05
"""Of a kernel, in cosine: however many copies of a question are stored, they all speak."""
SHORTLIST_FROM = 4_096
"""Stored questions from which neighbours are looked for in two steps."""
SHORTLISTED = 4
"""Questions that the first step keeps for each neighbour wanted, and 1,024 at least: on the vectors of our tables they
hold 92 % of the nearest 400, those that are lost being the lightest, and 99 % of the nearest 50."""


@dataclass(frozen=True)
class EvidenceSettings:
    """How far evidence reaches and how much of it is believed. The defaults were fitted on MMLU-Pro training outcomes.

    Attributes:
        neighbours: At most so many stored questions speak about a new one.
        bandwidth: Only those with a cosine above 1 - bandwidth do.
        difficulty: Kernel weight at which the network's idea of a question's difficulty counts one half.
        task: Ridge on a candidate's way with a task [inverse variance in log-odds].
        local: Ridge on what is left around the question [the same].
        task_from: Whose ways with tasks a question takes: its neighbours', or those of the tasks that a classifier
            takes it for, and its neighbours' where that takes it for none. That is better where tasks have a cast of
            their own, as data sets do, and worse where they overlap.
    """

    neighbours: int = 400
    bandwidth: float = 1.0
    difficulty: float = 300.0
    task: float = 30.0
    local: float = 10.0
    task_from: Literal["neighbours", "classifier"] = "neighbours"

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if entry.name == "task_from":
                if value not in ("neighbours", "classifier"):
                    raise InvalidInput(f"evidence takes task_from neighbours or classifier, got {value!r}")
            elif not 0.0 < value < float("inf"):
                raise InvalidInput(f"evidence needs {entry.name} above 0 and finite, got {value!r}")


class Evidence:
    """Outcomes on stored questions, ready to be asked about new ones. Immutable, so threads share it.

    Args:
        outcomes: What is known.
        settings: How much of it is believed.
        effects: Those of `fit_effects(outcomes, settings.task)`, where they are known already.
    """

    def __init__(
        self,
        outcomes: OutcomeMatrix,
        settings: EvidenceSettings = EvidenceSettings(),
        *,
        effects: Effects | None = None,
    ) -> None:
        vectors_ID = np.ascontiguousarray(outcomes.vectors_ID, np.float32)
        self.settings = settings
        self._vectors_ID: NDArray[np.floating] = vectors_ID
        self._centre_D = vectors_ID.mean(axis=0) if len(vectors_ID) else np.zeros(vectors_ID.shape[1], np.float32)
        self._signs_WI = _signs(vectors_ID - self._centre_D) if len(vectors_ID) >= SHORTLIST_FROM else None
        if self._signs_WI is not None:
            self._vectors_ID = vectors_ID.astype(
                np.float16
            )  # read in part, at random places: half the memory to wait for
        self._column = {id_: column for column, id_ in enumerate(outcomes.candidates)}
        effects = fit_effects(outcomes, settings.task) if effects is None else effects
        self._level_K, self._easiness_I = effects.level_K, effects.easiness_I
        known_IK = outcomes.measured_IK
        way_IK = effects.way_TK[outcomes.task_I]
        expected_IK = sigmoid(effects.level_K + effects.easiness_I[:, None] + way_IK)
        self._way_IK, self._way_TK = way_IK.astype(np.float32), effects.way_TK[:-1]
        by_class = settings.task_from == "classifier"
        self._classifier = TaskClassifier(vectors_ID, outcomes.task_I) if by_class else None
        self._residual_IK = np.where(known_IK, outcomes.correct_IK - expected_IK, 0.0).astype(np.float32)
        self._weight_IK = (expected_IK * (1.0 - expected_IK) * known_IK).astype(np.float32)
        self._measured_K = np.asarray(known_IK.any(axis=0), np.bool_)
        self._trust_K = known_IK.sum(axis=0) / (known_IK.sum(axis=0) + FEW)

    def __len__(self) -> int:
        return len(self._vectors_ID)

    def update(
        self, log_odds_NK: NDArray[np.floating], vectors_ND: NDArray[np.floating], candidates: Sequence[str]
    ) -> Array:
        """Correct a network's log-odds by what happened on similar questions.

        Args:
            log_odds_NK: Calibrated.
            vectors_ND: Unit vectors of the queries, of the encoder that made those of the stored questions.
            candidates: K ids; who is not known keeps the network's.

        Returns:
            (N, K) log-odds.
        """
        updated_NK = np.array(log_odds_NK, np.float64)
        place_k = [place for place, id_ in enumerate(candidates) if id_ in self._column]
        column_k = np.array([self._column[candidates[place]] for place in place_k], np.intp)
        place_k = [place for place, column in zip(place_k, column_k, strict=True) if self._measured_K[column]]
        column_k = column_k[self._measured_K[column_k]]
        if len(self) and place_k:
            for row, vector_D in zip(updated_NK, vectors_ND, strict=True):
                neighbours_J, weight_J = self.neighbours(vector_D)
                row[place_k] = self._corrected(row[place_k], vector_D, neighbours_J, weight_J, column_k)
        return updated_NK

    def neighbours(self, vector_D: NDArray[np.floating]) -> tuple[NDArray[np.intp], Array]:
        """Rows of the stored questions that speak about a query, and their kernel weights in (0, 1].

        The kernel is a hat: 1 for the same question, 0 from the last neighbour or the bandwidth on.
        """
        vector_D = np.asarray(vector_D, np.float32)
        wanted = self.settings.neighbours
        rows_J, near_JD = np.arange(len(self)), self._vectors_ID
        if self._signs_WI is not None:
            rows_J = self._shortlist(vector_D, self._signs_WI, max(SHORTLISTED * wanted, 1024))
            near_JD = self._vectors_ID[rows_J].astype(np.float32)
        cosine_J = np.einsum("jd,d->j", near_JD, vector_D)  # no BLAS: its threads would fight with onnxruntime's
        last = np.partition(cosine_J, -wanted)[-wanted] if len(cosine_J) > wanted else -1.0
        floor = min(max(float(last), 1.0 - self.settings.bandwidth), 1.0 - NARROWEST)
        weight_J = (cosine_J.astype(np.float64) - floor) / (1.0 - floor)
        near = weight_J > 0.0
        return rows_J[near], np.minimum(weight_J[near], 1.0)

    def _shortlist(self, vector_D: NDArray[np.float32], signs_WI: NDArray[np.uint64], number: int) -> NDArray[np.intp]:
        """Rows whose vectors have the most signs in common with this one, both taken from the centre of all.

        Signs keep angles (Charikar, 2002), and 384 of them are six words: a twentieth of the memory to read.
        """
        differing_I = np.zeros(len(self), np.uint16)
        for word_I, word in zip(signs_WI, _signs((vector_D - self._centre_D)[None])[:, 0], strict=True):
            differing_I += np.bitwise_count(word_I ^ word)
        return np.argpartition(differing_I, number)[:number] if number < len(self) else np.arange(len(self))

    def _corrected(
        self,
        network_K: Array,
        vector_D: NDArray[np.floating],
        neighbours_J: NDArray[np.intp],
        weight_J: Array,
        column_K: NDArray[np.intp],
    ) -> Array:
        total = weight_J.sum()
        if not total > 0.0:
            return network_K
        cells = np.ix_(neighbours_J, column_K)
        share_J = weight_J / total
        a, c = total / (total + self.settings.difficulty), total / (total + 1.0)
        expected_K = self._level_K[column_K] + share_J @ self._easiness_I[neighbours_J]
        local_K = (weight_J @ self._residual_IK[cells]) / (weight_J @ self._weight_IK[cells] + self.settings.local)
        way_K = share_J @ self._way_IK[cells]
        if self._classifier is not None:
            probability_T = self._classifier.probabilities(vector_D)
            way_K = probability_T @ self._way_TK[:, column_K] + (1.0 - probability_T.sum()) * way_K
        global_K = a * (expected_K - network_K) + c * way_K
        corrected_K: Array = network_K + self._trust_K[column_K] * global_K + local_K
        return corrected_K


def _signs(vectors_ID: NDArray[np.float32]) -> NDArray[np.uint64]:
    """One bit for each coordinate, (W, I): a row of words for all vectors after the other, as they are read."""
    bits = np.packbits(vectors_ID > 0.0, axis=1)
    words = np.zeros((len(bits), -(-bits.shape[1] // 8) * 8), np.uint8)
    words[:, : bits.shape[1]] = bits
    return np.ascontiguousarray(words.view(np.uint64).T)


class Reader(Protocol):
    """What a scorer offers so that evidence can correct it; `OnnxScorer` does."""

    name: str
    max_tokens: int
    encoder: str

    def read(
        self, instructions: Sequence[str], capabilities: Sequence[Capability]
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Calibrated log-odds (N, K) and unit vectors (N, D), in one pass over the texts."""
        ...


class EvidenceScorer:
    """A network corrected by evidence; satisfies `Scorer`.

    Args:
        scorer: The network.
        evidence: On questions whose vectors the same encoder made.
    """

    def __init__(self, scorer: Reader, evidence: Evidence) -> None:
        self.scorer = scorer
        self.evidence = evidence
        self.name = f"{scorer.name}+evidence"
        self.max_tokens = scorer.max_tokens

    def score(self, instructions: Sequence[str], capabilities: Sequence[Capability]) -> NDArray[np.float64]:
        """P(correct) of N queries for K candidates, (N, K)."""
        log_odds_NK, vectors_ND = self.scorer.read(instructions, capabilities)
        ids = [capability.candidate.id for capability in capabilities]
        return sigmoid(self.evidence.update(log_odds_NK, vectors_ND, ids))
