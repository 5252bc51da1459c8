"""What this package tells LlamaIndex's dispatcher. No text of a query is in it: LlamaIndex's own events carry that."""

from __future__ import annotations

from llama_index.core.instrumentation.events import BaseEvent

from cit_core.records import Decision

__all__ = ["CITRouteEvent", "CITSelectionEvent"]


class CITSelectionEvent(BaseEvent):
    """A selector has selected."""

    candidates: list[str]
    """The candidate behind each choice, in order; empty where the fallback selected."""
    selected: list[int]
    """Places of the choices that were selected, the best first."""
    decision: Decision | None
    """None where the fallback selected."""
    fallback: str | None = None
    """Class of the selector that was asked because no choice stands for a candidate."""

    @classmethod
    def class_name(cls) -> str:
        """Name under which handlers know it."""
        return "CITSelectionEvent"


class CITRouteEvent(BaseEvent):
    """A routed LLM has decided whom to ask. Its LLM events follow, and are those of the candidate."""

    decision: Decision

    @classmethod
    def class_name(cls) -> str:
        """Name under which handlers know it."""
        return "CITRouteEvent"
