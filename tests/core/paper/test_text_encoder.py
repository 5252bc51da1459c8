"""Vectors of any encoder: unit length, one a text, whatever else is in the batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tiny_paper import bert, tokenizer

from cit_core.paper.text_encoder import text_encoder


def test_a_text_has_the_same_unit_vector_in_any_batch(tmp_path: Path) -> None:
    bert().save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    encode = text_encoder(str(tmp_path), max_length=16)
    texts = ["law", "algebra history proof why", "", "energy \ud800 market"]
    vectors_ND = encode(texts)
    np.testing.assert_allclose(np.linalg.norm(vectors_ND, axis=1), 1.0, rtol=1e-5)
    for row, text in enumerate(texts):
        np.testing.assert_allclose(encode([text])[0], vectors_ND[row], atol=1e-5)
    assert encode([]).shape == (0, 32)
