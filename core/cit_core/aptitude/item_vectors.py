"""Vectors of items, made once by a scorer's trunk and kept in the store; evidence and tasks compare them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cit_core.catalogue import VECTORS_OF, core_suite, core_vectors
from cit_core.store import CapabilityStore

__all__ = ["Encoder", "catalogue_vectors", "encode_items"]

BATCH = 256
"""Items in one transaction: a few seconds of work that a kill can cost."""


class Encoder(Protocol):
    """Anything that turns texts into vectors, such as `OnnxScorer`."""

    @property
    def encoder(self) -> str:
        """Name and version of the encoder: vectors of different encoders cannot be compared."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return unit vectors, (len(texts), D)."""


def encode_items(store: CapabilityStore, scorer: Encoder, *, progress: Callable[[int], None] | None = None) -> int:
    """Give a vector to every item that has a text and no vector of this encoder; returns how many got one.

    Each batch is committed when it is done, so an interrupted run resumes. Items of the catalogue's core set without a
    text in the store get the shipped vectors.

    Args:
        store: The store with the items.
        scorer: The encoder.
        progress: Called after every batch with the number of items that have got a vector so far.
    """
    done = _keep(store, scorer.encoder, _shipped_vectors_lacking(store, scorer))
    while batch := store.without_vector(scorer.encoder, BATCH):
        vectors = scorer.encode([item.instruction or "" for item in batch])
        done += _keep(store, scorer.encoder, dict(zip((item.id for item in batch), vectors, strict=True)))
        if progress is not None:
            progress(done)
    return done


def catalogue_vectors(scorer: Encoder) -> Mapping[str, NDArray[np.float32]]:
    """Return the shipped vectors of the core set, by item id; none for an encoder that did not make them."""
    if scorer.encoder != VECTORS_OF:
        return {}
    return dict(zip(core_suite().item_ids, core_vectors(), strict=True))


def _shipped_vectors_lacking(store: CapabilityStore, scorer: Encoder) -> dict[str, NDArray[np.float32]]:
    silent = {item.id for item in store.items(core_suite().item_ids) if item.instruction is None}
    if not silent:
        return {}
    lacking = silent - set(store.outcome_matrix(encoder=scorer.encoder).item_ids)
    return {id_: vector for id_, vector in catalogue_vectors(scorer).items() if id_ in lacking}


def _keep(store: CapabilityStore, encoder: str, vectors: Mapping[str, NDArray[np.float32]]) -> int:
    if vectors:
        with store.transaction() as writer:
            writer.set_vectors(vectors, encoder)
    return len(vectors)
