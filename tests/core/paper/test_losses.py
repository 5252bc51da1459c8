"""Each objective is its sentence, a number at a time; a batch's loss is the mean over its parts."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cit_core.paper.losses import OBJECTIVES, calibrated_loss, group_loss, listwise_loss

NAN = math.nan
relaxed = settings(max_examples=60, deadline=None)


def grids(seed: int, shape: tuple[int, int, int], unknown: float = 0.0) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    odds_GNK = torch.randn(shape, generator=draw) * 3.0
    label_GNK = torch.randint(0, 2, shape, generator=draw).float()
    return odds_GNK, label_GNK.masked_fill(torch.rand(shape, generator=draw) < unknown, NAN)


@relaxed
@given(seed=st.integers(0, 999), shots=st.integers(2, 6), groups=st.integers(1, 4))
def test_the_group_loss_is_equation_5(seed: int, shots: int, groups: int) -> None:
    odds_GNK, _ = grids(seed, (groups, shots, 1))
    label_GNK = torch.zeros_like(odds_GNK)
    expected = []
    for group in range(groups):
        handled = (seed + group) % shots
        label_GNK[group, handled] = 1.0
        scores = [math.exp(z) for z in odds_GNK[group, :, 0].tolist()]
        expected.append(-math.log(scores[handled] / sum(scores)))
    assert group_loss(odds_GNK, label_GNK).item() == pytest.approx(sum(expected) / groups, rel=1e-4, abs=1e-5)


@relaxed
@given(seed=st.integers(0, 999), items=st.integers(1, 4), candidates=st.integers(1, 5))
def test_the_calibrated_loss_is_the_log_loss_of_what_was_measured(seed: int, items: int, candidates: int) -> None:
    odds_GNK, label_GNK = grids(seed, (2, items, candidates), unknown=0.3)
    expected = []
    for odds_NK, label_NK in zip(odds_GNK, label_GNK, strict=True):
        each = [
            -math.log(1.0 / (1.0 + math.exp(-z if y else z)))
            for z, y in zip(odds_NK.flatten().tolist(), label_NK.flatten().tolist(), strict=True)
            if not math.isnan(y)
        ]
        expected.append(sum(each) / max(len(each), 1))
    assert calibrated_loss(odds_GNK, label_GNK).item() == pytest.approx(sum(expected) / 2, rel=1e-4, abs=1e-6)


def test_the_calibrated_loss_is_least_at_the_labels_own_share() -> None:
    label_GNK = torch.full((1, 1, 1), 0.3)  # a teacher's probability
    at = {p: calibrated_loss(torch.full((1, 1, 1), math.log(p / (1 - p))), label_GNK).item() for p in (0.2, 0.3, 0.4)}
    assert min(at, key=lambda p: at[p]) == 0.3


@relaxed
@given(seed=st.integers(0, 999), items=st.integers(1, 4), candidates=st.integers(2, 5))
def test_the_listwise_loss_compares_the_candidates_of_one_instruction(seed: int, items: int, candidates: int) -> None:
    odds_GNK, label_GNK = grids(seed, (2, items, candidates), unknown=0.2)
    expected = []
    for odds_NK, label_NK in zip(odds_GNK.tolist(), label_GNK.tolist(), strict=True):
        each = []
        for odds, labels in zip(odds_NK, label_NK, strict=True):
            known = [(z, y) for z, y in zip(odds, labels, strict=True) if not math.isnan(y)]
            right = sum(y for _, y in known)
            if known and 0.0 < right < len(known):
                total = sum(math.exp(z) for z, _ in known)
                each.append(-sum(y / right * math.log(math.exp(z) / total) for z, y in known))
        expected.append(sum(each) / max(len(each), 1))
    assert listwise_loss(odds_GNK, label_GNK).item() == pytest.approx(sum(expected) / 2, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("objective", ["calibrated", "listwise", "distillation"])
def test_what_was_not_measured_has_no_gradient_and_nothing_at_all_no_loss(objective: str) -> None:
    label_GNK = torch.tensor([[[1.0, NAN, 0.0]], [[NAN, NAN, NAN]]])
    odds_GNK = torch.randn(2, 1, 3, requires_grad=True)
    OBJECTIVES[objective](odds_GNK, label_GNK).backward()
    assert odds_GNK.grad is not None
    assert (odds_GNK.grad != 0).tolist() == [[[True, False, True]], [[False] * 3]]
    assert OBJECTIVES[objective](torch.randn(1, 2, 3), torch.full((1, 2, 3), NAN)).item() == 0.0


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_batchs_loss_is_the_mean_over_its_parts(objective: str) -> None:
    """Or two processes would not learn what one does."""
    odds_GNK, label_GNK = grids(3, (4, 3, 5), unknown=0.4)
    if objective == "group":
        odds_GNK, label_GNK = odds_GNK[..., :1], torch.eye(3)[:1].T.expand(4, -1, -1)
    whole = OBJECTIVES[objective](odds_GNK, label_GNK)
    parts = [OBJECTIVES[objective](odds_GNK[part], label_GNK[part]) for part in (slice(0, 2), slice(2, 4))]
    torch.testing.assert_close(whole, sum(parts) / 2)
