"""Ask the candidates for a decision, one after the other, until one answers; pass its answer on as it comes.

Until the first part of a streamed answer everything is held back, so that a candidate that fails before it costs the
caller nothing but time: the next-best is asked (`cit_core.router.fallback`).
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx

from cit_core.router.fallback import Attempts
from cit_core.router.time_limits import acall_within, aiterate_within
from cit_core.server.bodies import Body
from cit_core.server.protocols import EventReader, Progress, Protocol, Usage, is_error, usage_of
from cit_core.server.spans import CallSpan, RequestSpan
from cit_core.server.upstreams import UpstreamError
from cit_core.server.zoo import Zoo

__all__ = ["Answer", "Call", "EmptyAnswer", "ask"]

END_S = 1.0
"""Time that a connection has to end after the end of its answer [s]; some servers keep it open."""
BROKEN = "the provider broke off in the middle of the answer"


class EmptyAnswer(UpstreamError):
    """A stream that ended without a part of an answer; the caller gets it as it came if every candidate's is so."""


@dataclass(frozen=True)
class Call:
    """A request under way.

    Attributes:
        zoo: The snapshot that answers it.
        protocol: Its protocol.
        body: Its body.
        headers: Its headers.
        key: Name of its caller's key.
        tokens: Estimated tokens of the prompt.
        span: Its span.
        began_s: When it came [s of the performance counter].
        sent: Called when it was sent to a provider.
    """

    zoo: Zoo
    protocol: Protocol
    body: Body
    headers: Mapping[str, str]
    key: str
    tokens: int
    span: RequestSpan
    began_s: float
    sent: Callable[[], None]

    @property
    def is_streamed(self) -> bool:
        """True if the caller wants a stream."""
        return self.body.fields.get("stream") is True


@dataclass
class Answer:
    """An answer that has begun.

    Attributes:
        attempts: Candidates that were asked, and those which failed.
        headers: Headers of the provider's response.
        held: The received part; all of it if it is not a stream.
        pieces: The rest; None if it is not a stream.
        usage: Returns the tokens so far.
        span: Span of the candidate's answer.
        progress: What has come of a stream; None if it is not a stream.
        report: The steps of a cascade.
        is_paid: Whether its tokens are counted already.
    """

    attempts: Attempts
    headers: Mapping[str, str]
    held: bytes
    pieces: AsyncIterator[bytes] | None
    usage: Callable[[], Usage]
    span: CallSpan
    progress: Progress | None = None
    report: Mapping[str, Any] | None = None
    is_paid: bool = False

    @property
    def is_counted(self) -> bool:
        """True if the tokens are the provider's count of the whole answer."""
        return any(self.usage()) if self.progress is None else self.progress.is_counted

    def told(self) -> None:
        """Tell the span what is known of it."""
        self.span.answered(self.usage() if self.is_counted else Usage(), self.held)

    @property
    def has_ended(self) -> bool:
        """True once all of it has come."""
        return self.progress is None or self.progress.ended


class _Stream:
    """A streamed answer, passed on in whole events: half a one would spoil the error that comes after it."""

    def __init__(self, call: Call, response: httpx.Response, attempts: Attempts) -> None:
        self._protocol, self._response = call.protocol, response
        self._attempts = attempts
        self._events = EventReader()
        self._pieces = response.aiter_bytes()
        self._failure: UpstreamError | None = None
        self._ends_s: float | None = None
        self.progress = Progress(call.protocol, call.body.fields.get("n"))

    async def open(self) -> bytes:
        """Return what comes until the first part of an answer.

        Raises:
            UpstreamError: If an error comes in its place, or the stream ends.
        """
        held, rest = bytearray(), b""
        async for piece in aiterate_within(self._seconds, self._pieces):
            held += self._take(piece)
            if self.progress.begun or self.progress.is_over or self._failure is not None:
                break
        else:
            rest = bytes(self._events.rest)
            held += self._last()
        if self.progress.begun:
            return bytes(held)
        raise self._failure or self._empty(bytes(held), rest)

    def _empty(self, held: bytes, rest: bytes) -> UpstreamError:
        """Return the error of a stream without an answer; one that is no stream at all may hold the provider's own."""
        error = EmptyAnswer(200, held or rest, self._response.headers)
        if held or not rest or (isinstance(error.body, dict) and not self._protocol.failed(error.body)):
            return error
        return UpstreamError(200, rest, self._response.headers)

    def _seconds(self) -> float | None:
        left = self._attempts.seconds_left(stream=not self.progress.begun)
        if not self.progress.is_over:
            return left
        now = time.monotonic()
        self._ends_s = self._ends_s or now + END_S
        return max(0.0, min(self._ends_s - now, math.inf if left is None else left))

    async def rest(self) -> AsyncIterator[bytes]:
        """Yield what comes after the first part.

        Raises:
            UpstreamError: If an error is in it, after the events that hold it were yielded, or the stream breaks off.
            httpx.RequestError: If the connection does, before the end of the answer.
        """
        try:
            async for whole in self._following():
                yield whole
        except (httpx.RequestError, TimeoutError):  # how a connection ends says nothing of an answer that has
            if not self.progress.ended:
                raise
        if self._failure is not None:
            raise self._failure
        if not (self.progress.ended or self._events.unread):
            raise UpstreamError(200, b"", self._response.headers)

    async def _following(self) -> AsyncIterator[bytes]:
        if self._failure is not None:
            return
        async for piece in aiterate_within(self._seconds, self._pieces):
            if whole := self._take(piece):
                yield whole
            if self._failure is not None:
                return
        if last := self._last():
            yield last

    @property
    def is_whole(self) -> bool:
        """True if what was passed on ends with an event."""
        return not self._events.unread

    def _take(self, piece: bytes) -> bytes:
        """Read the events that are complete with a piece, up to an error, and return their bytes."""
        whole = bytearray()
        for event, data in self._events.split(piece):
            whole += event
            self.progress.take(data or "")
            if self.progress.failed:
                self._failure = UpstreamError(200, (data or "").encode(), self._response.headers)
                break
        return bytes(whole)

    def _last(self) -> bytes:
        """Read the last event, where no blank line came after it, and return it with one; nothing of a half one."""
        rest = bytes(self._events.rest)
        self._take(b"\n\n")
        return rest + b"\n\n" if rest and (self.progress.ended or self._failure is not None) else b""


async def ask(call: Call, attempts: Attempts, stack: AsyncExitStack, *, held: bool = False) -> Answer:
    """Ask the candidates in order of the decision, until one answers.

    Args:
        call: The request.
        attempts: The attempts at this answer, which know the failures afterwards.
        stack: Holds the connection of a stream open.
        held: Read all of a stream before it is returned; until then it may fail.

    Raises:
        UpstreamError: The last candidate's error, if none is left.
        httpx.RequestError: The same, where no response came, or none that can be read.
        TimeoutError: If the time is up.
    """
    while True:
        with attempts.opening():
            attempts.asked()
            upstream = call.zoo.upstreams[attempts.model]
            content = upstream.content(call.protocol, call.body)
            async with AsyncExitStack() as turn:
                span = turn.enter_context(call.span.asking(upstream, attempts.model, call.body.fields))
                work = turn.enter_async_context(upstream.ask(call.protocol, content, call.headers, call.sent))
                response = await acall_within(partial(attempts.seconds_left, stream=call.is_streamed), work)
                if not call.is_streamed:
                    raw = await acall_within(attempts.seconds_left, response.aread())
                    usage = _check(call.protocol, raw, response)
                    attempts.answered()
                    return Answer(attempts, response.headers, raw, None, partial(Usage, *usage), span)
                stream = _Stream(call, response, attempts)
                first = await stream.open()
                usage_now = partial(stream.progress.usage, call.tokens)
                if held:
                    whole = b"".join([first, *[piece async for piece in stream.rest()]])
                    attempts.answered()
                    return Answer(attempts, response.headers, whole, None, usage_now, span, stream.progress)
                await stack.enter_async_context(turn.pop_all())
                rest = _rest(stream, attempts, call.protocol, span)
                return Answer(attempts, response.headers, first, rest, usage_now, span, stream.progress)


async def _rest(stream: _Stream, attempts: Attempts, protocol: Protocol, span: CallSpan) -> AsyncIterator[bytes]:
    """Yield the rest of a stream; where it breaks off, an error in the words of the protocol ends it."""
    try:
        async for piece in stream.rest():
            yield piece
    except (UpstreamError, httpx.RequestError, TimeoutError) as error:
        attempts.failed(error)
        span.failed(error)
        if not is_error(getattr(error, "body", None)):  # else one of the provider's own was passed on
            yield (b"" if stream.is_whole else b"\n\n") + protocol.error_event("upstream_error", BROKEN)
    except BaseException as error:  # the caller has left: nothing was learned but that it began
        attempts.failed(error)
        span.failed(error)
        raise
    else:
        attempts.answered()


def _check(protocol: Protocol, raw: bytes, response: httpx.Response) -> Usage:
    """Return what a complete answer used.

    Raises:
        UpstreamError: If it is an error all the same, or no JSON.
    """
    error = UpstreamError(response.status_code, raw, response.headers)
    if not isinstance(error.body, dict) or protocol.failed(error.body):
        raise error
    return usage_of(error.body)
