"""Re-rankers read answers: one learns which are right, one compares them with the question."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_paper import SHAPE, bert, tokenizer
from transformers import BertConfig, BertForSequenceClassification

from cit_core.errors import InvalidInput
from cit_core.paper.reranker import Reranker

QUESTIONS = ["algebra", "law", "history"]
ANSWERS = [["proof why", "cell"], ["cell", "proof why"], ["cell cell", "proof"]]


def cross() -> Reranker:
    torch.manual_seed(0)
    quiet = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return Reranker(BertForSequenceClassification(BertConfig(**SHAPE, **quiet, num_labels=1)), tokenizer(), "cross", 32)


def test_a_cross_encoder_learns_which_answers_are_right() -> None:
    """Whatever says proof is right."""
    reranker = cross()
    pairs = [(asked, said) for asked in QUESTIONS for said in ("proof why", "cell", "proof", "cell cell")]
    losses = reranker.fit(
        *zip(*pairs, strict=True), [float("proof" in said) for _, said in pairs], steps=40, learning_rate=3e-3
    )  # type: ignore[misc]
    assert losses[-1] < 0.5 * losses[0]
    scores_NK = reranker.score(QUESTIONS, ANSWERS)
    assert scores_NK.argmax(axis=1).tolist() == [0, 1, 1]
    np.testing.assert_allclose(reranker.score(["law"], [["cell"]]), scores_NK[1:2, :1], rtol=1e-5)


def test_a_bi_encoder_prefers_the_answer_that_is_like_the_question(tmp_path: Path) -> None:
    bert().save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    reranker = Reranker.load(str(tmp_path), "bi", max_length=32)
    scores_NK = reranker.score(["algebra law"], [["cell market energy", "algebra law"]])
    assert scores_NK[0, 1] == pytest.approx(1.0 / (1.0 + np.exp(-10.0)), rel=1e-5)
    assert scores_NK[0, 1] > scores_NK[0, 0]
    assert reranker.score([], []).shape == (0, 0)


def test_what_cannot_learn_is_refused(tmp_path: Path) -> None:
    bert().save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    with pytest.raises(InvalidInput, match="got a bi encoder"):
        Reranker.load(str(tmp_path), "bi").fit(["a"], ["b"], [1.0])
    with pytest.raises(InvalidInput, match="1, 1 and 2"):
        cross().fit(["a"], ["b"], [1.0, 0.0])
