"""Train and run the paper's network around any Hugging Face encoder and language model."""

from cit_core.errors import MissingExtra

try:
    import torch  # noqa: F401  (the door of this wing: asks for its extra by name)
    import transformers  # noqa: F401
except ImportError as error:
    raise MissingExtra("torch with transformers", "train") from error

from cit_core.paper.config import PAPER, PaperConfig
from cit_core.paper.network import PaperNetwork
from cit_core.paper.scorer import PaperScorer
from cit_core.paper.weights import load_paper, new_paper, save_paper

__all__ = ["PAPER", "PaperConfig", "PaperNetwork", "PaperScorer", "load_paper", "new_paper", "save_paper"]
