"""The first token of an answer: until it has come another candidate may be asked, afterwards none.

What comes before it - a role, an empty text, the count of tokens read - is held back, so that an error or a stall after
it is still another candidate's chance.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import closing as closing_sync
from functools import partial
from types import SimpleNamespace
from typing import Any, TypeVar

from langchain_core.callbacks import (
    AsyncCallbackManagerForLLMRun,
    BaseCallbackHandler,
    BaseCallbackManager,
    CallbackManagerForLLMRun,
    Callbacks,
)
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.tracers._streaming import _StreamingCallbackHandler
from langchain_core.tracers.base import AsyncBaseTracer, BaseTracer

from cit_core.provider_errors import require_whole
from cit_core.router import Attempts
from cit_core.router.empty_answer import endings_in, require_ended
from cit_core.router.time_limits import aiterate_within, iterate_within
from langchain_cit._streams import closing

__all__ = [
    "FirstToken",
    "abuffered",
    "afrom_first_token",
    "buffered",
    "followed",
    "from_first_token",
    "hush",
    "is_blank",
    "require_answer",
    "require_unbroken",
    "watched",
]

THEIR_BASE = BaseCallbackHandler.__module__
OF_A_TOKEN = ("on_llm_new_token", "on_stream_event")
BEFORE_A_TOKEN = frozenset({"message-start", "content-block-start"})
"""Events of LangChain's newer protocol that hold no piece of the answer."""
WITHOUT_CONTENT = frozenset({"type", "index", "id", "annotations", "signature"})
Run = TypeVar("Run", bound=CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun)
T = TypeVar("T")


def from_first_token(pieces: Iterator[T], attempts: Attempts) -> Iterator[T]:
    """Yield the pieces of an answer; the first together with its first token, within the attempts' time limits.

    Raises:
        EmptyAnswer: If there is none.
        Transient: If the provider breaks off the answer.
        TimeoutError: If a limit is over.
    """
    held: list[T] = []
    with closing_sync(iterate_within(partial(attempts.seconds_left, stream=True), pieces)) as limited:
        for piece in limited:
            require_unbroken(piece)
            if not attempts.has_begun:
                held.append(piece)
                if is_blank(piece):
                    continue
                attempts.begun()
                yield from held
            else:
                yield piece
    if not attempts.has_begun:
        _require_ended(held, attempts, held)
        attempts.begun()
        yield from held


async def afrom_first_token(pieces: AsyncIterator[T], attempts: Attempts) -> AsyncIterator[T]:
    """Yield asynchronously; see `from_first_token`."""
    held: list[T] = []
    async with closing(aiterate_within(partial(attempts.seconds_left, stream=True), pieces)) as limited:
        async for piece in limited:
            require_unbroken(piece)
            if not attempts.has_begun:
                held.append(piece)
                if is_blank(piece):
                    continue
                attempts.begun()
                for first in held:
                    yield first
            else:
                yield piece
    if not attempts.has_begun:
        _require_ended(held, attempts, held)
        attempts.begun()
        for last in held:
            yield last


def buffered(pieces: Iterator[T], attempts: Attempts) -> Iterator[T]:
    """Yield all pieces of an answer once it is whole: it is not handed on yet, so another may still be asked.

    Raises:
        EmptyAnswer: If nothing is in them.
        Transient: If the provider broke off the answer.
        TimeoutError: If a limit is over.
    """
    with closing_sync(iterate_within(attempts.seconds_left, pieces)) as limited:
        held = list(limited)
    yield from _not_empty(held, attempts)


async def abuffered(pieces: AsyncIterator[T], attempts: Attempts) -> AsyncIterator[T]:
    """Yield asynchronously; see `buffered`."""
    async with closing(aiterate_within(attempts.seconds_left, pieces)) as limited:
        held = [piece async for piece in limited]
    for piece in _not_empty(held, attempts):
        yield piece


def _not_empty(held: list[T], attempts: Attempts) -> list[T]:
    for piece in held:
        require_unbroken(piece)
    if all(map(is_blank, held)):
        _require_ended(held, attempts, held)
    return held


def is_blank(piece: object) -> bool:
    """Return whether a piece of a stream holds nothing of the answer yet."""
    piece = _message(piece)
    if isinstance(piece, BaseMessage):
        calls = any(getattr(piece, name, None) for name in ("tool_calls", "invalid_tool_calls", "tool_call_chunks"))
        return not calls and not any(piece.additional_kwargs.values()) and _is_blank_content(piece.content)
    if isinstance(piece, dict):
        return bool(piece) and all(map(is_blank, piece.values()))
    return piece is None or piece == ""


def _is_blank_content(content: Any) -> bool:
    if isinstance(content, str):
        return not content
    return not any(
        part if isinstance(part, str) else any(value for name, value in part.items() if name not in WITHOUT_CONTENT)
        for part in content
    )


def require_answer(value: T, attempts: Attempts, message: object = None) -> T:
    """Return an answer in one piece, unless the provider broke it off, or it is empty and not called ended.

    Args:
        value: The answer.
        attempts: The attempts at it.
        message: The message in it, if it is none itself.

    Raises:
        EmptyAnswer: If it is empty; an answer in one piece may have been put together from a stream.
        Transient: If it was broken off.
    """
    message = value if message is None else message
    if isinstance(message, AIMessage):
        require_unbroken(message)
        if is_blank(message):
            _require_ended([value], attempts, [message])
    return value


def _require_ended(held: Sequence[object], attempts: Attempts, pieces: Sequence[object]) -> None:
    usages = (getattr(_message(piece), "usage_metadata", None) for piece in pieces)
    counted = any(usage and usage.get("output_tokens") for usage in usages)
    require_ended(held, attempts, [ending for piece in pieces for ending in _endings(piece)], counted=counted)


def require_unbroken(piece: object) -> None:
    """Raise Transient where a provider calls an answer an error, as OpenRouter does in one begun with HTTP 200."""
    for ending in _endings(piece):
        require_whole(ending)


def _endings(piece: object) -> list[object]:
    """Return what a piece says of its ending."""
    said = (getattr(piece, "generation_info", None), getattr(_message(piece), "response_metadata", None))
    return [ending for info in said for ending in endings_in(info)]


def _message(piece: object) -> object:
    return piece.message if isinstance(piece, ChatGenerationChunk) else piece


class FirstToken(BaseCallbackHandler):
    """Callback that reports the first token of the current candidate to the attempts.

    Args:
        attempts: The attempts at the answer. Where the candidate is going to stream it, they are told so.
        callbacks: Those that the candidate's run is going to have from further out.
        route: The candidate.
        tools: Whether it is given tools.
    """

    run_inline = True  # before the token goes on to another handler

    def __init__(
        self, attempts: Attempts, callbacks: Callbacks = None, route: object = None, *, tools: bool = False
    ) -> None:
        self._attempts = attempts
        self._told = False
        if _streams(callbacks, route, {"tools": True} if tools else {}):
            attempts.streamed()

    def on_llm_new_token(self, token: Any, *, chunk: Any = None, **_: Any) -> None:
        """Note a piece of the answer."""
        if not self._told and not (_is_blank_content(token) and (chunk is None or is_blank(chunk))):
            self._told = True
            self._attempts.begun()

    def on_stream_event(self, event: Any, **_: Any) -> None:
        """Note a piece of the answer in LangChain's newer protocol."""
        if event.get("event") not in BEFORE_A_TOKEN:
            self.on_llm_new_token("piece")


def followed(callbacks: Callbacks, route: object = None) -> bool:
    """Return whether an answer may be seen token by token; tracers keep what they see and do not count.

    Args:
        callbacks: Callbacks that the candidate's run inherits.
        route: The candidate, which may have callbacks of its own.
    """
    return any(
        _follows(handler) for given in (callbacks, getattr(route, "callbacks", None)) for handler in _each(given)
    )


def hush(callbacks: BaseCallbackManager) -> None:
    """Take out of a run's callbacks whatever hands its tokens on: LangGraph's messages, `astream_events`."""
    for handlers in (callbacks.handlers, callbacks.inheritable_handlers):
        handlers[:] = [handler for handler in handlers if not isinstance(handler, _StreamingCallbackHandler)]
    callbacks.add_tags(["nostream"])


def watched(
    run: Run | None, attempts: Attempts, model: BaseChatModel | None = None, *, tools: bool = False
) -> Run | None:
    """Return the run manager of a model call, with a handler that notices the first token if it has followers.

    Args:
        run: The run manager, if there is one.
        attempts: The attempts at the answer.
        model: The candidate.
        tools: Whether it is given tools.
    """
    if run is None:
        return None
    if not followed(run.handlers):
        return run
    watching = copy.copy(run)
    watching.handlers = [FirstToken(attempts, run.handlers, model, tools=tools), *run.handlers]
    return watching


def _streams(callbacks: Callbacks, route: object, options: Mapping[str, Any]) -> bool:
    """Return whether a chat model is going to stream an answer that is asked for in one piece."""
    if not isinstance(route, BaseChatModel):
        return False  # not known of a chain
    run: Any = SimpleNamespace(handlers=_each(callbacks))
    return route._should_stream(async_api=True, run_manager=run, **options)


def _each(callbacks: Callbacks) -> list[BaseCallbackHandler]:
    return callbacks.handlers if isinstance(callbacks, BaseCallbackManager) else callbacks or []


def _follows(handler: BaseCallbackHandler) -> bool:
    if isinstance(handler, _StreamingCallbackHandler):
        return True
    methods = (getattr(handler, name, None) for name in OF_A_TOKEN)
    theirs = any(getattr(method, "__module__", THEIR_BASE) != THEIR_BASE for method in methods)
    return theirs and not isinstance(handler, BaseTracer | AsyncBaseTracer)
