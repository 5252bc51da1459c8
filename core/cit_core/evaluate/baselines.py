"""What a router is compared with, behind the same protocol."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cit_core.records import Capability

__all__ = ["BestByAptitude", "shuffles"]


class BestByAptitude:
    """The candidate with the best aptitude test takes every query: what a user would do without a router."""

    name = "single best by aptitude"

    def score(self, instructions: Sequence[str], capabilities: Sequence[Capability]) -> NDArray[np.float64]:
        """Mean accuracy on the test, the same for every query; one half for a candidate that was never measured."""
        means = np.nan_to_num([capability.mean_accuracy for capability in capabilities], nan=0.5)
        return np.broadcast_to(means, (len(instructions), len(capabilities))).copy()


def shuffles(size: int, most: int = 60) -> list[NDArray[np.intp]]:
    """Permutations of candidates, for the control that reads each query with somebody else's profile.

    Every permutation where there are few; else random ones, each with all its rotations, so that every profile stands
    at every candidate equally often. Not derangements: where nobody may keep their own profile, a small zoo's control
    is pushed below chance (in a pair it is always wrong), and beating it proves less.

    Args:
        size: Of the zoo.
        most: Permutations to be content with.
    """
    if math.factorial(size) <= most:
        return [np.array(order) for order in itertools.permutations(range(size))]
    generator = np.random.default_rng(size)
    drawn = [generator.permutation(size) for _ in range(math.ceil(most / size))]
    return [np.roll(order, turn) for order in drawn for turn in range(size)]
