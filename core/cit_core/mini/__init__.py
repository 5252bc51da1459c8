"""Train and export `mini`, the network that ships. `cit_core.runtime` runs the exported form without torch."""

from cit_core.errors import MissingExtra

try:
    import torch  # noqa: F401  (the door of this wing: asks for its extra by name)
    import transformers  # noqa: F401
except ImportError as error:
    raise MissingExtra("torch with transformers", "train") from error

from cit_core.mini.config import MINI, ModelConfig
from cit_core.mini.network import ModelSAT
from cit_core.mini.weights import load_network, load_trunk, new_network, save_network

__all__ = ["MINI", "ModelConfig", "ModelSAT", "load_network", "load_trunk", "new_network", "save_network"]
