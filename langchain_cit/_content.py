"""The content of a message: its text, the kinds of its media, and its length for an LLM.

Providers' own formats pass through LangChain as they are, so their words are read too (`cit_core.content_parts`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ChatMessage
from langchain_core.prompt_values import PromptValue

from cit_core.content_parts import DEEPEST, TOOL_CALLS, media_of_part, modalities_of_part, texts_in, texts_of_part
from cit_core.router import estimate_tokens
from cit_core.tokens import estimate_media_tokens

__all__ = ["count_tokens", "modalities_of", "parts_of", "role_of", "text_of", "texts_of"]


def role_of(message: BaseMessage) -> str:
    """Return `human` for what a person said, else the message's own role."""
    role = message.role if isinstance(message, ChatMessage) else message.type
    return "human" if role in {"user", "HumanMessageChunk"} else role


def parts_of(message: BaseMessage) -> list[str | dict[Any, Any]]:
    """Return the parts of a message's content."""
    return [message.content] if isinstance(message.content, str) else message.content


def text_of(message: BaseMessage) -> str:
    """Return what a message says in words, without tool calls and documents."""
    texts = [part if isinstance(part, str) else part.get("text") for part in parts_of(message)]
    return "\n".join(text for text in texts if isinstance(text, str)).strip()


def modalities_of(message: BaseMessage) -> frozenset[str]:
    """Return the kinds of media in a message, also inside tool results; what is not known adds nothing."""
    return frozenset(kind for part in parts_of(message) for kind in modalities_of_part(part))


def count_tokens(value: object) -> int:
    """Estimate how many tokens a value adds to a prompt [tokens]; media of messages count by number and pages.

    Args:
        value: A text, a message with its tool calls and documents, or any nest of such, as a chain's input holds it.
    """
    texts = texts_of(value)
    media = sum(estimate_media_tokens(kind, data) for kind, data in _media_in(value, DEEPEST))
    return (estimate_tokens(" ".join(texts)) if texts else 0) + media


def texts_of(value: object) -> list[str]:
    """Return the texts in a value, as `count_tokens` reads them."""
    return [text for text in texts_in(value, DEEPEST, _others) if text]


def _media_in(value: object, deepest: int) -> Iterator[tuple[str, str | bytes | None]]:
    """Yield the kind and, where it is there, the content of each of the media in a value's messages."""
    if isinstance(value, PromptValue):
        value = value.to_messages()
    if isinstance(value, BaseMessage):
        for part in parts_of(value):
            yield from media_of_part(part, deepest)
    elif isinstance(value, Mapping | list | tuple) and deepest:
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _media_in(inner, deepest - 1)


def _others(value: object, deepest: int) -> Iterator[str] | None:
    """Return the texts of what LangChain makes: prompts, messages, documents."""
    if isinstance(value, PromptValue):
        return texts_in(value.to_messages(), deepest, _others)
    if isinstance(value, BaseMessage):
        return _texts_of_message(value, deepest)
    page = getattr(value, "page_content", None)
    return iter([page]) if isinstance(page, str) else None


def _texts_of_message(message: BaseMessage, deepest: int) -> Iterator[str]:
    calls = [*message.tool_calls, *message.invalid_tool_calls] if isinstance(message, AIMessage) else []
    for call in calls:
        yield str(call["name"] or "")
        yield from texts_in(call["args"], deepest, _others)
    for part in parts_of(message):
        again = isinstance(part, dict) and bool(calls) and (part.get("type") in TOOL_CALLS or "toolUse" in part)
        if not again:
            yield from texts_of_part(part, deepest)
