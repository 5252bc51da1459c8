"""Learn: outcomes in, a trained and exported network out. Needs the `train` extra."""

from cit_core.errors import MissingExtra

try:
    import onnx  # noqa: F401  (the door of this wing: asks for its extra by name)
    import torch  # noqa: F401
    import transformers  # noqa: F401
except ImportError as error:
    raise MissingExtra("torch with transformers and onnx", "train") from error

from cit_core.train.data import OutcomeTable, Split, read_outcomes
from cit_core.train.export import export_checkpoint
from cit_core.train.trainer import TrainConfig, fit

__all__ = ["OutcomeTable", "Split", "TrainConfig", "export_checkpoint", "fit", "read_outcomes"]
