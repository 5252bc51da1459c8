"""A grid is a function of its number; a group is one handled instruction among failed ones; the better come more."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from tiny_paper import paper, tiny_config, zoo

from cit_core.errors import InvalidInput
from cit_core.paper import grids as module
from cit_core.paper.grids import Collator, Grid, Grids, Pool
from cit_core.paper.recipe import Recipe, Stage

DRAW = np.random.default_rng(0)
ITEMS, MODELS = 120, 5
LABELS = (DRAW.random((ITEMS, MODELS)) < np.linspace(0.2, 0.8, MODELS)).astype(float)


def pool(label_IM: np.ndarray = LABELS, **given: Any) -> Pool:
    items, models = label_IM.shape
    texts = [f"question {number}" for number in range(items)]
    return Pool(
        **{
            "instructions": texts,
            "label_IM": label_IM,
            "in_domain_I": np.arange(items) % 2 == 0,
            "capabilities": zoo(models),
            **given,
        }
    )


def recipe(**given: Any) -> Recipe:
    stages = (Stage(learns="connector", in_domain=True, steps=5), Stage(steps=50))
    return Recipe(**{"network": tiny_config(), "stages": stages, "batch": 4, **given})


def all_of(grids: Grids) -> list[Grid]:
    return [grids[number] for number in range(len(grids))]


def same(first: Grid, second: Grid) -> bool:
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("objective", ["group", "calibrated", "listwise"])
def test_a_grid_is_a_function_of_seed_stage_and_number(objective: str) -> None:
    ours = recipe(objective=objective)
    first, again = (Grids(pool(), ours, 1) for _ in range(2))
    assert len(first) == 50 * 4
    forwards = all_of(first)
    assert all(same(forwards[n], again[n]) for n in reversed(range(len(again)))), "whatever was asked before"
    other_seed, other_stage = Grids(pool(), recipe(objective=objective, seed=1), 1), Grids(pool(), ours, 0)
    assert not any(same(forwards[n], other_seed[n]) for n in range(20))
    assert not any(same(forwards[n], other_stage[n]) for n in range(20))
    assert not same(forwards[0], forwards[1])


def test_a_group_is_one_instruction_handled_and_the_others_failed_by_one_candidate() -> None:
    for grid in all_of(Grids(pool(), recipe(shots=6), 1)):
        (model,) = grid.columns_K
        assert grid.label_NK[:, 0].tolist() == [1.0] + [0.0] * 5
        assert LABELS[grid.rows_N, model].tolist() == [1.0] + [0.0] * 5
        assert len(set(grid.rows_N.tolist())) == 6


def test_a_grid_has_the_shape_and_the_labels_that_were_asked_for() -> None:
    label_IM = LABELS.copy()
    label_IM[::3, 2] = np.nan
    for grid in all_of(Grids(pool(label_IM), recipe(objective="calibrated", items=3, candidates=4), 1)):
        assert grid.label_NK.shape == (3, 4)
        assert len(set(grid.columns_K.tolist())) == 4
        np.testing.assert_array_equal(grid.label_NK, label_IM[np.ix_(grid.rows_N, grid.columns_K)])


def test_the_first_stage_stays_in_the_domain_of_the_test() -> None:
    inside = {int(row) for grid in all_of(Grids(pool(), recipe(), 0)) for row in grid.rows_N}
    both = {int(row) % 2 for grid in all_of(Grids(pool(), recipe(), 1)) for row in grid.rows_N}
    assert {row % 2 for row in inside} == {0}
    assert both == {0, 1}


def test_hard_negatives_are_failed_items_near_the_one_that_was_handled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NEAR", 6)
    angle = np.linspace(0, np.pi, ITEMS)
    vectors = np.stack([np.cos(angle), np.sin(angle)], axis=1)

    def distances(share: float) -> list[int]:
        grids = Grids(pool(vectors_ID=vectors), recipe(hard_negatives=share, shots=4), 1)
        return [abs(int(row) - int(grid.rows_N[0])) for grid in all_of(grids) for row in grid.rows_N[1:]]

    hard, half, none = (distances(share) for share in (1.0, 0.5, 0.0))
    assert np.mean(hard) < np.mean(half) < np.mean(none)
    assert np.mean(hard) < 0.4 * np.mean(none)


@pytest.mark.parametrize("objective", ["group", "listwise"])
def test_stronger_candidates_are_drawn_more(objective: str) -> None:
    def drawn(strength: float) -> np.ndarray:
        grids = Grids(pool(), recipe(objective=objective, strength=strength, candidates=2, hard_negatives=0.0), 1)
        counts = Counter(int(model) for grid in all_of(grids) for model in grid.columns_K)
        return np.array([counts[model] for model in range(MODELS)])

    alike, more = drawn(0.0), drawn(3.0)
    assert alike.min() > 0.5 * alike.max()
    assert more[-1] > 2 * more[1]
    assert more[0] < alike[0] / 2


def test_telling_instructions_are_drawn_more() -> None:
    label_IM = np.zeros((ITEMS, MODELS))
    label_IM[:, -1] = np.arange(ITEMS) % 2  # one in five is right on every second
    label_IM[:30, :3] = 1.0  # three in five, or four, on these: the most telling

    def share(telling: float) -> float:
        grids = all_of(Grids(pool(label_IM), recipe(objective="calibrated", telling=telling), 1))
        return float(np.mean([row < 30 for grid in grids for row in grid.rows_N]))

    assert share(0.0) == pytest.approx(0.25, abs=0.1)
    assert share(1.0) > 0.35


def test_distillation_reads_the_teacher_in_place_of_outcomes() -> None:
    teacher = DRAW.random(LABELS.shape)
    for grid in all_of(Grids(pool(teacher_IM=teacher), recipe(objective="distillation", items=2), 1))[:20]:
        np.testing.assert_array_equal(grid.label_NK, teacher[np.ix_(grid.rows_N, grid.columns_K)])
    with pytest.raises(InvalidInput, match="needs a teacher"):
        Grids(pool(), recipe(objective="distillation"), 1)[0]


def test_who_never_failed_or_was_never_measured_is_in_no_group() -> None:
    label_IM = LABELS.copy()
    label_IM[:, 0], label_IM[:, 1], label_IM[:, 2] = 1.0, np.nan, 0.0
    assert {int(grid.columns_K[0]) for grid in all_of(Grids(pool(label_IM), recipe(), 1))} == {3, 4}


def test_too_little_to_draw_from_is_refused() -> None:
    with pytest.raises(
        InvalidInput, match=r"stage 2 \(group\) has 2 instructions and 0 models .* needs 4 instructions"
    ):
        Grids(pool(LABELS[:2]), recipe(), 1)
    with pytest.raises(InvalidInput, match=r"\(listwise\) has 120 instructions and 1 models .* at least 2 models"):
        Grids(pool(LABELS[:, :1]), recipe(objective="listwise"), 1)
    with pytest.raises(InvalidInput, match=r"stage 1 .* has 0 instructions .*in_domain: false"):
        Grids(pool(in_domain_I=np.zeros(ITEMS, bool)), recipe(), 0)


def test_a_batch_is_what_the_network_takes_and_its_labels() -> None:
    network, reader = paper("llama", order="instruction_first")
    grids = Grids(pool(), recipe(objective="calibrated", items=2, candidates=3), 1)
    batch = Collator(pool(), reader)([grids[0], grids[1]])
    label_GNK = batch.pop("label")
    assert network(**batch).shape == label_GNK.shape == (2, 2, 3)
    np.testing.assert_array_equal(label_GNK[1].numpy(), grids[1].label_NK)
