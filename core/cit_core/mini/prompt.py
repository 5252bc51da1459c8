"""The words of a capability instruction z = [x, c, p] besides the query."""

from __future__ import annotations

__all__ = ["INQUIRY", "NO", "YES"]

INQUIRY = (
    "Based on the model description and the test sample, predict whether the model can handle the test sample by "
    "indicating 'Yes' or 'No'."
)
"""The performance inquiry prompt p (paper, section 3)."""

YES, NO = "yes", "no"
"""The two answers, as words of the trunk's (lower-case) vocabulary."""
