"""What is computed once for many texts is what the network would compute for each alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from cit_core.mini.features import States, encode_texts

TEXTS = ["law", "why solve the algebra proof", "", "a b c 7 " * 30, "name a cell", "unheard of", "energy, market"]


def test_vectors_come_in_order_and_do_not_depend_on_the_batch(exported: Any) -> None:
    together = encode_texts(exported.network, exported.tokenizer, TEXTS, batch=3)
    assert together.shape == (len(TEXTS), 32)
    for text, vector in zip(TEXTS, together, strict=True):
        alone = encode_texts(exported.network, exported.tokenizer, [text])[0]
        np.testing.assert_allclose(vector, alone, atol=1e-5)
    assert encode_texts(exported.network, exported.tokenizer, []).shape == (0, 32)


def test_states_are_the_readers_own_in_half_precision(exported: Any) -> None:
    states = States(exported.network, exported.tokenizer, TEXTS, max_length=20)
    rows = [3, 0, 2, 3]
    x_NLD, mask_NL = states.batch(rows)
    assert x_NLD.shape == (4, 20, 32)
    assert mask_NL.sum(1).tolist() == [20, 3, 2, 20], "cut at 20 tokens; [CLS] law [SEP]; [CLS] [SEP]"
    for row, x_LD, mask_L in zip(rows, x_NLD, mask_NL, strict=True):
        ids = exported.tokenizer(TEXTS[row], truncation=True, max_length=20, return_tensors="pt")
        with torch.no_grad():
            expected_LD = exported.network.reader(ids["input_ids"], ids["attention_mask"])[0]
        torch.testing.assert_close(x_LD[mask_L.bool()], expected_LD, rtol=2e-3, atol=2e-3)
        assert (x_LD[~mask_L.bool()] == 0).all()
