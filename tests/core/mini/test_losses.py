"""The loss is what its docstring says, and pairs that were not measured have no part in it."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_network import WIDTH

from cit_core.mini import losses
from cit_core.mini.losses import log_odds, routing_loss
from cit_core.mini.network import ModelSAT
from cit_core.mini.sampler import Profiles

outcome = st.one_of(st.sampled_from([0.0, 1.0, math.nan]), st.floats(0, 1))


def plain_loss(odds: list[list[float]], correct: list[list[float]], weight: float) -> float:
    """Word for word what the docstring says, a pair at a time."""
    cross, ranking, gaps = [], 0.0, 0.0
    for row, truths in zip(odds, correct, strict=True):
        for z, y in zip(row, truths, strict=True):
            if not math.isnan(y):
                p = 1.0 / (1.0 + math.exp(-z))
                cross.append(-y * math.log(p) - (1.0 - y) * math.log(1.0 - p))
        for better, y in zip(row, truths, strict=True):
            for worse, other in zip(row, truths, strict=True):
                if y > other:  # never true where one is not known
                    ranking += (y - other) * math.log1p(math.exp(worse - better))
                    gaps += y - other
    return sum(cross) / max(len(cross), 1) + weight * ranking / max(gaps, 1.0)


@settings(max_examples=100, deadline=None)
@given(data=st.data(), items=st.integers(1, 5), candidates=st.integers(1, 5), weight=st.sampled_from([0.0, 1.0, 2.5]))
def test_the_loss_is_the_plain_one(data: st.DataObject, items: int, candidates: int, weight: float) -> None:
    def matrix(each: st.SearchStrategy[float]) -> list[list[float]]:
        row = st.lists(each, min_size=candidates, max_size=candidates)
        return data.draw(st.lists(row, min_size=items, max_size=items))

    odds, correct = matrix(st.floats(-8, 8)), matrix(outcome)
    found = routing_loss(torch.tensor(odds), torch.tensor(correct), weight).item()
    assert found == pytest.approx(plain_loss(odds, correct, weight), rel=1e-4, abs=1e-5)


def test_what_was_not_measured_has_no_gradient() -> None:
    odds_NK = torch.zeros(2, 3, requires_grad=True)
    correct_NK = torch.tensor([[1.0, math.nan, 0.0], [math.nan] * 3])
    routing_loss(odds_NK, correct_NK, 1.0).backward()
    assert odds_NK.grad is not None
    assert (odds_NK.grad != 0).tolist() == [[True, False, True], [False] * 3]


def test_a_step_that_measured_nothing_is_no_loss() -> None:
    assert routing_loss(torch.randn(2, 3), torch.full((2, 3), math.nan), 1.0).item() == 0.0


def test_the_loss_prefers_the_right_order_and_the_right_height() -> None:
    correct_NK = torch.tensor([[1.0, 0.0, 0.0]])

    def loss(*odds: float, weight: float = 1.0) -> float:
        return routing_loss(torch.tensor([odds]), correct_NK, weight).item()

    assert loss(2.0, -2.0, -2.0) < loss(0.0, 0.0, 0.0) < loss(-2.0, 2.0, 2.0)
    assert loss(3.0, 2.0, 2.0) > loss(3.0, 2.0, 2.0, weight=0.0) > loss(0.5, -0.5, -0.5, weight=0.0)


@pytest.mark.parametrize(
    ("capabilities", "rounds"), [({"amx_bf16": True}, True), ({"amx_bf16": False, "avx2": True}, False), ({}, False)]
)
def test_bfloat16_is_for_processors_that_multiply_it(
    network: ModelSAT, monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], rounds: bool
) -> None:
    """Others emulate it: a step took sixteen times as long."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    losses._multiplies_bfloat16.cache_clear()
    generator = torch.Generator().manual_seed(0)
    x_NLD, mask_NL = torch.randn(2, 5, WIDTH, generator=generator), torch.ones(2, 5)
    profiles = Profiles(torch.randn(3, 4, WIDTH, generator=generator), torch.rand(3, 4), torch.full((3, 4), 20.0))
    found_NK = log_odds(network, x_NLD, mask_NL, profiles)
    losses._multiplies_bfloat16.cache_clear()
    exact_NK = network.phi(x_NLD, mask_NL, *network.know(*profiles))
    assert found_NK.dtype == torch.float32
    assert torch.equal(found_NK, exact_NK) is not rounds
    torch.testing.assert_close(found_NK, exact_NK, rtol=0.1, atol=0.1)
