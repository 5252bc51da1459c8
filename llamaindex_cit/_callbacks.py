"""Callbacks of a routed LLM, which its candidates report to as well."""

from __future__ import annotations

from llama_index.core.callbacks import CallbackManager

__all__ = ["both"]


def both(own: CallbackManager, given: CallbackManager) -> CallbackManager:
    """Return a manager that calls the handlers of both once: a candidate's own, and those of the routed LLM."""
    if all(handler in given.handlers for handler in own.handlers):
        return given if given.handlers else own
    return _Both(own, given)


class _Both(CallbackManager):
    """Manager without a trace of its own: a call belongs to the trace in which it is made, which `given` keeps."""

    def __init__(self, own: CallbackManager, given: CallbackManager) -> None:
        self.handlers = [*own.handlers, *(handler for handler in given.handlers if handler not in own.handlers)]
        self._given = given

    @property
    def _trace_map(self) -> dict[str, list[str]]:  # type: ignore[override]  # `given` makes a new one for every trace
        return self._given.trace_map

    def _reset_trace_events(self) -> None:
        self._given._reset_trace_events()
