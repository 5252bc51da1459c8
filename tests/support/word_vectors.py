"""An encoder that any test can reckon with: a unit vector that counts the words it knows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["WORDS", "WordVectors"]

WORDS = ("sum", "add", "number", "law", "court", "judge", "cell", "blood", "gene", "else")
"""A direction each; `else` is that of a text without any."""


class WordVectors:
    """Implements `Encoder`."""

    def __init__(self, encoder: str = "words") -> None:
        self.encoder = encoder
        self.batches: list[tuple[str, ...]] = []
        """What was encoded, call by call."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.batches.append(tuple(texts))
        counts = np.array([[text.lower().count(word) for word in WORDS] for text in texts], np.float32)
        counts[:, -1] += counts.sum(1) == 0
        unit: NDArray[np.float32] = counts / np.linalg.norm(counts, axis=1, keepdims=True)
        return unit
