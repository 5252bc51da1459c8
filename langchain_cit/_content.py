"""The content of a message: its text, the kinds of its media, and its length for an LLM.

Providers' own formats pass through LangChain as they are, so their words are read too: a Bedrock document, a picture in
an Anthropic tool result, a PDF behind an address.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ChatMessage
from langchain_core.prompt_values import PromptValue

from cit_core.router import estimate_tokens
from cit_core.tokens import estimate_media_tokens

__all__ = ["count_tokens", "modalities_of", "parts_of", "role_of", "text_of", "texts_of"]

DEEPEST = 12
"""Levels of a content part that are read."""
MODALITY_OF_NAME = {
    **dict.fromkeys(("image", "image_url", "input_image"), "image"),
    **dict.fromkeys(("audio", "audio_url", "input_audio"), "audio"),
    **dict.fromkeys(("video", "video_url", "input_video"), "video"),
}
"""Types of content parts, or keys where parts have no type: LangChain's own, and those of providers."""
ADDRESSES = ("url", "image_url", "file_url", "uri", "file_uri", "filename")
OFFICE = frozenset({"pdf", "doc", "docx", "xls", "xlsx", "ppt", "pptx"})
"""Documents that a provider must be able to read, as opposed to text in a file."""
TOOL_CALLS = frozenset({"tool_use", "tool_call", "function_call", "toolUse"})
"""Parts that say once more what is in a message's `tool_calls`."""
MODALITY_OF_EXTENSION = {
    **dict.fromkeys(("bmp", "gif", "heic", "jpeg", "jpg", "png", "tif", "tiff", "webp"), "image"),
    **dict.fromkeys(("aac", "flac", "m4a", "mp3", "oga", "ogg", "opus", "wav"), "audio"),
    **dict.fromkeys(("avi", "mkv", "mov", "mp4", "mpeg", "webm", "wmv"), "video"),
    **dict.fromkeys(OFFICE, "pdf"),
}
"""The module mimetypes knows more, and reads files of the system for it."""
NOT_READ = frozenset(
    {
        *("type", "id", "index", "tool_use_id", "tool_call_id", "toolUseId", "call_id", "signature", "extras"),
        *(
            "data",
            "bytes",
            "base64",
            "file_data",
            "file_id",
            "fileId",
            "url",
            "uri",
            "file_uri",
            "image_url",
            "s3Location",
        ),
        *("mime_type", "media_type", "format", "detail", "cache_control", "cachePoint"),
    }
)
"""Keys with values that are addresses, bytes or settings: no text for the LLM."""
CONTENTS = ("data", "base64", "bytes", "file_data")
"""Keys with the content of a file."""
FREE = frozenset({"input", "args", "arguments", "json"})
"""Keys with values that an LLM or a tool has written."""


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
    return frozenset(kind for part in parts_of(message) for kind in _modalities(part, DEEPEST))


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
    return [text for text in _texts(value, DEEPEST) if text]


def _modalities(part: object, deepest: int) -> Iterator[str]:
    if isinstance(part, list | tuple) and deepest:
        for inner in part:
            yield from _modalities(inner, deepest - 1)
    if not isinstance(part, Mapping) or not deepest:
        return
    yield from _kinds_of(part)
    for name, inner in part.items():
        if name not in FREE and isinstance(inner, Mapping | list | tuple):
            yield from _modalities(inner, deepest - 1)


def _kinds_of(part: Mapping[Any, Any]) -> set[str]:
    kind = str(part.get("type", ""))
    names = [kind] if kind else list(part)  # Bedrock's parts have no type: {"image": {...}}
    found = {MODALITY_OF_NAME[str(name)] for name in names if str(name) in MODALITY_OF_NAME}
    return found or set(filter(None, [_of_document(part, kind), *map(_of_file, _holders(part))]))


def _media_in(value: object, deepest: int) -> Iterator[tuple[str, str | bytes | None]]:
    """Yield the kind and, where it is there, the content of each of the media in a value's messages."""
    if isinstance(value, PromptValue):
        value = value.to_messages()
    if isinstance(value, BaseMessage):
        for part in parts_of(value):
            yield from _media_of_part(part, deepest)
    elif isinstance(value, Mapping | list | tuple) and deepest:
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _media_in(inner, deepest - 1)


def _media_of_part(part: object, deepest: int) -> Iterator[tuple[str, str | bytes | None]]:
    if not deepest or not isinstance(part, Mapping | list | tuple):
        return
    if isinstance(part, Mapping) and (kinds := _kinds_of(part)):
        data = _content_of(part, 3)
        yield from ((kind, data) for kind in kinds)
        return
    for name, inner in part.items() if isinstance(part, Mapping) else enumerate(part):
        if name not in FREE:
            yield from _media_of_part(inner, deepest - 1)


def _content_of(part: Mapping[Any, Any], deepest: int) -> str | bytes | None:
    """Return the content of a file, if it is there."""
    held = [part.get(name) for name in CONTENTS]
    if deepest:
        held += [_content_of(inner, deepest - 1) for inner in part.values() if isinstance(inner, Mapping)]
    return next((found for found in held if isinstance(found, str | bytes) and found), None)


def _of_document(part: Mapping[Any, Any], kind: str) -> str | None:
    """Return `pdf` for a Bedrock or Anthropic document that is not plain text."""
    bedrock = part.get("document")
    if not kind and isinstance(bedrock, Mapping):
        return "pdf" if str(bedrock.get("format", "pdf")) in OFFICE else None
    source = part.get("source")
    if kind == "document" and isinstance(source, Mapping):  # of Anthropic; by its address it is always a PDF
        return "pdf" if source.get("type") in ("url", "file") else None
    return None


def _holders(part: Mapping[Any, Any]) -> list[Mapping[Any, Any]]:
    return [part, *(inner for name, inner in part.items() if isinstance(inner, Mapping) and name not in FREE)]


def _of_file(holder: Mapping[Any, Any]) -> str | None:
    """Return the modality of a media type, a data URL, an address or a file name."""
    for key in ("mime_type", "media_type", "mimeType", "file_data", *ADDRESSES):
        said = holder.get(key)
        if not isinstance(said, str):
            continue
        if key in ADDRESSES and not said.startswith("data:"):
            found = MODALITY_OF_EXTENSION.get(said[:2000].partition("?")[0].rpartition(".")[2].lower())
            if found is not None:
                return found
            continue
        kind, _, rest = said[:100].removeprefix("data:").partition("/")
        if kind in {"image", "audio", "video"}:
            return kind
        if kind == "application" and rest.startswith(("pdf", "msword", "vnd.")):
            return "pdf"
    return None


def _texts(value: object, deepest: int) -> Iterator[str]:
    """Yield all texts in a value with arbitrary keys: here `url` or `data` may hold a text."""
    if isinstance(value, str):
        yield "" if value.startswith("data:") else value
    elif isinstance(value, int | float):
        yield str(value)
    elif not deepest:
        return
    elif isinstance(value, PromptValue):
        yield from _texts(value.to_messages(), deepest)
    elif isinstance(value, BaseMessage):
        yield from _texts_of_message(value, deepest)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield str(name)
            yield from _texts(inner, deepest - 1)
    elif isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        for inner in value:
            yield from _texts(inner, deepest - 1)
    elif isinstance(page := getattr(value, "page_content", None), str):  # a LangChain Document
        yield page


def _texts_of_message(message: BaseMessage, deepest: int) -> Iterator[str]:
    calls = [*message.tool_calls, *message.invalid_tool_calls] if isinstance(message, AIMessage) else []
    for call in calls:
        yield str(call["name"] or "")
        yield from _texts(call["args"], deepest)
    for part in parts_of(message):
        again = isinstance(part, dict) and bool(calls) and (part.get("type") in TOOL_CALLS or "toolUse" in part)
        if not again:
            yield from _texts_of_part(part, deepest)


def _texts_of_part(part: object, deepest: int) -> Iterator[str]:
    """Yield the texts in a part of a message's content, which has the provider's keys."""
    if isinstance(part, str):
        yield part
    elif isinstance(part, list | tuple) and deepest:
        for inner in part:
            yield from _texts_of_part(inner, deepest - 1)
    elif isinstance(part, Mapping) and deepest:
        if part.get("type") == "text" and str(part.get("media_type")).startswith("text/"):
            yield str(part.get("data"))  # the source of a plain document
        for name, inner in part.items():
            if name in FREE:
                yield from _texts(inner, deepest - 1)
            elif name not in NOT_READ:
                yield from _texts_of_part(inner, deepest - 1)
