"""The words of a capability instruction z = [x, c, p]: what is said to the network besides the query."""

from __future__ import annotations

import random

from cit_core.records import Capability

__all__ = ["INQUIRY", "NO", "YES", "shuffled_text"]

INQUIRY = (
    "Based on the model description and the test sample, predict whether the model can handle the test sample by "
    "indicating 'Yes' or 'No'."
)
"""The performance inquiry prompt p (paper, section 3)."""

YES, NO = "yes", "no"
"""The two answers, as words of the trunk's (lower-case) vocabulary."""


def shuffled_text(capability: Capability, shuffle: int) -> str:
    """A capability in words, its results in one of many orders: the same for equal capabilities.

    Args:
        capability: Its results may come in any order.
        shuffle: Which order; 0, 1, 2, ...
    """
    in_order = sorted(capability.results, key=lambda result: (result.task.description, result.accuracy, result.count))
    random.Random(f"{shuffle}:{capability.fingerprint}").shuffle(in_order)  # noqa: S311 (not a secret)
    return capability.model_copy(update={"results": tuple(in_order)}).text
