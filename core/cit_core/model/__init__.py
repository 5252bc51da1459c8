"""Predict, with torch: the Model-SAT network. `cit_core.runtime` runs its exported form without torch."""

from cit_core.errors import MissingExtra

try:
    import torch  # noqa: F401  (the door of this wing: asks for its extra by name)
    import transformers  # noqa: F401
except ImportError as error:
    raise MissingExtra("torch with transformers", "train") from error

from cit_core.model.config import ModelConfig
from cit_core.model.network import ModelSAT
from cit_core.model.persistence import load_network, load_trunk, save_network

__all__ = ["ModelConfig", "ModelSAT", "load_network", "load_trunk", "save_network"]
