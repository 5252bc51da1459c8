"""Fit a corrector on a log: every part of a prediction earns its weight on questions left out, or gets none.

Weights are fitted twice: on questions left out alone, and on whole groups of tasks left out, which is what a question
of a new kind meets: where the log has tasks, by difficulty and profiles alone, for ways on stored questions mislead
more often on another task than they help. A gate says which of the two a query is. Ways of candidates are then scaled
down as far as routing on questions left out asks for: by log-loss alone, the noise of many candidates would choose.
Against them stand all ways at weight 1, which a handful of questions is better served by.

Axes: I stored questions, S questions that weights are fitted on, K candidates, T targets, F features, P parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cit_core.calibration import log_loss, sigmoid
from cit_core.evidence.effects import Array, fit_effects
from cit_core.evidence.left_out import Kinds, LeftOut, Parted, Targets, kinds
from cit_core.evidence.parts import PARTS, Regression
from cit_core.evidence.profiles import Profiles, profile_ways
from cit_core.evidence.regression import Ridge
from cit_core.evidence.stacking import ENOUGH, TRUSTED, fit_gate, fit_weights, way_scale
from cit_core.evidence.task_classifier import TaskClassifier
from cit_core.evidence.text_features import BUCKETS, COUNTS, TextFeatures
from cit_core.outcomes import NO_TASK, OutcomeMatrix

__all__ = ["Fitted", "NetworkReading", "Weights", "fit_evidence", "with_profiles"]

EASINESS_RIDGES = (1.0, 3.0, 10.0, 30.0, 100.0)
WAY_RIDGES = (3.0, 10.0, 30.0, 100.0, 300.0)
TASK_RIDGES = (3.0,)
BROAD_RIDGES = (300.0,)
BROADLY = 5.0
"""Weight of broad ways, accuracies, on questions of a new kind: some log-odds for each at 0.5, and a little more."""
CLASSIFIED = 256
"""Tasks that are told apart at most, those with most questions."""
REGRESSED, WEIGHED = 20_000, 1_500
"""Questions that regressions, and weights, are fitted on at most."""
FEWEST = 8
"""Questions from which on weights are fitted."""
PROFILE_WAY = 1.0
"""Weight of the nearest profile tasks where there are too few questions to fit any."""
OPEN = 20.0
"""Log-odds of a gate that takes every question for one of a known kind."""
FROM_WAY = 4
"""Parts from this one on are ways."""
BROAD = PARTS.index("way broadly")
WORTH_READING = 0.002
"""Share of the log-loss that the network must save: its own layers take a third of a decision's time."""

Floats = NDArray[np.float32]


class NetworkReading(NamedTuple):
    """A network's predictions for some stored questions."""

    rows_S: NDArray[np.intp]
    log_odds_SK: NDArray[np.floating]
    reference_S: NDArray[np.floating]
    """Log-odds of a candidate with the mean profile: the easiness of a question according to the network."""


class Weights(NamedTuple):
    """Weights of the parts."""

    known_P: Array
    """Weights for a question of a kind that the log has."""
    new_P: Array
    """Weights for a question of another kind."""
    shift: tuple[float, float]
    """Shift of all log-odds, for a known and for a new kind."""
    gate: Array
    """Offset and slopes of the log-odds that a question is of a known kind."""
    network: tuple[float, float] = (0.0, 0.0)
    """Weights of the network's easiness and of its ways."""
    network_mean: float = 0.0
    network_mean_K: Array | None = None
    """Means of both over stored questions."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """Parameters that are learned from a log beside its effects."""

    features: TextFeatures
    regression: Regression
    weights: Weights
    questions: int
    """Number of questions on which the weights were fitted."""
    gain: tuple[float, float] = (0.0, 0.0)
    """Accuracy of routing above the plain level on questions left out, and its standard error."""
    tasks: tuple[str, ...] = ()
    """Tasks that are told apart."""


def fit_evidence(
    outcomes: OutcomeMatrix, *, network: NetworkReading | None = None, profiles: Profiles | None = None, seed: int = 0
) -> Fitted:
    """Fit regressions, weights and the gate.

    Args:
        outcomes: Stored questions; those without an answer are not used.
        network: A network's predictions for some of them.
        profiles: Accuracies on tasks without stored questions.
        seed: Seed of draws and folds.
    """
    draw = np.random.default_rng(seed)
    answered = np.flatnonzero(outcomes.measured_IK.any(axis=1))
    rows = np.sort(draw.permutation(answered)[:REGRESSED])
    log = outcomes.rows(rows)
    whole = fit_effects(*with_profiles(log.correct_IK, profiles))
    effects = whole.rows(slice(len(rows)))
    features, features_IF = _features(log)
    centre_F = features_IF.mean(axis=0) if len(rows) else np.zeros(features_IF.shape[1], np.float32)
    tasks = log.task_ids
    task_I = _classified(log.task_I)
    if len(rows) < FEWEST:
        return Fitted(features, _flat(centre_F[:0], effects.residual_IK.shape[1]), _unfitted(), len(rows))
    easiness_I1 = (effects.easiness_I - effects.easiness_I.mean()).astype(np.float32)[:, None]
    of_task_IT = (task_I[:, None] == np.arange(len(tasks))).astype(np.float32)
    residual_IK = effects.residual_IK.astype(np.float32)
    targets = Targets(easiness_I1, residual_IK, of_task_IT - of_task_IT.mean(axis=0), residual_IK)
    ridge, vectors_ID = Ridge(features_IF - centre_F), np.asarray(log.vectors_ID, np.float32)
    regressions = Targets(ridge, ridge, ridge, Ridge(vectors_ID - centre_F[: vectors_ID.shape[1]]))
    candidates = (EASINESS_RIDGES, WAY_RIDGES, TASK_RIDGES, BROAD_RIDGES)
    ridges = Targets(*(one.best(*of) for one, *of in zip(regressions, targets, candidates, strict=True)))
    chosen_S = _chosen(rows, network, draw)
    profile_IK = profile_ways(vectors_ID, profiles, whole.rows(slice(len(rows), None)))
    parted = Parted(vectors_ID, task_I, effects, regressions, targets, ridges, profile_IK, chosen_S, seed)
    fits = zip(regressions, targets, ridges, strict=True)
    easy_F1, way_FK, task_FT, broad_DK = (one.coefficients(*of) for one, *of in fits)
    regression = Regression(centre_F, np.hstack([easy_F1, way_FK]), broad_DK, task_FT, parted.classifier())
    of_log = kinds(log, seed)
    known, new = parted.questions(), parted.kinds(of_log.group_I)
    correct_SK = log.correct_IK[chosen_S].astype(np.float64)
    weights, gain = _weighed(effects.level_K, correct_SK, known, new, of_log.rows(chosen_S))
    if network is not None:
        weights = _with_network(weights, effects.level_K, correct_SK, known, rows[chosen_S], network)
    return Fitted(features, regression, weights, len(chosen_S), gain, tasks)


def with_profiles(
    correct_IK: NDArray[np.floating], profiles: Profiles | None
) -> tuple[NDArray[np.floating], NDArray[np.floating] | None]:
    """Return an OutcomeMatrix of questions and, below them, accuracies of tasks, with their counts."""
    if profiles is None or not len(profiles.correct_TK):
        return correct_IK, None
    counts = np.concatenate([np.ones_like(correct_IK), profiles.count_TK.astype(correct_IK.dtype)])
    return np.concatenate([correct_IK, profiles.correct_TK.astype(correct_IK.dtype)]), counts


def _features(log: OutcomeMatrix) -> tuple[TextFeatures, Floats]:
    vectors_ID = np.asarray(log.vectors_ID, np.float32)
    texts = [text for text in log.instructions if text]
    features, of_texts = TextFeatures.fit(texts)
    of_all = np.zeros((len(vectors_ID), BUCKETS + COUNTS), np.float32)
    of_all[[place for place, text in enumerate(log.instructions) if text]] = of_texts
    return features, np.hstack([vectors_ID, of_all])


def _chosen(rows: NDArray[np.intp], network: NetworkReading | None, draw: np.random.Generator) -> NDArray[np.intp]:
    """Choose the rows on which weights are fitted: those that the network has read, and others."""
    order = draw.permutation(len(rows))
    if network is not None:
        order = order[np.argsort(~np.isin(rows[order], network.rows_S), kind="stable")]
    return np.sort(order[:WEIGHED])


def _classified(task_I: NDArray[np.integer]) -> NDArray[np.integer]:
    """Return the tasks, NO_TASK in place of the rarest where there are too many to tell apart."""
    count_T = np.bincount(task_I[task_I != NO_TASK])
    rare = np.argsort(-count_T, kind="stable")[CLASSIFIED:]
    return np.where(np.isin(task_I, rare), NO_TASK, task_I)


def _flat(centre_F: Floats, candidates: int) -> Regression:
    nothing = np.zeros((0, 0), np.float32)
    classifier = TaskClassifier.fit(nothing, np.zeros(0, np.int64), 0)
    return Regression(centre_F, np.zeros((0, 1 + candidates), np.float32), nothing, nothing, classifier)


def _unfitted() -> Weights:
    only_profiles = np.zeros(len(PARTS))
    only_profiles[-1] = PROFILE_WAY
    return Weights(only_profiles, only_profiles, (0.0, 0.0), np.zeros(3))


def _weighed(
    level_K: Array, correct_SK: Array, known: LeftOut, new: LeftOut, of_log: Kinds
) -> tuple[Weights, tuple[float, float]]:
    base_SK = np.broadcast_to(level_K, correct_SK.shape)
    known_P, shift, gain = _of_known(base_SK, known.parts_PSK, correct_SK)
    new_P, shift_of_new = _of_new(base_SK, new.parts_PSK, correct_SK, of_log)
    gate = fit_gate(known.gate_SG, new.gate_SG)
    # ways of known kinds may serve a new kind too, where kinds are alike
    weight_SP = new_P + sigmoid(gate[0] + new.gate_SG @ gate[1:])[:, None] * (known_P - new_P)
    through_SK = base_SK + np.einsum("sp,psk->sk", weight_SP, new.parts_PSK)
    held_SK = np.einsum("sp,psk->sk", known_P - weight_SP, new.parts_PSK)
    if way_scale(through_SK, held_SK, correct_SK, of_log.kind_I, scales=(1.0,)).worth > 0.0:
        gate = np.array([OPEN, *np.zeros(len(gate) - 1)])
    return Weights(known_P, new_P, (shift, shift_of_new), gate), gain


def _of_known(base_SK: Array, parts_PSK: Floats, correct_SK: Array) -> tuple[Array, float, tuple[float, float]]:
    """Return weights, shift and gain for questions of known kinds."""
    weight_P, shift = fit_weights(base_SK, parts_PSK, correct_SK)
    spread_SK = base_SK + weight_P[0] * parts_PSK[0]
    way_SK = np.tensordot(weight_P[FROM_WAY:], parts_PSK[FROM_WAY:], 1)
    fitted = way_scale(spread_SK, way_SK, correct_SK)
    weight_P[FROM_WAY:] *= fitted.scale
    if len(correct_SK) < ENOUGH:
        alike_SK = parts_PSK[FROM_WAY:].sum(axis=0)
        trusted = TRUSTED * (1.0 - len(correct_SK) / ENOUGH)
        alike = way_scale(spread_SK, alike_SK, correct_SK, scales=(1.0,), trusted=trusted)
        if alike.worth > fitted.worth:
            weight_P[FROM_WAY:] = alike.scale
            return weight_P, shift, alike.gain
    return weight_P, shift, fitted.gain


def _of_new(base_SK: Array, parts_PSK: Floats, correct_SK: Array, of_log: Kinds) -> tuple[Array, float]:
    """Return weights and shift for questions of new kinds; of ways by stored questions, those that are broad."""
    weight_P, shift = fit_weights(base_SK, parts_PSK, correct_SK)
    spread_SK = base_SK + weight_P[0] * parts_PSK[0]
    if of_log.are_tasks:
        weight_P[FROM_WAY:-1] = 0.0
    way_SK = np.tensordot(weight_P[FROM_WAY:], parts_PSK[FROM_WAY:], 1)
    weight_P[FROM_WAY:] *= way_scale(spread_SK, way_SK, correct_SK, of_log.kind_I).scale
    if of_log.are_tasks:
        broad_SK = BROADLY * parts_PSK[BROAD]
        if way_scale(spread_SK, broad_SK, correct_SK, scales=(1.0,), trusted=TRUSTED).worth > 0.0:
            weight_P[BROAD] = BROADLY
    return weight_P, shift


def _with_network(
    weights: Weights,
    level_K: Array,
    correct_SK: Array,
    known: LeftOut,
    rows_S: NDArray[np.intp],
    network: NetworkReading,
) -> Weights:
    place = {row: at for at, row in enumerate(rows_S.tolist())}
    mine = [at for at, row in enumerate(network.rows_S.tolist()) if row in place]
    chosen = [place[int(network.rows_S[at])] for at in mine]
    way_NK = network.log_odds_SK[mine] - network.reference_S[mine, None]
    mean, mean_K = float(network.reference_S[mine].mean()), way_NK.mean(axis=0)
    easiness_NK = np.broadcast_to((network.reference_S[mine] - mean)[:, None], way_NK.shape)
    base_NK = level_K + weights.shift[0] + np.tensordot(weights.known_P, known.parts_PSK[:, chosen], 1)
    both_2NK, correct_NK = np.stack([easiness_NK, way_NK - mean_K]), correct_SK[chosen]
    if not _is_worth_reading(base_NK, both_2NK, correct_NK):
        return weights
    (easy, way), _ = fit_weights(base_NK, both_2NK, correct_NK)
    way *= way_scale(base_NK, way * both_2NK[1], correct_NK).scale
    return weights._replace(network=(float(easy), float(way)), network_mean=mean, network_mean_K=mean_K)


def _is_worth_reading(base_NK: Array, both_2NK: Array, correct_NK: Array) -> bool:
    """Return True if the network saves enough of the log-loss on questions that its weights were not fitted on."""
    known_NK, half_N = ~np.isnan(correct_NK), np.arange(len(base_NK)) % 2
    alone = together = 0.0
    for half in (0, 1):
        there, other = half_N == half, half_N != half
        weight_2, _ = fit_weights(base_NK[other], both_2NK[:, other], correct_NK[other])
        read_NK = base_NK[there] + np.tensordot(weight_2, both_2NK[:, there], 1)
        known, y = known_NK[there], correct_NK[there][known_NK[there]]
        alone += log_loss(base_NK[there][known], y)
        together += log_loss(read_NK[known], y)
    return alone - together >= WORTH_READING * alone
