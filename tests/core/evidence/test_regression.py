"""Ridge regressions: closed forms for what is left out equal fits that leave it out."""

from __future__ import annotations

import numpy as np
import pytest

from cit_core.evidence.regression import Ridge


def toy(items: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    features = draw.normal(size=(items, width)).astype(np.float32)
    return features, (features[:, :2] + draw.normal(size=(items, 2))).astype(np.float32)


def solved(features: np.ndarray, target: np.ndarray, ridge: float) -> np.ndarray:
    return np.linalg.solve(features.T @ features + ridge * np.eye(features.shape[1]), features.T @ target)


@pytest.mark.parametrize(("items", "width"), [(30, 8), (12, 40)], ids=["more questions", "more features"])
def test_coefficients_and_questions_left_out(items: int, width: int) -> None:
    features, target = toy(items, width)
    ridge = Ridge(features)
    np.testing.assert_allclose(ridge.coefficients(target, 2.0), solved(features, target, 2.0), atol=2e-3)
    rest = [np.arange(items) != row for row in range(items)]
    expected = [features[row] @ solved(features[kept], target[kept], 2.0) for row, kept in enumerate(rest)]
    np.testing.assert_allclose(ridge.left_out(target, 2.0), expected, atol=5e-3)


@pytest.mark.parametrize(("items", "width"), [(30, 8), (60, 8), (12, 40)])
def test_groups_left_out(items: int, width: int) -> None:
    features, target = toy(items, width)
    groups = np.array_split(np.random.default_rng(1).permutation(items), 3)
    found = Ridge(features).groups_left_out(target, 2.0, groups)
    for rows in groups:
        kept = ~np.isin(np.arange(items), rows)
        expected = features[rows] @ solved(features[kept], target[kept], 2.0)
        np.testing.assert_allclose(found[rows], expected, atol=3e-2)


def test_noise_is_shrunk_away_and_signal_is_kept() -> None:
    features, target = toy(200, 20)
    noise = np.random.default_rng(2).normal(size=target.shape).astype(np.float32)
    ridges = (1.0, 1000.0)
    assert Ridge(features).best(target, ridges) == 1.0
    assert Ridge(features).best(noise, ridges) == 1000.0
