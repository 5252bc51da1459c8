"""Off-policy estimates on simulated bandits, where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from cit_core.evaluate.off_policy import doubly_robust, inverse_propensity, off_policy, self_normalised


def bandit(queries: int, seed: int, predicted: float = 0.0):  # type: ignore[no-untyped-def]
    """Two arms; the logging policy prefers the worse one, the other policy takes arm 1 where x > 0.5."""
    draw = np.random.default_rng(seed)
    x = draw.random(queries)
    truth = np.stack([0.8 - 0.6 * x, 0.3 + 0.6 * x], axis=1)
    first = np.where(x < 0.5, 0.3, 0.8)  # probability of arm 0
    arm = (draw.random(queries) >= first).astype(int)
    propensity = np.where(arm == 0, first, 1 - first)
    rows = np.arange(queries)
    reward = (draw.random(queries) < truth[rows, arm]).astype(float)
    best = (x > 0.5).astype(int)
    target = (arm == best).astype(float)
    model = truth + predicted
    return reward, propensity, target, model[rows, arm], model[rows, best], truth[rows, best].mean()


@pytest.mark.parametrize("wrong", [0.0, 0.3])
def test_all_estimates_hold_the_truth_in_their_intervals(wrong: float) -> None:
    held = np.zeros(3)
    width = np.zeros(3)
    for seed in range(40):
        *data, truth = bandit(600, seed, wrong)
        for place, found in enumerate(
            [inverse_propensity(*data[:3]), self_normalised(*data[:3]), doubly_robust(*data)]
        ):
            held[place] += found.low <= truth <= found.high
            width[place] += (found.high - found.low) / 40
    assert (held >= 34).all(), "95 % intervals over 40 runs"
    if not wrong:
        assert width[2] < 0.9 * width[0], "good predictions make the doubly robust estimate the sharpest"


def test_the_naive_mean_is_wrong_and_the_estimates_are_not() -> None:
    *data, truth = bandit(20_000, 0)
    assert abs(data[0].mean() - truth) > 0.1
    found = off_policy(*data)
    for one in (found.inverse_propensity, found.self_normalised, found.doubly_robust):
        assert one is not None
        assert one.mean == pytest.approx(truth, abs=0.02)
    assert found.effective < found.matched


def test_without_feedback_or_a_match_nothing_is_said() -> None:
    nothing = np.full(5, np.nan)
    assert off_policy(nothing, np.ones(5), np.ones(5), np.ones(5), np.ones(5)).doubly_robust is None
    assert off_policy(np.ones(5), np.ones(5), np.zeros(5), np.ones(5), np.ones(5)).matched == 0
