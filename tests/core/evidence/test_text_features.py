"""Features of texts: the same for one and for many, scaled by the log, blind to nothing that matters."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cit_core.evidence.text_features import BUCKETS, COUNTS, N_GRAM_WEIGHT, TextFeatures

TEXTS = ("What is 2 + 2?", "def add(a, b): return a + b", "Who wrote Faust?", "¿Qué hora es? 現在幾點")
FITTED, _ = TextFeatures.fit(TEXTS)


def test_one_text_has_the_features_that_it_has_among_many() -> None:
    features, of_all = TextFeatures.fit(TEXTS)
    assert of_all.shape == (4, BUCKETS + COUNTS)
    for text, row in zip(TEXTS, of_all, strict=True):
        np.testing.assert_allclose(features(text), row, rtol=1e-6)


def test_n_grams_have_one_length_and_shared_words_are_near() -> None:
    _, of_all = TextFeatures.fit([*TEXTS, "Who wrote Hamlet?"])
    n_grams = of_all[:, :BUCKETS]
    np.testing.assert_allclose(np.linalg.norm(n_grams, axis=1), N_GRAM_WEIGHT, rtol=1e-5)
    nearness = n_grams @ n_grams[4]
    assert nearness[2] == max(nearness[:4])


@given(st.text(max_size=400))
def test_any_text_has_finite_features(text: str) -> None:
    assert np.isfinite(FITTED(text)).all()


def test_no_text_at_all_and_a_very_long_one() -> None:
    features, of_none = TextFeatures.fit([])
    assert of_none.shape == (0, BUCKETS + COUNTS)
    assert np.isfinite(features("")).all()
    assert np.isfinite(features("word " * 100_000)).all()


def test_what_is_said_of_pictures_counts_beside_the_question_and_does_not_drown_it() -> None:
    asked = "Which bar is the longest?"
    pictured = f"{asked}\n\n[picture: bar chart, wide]\n" + "A bar chart of the sales of shoes in every country. " * 20
    other = f"{asked}\n\n[picture: map, square]\nA map."
    features, (alone, one, two, *_) = TextFeatures.fit([asked, pictured, other, *TEXTS])
    np.testing.assert_allclose(features(pictured), one, rtol=1e-5, atol=1e-6)
    n_grams = [row[:BUCKETS] / N_GRAM_WEIGHT for row in (alone, one, two)]
    assert 0.7 < n_grams[0] @ n_grams[1] < 0.98
    assert n_grams[1] @ n_grams[2] < 0.98
    np.testing.assert_array_equal(alone[BUCKETS:], one[BUCKETS:])
