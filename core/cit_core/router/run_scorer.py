"""A paper-style run as a router's scorer."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cit_core.calibration import sigmoid
from cit_core.fork import renew_after_fork
from cit_core.pictures import Picture
from cit_core.records import Capability

__all__ = ["RunScorer"]


class RunScorer:
    """A paper-style run beside the vectors of `mini`, by which evidence and baselines compare questions.

    Thread-safe: one call waits for the other. Pickles as the path of its folder.

    Args:
        folder: Folder of the run.

    Raises:
        CheckpointError: If files are missing or do not fit, or a model of the run cannot be loaded.
        MissingExtra: If torch is not installed.
    """

    def __init__(self, folder: str | Path) -> None:
        from cit_core.paper.scorer import PaperScorer
        from cit_core.runtime import load_scorer

        self.folder = Path(folder)
        self._network, self._vectors = PaperScorer.from_run(folder), load_scorer("mini")
        self._renew_after_fork()
        renew_after_fork(self)
        self.name, self.max_tokens = self._network.name, self._network.max_tokens
        self.encoder = self._vectors.encoder

    def _renew_after_fork(self) -> None:
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[RunScorer], tuple[Path]]:
        return RunScorer, (self.folder,)

    def score(self, instructions: Sequence[str], capabilities: Sequence[Capability]) -> NDArray[np.float64]:
        """Return calibrated P(correct) of N queries for K candidates, (N, K)."""
        return sigmoid(self._log_odds(instructions, capabilities))

    def read(
        self, instructions: Sequence[str], capabilities: Sequence[Capability]
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Return calibrated log-odds (N, K) and unit vectors (N, D)."""
        return self._log_odds(instructions, capabilities), self.encode(instructions)

    def read_with_pictures(
        self,
        instructions: Sequence[str],
        capabilities: Sequence[Capability],
        pictures: Sequence[Sequence[Picture]],
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Return what `read` returns, for queries with pictures, which a network with a vision tower sees."""
        with self._lock:
            odds_NK = self._network.calibrated_log_odds(instructions, capabilities, self._network.look(pictures))
        return odds_NK, self.encode(instructions)

    def score_with_pictures(
        self,
        instructions: Sequence[str],
        capabilities: Sequence[Capability],
        pictures: Sequence[Sequence[Picture]],
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Return P(correct) and vectors of queries with pictures."""
        odds_NK, vectors_ND = self.read_with_pictures(instructions, capabilities, pictures)
        return sigmoid(odds_NK), vectors_ND

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return unit vectors of texts, (len(texts), D)."""
        return self._vectors.encode(texts)

    def _log_odds(self, instructions: Sequence[str], capabilities: Sequence[Capability]) -> NDArray[np.float64]:
        with self._lock:
            return self._network.calibrated_log_odds(instructions, capabilities)
