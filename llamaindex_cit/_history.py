"""A conversation as a candidate can read it, though LLMs of other providers wrote in it.

A router changes LLMs within a conversation. Arguments of tool calls that OpenAI's class keeps as text, and reasoning
without the reader's own signature, are refused by other classes and providers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ThinkingBlock, ToolCallBlock
from llama_index.core.llms import LLM
from llama_index.core.llms.function_calling import FunctionCallingLLM

__all__ = ["call_with_tools", "in_common"]

MARKS = {"anthropic": "signature", "bedrock": "signature", "google": "thought_signature", "mistralai": None}
"""Beginning of the module of a provider's class to what its own reasoning is marked with; any other takes all."""


def in_common(messages: Sequence[ChatMessage], llm: LLM) -> Sequence[ChatMessage]:
    """Return the messages as an LLM can read them; the very same where nothing is to be changed.

    Args:
        messages: The conversation.
        llm: Who is asked next.
    """
    asked = getattr(llm, "llm", llm).__class__  # of several samples, and of a candidate that a shadow asks
    kinds = (kind.__module__.removeprefix("llama_index.llms.") for kind in asked.__mro__)
    reader = next((name for kind in kinds for name in MARKS if kind.startswith(name)), None)
    if reader is None:
        return messages
    blocks = [list(_readable(message, MARKS[reader])) for message in messages]
    if blocks == [message.blocks for message in messages]:
        return messages
    return [m.model_copy(update={"blocks": new}) for new, m in zip(blocks, messages, strict=True)]


def call_with_tools(llm: LLM, method: str, given: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Call one of the methods with tools, of which the third argument is the conversation, as the LLM can read it."""
    assert isinstance(llm, FunctionCallingLLM)  # a call with tools is decided among these
    tools, said, history, *more = given
    return getattr(llm, method)(tools, said, history and in_common(history, llm), *more, **kwargs)


def _readable(message: ChatMessage, mark: str | None) -> Iterator[Any]:
    placed = f"{mark}s" in message.additional_kwargs  # Gemini's class counts its signatures by the place of the block
    for block in message.blocks:
        if isinstance(block, ThinkingBlock) and not placed:
            told = block.additional_information
            if {name for name in filter(None, MARKS.values()) if told.get(name)} == ({mark} if mark else set()):
                yield block
        elif isinstance(block, ToolCallBlock) and isinstance(block.tool_kwargs, str):
            yield block.model_copy(update={"tool_kwargs": _parsed(block.tool_kwargs)})
        else:
            yield block


def _parsed(arguments: str) -> object:
    try:
        return json.loads(arguments or "{}")
    except ValueError:
        return arguments
