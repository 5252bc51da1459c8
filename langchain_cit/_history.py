"""A conversation for a candidate of another provider than wrote in it: what only the writer understands is left out.

A router changes models within a conversation. Signed reasoning, encrypted items and calls of tools that a provider runs
itself are refused by any other (HTTP 400), and each framework class converts only some of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage

from cit_core.content_parts import modalities_of_part

if TYPE_CHECKING:
    from langchain.agents.middleware import ModelRequest

__all__ = ["in_common", "request_for"]

WRITERS = {
    "anthropic": "anthropic",
    "azure": "openai",
    "google_genai": "google",
    "google_vertexai": "google",
    "mistralai": "mistral",
    "openai": "openai",
}
"""Name in a message's metadata of who wrote it, where its content has parts of its own, to the format of these."""
READERS = {
    **{name: format_ for name, format_ in WRITERS.items() if name != "google_vertexai"},  # which has Claude, too
    **{name: name for name in ("cohere", "deepseek", "fireworks", "groq", "mistral", "ollama", "together", "xai")},
}
"""Provider, as a chat model tells it, to the format that it reads; any other may read several."""


def in_common(messages: list[Any], model: BaseChatModel) -> list[Any]:
    """Return the messages as a model can read them; the very same list where nothing is to be left out.

    Args:
        messages: The conversation; what is no message of LangChain's stays as it is.
        model: Who is asked next.
    """
    if not any(map(_has_parts, messages)):
        return messages
    reads = READERS.get(str(model._get_ls_params().get("ls_provider")))
    if reads is None or not any(_is_foreign(message, reads) for message in messages):
        return messages
    return [_without_own(message) if _is_foreign(message, reads) else message for message in messages]


def request_for(request: ModelRequest[Any], model: BaseChatModel) -> ModelRequest[Any]:
    """Return an agent's request with a model in place of its own, and the messages as that one can read them."""
    return request.override(model=model, messages=in_common(request.messages, model))


def _has_parts(message: object) -> bool:
    return isinstance(message, AIMessage) and not isinstance(message.content, str)


def _is_foreign(message: Any, reads: str) -> bool:
    return _has_parts(message) and WRITERS.get(str(message.response_metadata.get("model_provider")), reads) != reads


def _without_own(message: AIMessage) -> AIMessage:
    """Return what is text or media; tool calls stand beside the content as well."""
    media = [part for part in message.content if any(modalities_of_part(part)) and _is_standard(part)]
    said = str(message.text)
    content = [*([{"type": "text", "text": said}] if said else []), *media] if media else said
    return message.model_copy(update={"content": content, "response_metadata": {}})


def _is_standard(part: object) -> bool:
    return isinstance(part, dict) and part.get("type") in {"audio", "file", "image", "image_url", "video"}
