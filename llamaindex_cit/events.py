"""Events for LlamaIndex's dispatcher. They hold no text of a query; LlamaIndex's own events do."""

from __future__ import annotations

from llama_index.core.instrumentation.events import BaseEvent

from cit_core.records import Decision

__all__ = ["CITRouteEvent", "CITSelectionEvent"]


class CITSelectionEvent(BaseEvent):
    """Event of a selection."""

    candidates: list[str]
    """Candidate of each choice, in order; empty where the fallback selected."""
    selected: list[int]
    """Places of the choices that were selected, the best first."""
    decision: Decision | None
    """The decision; None if the fallback selected."""
    fallback: str | None = None
    """Class of the selector that was asked because no choice is a candidate."""

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which handlers know it."""
        return "CITSelectionEvent"


class CITRouteEvent(BaseEvent):
    """Event of a decision of a routed LLM. The candidate's own LLM events follow."""

    decision: Decision

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which handlers know it."""
        return "CITRouteEvent"
