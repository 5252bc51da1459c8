"""What a router may know of a call to an LLM: the text to route on, and facts about the rest."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, DocumentBlock, MessageRole
from llama_index.core.prompts import BasePromptTemplate

from cit_core.policy import QueryFacts
from cit_core.router import estimate_tokens

__all__ = ["Question", "is_made_of_template", "made_of_template", "of_messages", "of_prompt"]

QUERY = "query_str"
"""What LlamaIndex's prompts call the user's query."""
NOT_THE_USER = ("Observation: ", "Error while parsing the output", "FAILURE: Your previous response was empty")
"""How ReAct agents begin what they say in the user's place: what a tool gave, and that the LLM has to try again."""
TOOLS_ALONE = "Call a tool."
"""What is asked where tools are handed over and nothing is said, as `predict_and_call` may."""
_MODALITIES = {"image": "image", "audio": "audio", "video": "video"}

_last_template: ContextVar[tuple[object, int, str | None]] = ContextVar("cit_last_template", default=(None, 0, None))
"""What was made of a template last, its length, and the query in it. LlamaIndex hands it to the LLM at once, as
the same object; if that has another length, something was said since."""


@dataclass(frozen=True)
class Question:
    """What is asked of an LLM.

    Attributes:
        text: To route on.
        facts: Of all that the candidate is given.
        opening: How the conversation began; None for what is no conversation.
    """

    text: str
    facts: QueryFacts
    opening: str | None = None


def made_of_template(made: Sequence[ChatMessage] | str, prompt: BasePromptTemplate, arguments: dict[str, Any]) -> None:
    """Note the query that messages or a prompt were made of: in them, it drowns among retrieved texts."""
    query = ChainMap(arguments, prompt.kwargs).get(QUERY)
    _last_template.set((made, len(made), query if isinstance(query, str) and query.strip() else None))


def is_made_of_template(given: Sequence[ChatMessage] | str) -> bool:
    """Whether these messages, or this prompt, were just made of a template."""
    made, length, _ = _last_template.get()
    return made is given and len(given) == length


def of_prompt(prompt: str) -> Question:
    """The question in a prompt to complete: the query that its template was filled with, or all of it."""
    query = _last_template.get()[2] if is_made_of_template(prompt) else None
    return Question(query or prompt, QueryFacts(tokens=estimate_tokens(prompt)))


def of_messages(messages: Sequence[ChatMessage], *, tools: bool = False) -> Question:
    """The question in a chat: the query that its template was filled with, or the last turn of the user with text.

    So a question keeps its route while tools are being called.

    Args:
        messages: The chat.
        tools: Whether the candidate is handed tools with it.
    """
    blocks = [list(_flat(message.blocks)) for message in messages]
    texts = ["\n".join(filter(None, (getattr(block, "text", None) for block in mine))).strip() for mine in blocks]
    media = {modality for mine in blocks for block in mine if (modality := _modality(block)) is not None}
    facts = QueryFacts(tokens=estimate_tokens("".join(texts)), modalities=frozenset(media | {"text"}), tools=tools)
    files = {"file" for mine in blocks for block in mine if isinstance(block, DocumentBlock)}
    last_turn = _last_turn(messages, texts, media or files) or (TOOLS_ALONE if tools else "")
    if is_made_of_template(messages):
        return Question(_last_template.get()[2] or last_turn, facts)
    opening = next((text for message, text in zip(messages, texts, strict=True) if _asks(message, text)), None)
    return Question(last_turn, facts, opening)


def _last_turn(messages: Sequence[ChatMessage], texts: Sequence[str], media: Iterable[str]) -> str:
    """The user's; where only a picture was sent, what the system said about it."""
    said = list(zip(messages, texts, strict=True))[::-1]
    for message, text in said:
        if _asks(message, text):
            return text
    if system := next((text for message, text in said if message.role == MessageRole.SYSTEM and text), None):
        return system
    if media:
        return f"Look at the attached {' and '.join(sorted(media))} and answer."
    return next((text for text in texts[::-1] if text), "")


def _asks(message: ChatMessage, text: str) -> bool:
    return message.role == MessageRole.USER and bool(text) and not text.startswith(NOT_THE_USER)


def _flat(blocks: Iterable[Any]) -> Iterator[Any]:
    """Blocks, and those inside blocks: what can be cited holds its text so."""
    for block in blocks:
        inner = getattr(block, "content", None)
        if isinstance(inner, list):
            yield from _flat(inner)
        else:
            yield block


def _modality(block: Any) -> str | None:
    if getattr(block, "document_mimetype", None) == "application/pdf":
        return "pdf"
    return _MODALITIES.get(getattr(block, "block_type", ""))
