"""Predict without torch."""

from typing import Any


def load_scorer(checkpoint: Any = "mini") -> Any:
    raise NotImplementedError
