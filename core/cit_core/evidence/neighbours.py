"""Nearest stored questions by the cosine of unit vectors: exact for a few, by cells for many.

Cells (an inverted file) are k-means cells of a sample. A query looks into those with the nearest centres, compares the
first principal directions of the questions in them, and then the whole vectors of the best.

Axes: I stored questions, N queries, J neighbours, C cells, D width, P principal directions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Near", "Neighbours", "clusters"]

CELLS_FROM = 20_000
"""Stored questions from which a query looks into cells; below, all of them are compared."""
PER_CELL, MOST_CELLS = 400, 1024
"""Questions of a cell in the mean, and how many cells there are at most: every load assigns questions to them."""
PROBED = 0.02
"""Share of the cells that a query looks into, and `LEAST_PROBED` at least: on the vectors of seven tables together
(33,529 questions) these hold 97 % of the nearest 400 and 98 % of the nearest 80."""
LEAST_PROBED = 24
DIRECTIONS, SHORTLISTED, SHORTEST = 96, 4, 640
"""Principal directions that are compared first, how many times the questions wanted go on from there, and how many at
least."""
SAMPLE_PER_CELL = 24
"""Questions that the centre of a cell is the mean of, in the mean."""
BLOCK = 512
"""Queries compared at once."""


class Near(NamedTuple):
    """The J nearest stored questions of N queries, in no order."""

    rows_NJ: NDArray[np.intp]
    cosine_NJ: NDArray[np.float32]


class Neighbours:
    """Index of stored questions. Immutable, so threads share it.

    Args:
        vectors_ID: Unit vectors.
    """

    def __init__(self, vectors_ID: NDArray[np.floating]) -> None:
        self._order_I: NDArray[np.intp] | None = None
        self._vectors_ID: NDArray[np.floating]
        if len(vectors_ID) < CELLS_FROM:
            self._vectors_ID = np.ascontiguousarray(vectors_ID, np.float32)
            return
        cells = min(max(len(vectors_ID) // PER_CELL, 1), MOST_CELLS)
        draw = np.random.default_rng(0).permutation(len(vectors_ID))[: SAMPLE_PER_CELL * cells]
        sample_ID = np.asarray(vectors_ID[np.sort(draw)], np.float32)
        self._centres_CD = clusters(sample_ID, cells)
        self._principal_DP = np.linalg.eigh(sample_ID.T @ sample_ID)[1][:, -DIRECTIONS:]
        cell_I = _assigned(vectors_ID, self._centres_CD)
        self._order_I = np.argsort(cell_I, kind="stable")
        self._starts_C = np.searchsorted(cell_I[self._order_I], np.arange(cells + 1))
        self._vectors_ID = np.ascontiguousarray(vectors_ID[self._order_I], np.float16)
        self._short_IP = np.concatenate(
            [block.astype(np.float32) @ self._principal_DP for block in _blocks(self._vectors_ID)]
        )

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Neighbours:
        """Return the index with these `arrays`, which may be mapped files."""
        made = cls.__new__(cls)
        vars(made).update({f"_{name}": array for name, array in arrays.items()})
        return made

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays of an index with cells."""
        return {name.removeprefix("_"): array for name, array in vars(self).items()}

    def __len__(self) -> int:
        return len(self._vectors_ID)

    def near(self, vectors_ND: NDArray[np.float32], number: int) -> Near:
        """Return the nearest questions of each query; fewer if there are not so many."""
        number = min(number, len(self))
        rows_NJ = np.zeros((len(vectors_ND), number), np.intp)
        cosine_NJ = np.zeros((len(vectors_ND), number), np.float32)
        if not number:
            return Near(rows_NJ, cosine_NJ)
        if self._order_I is not None:
            for place, vector_D in enumerate(vectors_ND):
                rows_NJ[place], cosine_NJ[place] = self._near_by_cells(vector_D, number)
        else:
            for start in range(0, len(vectors_ND), BLOCK):
                cosine_NI = vectors_ND[start : start + BLOCK] @ self._vectors_ID.T
                rows_NJ[start : start + BLOCK], cosine_NJ[start : start + BLOCK] = _largest(cosine_NI, number)
        return Near(rows_NJ, cosine_NJ)

    def _near_by_cells(
        self, vector_D: NDArray[np.float32], number: int
    ) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        assert self._order_I is not None
        nearness_C = self._centres_CD @ vector_D
        probed = min(max(LEAST_PROBED, int(PROBED * len(nearness_C))), len(nearness_C))
        chosen = np.sort(np.argpartition(-nearness_C, probed - 1)[:probed])
        spans = [(self._starts_C[cell], self._starts_C[cell + 1]) for cell in chosen]
        if sum(stop - start for start, stop in spans) < number:
            spans = [(0, len(self))]
        short_P = vector_D @ self._principal_DP
        nearness_J = np.concatenate([self._short_IP[start:stop] @ short_P for start, stop in spans])
        places_J = np.concatenate([np.arange(start, stop) for start, stop in spans])
        places_J = places_J[_largest(nearness_J[None], max(SHORTLISTED * number, SHORTEST))[0][0]]
        rows, cosine = _largest((self._vectors_ID[places_J].astype(np.float32) @ vector_D)[None], number)
        return self._order_I[places_J[rows[0]]], cosine[0]


def _largest(cosine_NI: NDArray[np.float32], number: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    if number >= cosine_NI.shape[1]:
        rows_NJ = np.broadcast_to(np.arange(cosine_NI.shape[1]), cosine_NI.shape)
    else:
        rows_NJ = np.argpartition(cosine_NI, -number, axis=1)[:, -number:]
    return rows_NJ, np.take_along_axis(cosine_NI, rows_NJ, axis=1)


def clusters(vectors_ID: NDArray[np.float32], number: int, rounds: int = 6) -> NDArray[np.float32]:
    """Return unit centres of spherical k-means, (number, D), from a seeded draw."""
    centres_CD = vectors_ID[np.random.default_rng(0).permutation(len(vectors_ID))[:number]].copy()
    for _ in range(rounds):
        cell_I = _assigned(vectors_ID, centres_CD)
        order = np.argsort(cell_I, kind="stable")
        present, starts = np.unique(cell_I[order], return_index=True)
        centres_CD[present] = np.add.reduceat(vectors_ID[order], starts)
        centres_CD /= np.maximum(np.linalg.norm(centres_CD, axis=1, keepdims=True), 1e-9)
    return centres_CD


def _assigned(vectors_ID: NDArray[np.floating], centres_CD: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return nearest centre of each vector."""
    cells = [(block.astype(np.float32, copy=False) @ centres_CD.T).argmax(axis=1) for block in _blocks(vectors_ID)]
    return np.concatenate(cells) if cells else np.zeros(0, np.intp)


def _blocks(vectors_ID: NDArray[np.floating]) -> Iterator[NDArray[np.floating]]:
    return (vectors_ID[start : start + 4 * BLOCK] for start in range(0, len(vectors_ID), 4 * BLOCK))
