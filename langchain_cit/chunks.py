"""What arrives in pieces."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from enum import Enum
from functools import reduce
from typing import Any, Final

__all__ = ["END", "join"]


class _End(Enum):
    END = 0


END: Final = _End.END
"""Where there is no piece, or no more."""


def join(parts: Sequence[Any]) -> Any:
    """The pieces as one; `END` if there is none."""
    if not parts:
        return END
    try:
        return reduce(operator.add, parts)
    except TypeError:  # as everywhere in LangChain: what cannot be added is replaced by what came last
        return parts[-1]
