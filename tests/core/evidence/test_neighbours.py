"""Nearest questions: exact for a few, nearly all of them by cells for many."""

from __future__ import annotations

import numpy as np
import pytest

from cit_core.evidence import neighbours as searching
from cit_core.evidence.neighbours import Neighbours, clusters


def vectors(number: int, kinds: int = 30, width: int = 32) -> np.ndarray:
    draw = np.random.default_rng(0)
    found = draw.normal(size=(kinds, width))[draw.integers(kinds, size=number)] + 0.7 * draw.normal(
        size=(number, width)
    )
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def test_a_few_are_searched_exactly() -> None:
    stored = vectors(200)
    rows, cosines = Neighbours(stored.astype(np.float64)).near(stored[:5], 7)
    expected = np.argsort(-(stored[:5] @ stored.T), axis=1)[:, :7]
    np.testing.assert_array_equal(np.sort(rows, axis=1), np.sort(expected, axis=1))
    np.testing.assert_allclose(cosines, np.take_along_axis(stored[:5] @ stored.T, rows, axis=1), rtol=1e-5)


def test_fewer_than_wanted_are_all_and_of_nothing_there_is_nothing() -> None:
    assert Neighbours(vectors(3)).near(vectors(2), 10).rows_NJ.shape == (2, 3)
    assert Neighbours(np.zeros((0, 32), np.float16)).near(vectors(2), 10).rows_NJ.shape == (2, 0)


def test_cells_find_nearly_all(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = vectors(6000)
    exact = Neighbours(stored).near(stored[:50], 40).rows_NJ
    monkeypatch.setattr(searching, "CELLS_FROM", 1000)
    monkeypatch.setattr(searching, "PER_CELL", 50)
    by_cells = Neighbours(stored.astype(np.float16))
    found = by_cells.near(stored[:50], 40).rows_NJ
    shared = [len(set(one) & set(other)) / 40 for one, other in zip(exact.tolist(), found.tolist(), strict=True)]
    assert np.mean(shared) > 0.95
    assert all(row in set(near) for row, near in enumerate(found.tolist())), "each finds itself"
    assert by_cells.near(stored[:1], 5900).rows_NJ.shape == (1, 5900), "more than the cells hold"


def test_clusters_have_unit_centres() -> None:
    centres = clusters(vectors(500), 8)
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 1.0, rtol=1e-5)
