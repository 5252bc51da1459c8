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
