"""Answers with nothing in them: another candidate may have more to say, and if none has, so it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cit_core.errors import Transient
from cit_core.router.fallback import Attempts

__all__ = ["EmptyAnswer", "endings_in", "held_by", "held_one"]

ENDINGS = ("finish_reason", "stop_reason", "done_reason", "stopReason")
"""Names under which providers say that an answer has ended, and why; it may be empty then."""


class EmptyAnswer(Transient):
    """A stream ended before its first token, or an answer in one piece is empty.

    Args:
        held: Pieces that came, without content.
        attempts: The attempts at the answer.
    """

    def __init__(self, held: Sequence[Any] = (), attempts: Attempts | None = None) -> None:
        super().__init__("the answer is empty and not called ended")
        self.held = list(held)
        self.attempts = attempts

    def __reduce__(self) -> tuple[type[EmptyAnswer], tuple[list[Any]]]:
        return EmptyAnswer, (self.held,)


def endings_in(holder: object) -> list[object]:
    """Return what a part of a response, a mapping or an object, says of the answer's ending."""
    said = (holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None) for name in ENDINGS)
    return [ending for ending in said if ending]


def held_by(error: EmptyAnswer, attempts: Attempts) -> list[Any]:
    """Return what came, where the last candidate too had nothing to say.

    Raises:
        EmptyAnswer: If it is the error of a router within a candidate.
    """
    if error.attempts is not attempts:
        raise error
    return error.held


def held_one(error: EmptyAnswer, attempts: Attempts) -> Any:
    """Return what `held_by` does, for an answer in one piece.

    Raises:
        EmptyAnswer: If nothing came at all.
    """
    held = held_by(error, attempts)
    if not held:
        raise error
    return held[0]
