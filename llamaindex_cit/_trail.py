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
from llama_index.core.instrumentation.events.llm import LLMChatEndEvent, LLMCompletionEndEvent
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.event_handlers import BaseEventHandler
from llama_index_instrumentation.span import active_span_id
from llama_index_instrumentation.span_handlers import BaseSpanHandler
from pydantic import PrivateAttr

from cit_core.records import Candidate, Decision
from cit_core.router.settlement import UNKNOWN, Bill, Settlement, bill_of, sum_of
from cit_core.tokens import Counted
from llamaindex_cit._response_metadata import CIT_MODEL, billed_tokens

__all__ = ["EngineBill", "follow", "note", "owe"]

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


class EngineBill:
    """The bill of a query engine that a selector chose: all that LLMs take until the engine around it returns.

    Args:
        settlement: Where it goes.
        candidate: The candidate of the chosen engine.
    """

    def __init__(self, settlement: Settlement, candidate: Candidate) -> None:
        self._settlement, self._candidate = settlement, candidate
        self._bills: list[Bill] = []

    def add(self, counted: Counted) -> None:
        """Count an answer of an LLM."""
        self._bills.append(bill_of(self._candidate, *counted))

    def close(self) -> None:
        """Settle it."""
        self._settlement.billed(self._candidate.id, sum_of(self._bills))

    def drop(self) -> None:
        """Settle it where the engine has failed: what LLMs took until then, or nothing."""
        if sum_of(self._bills) != UNKNOWN:
            self.close()
        else:
            self._settlement.failed()


class _Open(NamedTuple):
    """A span that has not ended."""

    parent: str | None
    notes: deque[dict[str, Any]]
    bills: list[EngineBill]


class _Trail(BaseSpanHandler[Any]):
    """Collects decisions by span. Without a lock, so that a forked child cannot inherit a locked one."""

    _spans: dict[str, _Open] = PrivateAttr(default_factory=dict)

    @classmethod
    def class_name(cls) -> str:
        return "CITTrail"

    def span_enter(self, id_: str, *_: Any, parent_id: str | None = None, **__: Any) -> None:
        self._spans[id_] = _Open(parent_id, deque(maxlen=REMEMBERED), [])
        if len(self._spans) > OPEN:
            self._spans.pop(next(iter(self._spans)), None)

    def span_exit(self, id_: str, *_: Any, result: Any = None, **__: Any) -> None:
        opened = self._spans.pop(id_, None)
        if isinstance(result, StreamingResponse | AsyncStreamingResponse):
            _follow_stream(result)
        if opened is None:
            return
        self._hand_on(opened, result)
        if not opened.notes:
            return
        if opened.parent is not None and (parent := self._spans.get(opened.parent)) is not None:
            parent.notes.extend(opened.notes)
        if isinstance(result, RESPONSES):
            _write(result, list(opened.notes))

    def span_drop(self, id_: str, *_: Any, **__: Any) -> None:
        if (opened := self._spans.get(id_)) is not None:
            for bill in opened.bills:
                bill.drop()
            opened.bills.clear()
        self.span_exit(id_)

    def add(self, made: dict[str, Any]) -> None:
        """Add a decision to the span in which it was made, and to the streamed response that is being read."""
        if (response := _read.get()) is not None:
            _write(response, [made])
        if (opened := self._spans.get(active_span_id.get() or "")) is not None:
            opened.notes.append(made)

    def owe(self, bill: EngineBill) -> None:
        """Begin a bill in the span in which an engine was chosen."""
        if (opened := self._spans.get(active_span_id.get() or "")) is not None:
            opened.bills.append(bill)

    def count(self, span: str | None, response: Any) -> None:
        """Count an answer of an LLM in the innermost bill around it."""
        while span is not None and (opened := self._spans.get(span)) is not None:
            if opened.bills:
                opened.bills[-1].add(billed_tokens(response))
                return
            span = opened.parent

    def _hand_on(self, opened: _Open, result: Any) -> None:
        """Close the bills of a span that answers; those of others go to the span around."""
        if isinstance(result, RESPONSES) and not isinstance(result, StreamingResponse | AsyncStreamingResponse):
            for bill in opened.bills:
                bill.close()
        elif opened.bills and opened.parent is not None and (parent := self._spans.get(opened.parent)) is not None:
            parent.bills.extend(opened.bills)

    def new_span(self, *_: Any, **__: Any) -> None:
        """Do nothing, as the next two: the base class requires them and calls them where spans begin and end."""

    def prepare_to_exit_span(self, *_: Any, **__: Any) -> None:
        pass

    def prepare_to_drop_span(self, *_: Any, **__: Any) -> None:
        pass


class _Counts(BaseEventHandler):
    """Counts the answers of LLMs for the bills of engines."""

    @classmethod
    def class_name(cls) -> str:
        return "CITCounts"

    def handle(self, event: Any, **_: Any) -> None:
        """Count an answer; that of a routed LLM is its candidate's, which was counted."""
        response = event.response if isinstance(event, LLMChatEndEvent | LLMCompletionEndEvent) else None
        if response is not None and CIT_MODEL not in response.additional_kwargs:
            _trail.count(event.span_id, response)


_trail, _counts = _Trail(), _Counts()
_read: ContextVar[Any] = ContextVar("cit_read", default=None)
"""The streamed response of the next token: engines call the LLM only for it, after their span."""


def follow() -> None:
    """Follow LlamaIndex's spans in this process from now on."""
    root = get_dispatcher("root")
    if not any(handler is _trail for handler in root.span_handlers):
        root.add_span_handler(_trail)
    if not any(handler is _counts for handler in root.event_handlers):
        root.add_event_handler(_counts)


def owe(bill: EngineBill) -> None:
    """Begin a bill in the span that runs now."""
    _trail.owe(bill)


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
