"""Turn a call to an LLM into a question for the router: the text to decide on, and facts about the rest."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.prompts import BasePromptTemplate
from llama_index.core.tools.types import BaseTool

from cit_core.errors import InvalidInput
from cit_core.messages import shown
from cit_core.pictures import Picture
from cit_core.policy import QueryFacts
from cit_core.router import estimate_tokens
from llamaindex_cit._content import read_content

__all__ = [
    "Question",
    "checked_prompt",
    "is_made_of_template",
    "made_of_template",
    "of_messages",
    "of_prompt",
    "with_tools",
]

QUERY = "query_str"
"""Name of the user's query in LlamaIndex's prompts."""
NOT_THE_USER = ("Observation: ", "Error while parsing the output", "FAILURE: Your previous response was empty")
"""Beginnings of a ReAct agent's messages in the user's place: a tool's result, or a request to try again."""
TOOLS_ALONE = "Call a tool."
"""Question where tools are passed and nothing is said, as `predict_and_call` may."""

_last_template: ContextVar[tuple[object, int, str | None]] = ContextVar("cit_last_template", default=(None, 0, None))
"""The messages or prompt that a template was last filled to, their length, and the query in it. LlamaIndex passes them
to the LLM at once, as the same object; if that has another length, something was said since."""


@dataclass(frozen=True)
class Question:
    """The question that is routed.

    Attributes:
        text: Text to route on.
        facts: Facts about all that the candidate is given.
        opening: First text of the user; None outside a conversation.
        pictures: Pictures of the last message that has any.
    """

    text: str
    facts: QueryFacts
    opening: str | None = None
    pictures: tuple[Picture, ...] = ()


def made_of_template(made: Sequence[ChatMessage] | str, prompt: BasePromptTemplate, arguments: dict[str, Any]) -> None:
    """Remember the query in a filled template, where retrieved texts surround it."""
    query = ChainMap(arguments, prompt.kwargs).get(QUERY)
    _last_template.set((made, len(made), query if isinstance(query, str) and query.strip() else None))


def is_made_of_template(given: Sequence[ChatMessage] | str) -> bool:
    """Return whether these messages, or this prompt, were just made of a template."""
    made, length, _ = _last_template.get()
    return made is given and len(given) == length


def checked_prompt(prompt: object) -> str:
    """Return the prompt of a completion.

    Raises:
        InvalidInput: If there is none, or it is no text; a ValueError, as LlamaIndex's LLMs raise then.
    """
    if prompt is None:
        raise InvalidInput("there is no prompt; pass the text that the LLM is to complete")
    if not isinstance(prompt, str):
        raise InvalidInput(f"the prompt is {shown(prompt)}; it must be a text")
    return prompt


def of_prompt(prompt: str) -> Question:
    """Return the question in a prompt to complete: the query in its template, or all of it."""
    query = _last_template.get()[2] if is_made_of_template(prompt) else None
    return Question(query or prompt, QueryFacts(tokens=estimate_tokens(prompt)))


def of_messages(messages: Sequence[ChatMessage], *, tools: bool = False, tool_tokens: int = 0) -> Question:
    """Return the question in a chat: the query in its template, or the last turn of the user with text.

    So a question keeps its route while tools are being called.

    Args:
        messages: The chat.
        tools: True if the candidate is given tools with it.
        tool_tokens: Their length [tokens].

    Raises:
        InvalidInput: If these are not messages.
    """
    contents = [read_content(message) for message in _checked(messages)]
    texts = [content.said for content in contents]
    media = set().union(*(content.media for content in contents))
    filling = "".join(text for content in contents for text in content.filling)
    tokens = estimate_tokens(filling) + sum(content.file_tokens for content in contents) + tool_tokens
    facts = QueryFacts(tokens=tokens, modalities=frozenset(media | {"text"}), tools=tools)
    files = {"file"} if any(content.files for content in contents) else set()
    last_turn = _last_turn(messages, texts, media or files) or (TOOLS_ALONE if tools else "")
    pictures = next((content.pictures for content in reversed(contents) if content.pictures), ())
    if is_made_of_template(messages):
        return Question(_last_template.get()[2] or last_turn, facts, pictures=pictures)
    opening = next((text for message, text in zip(messages, texts, strict=True) if _asks(message, text)), None)
    return Question(last_turn, facts, opening, pictures)


def with_tools(
    tools: Sequence[BaseTool], user_msg: str | ChatMessage | None, chat_history: Sequence[ChatMessage] | None
) -> Question:
    """Return the question in a chat with tools.

    Raises:
        InvalidInput: If a message is not one.
    """
    messages = list(_checked([] if chat_history is None else chat_history))
    if isinstance(user_msg, str):
        messages.append(ChatMessage(role=MessageRole.USER, content=user_msg))
    elif user_msg is not None:
        messages.append(user_msg)
    return of_messages(
        messages, tools=True, tool_tokens=sum(map(_tool_tokens, tools if isinstance(tools, Sequence) else ()))
    )


def _tool_tokens(tool: BaseTool) -> int:
    if not isinstance(tool, BaseTool):
        return 0
    schema = "" if tool.metadata.fn_schema is None else tool.metadata.fn_schema_str
    return estimate_tokens(f"{tool.metadata.description}{schema}")


def _checked(messages: Sequence[ChatMessage]) -> Sequence[ChatMessage]:
    if not isinstance(messages, Sequence) or isinstance(messages, str | bytes):
        raise InvalidInput(f"the messages are {shown(messages)}; they must be a list of ChatMessage")
    for message in messages:
        if not isinstance(message, ChatMessage):
            raise InvalidInput(f"a message is {shown(message)}; it must be a ChatMessage: ChatMessage(content=...)")
    return messages


def _last_turn(messages: Sequence[ChatMessage], texts: Sequence[str], media: Iterable[str]) -> str:
    """Return the user's last text; where only media were sent, the system's text about them."""
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
