"""Prove: the router beside its baselines and controls on outcomes it has not seen. Never calls an LLM."""

from cit_core.evaluate.experiments import Comparison, Row, held_out
from cit_core.evaluate.metrics import (
    Interval,
    auroc,
    brier,
    calibration_error,
    paired_interval,
    ranking_accuracy,
    routed,
)

__all__ = [
    "Comparison",
    "Interval",
    "Row",
    "auroc",
    "brier",
    "calibration_error",
    "held_out",
    "paired_interval",
    "ranking_accuracy",
    "routed",
]
