"""Dispatch a call to a candidate: decide, call it, and call the next best if that fails."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from contextlib import aclosing, closing
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, cast

from llama_index.core.llms import LLM
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index_instrumentation import get_dispatcher

from cit_core.errors import InvalidInput
from cit_core.records import Decision
from cit_core.router import Attempts, Cascade, Fallback, Query, Router, Sticky
from cit_core.router.empty_answer import EmptyAnswer, held_by, held_one
from cit_core.router.settlement import Settlement
from cit_core.router.shadow import Shadow
from cit_core.router.steps import Steps
from cit_core.router.time_limits import acall_within, aiterate_within, call_within, iterate_within
from llamaindex_cit._cascade import Responses
from llamaindex_cit._inputs import Question
from llamaindex_cit._response_metadata import Response, stamped, stamps
from llamaindex_cit._streams import aopened, has_content, opened, require_answer, require_content, require_unbroken
from llamaindex_cit._trail import note
from llamaindex_cit._windows import own_window, shorter, too_short
from llamaindex_cit.events import CITRouteEvent

__all__ = ["Dispatch"]

Key = tuple[str, str]
"""Key of a conversation: its kind and its name."""

dispatcher = get_dispatcher(__name__)


@dataclass(frozen=True)
class Dispatch:
    """The candidates of a routed LLM, and how they are asked. Attributes are those of `CITLLM`."""

    models: Mapping[str, LLM]
    router: Router
    fallback: Fallback
    sticky: Sticky | None
    rate_limiter: Any = None
    """Rate limiter as LlamaIndex's LLMs have one: with `acquire` and `async_acquire`."""
    default: str | None = None
    strict: bool | None = None
    cascade: Cascade | None = None
    shadow: Shadow | None = None

    @property
    def callers(self) -> dict[str, FunctionCallingLLM]:
        """Candidates that can call functions, and say so."""
        return {
            id_: llm
            for id_, llm in self.models.items()
            if isinstance(llm, FunctionCallingLLM) and llm.metadata.is_function_calling_model
        }

    @property
    def windows(self) -> dict[str, int | None]:
        """Context window of each candidate [tokens]: what its LLM says and what the router knows, whichever is less."""
        known = {candidate.id: candidate.context_window for candidate in self.router.candidates}
        return {id_: shorter(own_window(llm), known.get(id_)) for id_, llm in self.models.items()}

    def ask(self, question: Question, conversation: str | None, call: Callable[[LLM], Response]) -> Response:
        """Have a candidate answer.

        Args:
            question: The question to route.
            conversation: Its name, if it has one.
            call: Asks one LLM.
        """
        windows = self.windows
        decision = self._announced(self.router.decide(self._query(question, conversation, windows)))
        if self.rate_limiter is not None:
            self.rate_limiter.acquire()
        steps = self._steps(question, decision, windows, call)
        return cast("Response", steps.answer(partial(self._answer, steps, call)))

    def _answer(self, steps: Steps, call: Callable[[LLM], Response], attempts: Attempts) -> Response:
        """Return the answer of the candidate that a step is for, or of the next-best."""
        try:
            while True:
                with attempts:
                    answer = call_within(attempts.seconds_left, partial(call, self.models[attempts.model]))
                    return _told(steps, attempts, require_answer(answer, attempts))
        except EmptyAnswer as error:
            held: Response = held_one(error, attempts)
            return _told(steps, attempts, held)

    async def aask(
        self, question: Question, conversation: str | None, call: Callable[[LLM], Awaitable[Response]]
    ) -> Response:
        """Ask without blocking the event loop; see `ask`."""
        windows = self.windows
        decision = self._announced(await self.router.adecide(self._query(question, conversation, windows)))
        if self.rate_limiter is not None:
            await self.rate_limiter.async_acquire()
        steps = self._steps(question, decision, windows, call)
        return cast("Response", await steps.aanswer(partial(self._aanswer, steps, call)))

    async def _aanswer(self, steps: Steps, call: Callable[[LLM], Awaitable[Response]], attempts: Attempts) -> Response:
        try:
            while True:
                with attempts:
                    answer = await acall_within(attempts.seconds_left, call(self.models[attempts.model]))
                    return _told(steps, attempts, require_answer(answer, attempts))
        except EmptyAnswer as error:
            held: Response = held_one(error, attempts)
            return _told(steps, attempts, held)

    def stream(
        self, question: Question, conversation: str | None, call: Callable[[LLM], Iterator[Response]]
    ) -> Generator[Response, None, None]:
        """Ask for an answer in chunks. It has begun when this returns: an earlier failure is not the caller's."""
        windows = self.windows
        decision = self._announced(self.router.decide(self._query(question, conversation, windows)))
        if self.rate_limiter is not None:
            self.rate_limiter.acquire()
        steps = self._steps(question, decision, windows, call)
        chunks = steps.stream(partial(self._chunks, steps, call))
        next(chunks)
        return chunks

    async def astream(
        self, question: Question, conversation: str | None, call: Callable[[LLM], Awaitable[AsyncIterator[Response]]]
    ) -> AsyncGenerator[Response, None]:
        """Stream without blocking the event loop; see `stream`."""
        windows = self.windows
        decision = self._announced(await self.router.adecide(self._query(question, conversation, windows)))
        if self.rate_limiter is not None:
            await self.rate_limiter.async_acquire()
        steps = self._steps(question, decision, windows, call)
        chunks = steps.astream(partial(self._achunks, steps, call))
        await anext(chunks)
        return chunks

    def _chunks(
        self, steps: Steps, call: Callable[[LLM], Iterator[Response]], attempts: Attempts
    ) -> Generator[Response | None, None, None]:
        """Yield None once the answer has begun, then all chunks; once it is whole where it is verified first.

        Reading the None begins the generator: closed from there on, it closes the candidate's as well.
        """
        try:
            while True:
                with attempts:
                    limit = partial(attempts.seconds_left, stream=steps.final)
                    with closing(iterate_within(limit, opened(call, self.models[attempts.model]))) as chunks:
                        first = []
                        for chunk in chunks:
                            first.append(require_unbroken(chunk))
                            if steps.final and has_content(chunk):
                                break
                        require_content(first, attempts)
                        if steps.final:
                            attempts.begun()
                        tell = _teller(steps, attempts)
                        yield None
                        for chunk in chain(first, chunks):
                            yield tell(require_unbroken(chunk))
                    return
        except EmptyAnswer as error:
            yield None
            yield from map(_teller(steps, attempts), held_by(error, attempts))

    async def _achunks(
        self, steps: Steps, call: Callable[[LLM], Awaitable[AsyncIterator[Response]]], attempts: Attempts
    ) -> AsyncGenerator[Response | None, None]:
        """Yield asynchronously; see `_chunks`."""
        try:
            while True:
                with attempts:
                    limit = partial(attempts.seconds_left, stream=steps.final)
                    async with aclosing(aopened(call, self.models[attempts.model])) as pieces:
                        first, chunks = [], aiterate_within(limit, pieces)
                        async for chunk in chunks:
                            first.append(require_unbroken(chunk))
                            if steps.final and has_content(chunk):
                                break
                        require_content(first, attempts)
                        if steps.final:
                            attempts.begun()
                        tell = _teller(steps, attempts)
                        yield None
                        for chunk in first:
                            yield tell(chunk)
                        async for chunk in chunks:
                            yield tell(require_unbroken(chunk))
                    return
        except EmptyAnswer as error:
            yield None
            for chunk in map(_teller(steps, attempts), held_by(error, attempts)):
                yield chunk

    def _steps(
        self, question: Question, decision: Decision, windows: Mapping[str, int | None], call: Callable[[LLM], Any]
    ) -> Steps:
        """Return the steps of an answer: one, or those of a cascade."""
        known = {candidate.id: candidate for candidate in self.router.candidates}
        adapter = Responses(self.models, known, partial(self.fallback.attempts, windows=windows), question, call)
        settlement = Settlement.of(self.router, decision, self.shadow)
        return Steps(self.cascade, decision, self.fallback, adapter, settlement)

    def _query(self, question: Question, conversation: str | None, windows: Mapping[str, int | None]) -> Query:
        ids = self.callers if question.facts.tools else self.models
        if not ids:
            raise InvalidInput(
                f"the call has tools, and none of {', '.join(map(repr, self.models))} can call functions; "
                "at least one must be a FunctionCallingLLM with is_function_calling_model in its metadata"
            )
        key = _key(question, conversation)
        return Query(
            question.text,
            question.facts,
            pictures=question.pictures,
            excluded=too_short({id_: windows[id_] for id_ in ids}, question.facts.tokens),
            constraints=self.router.constraints.among(ids),
            default=self.default,
            strict=self.strict,
            conversation=None if self.sticky is None or key is None else self.sticky.conversation(key),
        )

    def _announced(self, decision: Decision) -> Decision:
        decision = self.fallback.with_cool_downs(decision)
        if self.cascade is not None:
            decision = self.cascade.planned(decision)
        dispatcher.event(CITRouteEvent(decision=decision))
        return decision


def _told(steps: Steps, attempts: Attempts, answer: Response) -> Response:
    return _teller(steps, attempts)(answer)


def _teller(steps: Steps, attempts: Attempts) -> Callable[[Response], Response]:
    """Note who answers, and return what says it in an answer, or in each of its chunks."""
    if steps.final:
        note(steps.decision, attempts.model)
    return partial(stamped, more=stamps(attempts.model, steps.decision))


def _key(question: Question, conversation: str | None) -> Key | None:
    if conversation is not None:
        return "name", conversation
    if question.opening is None:
        return None
    return "opening", hashlib.sha256(question.opening.encode(errors="replace")).hexdigest()
