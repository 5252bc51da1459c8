"""Format unknown values for error messages."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

__all__ = ["closest", "shown"]

LONGEST_SHOWN = 60
"""Characters of a text that an error shows; a longer one may be a prompt."""
LONGEST_COMPARED = 512
"""Characters of a name that are compared; the time grows with the square."""
SECRET = re.compile(
    r"://[^/\s]*@|\b(?:sk|pk|rk|gsk|hf|ghp|gho|github_pat|xox[abps]|AIza|AKIA|eyJ|Bearer|Basic)[-_ A-Za-z0-9]{8}",
)
"""The look of a password in an address and of common keys."""


def shown(value: object, longest: int = LONGEST_SHOWN) -> str:
    """Format a value for an error message: a number or a short text as it is, anything else by its type.

    No `__repr__` of a user's object is called, control characters are escaped, and possible keys are hidden.

    Args:
        value: The value.
        longest: Maximum number of characters of a text that is shown; more if it is a path.
    """
    kind = type(value)
    if value is None or kind in (bool, float):
        return repr(value)
    if kind is int:
        assert isinstance(value, int)
        return repr(value) if value.bit_length() <= 64 else f"an integer of {value.bit_length():,} bits"
    if kind is str:
        assert isinstance(value, str)
        if len(value) > longest:
            return f"a text of {len(value):,} characters"
        return "a text that may hold a key" if SECRET.search(value) else repr(value)
    return kind.__name__


def closest(unknown: object, known: Iterable[str]) -> list[str]:
    """Return the three known names most like an unknown one; none for what is no name."""
    if not isinstance(unknown, str | int) or (isinstance(unknown, int) and unknown.bit_length() > 64):
        return []
    text = str(unknown).lower()[:LONGEST_COMPARED]
    lowered = {name.lower(): name for name in known if isinstance(name, str) and len(name) <= LONGEST_COMPARED}
    return [lowered[match] for match in difflib.get_close_matches(text, lowered, n=3, cutoff=0.0)]
