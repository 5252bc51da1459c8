"""Read the query in a request of OpenAI's or Anthropic's protocol: the text to route on, and the facts beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from cit_core.content_parts import DEEPEST, media_of_part, modalities_of_part, texts_in, texts_of_part
from cit_core.pictures import Picture, pictures_in
from cit_core.policy import QueryFacts
from cit_core.tokens import estimate_media_tokens, estimate_tokens

__all__ = ["Prompt", "read_prompt"]

FILES = ("file", "input_file")
"""Types of parts that are PDFs where nothing says what they are."""
SCHEMAS = 64
"""Levels of the definitions of tools that are read."""


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
    contents = [turn.get("content", turn) for turn in turns]
    texts = [*texts_of_part([turns, fields.get("instructions"), fields.get("system")])]
    texts += texts_in([fields.get("tools"), fields.get("functions")], SCHEMAS)
    media = [*media_of_part(contents), *(("pdf", None) for _ in _unnamed_files(contents))]
    tokens = sum(estimate_tokens(text) for text in texts if text) + sum(estimate_media_tokens(*one) for one in media)
    held = {"text", *modalities_of_part(contents), *(kind for kind, _ in media)}
    facts = QueryFacts(
        tokens=max(1, tokens),
        modalities=frozenset(held),
        tools=bool(fields.get("tools") or fields.get("functions")),
        structured_output=_structured(fields),
    )
    pictures = next(filter(None, map(pictures_in, reversed(contents))), ()) if "image" in held else ()
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


def _unnamed_files(content: object, deepest: int = DEEPEST) -> Iterator[Mapping[str, Any]]:
    """Yield the files of which nothing says what they are, as those that a provider keeps under an id."""
    if isinstance(content, Mapping):
        if content.get("type") in FILES:
            held = content["file"] if isinstance(content.get("file"), Mapping) else content
            named = "." in str(held.get("filename")) or str(held.get("file_data")).startswith("data:")
            if not named and not [*media_of_part(content)]:
                yield content
            return
        content = [content.get(name) for name in ("content", "output")]
    if isinstance(content, list) and deepest:
        for part in content:
            yield from _unnamed_files(part, deepest - 1)


def _structured(fields: Mapping[str, Any]) -> bool:
    """Return whether the answer must follow a schema."""
    holders = [one for name in ("text", "output_config") if isinstance(one := fields.get(name), Mapping)]
    asked = [fields.get("response_format"), fields.get("output_format"), *(one.get("format") for one in holders)]
    return any(isinstance(one, Mapping) and str(one.get("type", "")).startswith("json") for one in asked)
