"""Evidence corrects a network where it has something to say, and nowhere else.

The arithmetic is compared with the formula of the module's docstring, written out in loops.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from outcome_tables import numbered_matrix

from cit_core.calibration import sigmoid
from cit_core.errors import InvalidInput
from cit_core.evidence import NO_TASK, Evidence, EvidenceScorer, EvidenceSettings
from cit_core.evidence import scorer as evidence_module
from cit_core.evidence.effects import fit_effects
from cit_core.evidence.fitting import fit_settings
from cit_core.evidence.task_classifier import TaskClassifier
from cit_core.outcomes import OutcomeMatrix
from cit_core.records import Candidate, Capability

NAMES = ("a", "b", "c")


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def random_outcomes(
    questions: int = 40, width: int = 6, tasks: int = 3, seed: int = 0, measured: float = 0.8
) -> OutcomeMatrix:
    draw = np.random.default_rng(seed)
    correct = (draw.random((questions, len(NAMES))) < 0.6).astype(float)
    correct[draw.random(correct.shape) > measured] = np.nan
    return numbered_matrix(
        unit(draw.normal(size=(questions, width))), draw.integers(NO_TASK, tasks, questions), correct, NAMES
    )


def by_the_formula(
    outcomes: OutcomeMatrix, chosen: EvidenceSettings, network: Sequence[float], vector: NDArray[np.floating]
) -> list[float]:
    """The docstring, one number at a time."""
    level, easiness, way = fit_effects(outcomes, chosen.task)
    cosine = [float(v @ vector) for v in outcomes.vectors_ID.astype(np.float32)]
    floor = 1.0 - chosen.bandwidth
    if len(cosine) > chosen.neighbours:
        floor = max(floor, sorted(cosine)[-chosen.neighbours])
    floor = min(floor, 0.95)
    weight = [min(1.0, max(0.0, (c - floor) / (1.0 - floor))) for c in cosine]
    total = sum(weight)
    found = []
    for k, n in enumerate(network):
        if total == 0.0 or np.isnan(outcomes.correct_IK[:, k]).all():
            found.append(n)
            continue
        answers = int((~np.isnan(outcomes.correct_IK[:, k])).sum())
        trust = answers / (answers + 30)
        a, c = trust * total / (total + chosen.difficulty), trust * total / (total + 1.0)
        b = sum(w * e for w, e in zip(weight, easiness, strict=True)) / total
        delta = sum(w * way[t, k] for w, t in zip(weight, outcomes.task_I, strict=True)) / total
        if chosen.task_from == "classifier":
            shares = TaskClassifier(outcomes.vectors_ID, outcomes.task_I).probabilities(vector)
            delta = sum(share * way[t, k] for t, share in enumerate(shares)) + (1.0 - sum(shares)) * delta
        above, below = 0.0, chosen.local
        for i, w in enumerate(weight):
            y = outcomes.correct_IK[i, k]
            if not math.isnan(y):
                p = 1.0 / (1.0 + math.exp(-(level[k] + easiness[i] + way[outcomes.task_I[i], k])))
                above += w * (y - p)
                below += w * p * (1.0 - p)
        found.append(n + a * (level[k] + b - n) + c * delta + above / below)
    return found


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    neighbours=st.sampled_from([3, 10, 100]),
    bandwidth=st.sampled_from([0.3, 0.7, 1.0]),
    difficulty=st.sampled_from([1.0, 100.0]),
    task_from=st.sampled_from(["neighbours", "classifier"]),
)
def test_the_update_is_the_formula(
    seed: int, neighbours: int, bandwidth: float, difficulty: float, task_from: Any
) -> None:
    outcomes = random_outcomes(seed=seed)
    chosen = EvidenceSettings(neighbours, bandwidth, difficulty, task=3.0, local=2.0, task_from=task_from)
    draw = np.random.default_rng(seed + 1)
    vectors, network = unit(draw.normal(size=(3, 6))), draw.normal(size=(3, 3))
    updated = Evidence(outcomes, chosen).update(network, vectors, NAMES)
    for row, before, vector in zip(updated, network, vectors, strict=True):
        assert row == pytest.approx(by_the_formula(outcomes, chosen, before, vector), abs=1e-4)


def test_without_evidence_the_score_is_the_networks_bit_for_bit() -> None:
    network = np.random.default_rng(0).normal(size=(4, 3))
    vectors = unit(np.eye(6)[:4])
    nothing = random_outcomes(questions=0)
    assert (Evidence(nothing).update(network, vectors, NAMES) == network).all()
    unheard_of = Evidence(random_outcomes()).update(network, vectors, ("x", "y", "z"))
    assert (unheard_of == network).all()
    never_measured = random_outcomes()
    never_measured.correct_IK[:, 1] = np.nan
    updated = Evidence(never_measured).update(network, vectors, NAMES)
    assert (updated[:, 1] == network[:, 1]).all()
    assert (updated[:, [0, 2]] != network[:, [0, 2]]).all()


def test_questions_outside_the_bandwidth_say_nothing() -> None:
    outcomes = replace(random_outcomes(), vectors_ID=unit(np.tile([1.0, 0, 0, 0, 0, 0], (40, 1))))
    evidence = Evidence(outcomes, EvidenceSettings(bandwidth=0.5))
    network = np.array([[0.3, -0.2, 1.1]])
    assert (evidence.update(network, unit(np.array([[0.0, 1, 0, 0, 0, 0]])), NAMES) == network).all()
    assert (evidence.update(network, unit(np.array([[1.0, 1, 0, 0, 0, 0]])), NAMES) != network).all()
    assert (network == [[0.3, -0.2, 1.1]]).all(), "the network's own array is left alone"


def test_who_else_takes_part_changes_nobodys_score() -> None:
    evidence, draw = Evidence(random_outcomes()), np.random.default_rng(3)
    network, vectors = draw.normal(size=(5, 3)), unit(draw.normal(size=(5, 6)))
    together = evidence.update(network, vectors, NAMES)
    turned = evidence.update(network[:, [2, 0]], vectors, ("c", "a"))
    assert turned == pytest.approx(together[:, [2, 0]], abs=1e-6)


def test_whoever_was_right_around_here_gains_and_whoever_was_wrong_loses() -> None:
    """Two candidates of the same level, each good at its own kind of question."""
    vectors = unit(np.repeat(np.eye(2), 30, axis=0) + 0.05 * np.random.default_rng(0).normal(size=(60, 2)))
    first_kind = np.arange(60) < 30
    correct = np.stack([first_kind, ~first_kind], axis=1).astype(float)
    for task_I in (np.full(60, NO_TASK), np.where(first_kind, 0, 1)):
        evidence = Evidence(numbered_matrix(vectors, task_I, correct, ("a", "b")))
        here, there = evidence.update(np.zeros((2, 2)), np.eye(2, dtype=np.float32), ("a", "b"))
        assert here[0] > 0.5 > -0.5 > here[1]
        assert there[1] > 0.5 > -0.5 > there[0]


def test_more_evidence_of_hardness_moves_everyone_further_from_the_network() -> None:
    vectors = unit(np.tile([1.0, 0.0], (200, 1)))
    easy_elsewhere = unit(np.tile([0.0, 1.0], (200, 1)))
    moved = []
    for hard in (5, 50, 200):
        stored = np.concatenate([vectors[:hard], easy_elsewhere])
        correct = np.concatenate([np.zeros((hard, 2)), np.ones((200, 2))])
        evidence = Evidence(numbered_matrix(stored, np.full(len(stored), NO_TASK), correct, ("a", "b")))
        moved.append(float(evidence.update(np.ones((1, 2)), vectors[:1], ("a", "b"))[0, 0]))
    assert 1.0 > moved[0] > moved[1] > moved[2]


def test_the_shortlist_finds_the_neighbours_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(50, 64))
    vectors = unit(np.repeat(centres, 40, axis=0) + 0.3 * draw.normal(size=(2000, 64)))
    outcomes = numbered_matrix(
        vectors, np.full(2000, NO_TASK), draw.integers(0, 2, (2000, 2)).astype(float), ("a", "b")
    )
    chosen = EvidenceSettings(neighbours=30)
    whole = Evidence(outcomes, chosen)
    monkeypatch.setattr(evidence_module, "SHORTLIST_FROM", 100)
    short = Evidence(outcomes, chosen)
    for query in unit(centres[:10] + 0.3 * draw.normal(size=(10, 64))):
        rows, weights = whole.neighbours(query)
        found, also = short.neighbours(query)
        assert dict(zip(found.tolist(), also.tolist(), strict=True)) == pytest.approx(
            dict(zip(rows.tolist(), weights.tolist(), strict=True)), abs=2e-3
        )
        assert len(rows) == 29, "the last neighbour marks the end of the kernel"


def test_the_same_question_has_full_weight() -> None:
    outcomes = random_outcomes()
    rows, weights = Evidence(outcomes).neighbours(outcomes.vectors_ID[7])
    assert weights[rows.tolist().index(7)] == pytest.approx(1.0, abs=1e-6)
    assert weights.max() <= 1.0


def test_settings_must_be_positive_numbers() -> None:
    with pytest.raises(InvalidInput, match="bandwidth above 0 and finite, got nan"):
        EvidenceSettings(bandwidth=float("nan"))
    with pytest.raises(InvalidInput, match="neighbours above 0 and finite, got 0"):
        EvidenceSettings(neighbours=0)
    with pytest.raises(InvalidInput, match="task_from neighbours or classifier, got 'oracle'"):
        EvidenceSettings(task_from="oracle")  # type: ignore[arg-type]


# -- effects ----------------------------------------------------------------------------------------------------------


def simulated(questions: int = 600, seed: int = 0) -> tuple[OutcomeMatrix, NDArray[np.float64]]:
    """Six candidates, ten tasks; candidates differ in level and in how they do on each task."""
    draw = np.random.default_rng(seed)
    level, easiness = np.linspace(-1.5, 1.5, 6), draw.normal(size=questions)
    way, task = draw.normal(scale=0.7, size=(10, 6)), draw.integers(0, 10, questions)
    way -= way.mean(axis=1, keepdims=True)
    odds = level + easiness[:, None] + way[task]
    correct = (draw.random(odds.shape) < sigmoid(odds)).astype(float)
    centres = np.eye(10)[task] + 0.1 * draw.normal(size=(questions, 10))
    return numbered_matrix(unit(centres), task, correct, tuple("abcdef")), level + easiness[:, None]


def test_effects_are_those_that_made_the_outcomes() -> None:
    outcomes, _ = simulated(3000)
    level, easiness, way = fit_effects(outcomes, 3.0)
    assert np.corrcoef(level, np.linspace(-1.5, 1.5, 6))[0, 1] > 0.97  # levels also hold the mean way
    rates = np.nanmean(outcomes.correct_IK, axis=1)
    assert np.corrcoef(easiness, rates)[0, 1] > 0.9
    assert (way[NO_TASK] == 0.0).all()
    residual = [outcomes.correct_IK[outcomes.task_I == t].mean(0) - outcomes.correct_IK.mean(0) for t in range(10)]
    centred = way[:-1] - way[:-1].mean(axis=1, keepdims=True)
    assert np.corrcoef(centred.ravel(), (residual - np.mean(residual, axis=1, keepdims=True)).ravel())[0, 1] > 0.95


def test_a_heavier_ridge_means_smaller_ways_and_what_is_not_known_is_left_out() -> None:
    outcomes, _ = simulated()
    assert np.abs(fit_effects(outcomes, 100.0).way_TK).max() < np.abs(fit_effects(outcomes, 3.0).way_TK).max()
    padded = numbered_matrix(
        np.concatenate([outcomes.vectors_ID, outcomes.vectors_ID[:5]]),
        np.concatenate([outcomes.task_I, outcomes.task_I[:5]]),
        np.concatenate([outcomes.correct_IK, np.full((5, 6), np.nan)]),
        outcomes.candidates,
    )
    for one, other in zip(fit_effects(outcomes, 3.0), fit_effects(padded, 3.0), strict=True):
        assert other[: len(one)] == pytest.approx(one, abs=1e-4)


# -- fitting ----------------------------------------------------------------------------------------------------------


def test_fitted_settings_help_where_tasks_matter() -> None:
    outcomes, prior = simulated()
    fit = fit_settings(outcomes, prior)
    assert fit.helps
    assert fit.gain[0] > 0.01
    assert fit.asked_N.tolist() == list(range(600))
    loss = np.logaddexp(0.0, fit.predicted_NK) - outcomes.correct_IK * fit.predicted_NK
    assert fit.loss_N == pytest.approx(loss.mean(axis=1))
    again = fit_settings(outcomes, prior)
    assert (again.settings, again.gain) == (fit.settings, fit.gain)


def test_a_classifier_is_chosen_where_it_tells_tasks_apart_and_neighbours_do_not() -> None:
    """Two tasks that differ along one quiet direction among nineteen loud ones, and candidates that each can do one."""
    draw = np.random.default_rng(0)
    task_I = draw.integers(0, 2, 600)
    vectors = draw.normal(size=(600, 20))
    vectors[:, 0] = 0.2 * vectors[:, 0] + np.where(task_I == 1, 0.5, -0.5)
    can = np.where(task_I[:, None] == np.arange(2), 0.9, 0.2)
    correct = (draw.random(can.shape) < can).astype(float)
    fit = fit_settings(numbered_matrix(unit(vectors), task_I, correct, ("a", "b")), np.zeros((600, 2)))
    assert fit.settings.task_from == "classifier"
    assert fit.gain[0] > 0.05


def test_where_there_is_nothing_to_learn_little_is_believed() -> None:
    draw = np.random.default_rng(0)
    vectors, prior = unit(draw.normal(size=(400, 10))), draw.normal(size=(400, 4))
    correct = (draw.random(prior.shape) < sigmoid(prior)).astype(float)
    fit = fit_settings(numbered_matrix(vectors, np.full(400, NO_TASK), correct, tuple("abcd")), prior)
    assert fit.settings.difficulty == 3000.0
    assert not fit.helps
    assert fit.gain[0] > -0.01


def test_only_questions_with_log_odds_are_asked_and_fifty_are_needed() -> None:
    outcomes, prior = simulated()
    prior[60:] = np.nan
    assert fit_settings(outcomes, prior).asked_N.tolist() == list(range(60))
    prior[49:] = np.nan
    with pytest.raises(InvalidInput, match=r"at least 50 questions .* 49 have both"):
        fit_settings(outcomes, prior)


# -- as a scorer ------------------------------------------------------------------------------------------------------


class FakeReader:
    """Log-odds of 0 for everyone; a text's vector is its first letter's axis."""

    name, max_tokens, encoder = "fake", 7, "letters"

    def read(
        self, instructions: Sequence[str], capabilities: Sequence[Capability]
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        vectors = np.eye(2, dtype=np.float32)[["xy".index(text[0]) for text in instructions]]
        return np.zeros((len(instructions), len(capabilities))), vectors


def test_the_scorer_gives_probabilities_and_says_what_it_is() -> None:
    stored = numbered_matrix(
        np.eye(2, dtype=np.float32).repeat(20, axis=0),
        np.full(40, NO_TASK),
        np.stack([np.arange(40) < 20, np.arange(40) >= 20], axis=1).astype(float),
        ("a", "b"),
    )
    scorer = EvidenceScorer(FakeReader(), Evidence(stored))
    zoo = [Capability(candidate=Candidate(id=id_)) for id_ in ("b", "new", "a")]
    scores = scorer.score(["x?", "y?"], zoo)
    assert scores[0, 2] > 0.6 > 0.4 > scores[0, 0]
    assert scores[1, 0] > 0.6 > 0.4 > scores[1, 2]
    assert scores[:, 1].tolist() == [0.5, 0.5]
    assert (scorer.name, scorer.max_tokens) == ("fake+evidence", 7)


def test_any_number_of_copies_of_a_question_speaks() -> None:
    for copies in (10, 399, 400, 1000):
        vectors = np.tile(np.array([[1.0, 0.0]], np.float32), (copies, 1))
        correct = np.tile([[0.0, 1.0]], (copies, 1))
        evidence = Evidence(numbered_matrix(vectors, np.full(copies, NO_TASK), correct, ("a", "b")))
        a, b = evidence.update(np.zeros((1, 2)), vectors[:1], ("a", "b"))[0]
        assert b > 0.03 > -0.03 > a, copies


def test_one_outcome_does_not_move_a_candidate_everywhere() -> None:
    outcomes, _ = simulated(1000)
    newcomer = np.full((1000, 1), np.nan)
    newcomer[0] = 1.0
    known = replace(
        outcomes,
        correct_IK=np.concatenate([outcomes.correct_IK, newcomer], axis=1),
        candidates=(*outcomes.candidates, "new"),
    )
    evidence = Evidence(known, EvidenceSettings(neighbours=50, difficulty=1.0, task=1.0, local=1.0))
    elsewhere = outcomes.vectors_ID[outcomes.task_I != outcomes.task_I[0]][:50]
    moved = evidence.update(np.zeros((50, 1)), elsewhere, ("new",))
    assert np.abs(moved).max() < 0.25
