"""States of the frozen reader for every text, computed once: training then runs phi's upper layers alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cit_core.mini.network import ModelSAT

__all__ = ["States", "encode_texts"]


def encode_texts(network: ModelSAT, tokenizer: Any, texts: Sequence[str], batch: int = 64) -> NDArray[np.float32]:
    """Return the capability encoder's unit vectors of texts, (len(texts), D), in order."""
    vectors = np.zeros((len(texts), network.phi.inquiry_D.shape[0]), np.float32)
    with torch.no_grad():
        for rows, ids_NL, mask_NL in _batches(tokenizer, texts, network.config.max_length, batch):
            vectors[rows] = network.encode(ids_NL, mask_NL).numpy()
    return vectors


class States:
    """The reader's hidden states of many texts, cut to a length, in half precision (about 77 KB for 100 tokens).

    Args:
        network: The network with the reader.
        tokenizer: Its tokenizer.
        texts: Texts to read.
        max_length: Maximum number of tokens kept.
    """

    def __init__(self, network: ModelSAT, tokenizer: Any, texts: Sequence[str], max_length: int) -> None:
        self._states: list[NDArray[np.float16]] = [np.zeros((0, 0), np.float16)] * len(texts)
        with torch.no_grad():
            for rows, ids_NL, mask_NL in _batches(tokenizer, texts, max_length, 64):
                x_NLD = network.reader(ids_NL, mask_NL).numpy().astype(np.float16)
                for place, row in enumerate(rows):
                    self._states[row] = x_NLD[place, : int(mask_NL[place].sum())]

    def __len__(self) -> int:
        return len(self._states)

    def batch(self, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return states NLD and mask NL of some texts, padded to the longest."""
        chosen = [self._states[row] for row in rows]
        longest = max(map(len, chosen))
        x_NLD = np.zeros((len(chosen), longest, chosen[0].shape[1]), np.float32)
        mask_NL = np.zeros((len(chosen), longest), np.float32)
        for place, states in enumerate(chosen):
            x_NLD[place, : len(states)] = states
            mask_NL[place, : len(states)] = 1.0
        return torch.from_numpy(x_NLD), torch.from_numpy(mask_NL)


def _batches(
    tokenizer: Any, texts: Sequence[str], max_length: int, size: int
) -> Iterator[tuple[list[int], Tensor, Tensor]]:
    by_length = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    for start in range(0, len(texts), size):
        rows = by_length[start : start + size]
        words = tokenizer(
            [texts[row] for row in rows], padding=True, truncation=True, max_length=max_length, return_tensors="pt"
        )
        yield rows, words["input_ids"], words["attention_mask"]
