"""Lengths of answers are learned per query, stay right on average, and are the mean where nothing is learned."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from cit_core.evidence.answer_lengths import AnswerLengths, fit_answer_lengths, poisson_deviance

MODELS = ("brief", "reasoning", "constant")
MEAN = np.array([[40.0, 400.0, 7.0], [60.0, 4000.0, 7.0]])
"""Expected tokens by topic: proofs are hardly longer than small talk for one model, ten times as long for another."""


def log(items: int, seed: int = 0) -> tuple[NDArray[np.float64], list[str], NDArray[np.float64], NDArray[np.intp]]:
    """Return vectors, texts, tokens and topics of questions, with answers that vary by a factor of three."""
    draw = np.random.default_rng(seed)
    topic_I = draw.integers(0, 2, items)
    vectors_ID = np.eye(8)[topic_I] + 0.3 * draw.normal(size=(items, 8))
    vectors_ID /= np.linalg.norm(vectors_ID, axis=1, keepdims=True)
    texts = [f"{('Hello', 'Prove that')[topic]} {number}" for number, topic in enumerate(topic_I)]
    noise_IK = draw.lognormal(-0.5, 1.0, (items, 3)) * [1.0, 1.0, 0.0] + [0.0, 0.0, 1.0]
    return vectors_ID, texts, np.round(MEAN[topic_I] * noise_IK), topic_I


def fitted(items: int) -> AnswerLengths:
    vectors_ID, texts, tokens_IK, _ = log(items)
    found = fit_answer_lengths(vectors_ID, texts, tokens_IK, MODELS)
    assert found is not None
    return found


@pytest.mark.parametrize("items", [60, 800])
def test_expected_lengths_are_nearer_than_the_mean_and_add_up(items: int) -> None:
    vectors_ID, texts, tokens_IK, topic_I = log(2000, seed=1)
    mean_K = np.nanmean(log(items)[2], axis=0)
    ours_IK = mean_K * fitted(items).ratios(vectors_ID, texts, MODELS)
    saved = [
        poisson_deviance(tokens_IK[:, at], ours_IK[:, at]).sum()
        / poisson_deviance(tokens_IK[:, at], np.full(2000, mean_K[at])).sum()
        for at in (0, 1)
    ]
    assert saved[1] < (0.6 if items > 100 else 0.8)
    assert saved[0] < 1.05, "little is to be known of this model"
    assert ours_IK[:, 1].mean() == pytest.approx(MEAN[topic_I, 1].mean(), rel=0.35), "the mean, not the median"
    assert ours_IK[topic_I == 1, 1].mean() > 3.0 * ours_IK[topic_I == 0, 1].mean()


def test_a_model_whose_answers_never_differ_keeps_its_mean() -> None:
    vectors_ID, texts, _, _ = log(5, seed=1)
    assert fitted(400).ratios(vectors_ID, texts, ["constant"]) == pytest.approx(np.ones((5, 1)))


def test_an_unmeasured_model_gets_the_effect_of_all() -> None:
    vectors_ID, texts, _, topic_I = log(200, seed=1)
    ratio_N = fitted(400).ratios(vectors_ID, texts, ["new"])[:, 0]
    assert ratio_N[topic_I == 1].mean() > 1.3 * ratio_N[topic_I == 0].mean()


def test_a_decision_may_know_a_model_under_another_name() -> None:
    vectors_ID, texts, _, _ = log(5, seed=1)
    lengths = fitted(400)
    renamed = lengths.under({"openai:reasoning": "reasoning"}).ratios(vectors_ID, texts, ["openai:reasoning"])
    assert np.array_equal(renamed, lengths.ratios(vectors_ID, texts, ["reasoning"]))


def test_noise_and_few_answers_tell_nothing() -> None:
    draw = np.random.default_rng(0)
    vectors_ID, texts, tokens_IK, _ = log(300)
    of_chance = draw.lognormal(5.0, 1.0, (300, 3))
    found = fit_answer_lengths(vectors_ID, texts, of_chance, MODELS)
    if found is not None:
        assert np.abs(np.log(found.ratios(vectors_ID, texts, MODELS))).mean() < 0.1
    assert fit_answer_lengths(vectors_ID, texts, np.full((300, 3), np.nan), MODELS) is None
    assert fit_answer_lengths(vectors_ID[:10], texts[:10], tokens_IK[:10], MODELS) is None


def test_queries_that_each_model_answered_alone_are_enough_and_texts_may_be_missing() -> None:
    vectors_ID, texts, tokens_IK, topic_I = log(900)
    tokens_IK[np.arange(3)[None, :] != (np.arange(900) % 3)[:, None]] = np.nan
    lengths = fit_answer_lengths(
        vectors_ID, ["" if number % 2 else text for number, text in enumerate(texts)], tokens_IK, MODELS
    )
    assert lengths is not None
    ratio_N = lengths.ratios(vectors_ID, texts, ["reasoning"])[:, 0]
    assert ratio_N[topic_I == 1].mean() > 3.0 * ratio_N[topic_I == 0].mean()


def test_it_is_kept_as_json() -> None:
    vectors_ID, texts, _, _ = log(20, seed=1)
    lengths = fitted(300)
    again = AnswerLengths.from_json(json.loads(json.dumps(lengths.to_json())))
    assert again is not None
    assert again.ratios(vectors_ID, texts, MODELS) == pytest.approx(lengths.ratios(vectors_ID, texts, MODELS), rel=0.01)
    assert AnswerLengths.from_json(None) is None
    assert AnswerLengths.from_json({"format": 0}) is None
