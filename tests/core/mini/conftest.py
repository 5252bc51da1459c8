"""Share a tiny network, its trunk, its export in both precisions, and a made-up outcome table."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from outcome_tables import made_up_table
from tiny_network import tiny_bert, tiny_network
from transformers import BertModel

from cit_core.catalogue import catalogue_candidates
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
