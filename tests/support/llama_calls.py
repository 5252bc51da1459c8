"""Every way to call a LlamaIndex LLM, for tests that want all of them."""

import inspect
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.tools import FunctionTool


def user(text: str) -> ChatMessage:
    return ChatMessage(role=MessageRole.USER, content=text)


def said_by(role: MessageRole, text: str) -> ChatMessage:
    return ChatMessage(role=role, content=text)


def double(number: int) -> int:
    """Twice the number."""
    return 2 * number


DOUBLE = FunctionTool.from_defaults(double)


async def settled(given: Any) -> Any:
    """What an async method gives is awaited first."""
    return await given if inspect.isawaitable(given) else given


async def drained(stream: Any) -> list[Any]:
    return [chunk async for chunk in stream] if hasattr(stream, "__aiter__") else list(stream)


async def call(llm: Any, method: str, text: str) -> list[Any]:
    """All that a method gives: chunks where it streams, else one response."""
    if method.endswith("with_tools"):
        given = getattr(llm, method)([DOUBLE], user_msg=text)
    else:
        given = getattr(llm, method)(text if "complete" in method else [user(text)])
    given = await settled(given)
    return await drained(given) if "stream" in method else [given]


CHATS = ["chat", "achat", "stream_chat", "astream_chat"]
COMPLETIONS = ["complete", "acomplete", "stream_complete", "astream_complete"]
WITH_TOOLS = [f"{method}_with_tools" for method in CHATS]
