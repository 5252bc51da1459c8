"""Predict, with torch: the Model-SAT network. `cit_core.runtime` runs its exported form without torch."""

from cit_core.errors import MissingExtra

try:
    import torch  # noqa: F401  (the door of this wing: asks for its extra by name)
    import transformers  # noqa: F401
except ImportError as error:
    raise MissingExtra("torch with transformers", "train") from error

from cit_core.model.config import PAPER, ModelConfig, PaperConfig
from cit_core.model.loading import load_paper, new_paper, save_paper
from cit_core.model.network import ModelSAT
from cit_core.model.paper import PaperNetwork
from cit_core.model.paper_scorer import PaperScorer
from cit_core.model.persistence import load_network, load_trunk, save_network

__all__ = [
    "PAPER",
    "ModelConfig",
    "ModelSAT",
    "PaperConfig",
    "PaperNetwork",
    "PaperScorer",
    "load_network",
    "load_paper",
    "load_trunk",
    "new_paper",
    "save_network",
    "save_paper",
]
