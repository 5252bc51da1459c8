"""Share a tiny network, its trunk, its export in both precisions, and a made-up outcome table."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from outcome_tables import made_up_table
from tiny_network import KNOWN, LONGEST, save_trunk, tiny_bert, tiny_network
from transformers import BertModel

from cit_core.catalogue import catalogue_candidates
from cit_core.mini.config import ModelConfig, TrainConfig
from cit_core.mini.export import export_checkpoint, quantise_checkpoint
from cit_core.mini.network import ModelSAT
from cit_core.outcomes import OutcomeMatrix


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Matrices of width 32 are done before a second thread has woken up."""
    torch.set_num_threads(1)


class Exported(NamedTuple):
    """One network, three times."""

    network: ModelSAT
    tokenizer: Any
    exact: Path
    """Its float32 checkpoint."""
    int8: Path


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Made once: exporting takes many seconds."""
    root = tmp_path_factory.mktemp("exported")
    network, tokenizer = tiny_network(root / "trunk")
    export_checkpoint(network, tokenizer, root / "exact", "tiny")
    quantise_checkpoint(root / "exact", root / "int8")
    return Exported(network, tokenizer, root / "exact", root / "int8")


@pytest.fixture(scope="session")
def table() -> OutcomeMatrix:
    """Enough for the recipe: 22 models, 60 tasks x 36 items."""
    return made_up_table([candidate.id for candidate in catalogue_candidates()], tasks=60, items_of_task=36)


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelSAT, Any]:
    return tiny_network(tmp_path_factory.mktemp("trunk"))


@pytest.fixture
def network(saved: tuple[ModelSAT, Any]) -> ModelSAT:
    """A test may change it."""
    return copy.deepcopy(saved[0])


@pytest.fixture(scope="session")
def bert() -> BertModel:
    return tiny_bert()


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def other() -> OutcomeMatrix:
    """Questions of a kind that no core task has, answered by models that the catalogue knows and by a stranger."""
    return _with_own_texts(made_up_table([*KNOWN, "stranger"], tasks=2, items_of_task=60, seed=3), "other")


@pytest.fixture(scope="session")
def again(other: OutcomeMatrix) -> OutcomeMatrix:
    """The same outcomes on other texts."""
    return _with_own_texts(other, "again")


def _with_own_texts(table: OutcomeMatrix, name: str) -> OutcomeMatrix:
    texts = tuple(f"{text} {name} {row}" for row, text in enumerate(table.instructions))
    return replace(table, name=name, instructions=texts, questions=texts)


@pytest.fixture(scope="session")
def mixed(config: TrainConfig) -> TrainConfig:
    return config.model_copy(update={"mixed_steps": 6, "mixed_share": 0.7, "mixed_items": 16, "mixed_candidates": 4})
