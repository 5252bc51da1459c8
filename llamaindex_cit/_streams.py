"""Detect the beginning of a streamed answer: from then on, no other candidate may begin another one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator, Sequence

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse
from llama_index.core.llms import LLM
from pydantic import ValidationError

from cit_core.errors import Transient
from cit_core.records import Decision
from llamaindex_cit._response_metadata import Response

__all__ = ["aopened", "has_content", "opened", "require_chunk"]

END_EVENTS = frozenset({"LLMChatEndEvent", "LLMCompletionEndEvent"})
"""Events that LlamaIndex cannot make of a stream without chunks: its own wrapper fails at the end of one."""


def opened(call: Callable[[LLM], Iterator[Response]], llm: LLM) -> Generator[Response, None, None]:
    """Yield the chunks of a call that is made with the first of them, so that a time limit holds for both."""
    chunks = iter(call(llm))
    begun = False
    try:
        for chunk in chunks:
            begun = True
            yield chunk
    except ValidationError as error:
        if begun or error.title not in END_EVENTS:
            raise
    finally:  # a connection hangs on it, and the garbage collector comes late
        if isinstance(chunks, Generator):
            chunks.close()


async def aopened(
    call: Callable[[LLM], Awaitable[AsyncIterator[Response]]], llm: LLM
) -> AsyncGenerator[Response, None]:
    """Open an async call; see `opened`."""
    chunks = aiter(await call(llm))
    begun = False
    try:
        async for chunk in chunks:
            begun = True
            yield chunk
    except ValidationError as error:
        if begun or error.title not in END_EVENTS:
            raise
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()


def require_chunk(first: Sequence[object], decision: Decision) -> None:
    """Refuse a stream without a single chunk where another candidate may answer; the only candidate may say nothing.

    Raises:
        Transient: If there is no chunk.
    """
    if not first and len(decision.ranking) > 1:
        raise Transient("the stream ended before its first chunk")


def has_content(chunk: ChatResponse | CompletionResponse) -> bool:
    """Return whether a chunk holds a part of the answer: text, a tool call, reasoning or media.

    Providers begin a stream with a chunk that names the role alone; an error or a stall after it is still one before
    the answer.
    """
    if chunk.delta:
        return True
    if isinstance(chunk, CompletionResponse):
        return bool(chunk.text)
    message = chunk.message
    blocks = (getattr(block, "text", block) for block in message.blocks)
    return any(blocks) or bool(message.additional_kwargs)
