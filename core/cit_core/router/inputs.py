"""The text in whatever holds one: prompts, messages and query bundles of any framework, and their JSON.

Read by their attributes: no framework is imported. The text is the last turn of a person; the facts are of everything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from cit_core.errors import InvalidInput
from cit_core.messages import shown
from cit_core.pictures import Picture, pictures_in
from cit_core.policy import QueryFacts
from cit_core.tokens import estimate_tokens

__all__ = ["read_input"]

PERSON = frozenset({"human", "user", "HumanMessageChunk"})
ROLES = PERSON | {"ai", "assistant", "chatbot", "developer", "function", "model", "system", "tool"}
MEDIA = ("image", "audio", "video")
DEEPEST = 6
"""Levels that are looked into."""


class _Said(NamedTuple):
    """One message: the role of who speaks, the words, the kinds of media in it, its pictures."""

    role: str
    text: str
    media: frozenset[str] = frozenset()
    pictures: tuple[Picture, ...] = ()


def read_input(value: object) -> tuple[str, QueryFacts, tuple[Picture, ...]]:
    """Return the text to route on, facts about all there is, and the pictures of the last message that has any.

    Args:
        value: A text, a prompt value (`to_messages`), a message (`content` and `role` or `type`), a list of messages or
            of (role, text) pairs, a query bundle (`query_str`), or a dict that is a message, has `messages`, or holds
            one text.

    Raises:
        InvalidInput: If there is no text in it, or several of which none is the question.
    """
    if isinstance(value, str):
        return value, QueryFacts(tokens=estimate_tokens(value)), ()
    said = list(_messages(value, DEEPEST))
    media = frozenset().union(*(one.media for one in said))
    tokens = sum(estimate_tokens(one.text) for one in said if one.text)
    pictures = next((one.pictures for one in reversed(said) if one.pictures), ())
    return _question(said, media), QueryFacts(tokens=tokens, modalities=media | {"text"}), pictures


def _question(said: Sequence[_Said], media: frozenset[str]) -> str:
    """Return what a person said last; else the system's text; where only media were sent, what is asked about them."""
    for roles in (PERSON, {"system", "developer"}):
        for one in reversed(said):
            if one.role in roles and one.text.strip():
                return one.text
    if media:
        return f"Look at the attached {' and '.join(sorted(media))} and answer."
    return next((one.text for one in reversed(said) if one.text.strip()), "")


def _messages(value: object, deepest: int) -> Iterator[_Said]:
    if isinstance(value, str):
        yield _Said("human", value)
    elif not deepest:
        raise InvalidInput("the query is nested too deep; pass the text that the LLM will be asked")
    elif isinstance(value, Mapping):
        yield from _of_mapping(value, deepest - 1)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _of_entry(one, deepest - 1)
    elif callable(to_messages := _attribute(value, "to_messages")):
        yield from _messages(to_messages(), deepest - 1)
    elif isinstance(text := _attribute(value, "query_str"), str):
        yield _Said("human", text, frozenset({"image"} if _attribute(value, "image_path") else ()))
    elif (role := _role(_attribute(value, "role") or _attribute(value, "type"))) is not None:
        yield _said(role, _attribute(value, "blocks") or _attribute(value, "content"))
    else:
        raise InvalidInput(
            f"the query is {type(value).__name__}; it must be a text (str), a message, a list of messages, a prompt or "
            "a dict with one text"
        )


def _attribute(value: object, name: str) -> Any:
    return None if isinstance(value, type) else getattr(value, name, None)


def _of_mapping(value: Mapping[Any, Any], deepest: int) -> Iterator[_Said]:
    role = _role(value.get("role") or value.get("type"))
    if role is not None and "content" in value:
        yield _said(role, value["content"])
        return
    if "messages" in value:
        yield from _messages(value["messages"], deepest)
        return
    texts = [said for inner in value.values() if (said := _in_value(inner, deepest))]
    if len(texts) != 1:
        keys = ", ".join(map(shown, list(value)[:10])) or "none"
        what = "several texts" if texts else "no text"
        raise InvalidInput(f"the query is a dict with {what} (its keys: {keys}); pass the text of the question alone")
    yield from texts[0]


def _in_value(value: object, deepest: int) -> list[_Said]:
    """Read the value of a key; nothing where it is no text: a number, a document."""
    try:
        said = list(_messages(value, deepest))
    except InvalidInput:
        return []
    return said if any(one.text.strip() or one.media for one in said) else []


def _of_entry(value: object, deepest: int) -> Iterator[_Said]:
    """Read an entry of a list of messages."""
    if isinstance(value, str):
        raise InvalidInput("the query is a list of texts; use route_many for several queries")
    if isinstance(value, tuple) and len(value) == 2 and (role := _role(value[0])) is not None:
        yield _said(role, value[1])
    else:
        yield from _messages(value, deepest)


def _role(given: object) -> str | None:
    """Return a role that a message may have; roles may be an enum of texts."""
    role = getattr(given, "value", given)
    return role if isinstance(role, str) and role in ROLES else None


def _said(role: str, content: object) -> _Said:
    """Read a message's content: a text, or parts."""
    if isinstance(content, str):
        return _Said(role, content)
    texts, media = [], set()
    for part in content if isinstance(content, list | tuple) else ():
        get = part.get if isinstance(part, Mapping) else lambda name, part=part: _attribute(part, name)
        text = part if isinstance(part, str) else get("text")
        if isinstance(text, str):
            texts.append(text)
        kind = "" if isinstance(part, str) else str(get("type") or get("block_type") or "")
        media |= {name for name in MEDIA if name in kind}
    return _Said(role, "\n".join(texts), frozenset(media), pictures_in(content) if "image" in media else ())
