"""Translated questions are complete, are told as foreign, and are compared question by question."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.languages import ORIGINAL, correlation, translations
from cit_core.runtime import OnnxScorer


def test_every_question_stands_in_every_language_once() -> None:
    questions = translations()
    assert list(questions) == [ORIGINAL, "de", "zh", "ru"]
    assert {len(set(texts)) for texts in questions.values()} == {40}
    texts = [text for texts in questions.values() for text in texts]
    assert len(set(texts)) == len(texts), "none was left as it is"


@pytest.mark.parametrize(
    ("language", "least", "most"), [(ORIGINAL, 0, 0), ("de", 38, 40), ("zh", 38, 40), ("ru", 38, 40)]
)
def test_nearly_all_translations_are_told_as_foreign_and_no_original(language: str, least: int, most: int) -> None:
    scorer = OnnxScorer("mini")
    assert least <= sum(not scorer.reads(text) for text in translations()[language]) <= most


def test_an_interval_holds_its_correlation_and_narrows_with_questions() -> None:
    draw = np.random.default_rng(0)
    one_N, other_N = draw.normal(size=(2, 400))
    mixed_N = one_N + other_N
    found, low, high = correlation(one_N, mixed_N)
    assert low < found < high
    assert found == pytest.approx(0.5**0.5, abs=0.08)
    _, lower, higher = correlation(one_N[:40], mixed_N[:40])
    assert higher - lower > 2.0 * (high - low)
    assert correlation(one_N, one_N) == pytest.approx((1.0, 1.0, 1.0))
