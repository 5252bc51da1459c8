"""A network by name or folder: one that was exported, or a run of `cit train --preset paper`."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cit_core.errors import CheckpointError
from cit_core.records import Capability
from cit_core.router.scorer import Scorer
from cit_core.runtime.calibration import sigmoid
from cit_core.runtime.checkpoint import shipped_checkpoints
from cit_core.runtime.evidence import Reader

__all__ = ["Network", "RunScorer", "is_run", "open_scorer"]


class Network(Scorer, Reader, Protocol):
    """A scorer that evidence can correct and that gives vectors to what evidence is made of; `OnnxScorer` for one."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of texts, (len(texts), D)."""


class RunScorer:
    """A paper-style run beside the vectors of `mini`, by which evidence and baselines compare questions.

    Thread-safe: one call waits for the other. Pickles as the path of its folder.

    Args:
        folder: Of the run.

    Raises:
        CheckpointError: If files are missing or do not fit, or a model of the run cannot be loaded.
        MissingExtra: If torch is not installed.
    """

    def __init__(self, folder: str | Path) -> None:
        from cit_core.model.paper_scorer import PaperScorer
        from cit_core.runtime import load_scorer

        self.folder = Path(folder)
        self._network, self._vectors = PaperScorer.from_run(folder), load_scorer("mini")
        self._lock = threading.Lock()
        self.name, self.max_tokens = self._network.name, self._network.max_tokens
        self.encoder = self._vectors.encoder

    def __reduce__(self) -> tuple[type[RunScorer], tuple[Path]]:
        return RunScorer, (self.folder,)

    def score(self, instructions: Sequence[str], capabilities: Sequence[Capability]) -> NDArray[np.float64]:
        """Calibrated P(correct) of N queries for K candidates, (N, K)."""
        return sigmoid(self._log_odds(instructions, capabilities))

    def read(
        self, instructions: Sequence[str], capabilities: Sequence[Capability]
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Calibrated log-odds (N, K) and unit vectors (N, D)."""
        return self._log_odds(instructions, capabilities), self.encode(instructions)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of texts, (len(texts), D)."""
        return self._vectors.encode(texts)

    def _log_odds(self, instructions: Sequence[str], capabilities: Sequence[Capability]) -> NDArray[np.float64]:
        with self._lock:
            return self._network.calibrated_log_odds(instructions, capabilities)


def is_run(checkpoint: str | Path) -> bool:
    """Whether this is the folder of a finished paper-style run: an exported checkpoint has no model.json."""
    there = (Path(checkpoint, name).is_file() for name in ("model.json", "calibration.json"))
    return str(checkpoint) not in shipped_checkpoints() and all(there)


def open_scorer(checkpoint: str | Path = "mini") -> Network:
    """Open what every `--checkpoint` takes.

    Args:
        checkpoint: Name of a shipped checkpoint, its folder, or the folder of a run of `cit train --preset paper`.

    Raises:
        CheckpointError: If it is missing, damaged or from a newer release.
        MissingExtra: If it is a run and torch is not installed.
    """
    from cit_core.runtime import load_scorer

    if is_run(checkpoint):
        return RunScorer(checkpoint)
    recipe = Path(checkpoint, "recipe.yaml")
    if recipe.is_file():
        raise CheckpointError(
            f"the run in {checkpoint} is not finished; to go on with it: "
            f"cit train --config {recipe} --out {checkpoint} --resume"
        )
    return load_scorer(checkpoint)
