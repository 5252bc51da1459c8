"""Read the query in a request of OpenAI's or Anthropic's protocol: the text to route on, and the facts beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from cit_core.pictures import Picture, pictures_in
from cit_core.policy import QueryFacts
from cit_core.tokens import estimate_tokens

__all__ = ["Prompt", "read_prompt"]

MODALITY = {
    "image_url": "image",
    "input_image": "image",
    "image": "image",
    "input_audio": "audio",
    "file": "pdf",
    "input_file": "pdf",
    "document": "pdf",
    "video_url": "video",
}
"""Type of a content part to what it holds."""
TOKENS_OF = {"image": 1_000, "audio": 1_000, "pdf": 5_000, "video": 10_000}
"""Rough length of a part that is no text [tokens]."""
OPAQUE = frozenset({"data", "url", "image_url", "file_data", "signature", "encrypted_content"})
"""Fields that hold no text an LLM reads as such: base64, addresses, signatures."""


class Prompt(NamedTuple):
    """The text to route on, and facts about the request."""

    text: str
    """The last thing that the user said; empty where nothing is a text."""
    facts: QueryFacts
    pictures: tuple[Picture, ...] = ()
    """Pictures of the last turn that has any."""


def read_prompt(fields: Mapping[str, Any]) -> Prompt:
    """Read a request's body: of `/chat/completions`, `/responses` or `/messages`.

    Args:
        fields: The body. Unreadable parts count as nothing: the provider refuses them.
    """
    turns = _turns(fields)
    said = [text for turn in reversed(turns) if turn.get("role") == "user" and (text := _text(turn)).strip()]
    standing = [text for name in ("instructions", "system") if (text := _joined(fields.get(name))).strip()]
    others = [text for turn in reversed(turns) if (text := _text(turn)).strip()]
    held = list(_modalities([turn.get("content", turn) for turn in turns]))
    filled = [fields.get(name) for name in ("messages", "input", "instructions", "system", "tools", "functions")]
    tokens = sum(estimate_tokens(text) for text in _texts(filled)) + sum(TOKENS_OF[kind] for kind in held)
    facts = QueryFacts(
        tokens=max(1, tokens),
        modalities=frozenset({"text", *held}),
        tools=bool(fields.get("tools") or fields.get("functions")),
        structured_output=_structured(fields),
    )
    seen = [turn.get("content", turn) for turn in reversed(turns)] if "image" in held else []
    pictures = next(filter(None, map(pictures_in, seen)), ())
    return Prompt(next(iter([*said, *others, *standing]), ""), facts, pictures)


def _turns(fields: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    given = fields.get("messages", fields.get("input"))
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    return [turn for turn in given if isinstance(turn, Mapping)] if isinstance(given, list) else []


def _text(turn: Mapping[str, Any]) -> str:
    return _joined(turn.get("content"))


def _joined(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    said = [part.get("text") for part in parts if isinstance(part, Mapping)]
    return "\n".join(text for text in said if isinstance(text, str))


def _modalities(content: object) -> Iterator[str]:
    """Yield what is in it beside text, once for each part; also inside the results of tools."""
    if isinstance(content, Mapping):
        kind = MODALITY.get(str(content.get("type")))
        if kind is not None:
            yield kind
            return
        content = content.get("content")
    if isinstance(content, Sequence) and not isinstance(content, str):
        for part in content:
            yield from _modalities(part)


def _texts(value: object) -> Iterator[str]:
    """Yield every text in it that fills the prompt: messages, calls of tools and their arguments, schemas."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if name not in OPAQUE:
                yield from _texts(inner)
    elif isinstance(value, Sequence):
        for inner in value:
            yield from _texts(inner)


def _structured(fields: Mapping[str, Any]) -> bool:
    """Return whether the answer must follow a schema."""
    text = fields.get("text")
    asked = [
        fields.get("response_format"),
        fields.get("output_format"),
        text.get("format") if isinstance(text, Mapping) else None,
    ]
    return any(isinstance(one, Mapping) and str(one.get("type", "")).startswith("json") for one in asked)
