"""Evidence routes by what happened on similar questions, and by the plain level where that tells nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from cit_core.calibration import sigmoid
from cit_core.evidence import (
    Evidence,
    EvidenceScorer,
    NetworkReading,
    Profiles,
    fit_effects,
    fit_evidence,
    fitting,
)
from cit_core.evidence.serialization import from_json, to_json
from cit_core.outcomes import UNASSIGNED, OutcomeMatrix
from cit_core.records import Candidate, Capability

NAMES = ("a", "b", "c")
WORDS = ("contract court tort", "python loop compile", "artery fever dosage")


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def asked(number: int, seed: int) -> tuple[NDArray[np.intp], NDArray[np.float32], tuple[str, ...]]:
    """Questions of three kinds, by turns: kinds, vectors and texts."""
    draw, kind = np.random.default_rng(seed), np.arange(number) % 3
    vectors = unit(np.eye(16)[kind] + 0.25 * draw.normal(size=(number, 16)))
    return kind, vectors, tuple(f"{WORDS[k]} {n}" for n, k in enumerate(kind))


def matrix(
    vectors: NDArray[np.floating], kind: NDArray[np.integer], correct: NDArray[np.floating], texts: Sequence[str]
) -> OutcomeMatrix:
    return OutcomeMatrix(
        item_ids=tuple(f"{row:04}" for row in range(len(correct))),
        candidates=NAMES,
        correct_IK=correct,
        tasks=tuple(f"kind {k}" for k in kind),
        instructions=tuple(texts),
        vectors_ID=vectors,
    )


def specialists(number: int = 300, seed: int = 0, best: float = 0.95, rest: float = 0.45) -> OutcomeMatrix:
    draw = np.random.default_rng(seed)
    kind, vectors, texts = asked(number, seed)
    chance = np.where(kind[:, None] == np.arange(3), best, rest)
    return matrix(vectors, kind, (draw.random(chance.shape) < chance).astype(float), texts)


def unrelated(number: int = 300, seed: int = 0) -> OutcomeMatrix:
    """One candidate is better throughout; questions say nothing."""
    draw = np.random.default_rng(seed)
    kind, vectors, texts = asked(number, seed)
    correct = (draw.random((number, 3)) < [0.6, 0.5, 0.4]).astype(np.float32)
    return matrix(vectors, kind, correct, texts)


def routed(evidence: Evidence, seed: int = 9) -> float:
    """Share of fresh questions that go to the specialist of their kind."""
    kind, vectors, texts = asked(300, seed)
    return float((evidence.log_odds(vectors, texts).argmax(axis=1) == kind).mean())


@pytest.mark.parametrize("labelled", [True, False], ids=["with tasks", "without tasks"])
def test_specialists_get_their_questions(labelled: bool) -> None:
    log = specialists()
    log = log if labelled else replace(log, tasks=(UNASSIGNED,) * 300)
    assert routed(Evidence(log)) > 0.97


def test_specialists_are_told_apart_without_texts_too() -> None:
    assert routed(Evidence(replace(specialists(), instructions=(), questions=()))) > 0.97


def test_probabilities_mean_what_they_say() -> None:
    _, vectors, texts = asked(600, 5)
    fresh = specialists(600, 5)
    predicted = sigmoid(Evidence(specialists(600)).log_odds(vectors, texts))
    for low, high in ((0.0, 0.6), (0.8, 1.0)):
        inside = (predicted >= low) & (predicted < high)
        assert abs(predicted[inside].mean() - fresh.correct_IK[inside].mean()) < 0.06


@pytest.mark.parametrize("seed", range(5))
def test_where_questions_say_nothing_the_plain_level_routes(seed: int) -> None:
    log = unrelated(seed=seed)
    _, vectors, texts = asked(300, 100 + seed)
    best = log.correct_IK.mean(axis=0).argmax()
    assert (Evidence(log).log_odds(vectors, texts).argmax(axis=1) == best).mean() > 0.97


@pytest.mark.parametrize("number", [0, 1, 2, 5, 7])
def test_a_handful_of_answers_is_enough_to_route_by_the_level(number: int) -> None:
    log = unrelated(number)
    _, vectors, texts = asked(20, 3)
    found = Evidence(log).log_odds(vectors, texts)
    assert np.isfinite(found).all()
    if number:
        level = fit_effects(log.correct_IK).level_K
        assert (found.argmax(axis=1) == level.argmax()).all()


def test_a_question_unlike_anything_stored_goes_by_the_level() -> None:
    draw = np.random.default_rng(0)
    log = specialists(600)
    log.correct_IK[:, 2] = draw.random(600) < 0.75  # who is best over all
    evidence = Evidence(log)
    far = unit(-log.vectors_ID[:60].sum(axis=0) + 0.2 * draw.normal(size=(60, 16)))
    chosen = evidence.log_odds(far, ["zzz"] * 60).argmax(axis=1)
    assert (chosen == fit_effects(log.correct_IK).level_K.argmax()).mean() > 0.9


def test_tasks_that_differ_in_their_form_alone_are_told_apart() -> None:
    """Vectors say nothing of the task; what the texts look like does."""
    draw = np.random.default_rng(0)
    log, fresh = specialists(600), specialists(300, 5)
    log = replace(log, vectors_ID=unit(draw.normal(size=(600, 16))))
    found = Evidence(log).log_odds(unit(draw.normal(size=(300, 16))), fresh.instructions)
    assert (found.argmax(axis=1) == np.arange(300) % 3).mean() > 0.95


def kinds_alike(number: int, seed: int, alike: bool) -> OutcomeMatrix:
    """Twelve tasks of a topic and a form; who is best goes by the form, or nothing tells it."""
    draw, task = np.random.default_rng(seed), np.arange(number) % 12
    topic, form = task // 2, task % 2
    vectors = unit(np.eye(16)[topic] + np.eye(16)[8 + form] + 0.2 * draw.normal(size=(number, 16)))
    best = form if alike else draw.integers(0, 2, 12)[task]
    chance = np.where(best[:, None] == [0, 1, 2], 0.9, [0.5, 0.5, 0.55])
    correct = (draw.random((number, 3)) < chance).astype(float)
    return matrix(
        vectors, task, correct, [f"{'list' if f else 'prove'} topic{t}" for t, f in zip(topic, form, strict=True)]
    )


def test_the_gate_opens_where_kinds_left_out_are_routed_surely_better() -> None:
    for alike in (True, False):
        log = kinds_alike(1200, 0, alike)
        seen = log.rows(np.flatnonzero(np.arange(1200) % 12 < 10))
        new = log.rows(np.flatnonzero(np.arange(1200) % 12 >= 10))
        found = Evidence(seen).log_odds(np.asarray(new.vectors_ID), new.instructions).argmax(axis=1)
        right = new.correct_IK[np.arange(len(found)), found].mean()
        assert right > (0.8 if alike else new.correct_IK.mean(axis=0).max() - 0.05)


def test_what_many_kinds_share_is_expected_of_a_new_one() -> None:
    """Who is better goes by one direction of the vectors, in which ten tasks lie by degrees; an eleventh is new."""
    draw = np.random.default_rng(3)

    def asked_of(tasks: Sequence[int], number: int) -> OutcomeMatrix:
        task = np.array([tasks[row % len(tasks)] for row in range(number)])
        side = np.where(task % 2, 1.0, -1.0)
        vectors = unit(
            0.6 * np.eye(16)[task] + 0.5 * side[:, None] * np.eye(16)[15] + 0.1 * draw.normal(size=(number, 16))
        )
        chance = 0.55 + side[:, None] * [[0.3, -0.3, 0.0]] + [[0.0, 0.0, 0.1]]
        correct = (draw.random((number, 3)) < chance).astype(float)
        return matrix(vectors, task, correct, [f"kind{t} says {n}" for n, t in enumerate(task)])

    log, new = asked_of(range(10), 1500), asked_of([10, 11], 300)
    chosen = Evidence(log).log_odds(np.asarray(new.vectors_ID), new.instructions).argmax(axis=1)
    level = new.correct_IK[:, fit_effects(log.correct_IK).level_K.argmax()].mean()
    assert new.correct_IK[np.arange(300), chosen].mean() > level + 0.1


def test_what_is_kept_says_what_was_fitted() -> None:
    log = kinds_alike(240, 1, True)
    fitted = fit_evidence(log)
    kept = json.loads(json.dumps(to_json(fitted, log.candidates)))
    again = from_json(kept, log.candidates)
    assert again is not None
    assert again.tasks == fitted.tasks == log.task_ids
    vectors = np.asarray(log.vectors_ID)
    odds = [Evidence(log, one).log_odds(vectors, log.instructions) for one in (fitted, again)]
    assert odds[0] == pytest.approx(odds[1], abs=0.03)


def test_a_log_of_very_many_tasks_is_told_apart_by_those_with_most_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "CLASSIFIED", 2)
    log = specialists(400).rows(np.arange(400)[np.arange(400) % 12 != 2])
    fitted = fit_evidence(log)
    assert fitted.regression.classifier.known_T.tolist() == [True, True, False]
    assert routed(Evidence(log, fitted)) > 0.9


def test_profiles_of_tasks_count_without_any_question() -> None:
    nothing = specialists().rows([])
    right = np.where(np.eye(3, dtype=bool), 0.95, 0.08)
    evidence = Evidence(nothing, profiles=Profiles(np.eye(16)[:3], right, np.full((3, 3), 40.0)))
    assert set(evidence.candidates) == set(NAMES)
    assert routed(evidence) > 0.97


def test_who_is_not_known_keeps_the_network_and_nobody_changes_anybody() -> None:
    log = specialists()
    log.correct_IK[:, 1] = np.nan
    evidence = Evidence(log)
    _, vectors, texts = asked(6, 2)
    network, reference = np.random.default_rng(0).normal(size=(6, 3)), np.zeros(6)
    together = evidence.update(network, reference, vectors, texts, ("c", "b", "stranger"))
    np.testing.assert_array_equal(together[:, 1:], network[:, 1:])
    alone = evidence.update(network[:, :1], reference, vectors, texts, ("c",))
    np.testing.assert_array_equal(alone[:, 0], together[:, 0])
    assert set(evidence.candidates) == {"a", "c"}


def test_a_network_that_tells_is_believed_and_one_that_does_not_is_not() -> None:
    draw = np.random.default_rng(0)
    log = unrelated(300)
    secret = draw.normal(size=300)  # in no vector and no text
    correct = (draw.random((300, 3)) < sigmoid(2.0 * secret)[:, None]).astype(np.float32)
    log, rows = replace(log, correct_IK=correct), np.arange(300)
    told = NetworkReading(rows, np.repeat(secret[:, None], 3, axis=1), secret)
    easy, _ = fit_evidence(log, network=told).weights.network
    assert easy > 1.0
    noise = draw.normal(size=300)
    easy, _ = fit_evidence(log, network=NetworkReading(rows, np.repeat(noise[:, None], 3, 1), noise)).weights.network
    assert easy == 0.0


def test_a_log_with_gaps_is_fitted() -> None:
    log = specialists(900)
    log.correct_IK[np.random.default_rng(1).random((900, 3)) < 0.66] = np.nan
    assert routed(Evidence(log)) > 0.9


class FakeReader:
    """Everyone has an even chance; a text's vector is that of its kind."""

    name, max_tokens, encoder = "fake", 256, "kinds"

    def read(
        self, instructions: Sequence[str], capabilities: Sequence[Capability]
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        kind = [next(at for at, words in enumerate(WORDS) if text.startswith(words)) for text in instructions]
        return np.zeros((len(instructions), len(capabilities))), np.eye(16, dtype=np.float32)[kind]


def test_the_scorer_corrects_its_network() -> None:
    scorer = EvidenceScorer(FakeReader(), Evidence(specialists()))
    capabilities = [Capability(candidate=Candidate(id=id_)) for id_ in (*NAMES, "stranger")]
    found = scorer.score([f"{words} again" for words in WORDS], capabilities)
    assert found.shape == (3, 4)
    assert found[:, :3].argmax(axis=1).tolist() == [0, 1, 2]
    assert (found[:, 3] == 0.5).all()
    assert (scorer.name, scorer.max_tokens) == ("fake+evidence", 256)
