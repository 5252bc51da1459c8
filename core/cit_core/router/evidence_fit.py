"""Fit on a store's own outcomes how much its evidence is believed, and keep that in the store."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cit_core.aptitude.item_vectors import encode_items
from cit_core.evidence.fitting import Fit, fit_settings
from cit_core.evidence.scorer import Reader
from cit_core.records import Capability
from cit_core.router.loading import Network, evidence_setting

if TYPE_CHECKING:
    from cit_core.outcomes import OutcomeMatrix
    from cit_core.store import CapabilityStore

__all__ = ["Calibrated", "calibrate_evidence"]

CHUNK = 16
"""Questions that are read between two reports of progress."""


@dataclass(frozen=True)
class Calibrated:
    """What was fitted and kept."""

    fit: Fit
    version: int
    """Of the store, which keeps it."""
    routed: float
    """Accuracy of the candidates that evidence would choose for the questions that were left out."""
    routed_network: float
    """Of those that the network alone would choose."""


def calibrate_evidence(
    store: CapabilityStore,
    scorer: Network,
    *,
    questions: int = 1000,
    seed: int = 0,
    progress: Callable[[str, int], None] | None = None,
) -> Calibrated:
    """Give every item a vector, fit `EvidenceSettings` by leaving questions out, and keep them.

    Routers that are made from now on use them; where evidence does not help, they go without.

    Args:
        store: With outcomes on items whose texts are known.
        scorer: Whose probabilities are corrected.
        questions: At most so many, drawn at random, are read by the network and left out in turn.
        seed: Of the draw and of the folds.
        progress: Told what is done and how many items it has been done to.

    Raises:
        InvalidInput: If fewer than 50 questions have a text and an outcome; nothing is kept but vectors.
    """
    tell = progress or (lambda _what, _count: None)
    encode_items(store, scorer, progress=lambda done: tell("items encoded", done))
    _, capabilities, evidence = store.snapshot(encoder=scorer.encoder)
    assert evidence is not None
    texts = {item.id: item.instruction for item in store.items(evidence.item_ids) if item.instruction}
    rows = _drawn(evidence, texts.keys(), questions, seed)
    log_odds_IK = np.full(evidence.correct_IK.shape, np.nan)
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        log_odds_IK[chunk] = _read(scorer, [texts[evidence.item_ids[row]] for row in chunk], capabilities)
        tell("items read", start + len(chunk))
    fit = fit_settings(evidence, log_odds_IK, seed=seed)
    saved, error = fit.gain
    kept = {
        "encoder": scorer.encoder,
        "scorer": scorer.name,
        "settings": asdict(fit.settings) if fit.helps else None,
        "questions": len(fit.asked_N),
        "saved_log_loss": saved,
        "standard_error": error,
    }
    with store.transaction() as writer:
        writer.set_setting(evidence_setting(scorer), kept)
    correct_NK = evidence.correct_IK[fit.asked_N]
    return Calibrated(
        fit=fit,
        version=store.version,
        routed=_routed(fit.predicted_NK, correct_NK),
        routed_network=_routed(log_odds_IK[fit.asked_N], correct_NK),
    )


def _drawn(evidence: OutcomeMatrix, with_text: Container[str], questions: int, seed: int) -> NDArray[np.intp]:
    measured = np.flatnonzero((~np.isnan(evidence.correct_IK)).sum(axis=1))
    usable = np.array([place for place in measured if evidence.item_ids[place] in with_text], np.intp)
    return np.sort(np.random.default_rng(seed).permutation(usable)[:questions])


def _read(scorer: Reader, texts: Sequence[str], capabilities: Sequence[Capability]) -> NDArray[np.float64]:
    return scorer.read(texts, capabilities)[0]


def _routed(log_odds_NK: NDArray[np.floating], correct_NK: NDArray[np.floating]) -> float:
    best_N = np.where(np.isnan(correct_NK), -np.inf, log_odds_NK).argmax(axis=1)
    return float(correct_NK[np.arange(len(best_N)), best_N].mean())
