"""A chat model that really calls tools, counts tokens and streams, without a network: what it does follows from a rule.

Handed tools, it calls one, with arguments made from the numbers and quoted words of the last human turn, until it sees
a tool's result; then, and without tools, it answers in words.
"""

import json
import operator
import re
from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, ToolMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import Field


class Scripted(BaseChatModel):
    """See above. `fails` is raised in place of an answer; after `fails_after` pieces where it streams.

    Answers bear the name of the `snapshot`, as providers' do. `heard` keeps the keyword arguments of every call.
    """

    model_name: str
    snapshot: str | None = None
    fails: Exception | None = None
    fails_after: int = 0
    names_every_chunk: bool = False
    heard: list[dict[str, Any]] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name}

    def bind_tools(self, tools: Sequence[Any], *, tool_choice: str | None = None, **kwargs: Any) -> Any:
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], tool_choice=tool_choice, **kwargs)

    def _answer(self, messages: list[BaseMessage], kwargs: dict[str, Any]) -> AIMessage:
        self.heard.append(kwargs)
        tools, choice = kwargs.get("tools") or [], kwargs.get("tool_choice")
        question = next((m.text for m in reversed(messages) if isinstance(m, HumanMessage)), "")
        calls = []
        if tools and (choice or not isinstance(messages[-1], ToolMessage)):
            known = {tool["function"]["name"]: tool["function"] for tool in tools}
            function = known.get(choice) or next(iter(known.values()))
            arguments = made_up({"type": "object", **function.get("parameters", {})}, question)
            calls = [{"name": function["name"], "args": arguments, "id": f"call_{len(messages)}", "type": "tool_call"}]
        text = "" if calls else f"{self.model_name} says: {messages[-1].text}"
        read, written = sum(len(message.text) for message in messages), max(1, len(text))
        return AIMessage(
            text,
            tool_calls=calls,
            response_metadata={"model_name": self.snapshot or self.model_name},
            usage_metadata={"input_tokens": read, "output_tokens": written, "total_tokens": read + written},
        )

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        if self.fails is not None:
            raise self.fails
        return ChatResult(generations=[ChatGeneration(message=self._answer(messages, kwargs))])

    def _stream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        for place, piece in enumerate(self._pieces(self._answer(messages, kwargs))):
            if self.fails is not None and place == self.fails_after:
                raise self.fails
            chunk = ChatGenerationChunk(message=piece)
            if run_manager:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    def _pieces(self, whole: AIMessage) -> Iterator[AIMessageChunk]:
        name = {"model_name": self.snapshot or self.model_name}
        for word in re.findall(r"\S+\s*", whole.text):
            yield AIMessageChunk(word, response_metadata=name if self.names_every_chunk else {})
        for index, call in enumerate(whole.tool_calls):
            text = json.dumps(call["args"], ensure_ascii=False)
            begun = tool_call_chunk(name=call["name"], args=text[:3], id=call["id"], index=index)
            rest = tool_call_chunk(name=None, args=text[3:], id=None, index=index)
            yield AIMessageChunk("", tool_call_chunks=[begun])
            yield AIMessageChunk("", tool_call_chunks=[rest])
        yield AIMessageChunk("", usage_metadata=whole.usage_metadata, response_metadata=name, chunk_position="last")


def made_up(schema: dict[str, Any], question: str) -> Any:
    """A value of this JSON schema, from the question where it holds one."""
    if "anyOf" in schema:
        return made_up(schema["anyOf"][0], question)
    kind = schema.get("type")
    if kind == "object":
        return {name: made_up(inner, question) for name, inner in schema.get("properties", {}).items()}
    if kind in {"integer", "number"}:
        number = re.search(r"-?\d+", question)
        return int(number.group()) if number else 1
    if kind in {"boolean", "array"}:
        return True if kind == "boolean" else []
    quoted = re.search(r"'([^']+)'", question)
    return schema["enum"][0] if "enum" in schema else quoted.group(1) if quoted else "something"


async def every_way(chat: Any, question: str) -> list[AIMessage]:
    """The answers of invoke, ainvoke, stream and astream; streams added up."""
    streamed = reduce(operator.add, list(chat.stream(question)))
    astreamed = reduce(operator.add, [chunk async for chunk in chat.astream(question)])
    return [chat.invoke(question), await chat.ainvoke(question), streamed, astreamed]
