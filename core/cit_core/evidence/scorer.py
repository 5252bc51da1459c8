"""Evidence: outcomes on similar questions correct the network's prediction.

    z_k = level_k + shift_k + sum_p w_p(x) part_pk(x) + u (r(x) - r) + v (n_k(x) - r(x) - n_k)

parts     estimates by regression, tasks, neighbours and profiles, of the query's easiness and candidates' ways with it
w_p(x)    g w_p + (1 - g) w'_p: by how likely the query is of a kind that the log has, g
r, n_k    the network's log-odds of a candidate with the mean profile, and of candidate k; without x their means

Weights are fitted on questions left out and 0 where a part does not help (`fitting.py`). A candidate's score does not
depend on the others in the decision. A candidate without outcomes keeps the network's, and with a few it is between:
one answer must not undo what a profile says.

Axes: N queries, I stored questions, K candidates of the log, C candidates of a decision, D width.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cit_core.calibration import sigmoid
from cit_core.capability import SURE_ANSWERS
from cit_core.evidence.effects import Array, Effects, fit_effects
from cit_core.evidence.fitting import FROM_WAY, Fitted, fit_evidence, with_profiles
from cit_core.evidence.neighbours import Neighbours
from cit_core.evidence.parts import NEIGHBOURS, TaskEffects, by_neighbours, gate_features
from cit_core.evidence.profiles import Profiles, profile_ways
from cit_core.evidence.serialization import from_json, read_folder, to_json, write_folder
from cit_core.outcomes import NO_TASK, OutcomeMatrix
from cit_core.pictures import Picture
from cit_core.records import Candidate, Capability

__all__ = ["Evidence", "EvidenceScorer", "Reader"]

PRIOR_ANSWERS = 5.0
"""Answers that the network's prediction is worth beside a candidate's own, fading to none at SURE_ANSWERS of them."""

Floats = NDArray[np.float32]

NO_PROFILES = Profiles(*np.zeros((3, 0, 0), np.float32))


class Evidence:
    """Fitted outcomes on stored questions, for predictions on new ones. Immutable, so threads share it.

    Args:
        outcomes: Stored outcomes.
        fitted: The result of `fit_evidence` on them; fitted now if not given.
        profiles: Accuracies on tasks without stored questions.
    """

    def __init__(
        self, outcomes: OutcomeMatrix, fitted: Fitted | None = None, *, profiles: Profiles | None = None
    ) -> None:
        self.fitted = fit_evidence(outcomes, profiles=profiles) if fitted is None else fitted
        number = len(outcomes.vectors_ID)
        effects = fit_effects(*with_profiles(outcomes.correct_IK, profiles))
        self._profiles, self._of_profiles = profiles, effects.rows(slice(number, None))
        of_questions = effects.rows(slice(number))
        place = {task: at for at, task in enumerate(self.fitted.tasks)}
        task_I = np.array([place.get(task, NO_TASK) for task in outcomes.tasks], np.int64)
        task_I[~outcomes.measured_IK.any(axis=1)] = NO_TASK
        self._tasks = TaskEffects(task_I, of_questions, len(place))
        self._neighbours = Neighbours(outcomes.vectors_ID)
        easiness_I = of_questions.easiness_I - (of_questions.easiness_I.mean() if number else 0.0)
        self._easiness_I = easiness_I.astype(np.float32)
        self._residual_IK, self._weight_IK = of_questions.residual_IK, of_questions.weight_IK
        known_K = np.asarray((~np.isnan(outcomes.correct_IK)).any(axis=0))
        if profiles is not None and len(profiles.correct_TK):
            known_K |= ~np.isnan(profiles.correct_TK).all(axis=0)
        self._level_K = effects.level_K
        self._apart_K = effects.level_K - (effects.level_K.mean() if len(effects.level_K) else 0.0)
        self._candidates = outcomes.candidates
        self._column = {id_: at for at, id_ in enumerate(outcomes.candidates) if known_K[at]}
        self._answers_K = _answers(outcomes, profiles)

    def save(self, folder: Path) -> None:
        """Write this evidence on many questions to a new folder, whole or not at all.

        Raises:
            OSError: If it cannot be written.
        """
        arrays = {f"near_{name}": array for name, array in self._neighbours.arrays.items()}
        arrays |= {f"tasks{name}": array for name, array in vars(self._tasks).items()}
        arrays |= {f"profiles_{name}": array for name, array in (self._profiles or NO_PROFILES)._asdict().items()}
        arrays |= {f"of_profiles_{name}": array for name, array in self._of_profiles._asdict().items()}
        arrays |= {f"own{name}": array for name, array in vars(self).items() if isinstance(array, np.ndarray)}
        facts = {"fitted": to_json(self.fitted, self._candidates), "columns": self._column}
        write_folder(folder, arrays, {**facts, "candidates": self._candidates})

    @classmethod
    def load(cls, folder: Path) -> Evidence | None:
        """Return the evidence that was saved in a folder: arrays are mapped, so processes share them.

        Returns:
            None if there is none, or that of another release.
        """
        found = read_folder(folder)
        if found is None or (fitted := from_json(found.facts["fitted"], found.facts["candidates"])) is None:
            return None
        if "answers_K" not in (own := found.part("own_")):
            return None
        made = cls.__new__(cls)
        made.fitted, made._candidates, made._column = fitted, found.facts["candidates"], found.facts["columns"]
        made._profiles, made._of_profiles = Profiles(**found.part("profiles_")), Effects(**found.part("of_profiles_"))
        made._tasks = TaskEffects.of_arrays(found.part("tasks_"))
        made._neighbours = Neighbours.of_arrays(found.part("near_"))
        vars(made).update({f"_{name}": array for name, array in own.items()})
        return made

    def __len__(self) -> int:
        return len(self._neighbours)

    @property
    def candidates(self) -> Collection[str]:
        """Ids of the candidates with any outcome."""
        return self._column.keys()

    @property
    def answers(self) -> dict[str, int]:
        """Number of answers of each candidate with any outcome."""
        return {id_: int(self._answers_K[at]) for id_, at in self._column.items()}

    def asks(self, candidates: Sequence[str]) -> bool:
        """Return True if the network's log-odds change the result for these candidates."""
        column = [self._column.get(id_) for id_ in candidates]
        unsure = any(at is None or self._answers_K[at] < SURE_ANSWERS for at in column)
        return unsure or any(self.fitted.weights.network)

    def log_odds(self, vectors_ND: Floats, texts: Sequence[str]) -> Array:
        """Return the log-odds of all candidates of the log, without the network, (N, K).

        Args:
            vectors_ND: Unit vectors of the queries, by the encoder of the stored questions.
            texts: The queries.
        """
        weights = self.fitted.weights
        text_NF = np.stack([self.fitted.features(text) for text in texts])
        regressed, broad_NK, guess = self.fitted.regression(np.hstack([vectors_ND, text_NF]))
        near = self._neighbours.near(vectors_ND, NEIGHBOURS)
        sources = (
            regressed,
            self._tasks(guess),
            by_neighbours(near, self._easiness_I, self._residual_IK, self._weight_IK),
        )
        profile_NK = profile_ways(vectors_ND, self._profiles, self._of_profiles)
        gate_N = weights.gate[0] + gate_features(guess.margin_N, near) @ weights.gate[1:]
        weight_NP = self._weights_of(gate_N)
        shift_N = weights.shift[1] + sigmoid(gate_N) * (weights.shift[0] - weights.shift[1])
        easiness_N3 = np.stack([source.easiness_N for source in sources], axis=1)
        way_N4K = np.stack([*(source.way_NK for source in sources), broad_NK, profile_NK], axis=1)
        easiness_N = shift_N + (weight_NP[:, 1:FROM_WAY] * easiness_N3).sum(axis=1)
        way_NK = (weight_NP[:, FROM_WAY:, None] * way_N4K).sum(axis=1)
        return np.asarray(self._level_K + weight_NP[:, :1] * self._apart_K + easiness_N[:, None] + way_NK)

    def _weights_of(self, gate_N: Array) -> Array:
        """Return the weight of each part, (N, P): between those for a known and those for a new kind of question."""
        weights = self.fitted.weights
        of_known_N1 = sigmoid(gate_N[:, None])
        return np.asarray(weights.new_P + of_known_N1 * (weights.known_P - weights.new_P))

    def update(
        self,
        log_odds_NC: NDArray[np.floating],
        reference_N: NDArray[np.floating],
        vectors_ND: Floats,
        texts: Sequence[str],
        candidates: Sequence[str],
    ) -> Array:
        """Correct a network's log-odds by what happened on similar questions.

        Args:
            log_odds_NC: Calibrated, of the candidates of a decision.
            reference_N: Log-odds of a candidate with the mean profile.
            vectors_ND: Unit vectors of the queries.
            texts: The queries.
            candidates: C ids; an unknown candidate keeps the network's log-odds.
        """
        updated_NC = np.array(log_odds_NC, np.float64)
        place = [at for at, id_ in enumerate(candidates) if id_ in self._column]
        if not place:
            return updated_NC
        column = [self._column[candidates[at]] for at in place]
        own_NK = self.log_odds(np.asarray(vectors_ND, np.float32), texts)
        weights = self.fitted.weights
        easy, way = weights.network
        mean_K = np.zeros(len(self._level_K)) if weights.network_mean_K is None else weights.network_mean_K
        network_NC = easy * (reference_N - weights.network_mean)[:, None] + way * (
            updated_NC[:, place] - reference_N[:, None] - mean_K[column]
        )
        trust_C = _trust(self._answers_K[column])
        updated_NC[:, place] = trust_C * (own_NK[:, column] + network_NC) + (1.0 - trust_C) * updated_NC[:, place]
        return updated_NC


def _answers(outcomes: OutcomeMatrix, profiles: Profiles | None) -> Array:
    """Return how many answers of each candidate are known, (K,)."""
    count_K = (~np.isnan(outcomes.correct_IK)).sum(axis=0).astype(np.float64)
    if profiles is not None and len(profiles.correct_TK):
        count_K += np.where(np.isnan(profiles.correct_TK), 0.0, profiles.count_TK).sum(axis=0)
    return np.asarray(count_K)


def _trust(answers_K: Array) -> Array:
    """Return the weight of a candidate's own answers beside the network's prediction."""
    fading_K = np.maximum(1.0 - answers_K / SURE_ANSWERS, 0.0)
    return np.asarray(1.0 - fading_K * PRIOR_ANSWERS / (answers_K + PRIOR_ANSWERS))


class Reader(Protocol):
    """A scorer that evidence can correct, such as `OnnxScorer`."""

    name: str
    max_tokens: int
    encoder: str

    def read(
        self, instructions: Sequence[str], capabilities: Sequence[Capability]
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Return calibrated log-odds (N, K) and unit vectors (N, D), in one pass over the texts."""
        ...


class EvidenceScorer:
    """A network corrected by evidence; satisfies `Scorer`.

    Args:
        scorer: The network.
        evidence: Evidence on questions with vectors by the same encoder.
        reference: The mean profile of the log's candidates.
        names: For candidates with another id in the log, that id.
    """

    def __init__(
        self,
        scorer: Reader,
        evidence: Evidence,
        reference: Capability | None = None,
        names: Mapping[str, str] | None = None,
    ) -> None:
        self.names = dict(names or {})
        self.scorer = scorer
        self.evidence = evidence
        self.reference = reference or Capability(candidate=Candidate(id="mean of the log"))
        self.name = f"{scorer.name}+evidence"
        self.max_tokens = scorer.max_tokens

    def under(self, names: Mapping[str, str]) -> EvidenceScorer:
        """Return this scorer for candidates under other names: id in a decision to id in the log."""
        return EvidenceScorer(self.scorer, self.evidence, self.reference, names)

    def reads(self, instruction: str) -> bool:
        """Return False for a text that the network does not read."""
        reads = getattr(self.scorer, "reads", None)
        return reads is None or bool(reads(instruction))

    def score(self, instructions: Sequence[str], capabilities: Sequence[Capability]) -> NDArray[np.float64]:
        """Return P(correct) of N queries for K candidates, (N, K)."""
        return self.score_with_vectors(instructions, capabilities)[0]

    def score_with_vectors(
        self, instructions: Sequence[str], capabilities: Sequence[Capability]
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Return what `score` returns and the unit vectors (N, D) of the queries, in one pass over the texts."""
        return self.score_with_pictures(instructions, capabilities, ())

    def score_with_pictures(
        self,
        instructions: Sequence[str],
        capabilities: Sequence[Capability],
        pictures: Sequence[Sequence[Picture]],
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Return what `score_with_vectors` returns; a network that sees is given the pictures of each query."""
        ids = [self.names.get(capability.candidate.id, capability.candidate.id) for capability in capabilities]
        asked = self.evidence.asks(ids)  # its phi is not run where it would weigh nothing
        read_of = [*capabilities, self.reference] if asked else ()
        sees = getattr(self.scorer, "read_with_pictures", None) if pictures and asked else None
        if sees is None:
            log_odds_NK, vectors_ND = self.scorer.read(instructions, read_of)
        else:
            log_odds_NK, vectors_ND = sees(instructions, read_of, pictures)
        if not asked:
            log_odds_NK = np.zeros((len(instructions), len(ids) + 1))
        return sigmoid(
            self.evidence.update(log_odds_NK[:, :-1], log_odds_NK[:, -1], vectors_ND, instructions, ids)
        ), vectors_ND
