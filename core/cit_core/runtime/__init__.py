"""Run exported checkpoints on onnxruntime, without torch."""

from __future__ import annotations

from pathlib import Path

from cit_core.runtime.checkpoint import Checkpoint, shipped_checkpoints
from cit_core.runtime.onnx_scorer import OnnxScorer

__all__ = [
    "Checkpoint",
    "OnnxScorer",
    "load_scorer",
    "shipped_checkpoints",
]


def load_scorer(checkpoint: str | Path = "mini", *, threads: int | None = None) -> OnnxScorer:
    """Load an exported network: offline, on the CPU, in well under a second.

    Args:
        checkpoint: Name of a shipped checkpoint, or a folder.
        threads: Number of onnxruntime's threads within a call; its own choice if not given.

    Raises:
        CheckpointError: If the checkpoint is missing, damaged or from a newer release.
    """
    return OnnxScorer(checkpoint, threads=threads)
