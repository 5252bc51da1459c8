"""From a call to the candidate that answers it: decide, ask, and ask the next best if that fails."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse
from llama_index.core.llms import LLM
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index_instrumentation import get_dispatcher

from cit_core.errors import InvalidInput
from cit_core.records import Decision
from cit_core.router import Attempts, Fallback, Query, Router, Sticky
from llamaindex_cit._inputs import Question
from llamaindex_cit.events import CITRouteEvent

__all__ = ["CIT_DECISION", "CIT_INNER", "CIT_ROUTE", "Dispatch", "unstamped"]

CIT_ROUTE = "cit_route"
"""In `additional_kwargs` of every response and chunk: the id of the candidate that answered."""
CIT_DECISION = "cit_decision"
"""Beside it: the decision, as JSON."""
CIT_INNER = "cit_inner"
"""Beside them, where the candidate is a routed LLM itself: what it had written there."""
STAMPS = (CIT_ROUTE, CIT_DECISION, CIT_INNER)

Response = TypeVar("Response", ChatResponse, CompletionResponse)
Key = tuple[str, str]
"""Of a conversation: how it is known, and as what."""

dispatcher = get_dispatcher(__name__)


@dataclass(frozen=True)
class Dispatch:
    """Who there is, and by which rules they are asked. Attributes are those of `CITLLM`."""

    models: Mapping[str, LLM]
    router: Router
    fallback: Fallback
    sticky: Sticky | None
    rate_limiter: Any = None
    """As LlamaIndex's LLMs have one: `acquire` and `async_acquire`."""

    @property
    def callers(self) -> dict[str, FunctionCallingLLM]:
        """Who can call functions, and says so."""
        return {
            id_: llm
            for id_, llm in self.models.items()
            if isinstance(llm, FunctionCallingLLM) and llm.metadata.is_function_calling_model
        }

    def ask(self, question: Question, conversation: str | None, call: Callable[[LLM], Response]) -> Response:
        """Have a candidate answer.

        Args:
            question: To decide on.
            conversation: Its name, if it has one.
            call: Asks one LLM.
        """
        decision = _told(self.router.decide(self._query(question, conversation)))
        if self.rate_limiter is not None:
            self.rate_limiter.acquire()
        attempts = self.fallback.attempts(decision)
        while True:
            with attempts:
                return _stamped(call(self.models[attempts.model]), _stamps(attempts, decision))

    async def aask(
        self, question: Question, conversation: str | None, call: Callable[[LLM], Awaitable[Response]]
    ) -> Response:
        """As `ask`; deciding never blocks the event loop."""
        decision = _told(await self.router.adecide(self._query(question, conversation)))
        if self.rate_limiter is not None:
            await self.rate_limiter.async_acquire()
        attempts = self.fallback.attempts(decision)
        while True:
            with attempts:
                return _stamped(await call(self.models[attempts.model]), _stamps(attempts, decision))

    def stream(
        self, question: Question, conversation: str | None, call: Callable[[LLM], Iterator[Response]]
    ) -> Generator[Response, None, None]:
        """As `ask`, in chunks; the first is here when this returns, so that a failure before it is not the caller's."""
        decision = _told(self.router.decide(self._query(question, conversation)))
        if self.rate_limiter is not None:
            self.rate_limiter.acquire()
        chunks = self._chunks(decision, call)
        next(chunks)
        return cast("Generator[Response, None, None]", chunks)

    async def astream(
        self, question: Question, conversation: str | None, call: Callable[[LLM], Awaitable[AsyncIterator[Response]]]
    ) -> AsyncGenerator[Response, None]:
        """As `stream`; deciding never blocks the event loop."""
        decision = _told(await self.router.adecide(self._query(question, conversation)))
        if self.rate_limiter is not None:
            await self.rate_limiter.async_acquire()
        chunks = self._achunks(decision, call)
        await anext(chunks)
        return cast("AsyncGenerator[Response, None]", chunks)

    def _chunks(
        self, decision: Decision, call: Callable[[LLM], Iterator[Response]]
    ) -> Generator[Response | None, None, None]:
        """None once the first chunk is here, then all of them.

        Whoever has read the None has begun the generator: closed from there on, it closes the candidate's as well.
        """
        attempts = self.fallback.attempts(decision)
        while True:
            with attempts:
                chunks = iter(call(self.models[attempts.model]))
                try:
                    first = next(chunks, None)
                    attempts.begun()
                    stamps = _stamps(attempts, decision)
                    yield None
                    if first is not None:
                        yield _stamped(first, stamps)
                    for chunk in chunks:
                        yield _stamped(chunk, stamps)
                finally:  # nobody else would before the garbage collector comes, and a connection hangs on it
                    if isinstance(chunks, Generator):
                        chunks.close()
                return

    async def _achunks(
        self, decision: Decision, call: Callable[[LLM], Awaitable[AsyncIterator[Response]]]
    ) -> AsyncGenerator[Response | None, None]:
        """As `_chunks`."""
        attempts = self.fallback.attempts(decision)
        while True:
            with attempts:
                chunks = aiter(await call(self.models[attempts.model]))
                try:
                    first = await anext(chunks, None)
                    attempts.begun()
                    stamps = _stamps(attempts, decision)
                    yield None
                    if first is not None:
                        yield _stamped(first, stamps)
                    async for chunk in chunks:
                        yield _stamped(chunk, stamps)
                finally:
                    if isinstance(chunks, AsyncGenerator):
                        await chunks.aclose()
                return

    def _query(self, question: Question, conversation: str | None) -> Query:
        ids = self.callers if question.facts.tools else self.models
        if not ids:
            raise InvalidInput(
                f"the call has tools, and none of {', '.join(map(repr, self.models))} can call functions; "
                "at least one must be a FunctionCallingLLM whose metadata says is_function_calling_model"
            )
        key = _key(question, conversation)
        return Query(
            question.text,
            question.facts,
            constraints=self.router.constraints.among(ids),
            conversation=None if self.sticky is None or key is None else self.sticky.conversation(key),
        )


def _key(question: Question, conversation: str | None) -> Key | None:
    if conversation is not None:
        return "name", conversation
    if question.opening is None:
        return None
    return "opening", hashlib.sha256(question.opening.encode(errors="replace")).hexdigest()


def _told(decision: Decision) -> Decision:
    dispatcher.event(CITRouteEvent(decision=decision))
    return decision


def _stamps(attempts: Attempts, decision: Decision) -> dict[str, Any]:
    return {CIT_ROUTE: attempts.model, CIT_DECISION: decision.model_dump(mode="json")}


def _stamped(response: Response, stamps: Mapping[str, Any]) -> Response:
    """A copy: the candidate may keep its response, and give it again."""
    given = response.additional_kwargs
    inner = {name: given[name] for name in STAMPS if name in given}
    more = {**stamps, CIT_INNER: inner} if inner else stamps
    return response.model_copy(update={"additional_kwargs": {**given, **more}})


def unstamped(response: ChatResponse) -> ChatResponse:
    """The response as the candidate gave it."""
    kwargs = response.additional_kwargs
    given = {name: value for name, value in kwargs.items() if name not in STAMPS}
    return response.model_copy(update={"additional_kwargs": {**given, **kwargs.get(CIT_INNER, {})}})
