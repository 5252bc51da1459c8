"""Read a message: the text to route on, all text in the prompt, and media."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, DocumentBlock, ThinkingBlock, ToolCallBlock
from pydantic import BaseModel

from cit_core.pictures import Picture, pictures_in
from cit_core.tokens import estimate_media_tokens

__all__ = ["Content", "read_content"]

DEPTH = 20
"""Levels of nested content that are read; no provider takes more."""
BYTES_PER_TOKEN = 4
MODALITIES = {
    **dict.fromkeys(("image", "image_url", "input_image"), "image"),
    **dict.fromkeys(("audio", "input_audio", "reference_audio_id"), "audio"),
    **dict.fromkeys(("video", "video_url", "input_video"), "video"),
    **dict.fromkeys(("document", "file", "input_file"), "pdf"),
}
"""Block types and the providers' own types of content parts, to the modality that a candidate must read."""
DATA_URI = "data:"
CONTENTS = frozenset({"data", "base64", "bytes", "file_data"})
"""Keys with the content of a file."""
TEXT_FILES = ("text/", "application/json", "application/xml", "application/yaml", "application/x-")


@dataclass
class Content:
    """Content of one message.

    Attributes:
        said: Its text.
        filling: All text that fills the prompt: what is said, reasoning, tool calls, text files.
        file_tokens: Estimated length of media, and of text files that are given by their path [tokens].
        media: Modalities beside text.
        files: True if a file is attached.
        pictures: Its pictures.
    """

    said: str = ""
    filling: list[str] = field(default_factory=list)
    file_tokens: int = 0
    media: set[str] = field(default_factory=set)
    files: bool = False
    pictures: tuple[Picture, ...] = ()

    def add_media(self, kind: str, data: object = None, size: int | None = None) -> None:
        """Note a picture, a PDF or a recording, and its estimated length."""
        self.media.add(kind)
        self.file_tokens += estimate_media_tokens(kind, data if isinstance(data, str | bytes) else None, size=size)


def read_content(message: ChatMessage) -> Content:
    """Read a message, its blocks at any depth, and what providers' classes keep in `additional_kwargs`."""
    content = Content()
    said: list[str] = []
    filling = content.filling
    for block in _flat(message.blocks):
        if isinstance(block, ToolCallBlock):
            filling.append(block.tool_name)
            _read_value(block.tool_kwargs, content, filling)
        elif isinstance(block, ThinkingBlock):
            filling.append(block.content or "")
        elif isinstance(block, DocumentBlock):
            _read_document(block, content, filling)
        elif text := getattr(block, "text", None):
            said.append(text)
        elif modality := MODALITIES.get(getattr(block, "block_type", "")):
            content.add_media(modality)
    _read_value(message.additional_kwargs, content, filling)
    content.said = "\n".join(said).strip()
    filling += said
    if "image" in content.media:
        content.pictures = pictures_in([*message.blocks, message.additional_kwargs])
    return content


def _flat(blocks: Iterable[Any], depth: int = 0) -> Iterator[Any]:
    """Yield blocks, and the blocks inside of blocks: what can be cited, and citations."""
    for block in blocks:
        inner = getattr(block, "content", None)
        if isinstance(inner, list) and depth < DEPTH:
            yield from _flat(inner, depth + 1)
        elif (cited := getattr(block, "cited_content", None)) is not None:
            yield cited
        else:
            yield block


def _read_document(block: DocumentBlock, content: Content, filling: list[str]) -> None:
    """Read a document: text counts with its length; anything else is a file that is read as a PDF is."""
    content.files = True
    kind = block.document_mimetype or ""
    if not kind.startswith(TEXT_FILES):
        path = block.path if isinstance(block.path, str | PathLike) else None
        content.add_media("pdf", block.data, None if path is None else _size(Path(path)))
        return
    if isinstance(block.data, bytes):
        filling.append(_decoded(block.data))
    elif isinstance(block.path, str | PathLike):
        content.file_tokens += _file_tokens(Path(block.path))


def _decoded(data: bytes) -> str:
    """Return the text of a document; blocks keep it as base64."""
    with suppress(binascii.Error):
        data = base64.b64decode(data, validate=True)
    return data.decode(errors="replace")


def _file_tokens(path: Path) -> int:
    return _size(path) // BYTES_PER_TOKEN


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except (OSError, ValueError):  # the candidate's own error says more
        return 0


def _read_value(value: object, content: Content, filling: list[str], depth: int = 0) -> None:
    """Read what a provider's format holds: mappings, lists and objects of texts and media."""
    if isinstance(value, str):
        if value.startswith(DATA_URI):
            content.add_media(_of_data_uri(value), value)
        else:
            filling.append(value)
    elif isinstance(value, BaseModel):
        _read_value(value.__dict__, content, filling, depth)
    elif isinstance(value, Mapping) and depth < DEPTH:
        _read_mapping(value, content, filling, depth)
    elif isinstance(value, list | tuple) and depth < DEPTH:
        for part in value:
            _read_value(part, content, filling, depth + 1)
    elif isinstance(value, int | float):
        filling.append(str(value)[:20])


def _read_mapping(value: Mapping[Any, Any], content: Content, filling: list[str], depth: int) -> None:
    kind = value.get("type")
    if isinstance(kind, str) and kind in MODALITIES:
        content.add_media(MODALITIES[kind], _data_in(value))
        return
    for name, part in value.items():
        if isinstance(name, str) and name in MODALITIES and part and not isinstance(part, int | float):
            if isinstance(part, str) and not part.startswith(DATA_URI) and name != "reference_audio_id":
                filling.append(part)  # an argument that happens to be called so
            else:
                content.add_media(MODALITIES[name], _data_in(part))
        else:
            filling.append(str(name) if isinstance(name, str | int) else "")
            _read_value(part, content, filling, depth + 1)


def _data_in(value: object, depth: int = 3) -> str | bytes | None:
    """Return the content of a file in a provider's part, if it is there."""
    if isinstance(value, bytes) or (isinstance(value, str) and value.startswith(DATA_URI)):
        return value
    if not isinstance(value, Mapping) or not depth:
        return None
    for name, inner in value.items():
        if name in CONTENTS and isinstance(inner, str | bytes):
            return inner
        if (found := _data_in(inner, depth - 1)) is not None:
            return found
    return None


def _of_data_uri(uri: str) -> str:
    kind = uri[len(DATA_URI) :].partition("/")[0]
    return kind if kind in ("image", "audio", "video") else "pdf"
