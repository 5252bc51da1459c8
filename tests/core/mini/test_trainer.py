"""A run learns, can be repeated to the last bit, and never looks at what is held out.

The runs here are real runs of `fit`, on a trunk of width 32 that the test saves itself.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from outcome_tables import made_up_table
from tiny_network import LONGEST, WIDTH, save_trunk
from torch import Tensor

from cit_core.errors import InvalidInput
from cit_core.mini import trainer
from cit_core.mini.config import ModelConfig
from cit_core.mini.network import ModelSAT
from cit_core.mini.sampler import Profiles
from cit_core.mini.trainer import TrainConfig, fit, routing_loss
from cit_core.mini.weights import load_network, new_network
from cit_core.outcomes import OutcomeMatrix, Split

outcome = st.one_of(st.sampled_from([0.0, 1.0, math.nan]), st.floats(0, 1))


# ---- the loss


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
    trainer._multiplies_bfloat16.cache_clear()
    generator = torch.Generator().manual_seed(0)
    x_NLD, mask_NL = torch.randn(2, 5, WIDTH, generator=generator), torch.ones(2, 5)
    profiles = Profiles(torch.randn(3, 4, WIDTH, generator=generator), torch.rand(3, 4), torch.full((3, 4), 20.0))
    found_NK = trainer._odds(network, x_NLD, mask_NL, profiles)
    trainer._multiplies_bfloat16.cache_clear()
    exact_NK = network.phi(x_NLD, mask_NL, *network.know(*profiles))
    assert found_NK.dtype == torch.float32
    assert torch.equal(found_NK, exact_NK) is not rounds
    torch.testing.assert_close(found_NK, exact_NK, rtol=0.1, atol=0.1)


# ---- runs


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    trunk = save_trunk(tmp_path_factory.mktemp("trunk"))
    return TrainConfig(
        network=ModelConfig(trunk=trunk, join_layer=2, max_length=LONGEST),
        steps=12,
        items=16,
        candidates=6,
        warmup=2,
        evaluate_every=6,
        max_length=24,
    )


def run(table: OutcomeMatrix, folder: Path, config: TrainConfig) -> tuple[ModelSAT, list[dict[str, float]]]:
    network = fit(table, folder, config, progress=False)
    return network, [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def weights(network: ModelSAT) -> dict[str, Tensor]:
    return {name: value for name, value in network.state_dict().items() if name.startswith(("connector.", "phi."))}


def equal(first: ModelSAT, second: ModelSAT) -> bool:
    return all(torch.equal(value, second.state_dict()[name]) for name, value in first.state_dict().items())


@pytest.fixture(scope="module")
def first(table: OutcomeMatrix, config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run, its metrics and its folder."""
    folder = tmp_path_factory.mktemp("first") / "run"
    return *run(table, folder, config), folder


def test_a_run_leaves_all_it_takes_to_go_on(first: Any, table: OutcomeMatrix, config: TrainConfig) -> None:
    network, metrics, folder = first
    assert {path.name for path in folder.iterdir()} == {"model.json", "model.safetensors", "run.json", "metrics.jsonl"}
    record = json.loads((folder / "run.json").read_text())
    assert TrainConfig(**record["config"]) == config
    assert record["digest"] == table.digest()
    assert {part: tuple(models) for part, models in record["models"].items()} == config.split.models(table.candidates)
    assert [line["step"] for line in metrics] == [6, 12]
    loaded, _ = load_network(folder)
    assert equal(loaded, network)
    assert not network.training


def test_only_connector_and_phi_have_learnt(first: Any, config: TrainConfig) -> None:
    start, _ = new_network(config.network)
    torch.manual_seed(0)
    for name, value in start.state_dict().items():
        if name.startswith(("reader.", "encoder.")):
            assert torch.equal(value, first[0].state_dict()[name]), name
    changed = [name for name, value in weights(start).items() if not torch.equal(value, weights(first[0])[name])]
    assert len(changed) > 0.9 * len(weights(start))


def test_the_same_seed_is_the_same_run_to_the_last_bit(
    first: Any, table: OutcomeMatrix, config: TrainConfig, tmp_path: Path
) -> None:
    torch.manual_seed(999)  # whatever went before
    again, metrics = run(table, tmp_path, config)
    assert equal(again, first[0])
    assert metrics == first[1]
    other, _ = run(table, tmp_path, config.model_copy(update={"seed": 1}))
    assert not equal(other, first[0])
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2, "of the last run in this folder alone"


@pytest.mark.parametrize("poison", [math.nan, 1.0, "flipped"])
def test_held_out_outcomes_are_never_read(
    first: Any, table: OutcomeMatrix, config: TrainConfig, tmp_path: Path, poison: Any
) -> None:
    rows = config.split.items(table.item_ids)["test"]
    columns = [table.column(model) for model in config.split.models(table.candidates)["test"]]
    poisoned = table.correct_IK.copy()
    poisoned[rows] = 1.0 - poisoned[rows] if poison == "flipped" else poison
    poisoned[:, columns] = 1.0 - table.correct_IK[:, columns] if poison == "flipped" else poison
    found, metrics = run(replace(table, correct_IK=poisoned), tmp_path, config)
    assert equal(found, first[0])
    assert metrics == first[1]


def test_held_out_questions_are_never_read(
    first: Any, table: OutcomeMatrix, config: TrainConfig, tmp_path: Path
) -> None:
    """Each text is replaced by one as long, so that batches stay the same."""
    rows = set(config.split.items(table.item_ids)["test"].tolist())
    other = {"law": "why", "why": "law", "cell": "name", "name": "cell", "proof": "solve", "solve": "proof"}

    def replaced(texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(
            " ".join(other.get(word, word) for word in text.split()) if row in rows else text
            for row, text in enumerate(texts)
        )

    changed = replace(table, instructions=replaced(table.instructions), questions=replaced(table.questions))
    assert changed.instructions != table.instructions
    found, metrics = run(changed, tmp_path, config)
    assert equal(found, first[0])
    assert metrics == first[1]


def test_poison_where_training_looks_does_show(
    first: Any, table: OutcomeMatrix, config: TrainConfig, tmp_path: Path
) -> None:
    """Or the tests above could not fail."""
    rows = config.split.items(table.item_ids)["train"]
    poisoned = table.correct_IK.copy()
    poisoned[rows[::3]] = 1.0 - poisoned[rows[::3]]
    assert not equal(run(replace(table, correct_IK=poisoned), tmp_path, config)[0], first[0])


def entropy(chance: float) -> float:
    return -chance * math.log(chance) - (1.0 - chance) * math.log(1.0 - chance)


@pytest.mark.parametrize("seed", [0, 1])
def test_some_steps_learn_what_the_text_alone_says(
    table: OutcomeMatrix, config: TrainConfig, tmp_path: Path, seed: int
) -> None:
    """Two texts, one answered by 80 %, the other by 20 % of whoever is asked: whoever does not read them stays at 50 %.

    The loss has to fall by more than half of what there is to learn, which ten steps do; no processor's arithmetic
    makes up for the rest.
    """
    hard_I = np.random.default_rng(0).random(len(table)) < 0.5
    chance_IK = np.where(hard_I, 0.2, 0.8)[:, None].repeat(len(table.candidates), axis=1)
    texts = tuple(np.where(hard_I, "proof energy", "law").tolist())
    clear = replace(
        table,
        correct_IK=(np.random.default_rng(1).random(chance_IK.shape) < chance_IK).astype(float),
        instructions=texts,
        questions=texts,
    )
    eager = {"learning_rate": 3e-3, "average_over": 5, "dropout": 0.0, "token_dropout": 0.0, "ranking_weight": 0.0}
    longer = config.model_copy(update={"steps": 40, "evaluate_every": 20, "items": 32, "seed": seed, **eager})
    network, metrics = run(clear, tmp_path, longer)
    assert min(line["validation"] for line in metrics) < (entropy(0.5) + entropy(0.2)) / 2
    assert equal(load_network(tmp_path)[0], network), "what is kept is the best average"


def test_too_little_to_train_on_is_refused_at_once(table: OutcomeMatrix, config: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"needs 16 training items, .* of 10 items and 22 models in 'made-up'"):
        fit(table.rows(range(10)), tmp_path / "run", config)
    few_models = made_up_table([f"m{number}" for number in range(10)], tasks=60, items_of_task=36)
    with pytest.raises(InvalidInput, match=r"2 training models; .* the split leaves \d+, \d+ and 1"):
        fit(few_models, tmp_path / "run", config)
    no_validation = config.model_copy(update={"split": Split(validation_items=0.0)})
    with pytest.raises(InvalidInput, match=r"a validation item"):
        fit(table, tmp_path / "run", no_validation)
    with pytest.raises(InvalidInput, match="has tasks that the catalogue has no keywords for: knitting"):
        fit(replace(table, tasks=("knitting", *table.tasks[1:])), tmp_path / "run", config)
    assert not (tmp_path / "run").exists()


def test_a_run_that_diverges_says_so_and_keeps_no_weights(
    table: OutcomeMatrix, config: TrainConfig, tmp_path: Path
) -> None:
    wild = config.model_copy(update={"learning_rate": 1e30, "connector_rate": 1e30})
    with pytest.raises(InvalidInput, match=r"training diverged: .* lower the learning rates"):
        fit(table, tmp_path / "run", wild, progress=False)
    assert not (tmp_path / "run" / "model.safetensors").exists()
