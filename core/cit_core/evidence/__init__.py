"""Correct a scorer by the outcomes on similar questions. Numpy alone: no torch, no store."""

from cit_core.evidence.effects import Effects, fit_effects
from cit_core.evidence.fitting import Fitted, NetworkReading, fit_evidence
from cit_core.evidence.profiles import Profiles
from cit_core.evidence.scorer import Evidence, EvidenceScorer, Reader

__all__ = [
    "Effects",
    "Evidence",
    "EvidenceScorer",
    "Fitted",
    "NetworkReading",
    "Profiles",
    "Reader",
    "fit_effects",
    "fit_evidence",
]
