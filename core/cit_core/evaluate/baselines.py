"""What a router is compared with, behind the same protocol."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cit_core.records import Capability
from cit_core.router import Scorer

__all__ = ["BestByAptitude", "ShuffledCapability", "derangement"]


class BestByAptitude:
    """The candidate with the best aptitude test takes every query: what a user would do without a router."""

    name = "single best by aptitude"

    def score(self, instructions: Sequence[str], capabilities: Sequence[Capability]) -> NDArray[np.float64]:
        """Mean accuracy on the test, the same for every query; one half for a candidate that was never measured."""
        means = np.nan_to_num([capability.mean_accuracy for capability in capabilities], nan=0.5)
        return np.broadcast_to(means, (len(instructions), len(capabilities))).copy()


class ShuffledCapability:
    """A control: the scorer under test reads each candidate's query with somebody else's profile.

    A scorer that does not read profiles is not hurt by it.

    Args:
        scorer: What is under test.
        seed: Of the permutation.
    """

    def __init__(self, scorer: Scorer, seed: int = 0) -> None:
        self._scorer, self._seed = scorer, seed
        self.name = f"{getattr(scorer, 'name', type(scorer).__name__)}, shuffled capability"

    def score(self, instructions: Sequence[str], capabilities: Sequence[Capability]) -> NDArray[np.floating]:
        """Scores under permuted profiles."""
        other = derangement(len(capabilities), self._seed)
        swapped = [
            Capability(candidate=mine.candidate, results=capabilities[place].results)
            for mine, place in zip(capabilities, other, strict=True)
        ]
        return self._scorer.score(instructions, swapped)


def derangement(size: int, seed: int) -> NDArray[np.intp]:
    """A random permutation in which nobody keeps their place (but for a single one)."""
    generator = np.random.default_rng(int(hashlib.sha256(f"{size}:{seed}".encode()).hexdigest()[:8], 16))
    order = generator.permutation(size)
    place = np.empty(size, np.intp)
    place[order] = np.roll(order, 1)  # one cycle through everybody
    return place
