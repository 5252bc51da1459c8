"""The parts of a message's content, in the words of any provider: the kinds of their media, and their texts.

A Bedrock document, a picture in an Anthropic tool result, a PDF behind an address: frameworks and the gateway pass them
on as they are, so they are read as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

__all__ = ["DEEPEST", "TOOL_CALLS", "media_of_part", "modalities_of_part", "texts_in", "texts_of_part"]

DEEPEST = 12
"""Levels of a content part that are read."""
DRAWN = "image_generation_call"
"""A picture that a model has drawn; its bytes are the `result`."""
MODALITY_OF_NAME = {
    **dict.fromkeys(("image", "image_url", "input_image", "computer_screenshot", DRAWN), "image"),
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
        *("encrypted_content", "encrypted_index", "thought_signature", "thoughtSignature"),
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


Others = Callable[[object, int], Iterator[str] | None]
"""Yields the texts of a framework's object; None for any other value."""


def modalities_of_part(part: object, deepest: int = DEEPEST) -> Iterator[str]:
    """Yield the kinds of media in a part, or in a list of parts, also in tool results; none of what is not known."""
    if isinstance(part, list | tuple) and deepest:
        for inner in part:
            yield from modalities_of_part(inner, deepest - 1)
    if not isinstance(part, Mapping) or not deepest:
        return
    yield from _kinds_of(part)
    for name, inner in part.items():
        if name not in FREE and isinstance(inner, Mapping | list | tuple):
            yield from modalities_of_part(inner, deepest - 1)


def media_of_part(part: object, deepest: int = DEEPEST) -> Iterator[tuple[str, str | bytes | None]]:
    """Yield the kind and, where it is there, the content of each of the media in a part."""
    if not deepest or not isinstance(part, Mapping | list | tuple):
        return
    if isinstance(part, Mapping) and (kinds := _kinds_of(part)):
        data = _content_of(part, 3)
        yield from ((kind, data) for kind in kinds)
        return
    for name, inner in part.items() if isinstance(part, Mapping) else enumerate(part):
        if name not in FREE:
            yield from media_of_part(inner, deepest - 1)


def texts_of_part(part: object, deepest: int = DEEPEST) -> Iterator[str]:
    """Yield the texts in a part of a message's content, which has the provider's keys."""
    if isinstance(part, str):
        yield part
    elif isinstance(part, list | tuple) and deepest:
        for inner in part:
            yield from texts_of_part(inner, deepest - 1)
    elif isinstance(part, Mapping) and deepest:
        if part.get("type") == "text" and str(part.get("media_type")).startswith("text/"):
            yield str(part.get("data"))  # the source of a plain document
        for name, inner in part.items():
            if name in FREE:
                yield from texts_in(inner, deepest - 1)
            elif name not in NOT_READ and not (name == "result" and part.get("type") == DRAWN):
                yield from texts_of_part(inner, deepest - 1)


def texts_in(value: object, deepest: int = DEEPEST, others: Others = lambda _value, _deepest: None) -> Iterator[str]:
    """Yield all texts in a value with arbitrary keys: here `url` or `data` may hold a text."""
    if isinstance(value, str):
        yield "" if value.startswith("data:") else value
    elif isinstance(value, int | float):
        yield str(value)
    elif not deepest:
        return
    elif (found := others(value, deepest)) is not None:
        yield from found
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield str(name)
            yield from texts_in(inner, deepest - 1, others)
    elif isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        for inner in value:
            yield from texts_in(inner, deepest - 1, others)


def _kinds_of(part: Mapping[Any, Any]) -> set[str]:
    kind = str(part.get("type", ""))
    names = (
        [kind] if kind else [name for name in part if part[name] is not None]
    )  # Bedrock's have no type: {"image": {...}}
    found = {MODALITY_OF_NAME[str(name)] for name in names if str(name) in MODALITY_OF_NAME}
    return found or set(filter(None, [_of_document(part, kind), *map(_of_file, _holders(part))]))


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
    if kind == "document" and isinstance(source, Mapping):  # of Anthropic; a PDF, if its text is not here
        return "pdf" if source.get("type") in ("base64", "url", "file") else None
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
