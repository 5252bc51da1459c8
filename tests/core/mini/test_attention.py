"""Packed in one row or one at a time, a candidate's score is the same number; so are the gradients.

The reference is Hugging Face's own BertLayer on the packed row, under a dense mask built here token by token.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_network import LONGEST, VOCABULARY, instructions, profiles
from torch import Tensor
from transformers import BertModel

from cit_core.mini.network import ModelSAT

relaxed = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def one(profile: tuple[Tensor, Tensor, Tensor], k: int) -> tuple[Tensor, ...]:
    return tuple(part[k : k + 1] for part in profile)


@relaxed
@given(
    candidates=st.integers(1, 200), queries=st.integers(1, 4), longest=st.integers(1, LONGEST), seed=st.integers(0, 99)
)
def test_packed_scores_are_the_scores_of_one_candidate_and_one_query_at_a_time(
    network: ModelSAT, candidates: int, queries: int, longest: int, seed: int
) -> None:
    ids_NL, mask_NL = instructions(queries, longest, seed)
    zoo = profiles(candidates, lines=5, seed=seed)
    with torch.no_grad():
        packed_NK = network(ids_NL, mask_NL, *zoo)
        assert packed_NK.shape == (queries, candidates)
        for n, length in enumerate(mask_NL.sum(1).tolist()):
            for k in {0, candidates // 2, candidates - 1}:
                alone = network(ids_NL[n : n + 1, :length], mask_NL[n : n + 1, :length], *one(zoo, k))
                assert packed_NK[n, k].item() == pytest.approx(alone.item(), abs=1e-5)


def test_the_scores_above_are_not_all_alike(network: ModelSAT) -> None:
    with torch.no_grad():
        odds_NK = network(*instructions(6, 20, seed=1), *profiles(30, lines=5, seed=1))
        own_NK = odds_NK - network.phi.level_gain * network.connector(*profiles(30, lines=5, seed=1))[1]
    assert own_NK.std(0).min() > 1e-2, "queries make a difference"
    assert own_NK.std(1).min() > 1e-2, "so do profiles, beyond their level"


@relaxed
@given(order=st.permutations(range(12)), seed=st.integers(0, 99))
def test_another_order_of_candidates_is_another_order_of_scores(network: ModelSAT, order: list[int], seed: int) -> None:
    read, zoo = instructions(2, 9, seed), profiles(12, lines=4, seed=seed)
    with torch.no_grad():
        torch.testing.assert_close(
            network(*read, *(part[order] for part in zoo)), network(*read, *zoo)[:, order], rtol=0, atol=1e-5
        )


@relaxed
@given(padding=st.integers(1, 30), seed=st.integers(0, 99))
def test_how_much_padding_there_is_and_what_stands_in_it_does_not_matter(
    network: ModelSAT, padding: int, seed: int
) -> None:
    (ids_NL, mask_NL), zoo = instructions(3, 20, seed), profiles(7, lines=4, seed=seed)
    other_NL = torch.where(mask_NL == 1, ids_NL, (ids_NL + 1 + seed) % len(VOCABULARY))
    wider_NL, wider_mask_NL = (torch.nn.functional.pad(part, (0, padding)) for part in (other_NL, mask_NL))
    with torch.no_grad():
        expected_NK = network(ids_NL, mask_NL, *zoo)
        for found_NK in (network(other_NL, mask_NL, *zoo), network(wider_NL, wider_mask_NL, *zoo)):
            torch.testing.assert_close(found_NK, expected_NK, rtol=0, atol=1e-5)
        assert not torch.equal(network(other_NL, torch.ones_like(mask_NL), *zoo), expected_NK), "but tokens do"


def test_a_poisoned_candidate_or_query_poisons_nobody_else(network: ModelSAT) -> None:
    read, zoo = instructions(3, 10, seed=3), profiles(5, lines=4, seed=3)
    with torch.no_grad():
        known_MHKTE, level_K = network.know(*zoo)
        x_NLD = network.reader(*read)
        clean_NK = network.phi(x_NLD, read[1], known_MHKTE, level_K)
        bad_MHKTE, bad_NLD = known_MHKTE.clone(), x_NLD.clone()
        bad_MHKTE[:, :, 2], bad_NLD[1] = float("nan"), float("nan")
        by_candidate_NK = network.phi(x_NLD, read[1], bad_MHKTE, level_K)
        by_query_NK = network.phi(bad_NLD, read[1], known_MHKTE, level_K)
    assert by_candidate_NK.isnan()[:, 2].all()
    assert by_query_NK.isnan()[1].all()
    others = [0, 1, 3, 4]
    torch.testing.assert_close(by_candidate_NK[:, others], clean_NK[:, others], rtol=0, atol=1e-6)
    torch.testing.assert_close(by_query_NK[[0, 2]], clean_NK[[0, 2]], rtol=0, atol=1e-6)


@pytest.mark.parametrize("candidates", [1, 2, 17])
def test_gradients_are_the_same_packed_and_one_at_a_time(network: ModelSAT, candidates: int) -> None:
    network.double()
    (ids_NL, mask_NL), zoo = instructions(3, 12, seed=5), tuple(p.double() for p in profiles(candidates, 6, seed=5))

    def gradients(odds: Callable[[], Tensor]) -> dict[str, Tensor]:
        network.zero_grad()
        torch.nn.functional.softplus(-odds()).sum().backward()
        return {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}

    packed = gradients(lambda: network(ids_NL, mask_NL, *zoo))
    apart = gradients(
        lambda: torch.stack(
            [
                network(ids_NL[n : n + 1, :length], mask_NL[n : n + 1, :length], *one(zoo, k))
                for n, length in enumerate(mask_NL.sum(1).tolist())
                for k in range(candidates)
            ]
        )
    )
    assert packed.keys() == apart.keys() == {n for n, _ in network.named_parameters() if n.startswith(("conn", "phi"))}
    for name, gradient in packed.items():
        torch.testing.assert_close(gradient, apart[name], rtol=1e-9, atol=1e-9, msg=name)
    assert sum(gradient.abs().sum() > 1e-6 for gradient in packed.values()) > 0.9 * len(packed)


@pytest.mark.parametrize("candidates", [1, 3, 8])
@pytest.mark.parametrize("queries", [1, 4])
def test_phi_is_hugging_faces_layers_under_a_dense_mask(
    network: ModelSAT, bert: BertModel, candidates: int, queries: int
) -> None:
    ids_NL, mask_NL = instructions(queries, 11, seed=candidates)
    (N, L), T = ids_NL.shape, 3
    R = L + candidates * T
    may_see_NRR = torch.zeros(N, R, R, dtype=torch.bool)
    for n in range(N):
        for row in range(R):
            for column in range(R):
                capability, inquiry = row >= L and (row - L) % T < T - 1, row >= L and (row - L) % T == T - 1
                in_x = column < L and bool(mask_NL[n, column]) and not capability
                in_own_block = row >= L and column >= L and (row - L) // T == (column - L) // T
                is_inquiry = column >= L and (column - L) % T == T - 1
                may_see_NRR[n, row, column] = in_x or (in_own_block and (inquiry or not is_inquiry))
    dense_N1RR = torch.zeros(N, 1, R, R).masked_fill(~may_see_NRR.unsqueeze(1), torch.finfo(torch.float32).min)

    seen: list[Tensor] = []
    network.phi.answer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        zoo = profiles(candidates, lines=5, seed=candidates)
        network(ids_NL, mask_NL, *zoo)
        tokens_KTD, _ = network.connector(*zoo)
        # x by Hugging Face alone, up to the join; then the row, by the layers above it
        row_NRD = bert(ids_NL, attention_mask=mask_NL, output_hidden_states=True).hidden_states[2]
        inquiry_D = network.phi.inquiry_norm(network.phi.inquiry_D)
        for k in range(candidates):
            block_TD = torch.cat([tokens_KTD[k], inquiry_D[None]])
            row_NRD = torch.cat([row_NRD, block_TD.expand(N, -1, -1)], dim=1)
        for layer in bert.encoder.layer[2:]:
            out = layer(row_NRD, attention_mask=dense_N1RR)
            row_NRD = out[0] if isinstance(out, tuple) else out
    asked_NKD = row_NRD[:, L + T - 1 :: T]
    torch.testing.assert_close(seen[0], asked_NKD, rtol=0, atol=2e-5)


@pytest.mark.parametrize("k", [0, 4])
def test_an_inquiry_reads_an_instruction_and_a_capability_that_were_each_read_alone(
    network: ModelSAT, bert: BertModel, k: int
) -> None:
    """By the plain trunk: x by itself, c by itself, then `[x | c | p]`, of which p's state alone is kept."""

    def through(layer: torch.nn.Module, row_1RD: Tensor) -> Tensor:
        out = layer(row_1RD)
        return out[0] if isinstance(out, tuple) else out

    ids_1L, mask_1L = instructions(1, 9, seed=k)
    seen: list[Tensor] = []
    network.phi.answer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        zoo = profiles(5, lines=6, seed=k)
        network(ids_1L, mask_1L, *zoo)
        states = bert(ids_1L, attention_mask=mask_1L, output_hidden_states=True).hidden_states
        c_1TD = network.connector(*zoo)[0][k : k + 1]
        p_11D = network.phi.inquiry_norm(network.phi.inquiry_D)[None, None]
        for depth, layer in enumerate(bert.encoder.layer[2:], start=2):
            p_11D = through(layer, torch.cat([states[depth], c_1TD, p_11D], dim=1))[:, -1:]
            c_1TD = through(layer, c_1TD)
    torch.testing.assert_close(seen[0][:, k], p_11D[:, 0], rtol=0, atol=2e-5)
