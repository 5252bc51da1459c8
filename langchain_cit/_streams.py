"""Streams of LangChain: pieces joined into one value, and async streams closed on time."""

from __future__ import annotations

import operator
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from enum import Enum
from functools import reduce
from typing import Any, Final, TypeVar

__all__ = ["END", "closing", "join"]

T = TypeVar("T")


class _End(Enum):
    END = 0


END: Final = _End.END
"""Marks the end of a stream, in place of a piece."""


def join(parts: Sequence[Any]) -> Any:
    """Return the pieces as one value; `END` if there is none."""
    if not parts:
        return END
    try:
        return reduce(operator.add, parts)
    except TypeError:  # as everywhere in LangChain: what cannot be added is replaced by what came last
        return parts[-1]


@asynccontextmanager
async def closing(pieces: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Close a stream when its reader is done, not when the garbage collector comes: a connection hangs on it."""
    try:
        yield pieces
    finally:
        close = getattr(pieces, "aclose", None)
        if close is not None:
            await close()
