"""Packed in one row or one at a time, a pair's score is the same number, and so are the gradients.

In every order, with causal and encoder-style phi, with padding on either side, for 1 to 200 candidates.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_paper import LMS, TEXTS, paper, zoo
from torch import Tensor

from cit_core.paper.network import PaperNetwork
from cit_core.paper.packing import pack
from cit_core.paper.tokenization import PaperReader
from cit_core.records import Capability

ORDERS = ("instruction_first", "capability_first", "capability_last")
relaxed = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
Made = tuple[PaperNetwork, PaperReader]


@functools.cache
def made(lm: str, order: str, side: str = "right", capability: str = "pooled") -> Made:
    """Read-only. Its inquiry is cut to two words: a row of 200 candidates has hundreds of tokens, not thousands."""
    network, reader = paper(lm, side, order=order, capability=capability, capability_length=30)
    network.inquiry_ids = network.inquiry_ids[:2]
    return network.eval(), reader


def packed(of: Made, texts: Sequence[str], candidates: Sequence[Capability]) -> Tensor:
    """All pairs in one forward, NK."""
    network, reader = of
    return network(**reader.instructions([texts]), **reader.capabilities([candidates], [0]))[0]


def alone(of: Made, text: str, candidate: Capability) -> Tensor:
    return packed(of, [text], [candidate])[0, 0]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("lm", LMS)
@relaxed
@given(
    candidates=st.integers(1, 200),
    texts=st.lists(st.sampled_from(TEXTS), min_size=1, max_size=4),
    side=st.sampled_from(["left", "right"]),
)
def test_packed_scores_are_those_of_one_pair_at_a_time(
    lm: str, order: str, candidates: int, texts: list[str], side: str
) -> None:
    of, models = made(lm, order, side), zoo(candidates)
    with torch.no_grad():
        odds_NK = packed(of, texts, models)
        assert odds_NK.shape == (len(texts), candidates)
        for n, text in enumerate(texts):
            for k in {0, candidates // 2, candidates - 1}:
                assert odds_NK[n, k].item() == pytest.approx(alone(of, text, models[k]).item(), abs=1e-4)


@pytest.mark.parametrize("capability", ["set", "text"])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("lm", ["llama", "bert"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_so_are_those_of_sets_and_of_texts_of_different_lengths(
    lm: str, order: str, capability: str, side: str
) -> None:
    of = made(lm, order, side, capability)
    models = [*zoo(4), *zoo(3, tasks=("energy",))]
    with torch.no_grad():
        odds_NK = packed(of, TEXTS, models)
        expected_NK = torch.stack([torch.stack([alone(of, text, model) for model in models]) for text in TEXTS])
    torch.testing.assert_close(odds_NK, expected_NK, rtol=0, atol=1e-4)
    assert odds_NK.std(0).min() > 1e-3, "instructions make a difference"
    assert odds_NK.std(1).min() > 1e-3, "so do candidates"


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("lm", LMS)
def test_the_side_of_the_padding_makes_no_difference(lm: str, order: str) -> None:
    with torch.no_grad():
        left_NK, right_NK = (packed(made(lm, order, side), TEXTS, zoo(5)) for side in ("left", "right"))
    torch.testing.assert_close(left_NK, right_NK, rtol=0, atol=1e-4)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("lm", LMS)
def test_grids_do_not_see_each_other(lm: str, order: str) -> None:
    network, reader = made(lm, order)
    models = zoo(6)
    with torch.no_grad():
        together = network(
            **reader.instructions([TEXTS[:2], TEXTS[2:4]]), **reader.capabilities([models[:3], models[3:]], [0, 0])
        )
        first, second = (
            packed((network, reader), TEXTS[:2], models[:3]),
            packed((network, reader), TEXTS[2:4], models[3:]),
        )
    torch.testing.assert_close(together, torch.stack([first, second]), rtol=0, atol=1e-4)


@pytest.mark.parametrize("capability", ["pooled", "set", "text"])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("lm", ["phi3", "bert"])
def test_gradients_are_the_same_packed_and_one_pair_at_a_time(lm: str, order: str, capability: str) -> None:
    network, reader = paper(lm, "left", order=order, capability=capability, capability_length=30)
    network.double()
    models, of = zoo(5), (network, reader)

    def gradients(odds: Callable[[], Tensor]) -> dict[str, Tensor]:
        network.zero_grad()
        torch.nn.functional.softplus(-odds()).sum().backward()
        return {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}

    whole = gradients(lambda: packed(of, TEXTS[:3], models))
    apart = gradients(lambda: torch.stack([alone(of, text, model) for text in TEXTS[:3] for model in models]))
    assert whole.keys() == apart.keys()
    for name, gradient in whole.items():
        # Log-odds leave the network in single precision: its rounding is all that may differ.
        torch.testing.assert_close(gradient, apart[name], rtol=1e-5, atol=1e-6 * (1 + gradient.abs().max()), msg=name)
    assert sum(gradient.abs().sum() > 1e-9 for gradient in whole.values()) > 0.8 * len(whole)


@pytest.mark.parametrize("causal", [True, False])
def test_who_sees_whom_token_by_token(causal: bool) -> None:
    """Against the sentence in the module: the prefix and its own block; nobody sees padding but itself."""
    P, L, B, T = 2, 3, 3, 2
    prefix_mask = torch.tensor([[0, 1, 1], [1, 1, 0]])
    block_mask = torch.tensor([[[1, 1], [0, 1], [1, 1]], [[1, 1], [1, 1], [1, 0]]])
    rows = pack(torch.randn(P, L, 4), prefix_mask, torch.randn(P, B, T, 4), block_mask, causal=causal)
    real = torch.cat([prefix_mask, block_mask.flatten(1)], dim=1)
    for p in range(P):
        for i in range(L + B * T):
            for j in range(L + B * T):
                in_prefix, own = j < L, i >= L and j >= L and (i - L) // T == (j - L) // T
                sees = i == j or (bool(real[p, j]) and (in_prefix or own) and (j <= i or not causal))
                assert (rows.bias_P1RR[p, 0, i, j].item() == 0.0) == sees, (p, i, j)
    assert rows.position_PR.tolist() == [[0, 0, 1, 2, 3, 2, 2, 2, 3], [0, 1, 1, 2, 3, 2, 3, 2, 2]]


def test_a_poisoned_block_poisons_nobody_else() -> None:
    network, reader = made("llama", "instruction_first")
    read, capabilities = reader.instructions([TEXTS[:2]]), reader.capabilities([zoo(4)], [0])
    with torch.no_grad():
        tokens, mask = network.represent(**{name.removeprefix("capability_"): x for name, x in capabilities.items()})
        clean = network.score(*read.values(), tokens, mask)[0]
        bad = tokens.clone()
        bad[0, 2] = 1e4
        poisoned = network.score(*read.values(), bad, mask)[0]
    torch.testing.assert_close(poisoned[:, [0, 1, 3]], clean[:, [0, 1, 3]], rtol=0, atol=1e-5)
    assert not torch.allclose(poisoned[:, 2], clean[:, 2], atol=1e-3)
