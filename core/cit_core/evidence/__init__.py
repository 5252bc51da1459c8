"""Correct a scorer by the outcomes on similar questions. Numpy alone: no torch, no store."""

from cit_core.evidence.effects import NO_TASK, Effects, fit_effects
from cit_core.evidence.fitting import Fit, fit_settings
from cit_core.evidence.scorer import Evidence, EvidenceScorer, EvidenceSettings, Reader

__all__ = [
    "NO_TASK",
    "Effects",
    "Evidence",
    "EvidenceScorer",
    "EvidenceSettings",
    "Fit",
    "Reader",
    "fit_effects",
    "fit_settings",
]
