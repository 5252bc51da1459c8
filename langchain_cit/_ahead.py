"""Decisions that are made before a chat model's run begins, so that the run carries the chosen candidate's name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from cit_core.records import Decision

__all__ = ["Ahead", "ahead", "chosen", "taken"]


@dataclass
class Ahead:
    """A decision, and whose routes it is about: a routed model within a candidate has its own to make."""

    routes: Mapping[str, Any]
    decision: Decision | None


_ahead: ContextVar[Ahead | None] = ContextVar("cit_ahead", default=None)


@contextmanager
def ahead(made: Ahead | None) -> Iterator[None]:
    """Have the call inside use a decision."""
    token = _ahead.set(made)
    try:
        yield
    finally:
        _ahead.reset(token)


def chosen(routes: Mapping[str, Any]) -> str | None:
    """Return the candidate that was chosen for the call that begins now, if that was decided ahead."""
    made = _ahead.get()
    return made.decision.model if made is not None and made.decision is not None and made.routes is routes else None


def taken(routes: Mapping[str, Any]) -> Decision | None:
    """Take the decision for this call; a second call inside the same one has to decide anew."""
    made = _ahead.get()
    if made is None or made.routes is not routes:
        return None
    decision, made.decision = made.decision, None
    return decision
