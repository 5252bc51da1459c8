"""Tell an answer from none, and detect where a streamed one begins: from then on, no other candidate may begin one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator, Sequence

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse
from llama_index.core.llms import LLM
from pydantic import ValidationError

from cit_core.provider_errors import require_whole
from cit_core.router import Attempts
from cit_core.router.empty_answer import require_ended
from llamaindex_cit._response_metadata import Response, billed_tokens, endings_of

__all__ = ["aopened", "has_content", "opened", "require_answer", "require_content", "require_unbroken"]

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


def require_answer(answer: Response, attempts: Attempts) -> Response:
    """Return an answer in one piece, unless the provider broke it off, or it is empty and not called ended.

    Raises:
        EmptyAnswer: If it is empty.
        Transient: If it was broken off.
    """
    require_unbroken(answer)
    require_content([answer], attempts)
    return answer


def require_unbroken(piece: Response) -> Response:
    """Return a piece of an answer, unless its provider calls it an error, as OpenRouter does within a 200.

    Raises:
        Transient: If it does.
    """
    for ending in endings_of(piece):
        require_whole(ending)
    return piece


def require_content(pieces: Sequence[Response], attempts: Attempts) -> None:
    """Refuse an answer with nothing in it, unless its provider calls it ended or counts what it wrote.

    Raises:
        EmptyAnswer: If it is none.
    """
    if not any(map(has_content, pieces)):
        counted = any(billed_tokens(one).completion for one in pieces)
        require_ended(pieces, attempts, [ending for one in pieces for ending in endings_of(one)], counted=counted)


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
