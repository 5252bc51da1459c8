"""Baselines without parameters, which any other has to beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cit_core.evaluate.baselines.baseline_data import Array, BaselineData
from cit_core.evaluate.baselines.protocol import Encode, Fitted, Uses
from cit_core.records import Capability

__all__ = ["Aptitude", "BestByAptitude", "Random"]


class BestByAptitude:
    """The candidate with the best aptitude test takes every query: what a user would do without a router."""

    name = "single best by aptitude"

    def score(self, instructions: Sequence[str], capabilities: Sequence[Capability]) -> Array:
        """Return mean accuracy on the test, the same for every query; one half for an unmeasured candidate."""
        means = np.nan_to_num([capability.mean_accuracy for capability in capabilities], nan=0.5)
        return np.broadcast_to(means, (len(instructions), len(capabilities))).copy()


class Aptitude:
    """`BestByAptitude` among the baselines."""

    name = BestByAptitude.name
    uses: Uses = "profile"

    def fit(self, data: BaselineData, encode: Encode) -> BestByAptitude:  # noqa: ARG002
        """Return the rule; it has no parameters."""
        return BestByAptitude()


class Random:
    """Scores all candidates alike: metrics average over equal scores, so its figure is the mean of random draws."""

    name = "random"
    uses: Uses = "profile"

    def fit(self, data: BaselineData, encode: Encode) -> Fitted:  # noqa: ARG002
        """Return constant scores; there are no parameters."""

        def indifferent(vectors_ND: NDArray[np.float32], capabilities: Sequence[Capability]) -> Array:
            return np.full((len(vectors_ND), len(capabilities)), 0.5)

        return Fitted(self.name, encode, indifferent, {})
