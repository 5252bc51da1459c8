"""Answers with nothing in them: another candidate may have more to say, and if none has, so it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from cit_core._provider_words import KEPT_BACK, MISWRITTEN
from cit_core.errors import Transient
from cit_core.provider_errors import FaultKind
from cit_core.router.fallback import Attempts

__all__ = ["EmptyAnswer", "endings_in", "held_by", "held_one", "require_ended"]

ENDINGS = ("finish_reason", "stop_reason", "done_reason", "stopReason", "status")
"""Names under which providers say that an answer has ended, and why; it may be empty then."""
UNDER_WAY = ("queued", "in_progress")
"""Values of `status`, of OpenAI's Responses API, of an answer that has not ended."""


class EmptyAnswer(Transient):
    """A stream ended before its first token, or an answer in one piece is empty.

    Args:
        held: Pieces that came, without content.
        attempts: The attempts at the answer.
        kept_back: True if the provider says that it gives none to this question.
    """

    def __init__(self, held: Sequence[Any] = (), attempts: Attempts | None = None, *, kept_back: bool = False) -> None:
        super().__init__("the provider kept its answer back" if kept_back else "the answer is empty, not called ended")
        self.held = list(held)
        self.attempts = attempts
        self.kind: FaultKind = "content_filter" if kept_back else "unavailable"

    def __reduce__(self) -> tuple[Callable[..., EmptyAnswer], tuple[list[Any]]]:
        return partial(EmptyAnswer, kept_back=self.kind == "content_filter"), (self.held,)


def require_ended(held: Sequence[Any], attempts: Attempts, endings: Sequence[object], *, counted: bool) -> None:
    """Refuse an answer without content, unless its provider calls it ended or counts what it wrote.

    Args:
        held: What came.
        attempts: The attempts at the answer.
        endings: What the provider says of its ending.
        counted: True if it counts tokens of the answer.

    Raises:
        EmptyAnswer: If it is none, kept back, or a call that its model wrote wrong.
    """
    words = {str(ending).rpartition(".")[2].lower() for ending in endings}
    kept_back = not KEPT_BACK.isdisjoint(words)
    if kept_back or not MISWRITTEN.isdisjoint(words) or not (words or counted):
        raise EmptyAnswer(held, attempts, kept_back=kept_back)


def endings_in(holder: object) -> list[object]:
    """Return what a part of a response, a mapping or an object, says of the answer's ending."""
    reason = _field(_field(holder, "incomplete_details"), "reason")  # OpenAI's Responses API, beside its status
    said = (reason, *(_field(holder, name) for name in ENDINGS))
    return [ending for ending in said if ending and ending not in UNDER_WAY]


def _field(holder: object, name: str) -> Any:
    return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)


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
