"""Cheap features of a text: hashed n-grams weighted by inverse document frequency, and a handful of counts.

A query of 50 words takes some 0.1 ms. N-grams are hashed with a polynomial by its prefix sums, so that all
n-grams of one length cost one subtraction and one multiplication of arrays. What a text says of pictures
(`cit_core.pictures`) has n-grams of its own weight, so that a long caption does not drown the question.

Axes: I texts, B buckets, F counts, G n-grams.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cit_core.pictures import split_pictures

__all__ = ["BUCKETS", "COUNTS", "COUNT_WEIGHT", "TextFeatures", "text_counts"]

BUCKETS = 1024
"""Number of buckets of the hashed n-grams; 512 lose .003 of AUROC on llmrouter, 4,096 gain .002."""
READ = 3000
"""Bytes of a text that are looked at: its beginning and its end."""
CHARACTERS, WORDS = (3, 4, 5), (1, 2)
"""Lengths of the n-grams."""
COUNTS = 17
N_GRAM_WEIGHT, COUNT_WEIGHT = 0.7, 0.1
"""Weights of the two blocks beside a unit vector; half and twice of each change AUROC by less than .002."""
PICTURE_WEIGHT = 0.6
"""Weight of what is said of pictures beside the question's n-grams, before both are a unit vector."""
CLIPPED = 4.0
"""Standard deviations of a count."""

_PRIME, _MIXER = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
with np.errstate(over="ignore"):
    _POWERS = np.concatenate(([np.uint64(1)], np.cumprod(np.full(READ, _PRIME, np.uint64), dtype=np.uint64)))
_IN_WORD = np.array([chr(byte).isalnum() or byte >= 128 for byte in range(256)])
_KINDS = {"code": b"{}[]()<>=;_#", "mathematics": b"+-*/^=\\$%", "punctuation": b".,:;!?'\""}
_KIND_OF = np.array([[byte in signs for byte in range(256)] for signs in _KINDS.values()], np.float64)


@dataclass(frozen=True, eq=False)
class TextFeatures:
    """Features scaled by the texts of a log."""

    idf_B: NDArray[np.float32]
    mean_F: NDArray[np.float64]
    scale_F: NDArray[np.float64]

    @classmethod
    def fit(cls, texts: Sequence[str]) -> tuple[TextFeatures, NDArray[np.float32]]:
        """Learn the scales of some texts; returns them and the texts' features, (I, B + F)."""
        hashed_IB, of_pictures_IB = np.zeros((2, len(texts), BUCKETS), np.float32)
        counts_IF = np.zeros((len(texts), COUNTS))
        for row, text in enumerate(texts):
            hashed_IB[row], of_pictures_IB[row], counts_IF[row] = _read(text)
        frequency_B = ((hashed_IB != 0.0) | (of_pictures_IB != 0.0)).sum(axis=0)
        fitted = cls(
            idf_B=np.log((len(texts) + 1.0) / (frequency_B + 1.0)).astype(np.float32),
            mean_F=counts_IF.mean(axis=0) if len(texts) else np.zeros(COUNTS),
            scale_F=counts_IF.std(axis=0) + 1e-3 if len(texts) else np.ones(COUNTS),
        )
        return fitted, np.hstack([fitted._weighted(hashed_IB, of_pictures_IB), fitted._scaled(counts_IF)])

    def __call__(self, text: str) -> NDArray[np.float32]:
        """Return features of one text, (B + F,)."""
        hashed_B, of_pictures_B, counts_F = _read(text)
        return np.concatenate([self._weighted(hashed_B, of_pictures_B), self._scaled(counts_F)])

    def _weighted(self, hashed: NDArray[np.float32], of_pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        weighted = _unit(hashed * self.idf_B)
        if of_pictures.any():
            weighted = _unit(weighted + PICTURE_WEIGHT * _unit(of_pictures * self.idf_B))
        unit: NDArray[np.float32] = weighted * np.float32(N_GRAM_WEIGHT)
        return unit

    def _scaled(self, counts: NDArray[np.float64]) -> NDArray[np.float32]:
        scaled = np.clip((counts - self.mean_F) / self.scale_F, -CLIPPED, CLIPPED)
        return (COUNT_WEIGHT * scaled).astype(np.float32)


def _read(text: str) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    """Return n-grams of a question, those of what is said of its pictures, and the question's counts."""
    question, said = split_pictures(text)
    of_pictures_B = _hashed(said) if said else np.zeros(BUCKETS, np.float32)
    return _hashed(question), of_pictures_B, text_counts(question)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    length = np.sqrt((vectors * vectors).sum(axis=-1, keepdims=True))
    return np.asarray(vectors / np.maximum(length, 1e-6), np.float32)


def _hashed(text: str) -> NDArray[np.float32]:
    """Return signed counts of n-grams in each bucket, damped: sign(x) log(1 + |x|)."""
    hashes_G = _n_grams(text)
    bucket_G = (hashes_G % np.uint64(BUCKETS)).astype(np.intp)
    sign_G = ((hashes_G >> np.uint64(40)) & np.uint64(1)).astype(np.float32) * 2.0 - 1.0
    count_B = np.bincount(bucket_G, sign_G, BUCKETS)
    return (np.sign(count_B) * np.log1p(np.abs(count_B))).astype(np.float32)


def _n_grams(text: str) -> NDArray[np.uint64]:
    """Return hashes of all n-grams of characters and of words."""
    if len(text) > READ:
        text = text[: READ // 2] + text[-READ // 2 :]
    bytes_L = np.frombuffer(text.lower().encode("utf-8", "replace")[:READ], np.uint8)
    with np.errstate(over="ignore"):
        prefix_L = np.zeros(len(bytes_L) + 1, np.uint64)
        np.cumsum((bytes_L.astype(np.uint64) + np.uint64(1)) * _POWERS[: len(bytes_L)], out=prefix_L[1:])
        edges = np.flatnonzero(np.diff(_IN_WORD[bytes_L], prepend=False, append=False))
        begin_W, end_W = edges[::2], edges[1::2]
        length = len(bytes_L)
        spans = [(np.arange(length - n + 1), np.arange(n, length + 1), n) for n in CHARACTERS if length >= n]
        spans += [(begin_W[: len(begin_W) - n + 1], end_W[n - 1 :], 1000 + n) for n in WORDS if len(begin_W) >= n]
        if not spans:
            return np.zeros(0, np.uint64)
        # the polynomial of each span, shifted to one exponent, and its bits stirred
        begin_G, end_G = (np.concatenate([span[side] for span in spans]) for side in (0, 1))
        kind_G = np.repeat(np.array([kind for *_, kind in spans], np.uint64), [len(begin) for begin, *_ in spans])
        hashes_G = (prefix_L[end_G] - prefix_L[begin_G]) * _POWERS[READ - begin_G] + kind_G
        hashes_G = (hashes_G ^ (hashes_G >> np.uint64(32))) * _MIXER
        return np.asarray(hashes_G ^ (hashes_G >> np.uint64(32)))


def text_counts(text: str) -> NDArray[np.float64]:
    """Return length, digits, code, mathematics and the like: logarithms and shares."""
    bytes_L = np.frombuffer(text.encode("utf-8", "replace"), np.uint8)
    of_byte = np.bincount(bytes_L, minlength=256).astype(np.float64)
    words = text.split()
    size, number = len(bytes_L) + 1.0, len(words) + 1.0
    digits, capitals, lines, beyond = of_byte[48:58].sum(), of_byte[65:91].sum(), of_byte[10], of_byte[128:].sum()
    code, mathematics, punctuation = _KIND_OF @ of_byte
    logs = np.log1p([lines, digits, mathematics, code, of_byte[63], of_byte[36]])
    shares = np.array([digits, capitals, 20.0 * lines, code, mathematics, punctuation, beyond]) / size
    return np.concatenate([[np.log(size), np.log(number), size / number, len(set(words)) / number], logs, shares])
