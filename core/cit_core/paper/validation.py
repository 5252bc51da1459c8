"""Metric of early stopping: accuracy of the routed candidate on validation items.

Axes: N items, K candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cit_core.errors import InvalidInput
from cit_core.outcomes import OutcomeMatrix, Split, random_zoos
from cit_core.paper.vision import Patches
from cit_core.records import Capability

__all__ = ["Validation", "validation_of"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Validation:
    """Validation items, with the models that training or validation may see."""

    instructions: tuple[str, ...]
    capabilities: tuple[Capability, ...]
    correct_NK: Array
    """Outcomes in [0, 1]; NaN where a model was not measured."""
    zoos: tuple[tuple[int, ...], ...]
    """Zoos of candidates of similar strength."""
    item_ids: tuple[str, ...] = ()
    patches_N: Sequence[Patches] | None = None
    """Features of each item's pictures; None where the network has no tower."""

    def __len__(self) -> int:
        return len(self.instructions)

    def metrics(self, odds_NK: Array) -> dict[str, float]:
        """Return accuracy of routing and of always taking the best by aptitude, mean over zoos, and the log-loss."""
        aptitude_K = np.array([capability.mean_accuracy for capability in self.capabilities])
        routed, best = [], []
        for zoo in map(list, self.zoos):
            correct_NZ = self.correct_NK[:, zoo]
            both_N = ~np.isnan(correct_NZ).any(axis=1)
            if both_N.any():
                chosen_N = odds_NK[:, zoo].argmax(axis=1)
                routed.append(correct_NZ[both_N, chosen_N[both_N]].mean())
                best.append(correct_NZ[both_N, aptitude_K[zoo].argmax()].mean())
        known_NK = ~np.isnan(self.correct_NK)
        z, y = odds_NK[known_NK], self.correct_NK[known_NK]
        return {
            "routing_accuracy": float(np.mean(routed)),
            "best_by_aptitude": float(np.mean(best)),
            "log_loss": float((np.logaddexp(0.0, z) - y * z).mean()),
        }


def validation_of(
    table: OutcomeMatrix, split: Split, models: Sequence[str], capabilities: Sequence[Capability], most: int
) -> Validation:
    """Return validation items of a table.

    Args:
        table: Outcomes.
        split: Split into training and held-out data.
        models: K models, none of them of the test part.
        capabilities: Capability of each model.
        most: Items; the first by the split's hash.

    Raises:
        InvalidInput: If there is no zoo of two that an item was measured with.
    """
    rows = split.items(table.item_ids)["validation"]
    rows = np.sort(np.array(sorted(rows, key=lambda row: split.fraction(table.item_ids[row]))[:most], np.intp))
    correct_NK = table.correct_IK[np.ix_(rows, np.array([table.column(model) for model in models], np.intp))]
    able = [place for place, capability in enumerate(capabilities) if capability.results]
    aptitude_K = np.array([capabilities[place].mean_accuracy for place in able])
    zoos = tuple(tuple(able[place] for place in zoo) for zoo in random_zoos(aptitude_K))
    measured = [zoo for zoo in zoos if len(zoo) > 1 and (~np.isnan(correct_NK[:, list(zoo)])).all(axis=1).any()]
    if not measured:
        raise InvalidInput(
            f"routing cannot be validated: of {len(rows)} validation items of {table.name!r} none was answered by two "
            f"of the {len(able)} models that were measured and are not held out for the test"
        )
    texts, ids = (tuple(given[row] for row in rows) for given in (table.instructions, table.item_ids))
    return Validation(texts, tuple(capabilities), correct_NK, tuple(measured), ids)
