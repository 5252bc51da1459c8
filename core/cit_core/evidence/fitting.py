"""How far evidence reaches and how much of it is believed, fitted on outcomes: each question is left out in turn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cit_core.errors import InvalidInput
from cit_core.evidence.effects import Array, Effects, fit_effects
from cit_core.evidence.scorer import Evidence, EvidenceSettings
from cit_core.outcomes import OutcomeMatrix

__all__ = ["FEWEST", "Fit", "fit_settings"]

GRID: Mapping[str, tuple[Any, ...]] = {
    "task_from": ("neighbours", "classifier"),
    "task": (1.0, 3.0, 10.0, 30.0, 100.0),
    "neighbours": (25, 50, 100, 200, 400),
    "bandwidth": (0.6, 0.8, 1.0),
    "local": (1.0, 3.0, 10.0, 30.0, 100.0),
    "difficulty": (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0),
}
SWEEPS = 2
FOLDS = 5
FEWEST = 50
"""Questions that say anything."""


@dataclass(frozen=True)
class Fit:
    """Settings and what they are worth on questions that were left out, fold by fold."""

    settings: EvidenceSettings
    predicted_NK: Array = field(repr=False)
    """Log-odds of the questions that were asked, each without its own fold."""
    asked_N: NDArray[np.intp] = field(repr=False)
    """Their rows."""
    loss_N: Array = field(repr=False)
    """Log-loss of each question, mean over the candidates that answered it [nats]; lower is better."""
    network_loss_N: Array = field(repr=False)
    """The same without evidence."""

    @property
    def gain(self) -> tuple[float, float]:
        """What evidence saves of the log-loss, and the standard error of that."""
        saved_N = self.network_loss_N - self.loss_N
        return float(saved_N.mean()), float(saved_N.std(ddof=1) / np.sqrt(len(saved_N)))

    @property
    def helps(self) -> bool:
        """Whether the gain is more than two of its standard errors."""
        saved, error = self.gain
        return saved > 2.0 * error


def fit_settings(outcomes: OutcomeMatrix, log_odds_IK: NDArray[np.floating], *, seed: int = 0) -> Fit:
    """Choose settings by the log-loss on questions left out in turn, one setting at a time over `GRID`.

    Args:
        outcomes: Training outcomes.
        log_odds_IK: The network's, calibrated; rows of NaN for questions that are not to be asked.
        seed: Of the folds.

    Raises:
        InvalidInput: If fewer than `FEWEST` questions can be asked.
    """
    asked_I = ~np.isnan(log_odds_IK).any(axis=1) & ~np.isnan(outcomes.correct_IK).all(axis=1)
    if asked_I.sum() < FEWEST:
        raise InvalidInput(
            f"evidence is fitted on at least {FEWEST} questions with a text and an outcome, and {asked_I.sum()} have "
            "both; import more with `cit import`, or route with the default settings"
        )
    fold_I = np.random.default_rng(seed).permutation(len(asked_I)) % FOLDS
    correct_NK = outcomes.correct_IK[asked_I].astype(np.float64)
    effects: dict[tuple[int, float], Effects] = {}
    losses: dict[EvidenceSettings, float] = {}

    def predict(settings: EvidenceSettings) -> Array:
        predicted_IK: Array = np.full(log_odds_IK.shape, np.nan)
        for fold in range(FOLDS):
            kept = outcomes.rows(fold_I != fold)
            key = fold, settings.task
            if key not in effects:
                effects[key] = fit_effects(kept, settings.task)
            rows = np.flatnonzero((fold_I == fold) & asked_I)
            evidence = Evidence(kept, settings, effects=effects[key])
            predicted_IK[rows] = evidence.update(log_odds_IK[rows], outcomes.vectors_ID[rows], outcomes.candidates)
        return np.asarray(predicted_IK[asked_I])

    def loss(settings: EvidenceSettings) -> float:
        if settings not in losses:
            losses[settings] = float(_losses(predict(settings), correct_NK).mean())
        return losses[settings]

    best = EvidenceSettings()
    for _ in range(SWEEPS):
        for name, values in GRID.items():
            best = min((replace(best, **{name: value}) for value in values), key=loss)
    predicted_NK = predict(best)
    return Fit(
        settings=best,
        predicted_NK=predicted_NK,
        asked_N=np.flatnonzero(asked_I),
        loss_N=_losses(predicted_NK, correct_NK),
        network_loss_N=_losses(log_odds_IK[asked_I], correct_NK),
    )


def _losses(log_odds_NK: NDArray[np.floating], correct_NK: NDArray[np.floating]) -> Array:
    loss_NK = np.logaddexp(0.0, log_odds_NK) - correct_NK * log_odds_NK
    return np.asarray(np.nanmean(loss_NK, axis=1), np.float64)
