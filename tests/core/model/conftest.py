"""What the network's tests share: one tiny network, and the Hugging Face trunk it came from."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import tiny_network
import torch
from transformers import BertModel

from cit_core.model.network import ModelSAT


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Matrices of width 32 are done before a second thread has woken up."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelSAT, Any]:
    return tiny_network.tiny_network(tmp_path_factory.mktemp("trunk"))


@pytest.fixture
def network(saved: tuple[ModelSAT, Any]) -> ModelSAT:
    """A test may change it."""
    return copy.deepcopy(saved[0])


@pytest.fixture(scope="session")
def bert() -> BertModel:
    return tiny_network.tiny_bert()
