"""Reader and encoder are the trunk; the connector reads a set of measured tasks, weighed by what stands behind them."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tiny_network import LONGEST, WIDTH, instructions, profiles, tiny_bert
from torch import Tensor
from transformers import BertModel

from cit_core.errors import InvalidInput
from cit_core.mini.config import MINI, ModelConfig
from cit_core.mini.network import Connector, ModelSAT

relaxed = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def tokens_of(connector: Connector, lines: list[tuple[int, float, float]]) -> tuple[Tensor, float]:
    """Soft tokens TD and the level of one candidate; a line is (task, accuracy, count)."""
    vectors_SD = torch.stack([torch.eye(WIDTH)[task] for task, _, _ in lines])
    accuracy_S, count_S = (torch.tensor([line[place] for line in lines]) for place in (1, 2))
    with torch.no_grad():
        tokens_1TD, level_1 = connector(vectors_SD[None], accuracy_S[None], count_S[None])
    return tokens_1TD[0], level_1.item()


@relaxed
@given(queries=st.integers(1, 5), longest=st.integers(1, LONGEST), seed=st.integers(0, 99))
def test_psi_is_the_trunks_mean_pooled_unit_vector(
    network: ModelSAT, bert: BertModel, queries: int, longest: int, seed: int
) -> None:
    ids_NL, mask_NL = instructions(queries, longest, seed)
    with torch.no_grad():
        states_NLD = bert(ids_NL, attention_mask=mask_NL).last_hidden_state
        pooled_ND = torch.stack(
            [states[:length].mean(0) for states, length in zip(states_NLD, mask_NL.sum(1), strict=True)]
        )
        expected_ND = pooled_ND / pooled_ND.norm(dim=1, keepdim=True)
        torch.testing.assert_close(network.encode(ids_NL, mask_NL), expected_ND, rtol=0, atol=1e-5)


@pytest.mark.parametrize("join_layer", [0, 1, 3])
def test_the_trunk_is_cut_at_the_join_and_whole_below_and_above_it(bert: BertModel, join_layer: int) -> None:
    config = ModelConfig(trunk="tiny", join_layer=join_layer, max_length=LONGEST)
    network = ModelSAT.from_trunk(config, bert, torch.randn(WIDTH), 30, 31).eval()
    ids_NL, mask_NL = instructions(3, 12, seed=0)
    with torch.no_grad():
        trunk = bert(ids_NL, attention_mask=mask_NL, output_hidden_states=True).hidden_states
        real = mask_NL.bool()
        torch.testing.assert_close(network.reader(ids_NL, mask_NL)[real], trunk[join_layer][real], rtol=0, atol=1e-5)
        assert network(ids_NL, mask_NL, *profiles(5, 4, seed=0)).isfinite().all()
    assert [len(part.layers) for part in (network.reader, network.encoder, network.phi)] == [
        join_layer,
        4 - join_layer,
        4 - join_layer,
    ]


def test_what_is_frozen_is_the_trunk_and_phi_has_layers_of_its_own(network: ModelSAT) -> None:
    learns = {name.partition(".")[0] for name, p in network.named_parameters() if p.requires_grad}
    frozen = {name.partition(".")[0] for name, p in network.named_parameters() if not p.requires_grad}
    assert (learns, frozen) == ({"connector", "phi"}, {"reader", "encoder"})
    before = [p.clone() for p in network.encoder.parameters()]
    with torch.no_grad():
        for parameter in network.phi.parameters():
            parameter.add_(1.0)
    assert all(torch.equal(a, b) for a, b in zip(before, network.encoder.parameters(), strict=True))


def test_an_untrained_network_starts_from_the_level_alone() -> None:
    network = ModelSAT.from_trunk(
        ModelConfig(trunk="tiny", join_layer=2, max_length=LONGEST), tiny_bert(), torch.randn(WIDTH), 30, 31
    )
    zoo = profiles(40, lines=6, seed=1)
    with torch.no_grad():
        odds_NK = network(*instructions(3, 9, seed=1), *zoo)
        level_K = network.connector(*zoo)[1]
    assert torch.corrcoef(torch.stack([odds_NK[0], level_K]))[0, 1] > 0.9


@pytest.mark.parametrize("shape", [{"join_layer": 4}, {"join_layer": 9}, {"max_length": LONGEST + 1}])
def test_a_config_that_does_not_fit_the_trunk_is_refused_with_both_numbers(
    bert: BertModel, shape: dict[str, int]
) -> None:
    config = ModelConfig(**{"trunk": "tiny", "join_layer": 2, "max_length": LONGEST, **shape})
    with pytest.raises(InvalidInput, match=r"do not fit trunk 'tiny': it has 4 layers, .* and 64 positions"):
        ModelSAT.from_trunk(config, bert, torch.zeros(WIDTH), 30, 31)


@pytest.mark.parametrize("bad", [{"join_layer": -1}, {"soft_tokens": 3}, {"max_length": 2}, {"layers": 6}])
def test_a_config_with_what_no_network_can_have_is_refused(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        ModelConfig(**bad)
    assert ModelConfig(**MINI.model_dump()) == MINI


# ---- the connector


accuracies = st.floats(0, 1, width=32)
counts = st.sampled_from([1.0, 5.0, 20.0, 1000.0, 1e6])
lines_of_a_test = st.lists(st.tuples(st.integers(0, WIDTH - 1), accuracies, counts), min_size=1, max_size=12)


@relaxed
@given(lines=lines_of_a_test, data=st.data())
def test_the_order_of_task_lines_does_not_matter(
    network: ModelSAT, lines: list[tuple[int, float, float]], data: st.DataObject
) -> None:
    tokens_TD, level = tokens_of(network.connector, lines)
    shuffled_TD, shuffled_level = tokens_of(network.connector, data.draw(st.permutations(lines)))
    torch.testing.assert_close(shuffled_TD, tokens_TD, rtol=0, atol=1e-4)
    assert shuffled_level == pytest.approx(level, abs=1e-5)


@relaxed
@given(lines=lines_of_a_test, padding=st.lists(st.tuples(st.integers(0, WIDTH - 1), accuracies), max_size=20))
def test_padding_lines_do_not_matter_whatever_stands_in_them(
    network: ModelSAT, lines: list[tuple[int, float, float]], padding: list[tuple[int, float]]
) -> None:
    tokens_TD, level = tokens_of(network.connector, lines)
    padded_TD, padded_level = tokens_of(network.connector, [*lines, *((task, acc, 0.0) for task, acc in padding)])
    torch.testing.assert_close(padded_TD, tokens_TD, rtol=0, atol=1e-5)
    assert padded_level == pytest.approx(level, abs=1e-6)


def test_candidates_do_not_see_each_other(network: ModelSAT) -> None:
    vectors_KSD, accuracy_KS, count_KS = profiles(9, lines=7, seed=2)
    with torch.no_grad():
        tokens_KTD, level_K = network.connector(vectors_KSD, accuracy_KS, count_KS)
        for k in range(9):
            alone = network.connector(*(part[k : k + 1] for part in (vectors_KSD, accuracy_KS, count_KS)))
            torch.testing.assert_close((tokens_KTD[k], level_K[k]), (alone[0][0], alone[1][0]), rtol=0, atol=1e-5)


@given(lines=lines_of_a_test)
@relaxed
def test_the_level_is_the_log_odds_of_all_answers_with_one_right_and_one_wrong_added(
    network: ModelSAT, lines: list[tuple[int, float, float]]
) -> None:
    right = sum(accuracy * count for _, accuracy, count in lines)
    wrong = sum((1.0 - accuracy) * count for _, accuracy, count in lines)
    tokens_TD, level = tokens_of(network.connector, lines)
    assert level == pytest.approx(math.log((right + 1.0) / (wrong + 1.0)), abs=1e-3)
    assert tokens_TD.isfinite().all()


@given(lines=lines_of_a_test, better=st.floats(0.01, 1.0))
@relaxed
def test_better_accuracies_are_a_higher_level(
    network: ModelSAT, lines: list[tuple[int, float, float]], better: float
) -> None:
    raised = [(task, accuracy + better * (1.0 - accuracy), count) for task, accuracy, count in lines]
    assume(any(new[1] - old[1] > 1e-3 for new, old in zip(raised, lines, strict=True)))
    assert tokens_of(network.connector, raised)[1] > tokens_of(network.connector, lines)[1]


@pytest.mark.parametrize("accuracy", [0.0, 1.0])
def test_nothing_is_infinite_even_if_a_hundred_million_answers_all_went_one_way(
    network: ModelSAT, accuracy: float
) -> None:
    tokens_TD, level = tokens_of(network.connector, [(task, accuracy, 1e7) for task in range(10)])
    assert tokens_TD.isfinite().all()
    assert level == pytest.approx((1 if accuracy else -1) * math.log(1e8), rel=1e-4)


def test_a_candidate_that_was_never_measured_has_finite_tokens_and_even_odds(network: ModelSAT) -> None:
    tokens_TD, level = tokens_of(network.connector, [(0, 0.0, 0.0)])
    assert tokens_TD.isfinite().all()
    assert level == 0.0
    assert torch.equal(tokens_of(network.connector, [(3, 0.9, 0.0), (4, 0.1, 0.0)])[0], tokens_TD)


def test_one_question_moves_a_profile_less_than_a_thousand(network: ModelSAT) -> None:
    def moved(count: float) -> tuple[float, float]:
        """How far the tokens and the level go when this task goes from half right to all right."""
        anchor = [(1, 0.5, 500.0), (2, 0.5, 500.0)]
        (before_TD, low), (after_TD, high) = (
            tokens_of(network.connector, [*anchor, (0, a, count)]) for a in (0.5, 1.0)
        )
        return (after_TD[1] - before_TD[1]).norm().item(), high - low

    few, twenty, many = moved(1.0), moved(20.0), moved(1000.0)
    assert 0.0 < few[0] < twenty[0] < many[0]
    assert 0.0 < few[1] < twenty[1] < many[1]
    assert few[0] < 0.2 * many[0]


def test_tasks_are_told_apart(network: ModelSAT) -> None:
    weak, strong = (1, 0.1, 100.0), (1, 0.9, 100.0)
    good_at_first = tokens_of(network.connector, [(0, 0.9, 100.0), weak])
    good_at_second = tokens_of(network.connector, [(0, 0.1, 100.0), strong])
    assert good_at_first[1] == pytest.approx(good_at_second[1]), "equally good on the whole"
    assert (good_at_first[0][1] - good_at_second[0][1]).norm() > 0.1
