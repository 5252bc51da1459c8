"""Decisions in the metadata of what engines and agents return: which candidate answered, and why.

LlamaIndex's query engines, chat engines and agents pass on the text of an LLM's response, not its `additional_kwargs`.
So the decisions that are made while one of them runs are collected by its span, and written to what the span returns.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, closing
from contextvars import ContextVar
from typing import Any, NamedTuple

from llama_index.core.agent.workflow import AgentOutput
from llama_index.core.base.response.schema import (
    AsyncStreamingResponse,
    PydanticResponse,
    Response,
    StreamingResponse,
)
from llama_index.core.chat_engine.types import AgentChatResponse
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.span import active_span_id
from llama_index_instrumentation.span_handlers import BaseSpanHandler
from pydantic import PrivateAttr

from cit_core.records import Decision

__all__ = ["follow", "note"]

REMEMBERED = 100
"""Decisions that one span collects; the last ones stay."""
OPEN = 10_000
"""Spans that are followed at once; a span that never ends is forgotten after so many others."""
CALLS = "cit_calls"
"""Key in the metadata for all decisions; the last of them is also beside it."""
RESPONSES = (
    AgentChatResponse,
    AgentOutput,
    AsyncStreamingResponse,
    PydanticResponse,
    Response,
    StreamingResponse,
)


class _Open(NamedTuple):
    """A span that has not ended."""

    parent: str | None
    notes: deque[dict[str, Any]]


class _Trail(BaseSpanHandler[Any]):
    """Collects decisions by span. Without a lock, so that a forked child cannot inherit a locked one."""

    _spans: dict[str, _Open] = PrivateAttr(default_factory=dict)

    @classmethod
    def class_name(cls) -> str:
        return "CITTrail"

    def span_enter(self, id_: str, *_: Any, parent_id: str | None = None, **__: Any) -> None:
        self._spans[id_] = _Open(parent_id, deque(maxlen=REMEMBERED))
        if len(self._spans) > OPEN:
            self._spans.pop(next(iter(self._spans)), None)

    def span_exit(self, id_: str, *_: Any, result: Any = None, **__: Any) -> None:
        opened = self._spans.pop(id_, None)
        if isinstance(result, StreamingResponse | AsyncStreamingResponse):
            _follow_stream(result)
        if opened is None or not opened.notes:
            return
        if opened.parent is not None and (parent := self._spans.get(opened.parent)) is not None:
            parent.notes.extend(opened.notes)
        if isinstance(result, RESPONSES):
            _write(result, list(opened.notes))

    def span_drop(self, id_: str, *_: Any, **__: Any) -> None:
        self.span_exit(id_)

    def add(self, made: dict[str, Any]) -> None:
        """Add a decision to the span in which it was made, and to the streamed response that is being read."""
        if (response := _read.get()) is not None:
            _write(response, [made])
        if (opened := self._spans.get(active_span_id.get() or "")) is not None:
            opened.notes.append(made)

    def new_span(self, *_: Any, **__: Any) -> None:
        """Do nothing, as the next two: the base class requires them and calls them where spans begin and end."""

    def prepare_to_exit_span(self, *_: Any, **__: Any) -> None:
        pass

    def prepare_to_drop_span(self, *_: Any, **__: Any) -> None:
        pass


_trail = _Trail()
_read: ContextVar[Any] = ContextVar("cit_read", default=None)
"""The streamed response of the next token: engines call the LLM only for it, after their span."""


def follow() -> None:
    """Follow LlamaIndex's spans in this process from now on."""
    root = get_dispatcher("root")
    if not any(handler is _trail for handler in root.span_handlers):
        root.add_span_handler(_trail)


def note(decision: Decision, model: str) -> None:
    """Note a decision for the engine or agent that runs now.

    Args:
        decision: The decision.
        model: The candidate that answered; after a fallback another one than the decision's.
    """
    made = {
        "cit_model": model,
        "cit_decision": decision.id,
        "cit_probability": decision.scores.get(model),
        "cit_policy": decision.policy,
        "cit_reason": decision.chosen_by if model == decision.model else "fallback",
    }
    _trail.add(made if model == decision.model else {**made, "cit_fallback_from": decision.model})


def _write(result: Any, notes: list[dict[str, Any]]) -> None:
    before = getattr(result, "metadata", None) or {}
    calls = {CALLS: notes} if len(notes) > 1 else {}
    result.metadata = {**before, **notes[-1], **calls}


def _follow_stream(response: Any) -> None:
    """Have a streamed response noted while its tokens are made; once, though several spans return it."""
    tokens = response.response_gen
    if getattr(tokens, "__name__", "") in (_read_on.__name__, _aread_on.__name__):
        return
    if isinstance(tokens, Generator):
        response.response_gen = _read_on(tokens, response)
    elif isinstance(tokens, AsyncGenerator):
        response.response_gen = _aread_on(tokens, response)


def _read_on(tokens: Generator[str, None, None], response: Any) -> Generator[str, None, None]:
    with closing(tokens):
        while True:
            before = _read.set(response)
            try:
                token = next(tokens, None)
            finally:
                _read.reset(before)
            if token is None:
                return
            yield token


async def _aread_on(tokens: AsyncGenerator[str, None], response: Any) -> AsyncGenerator[str, None]:
    async with aclosing(tokens):
        while True:
            before = _read.set(response)
            try:
                token = await anext(tokens, None)
            finally:
                _read.reset(before)
            if token is None:
                return
            yield token
