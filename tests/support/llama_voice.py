"""A candidate for these tests: it says who it is, and does with tools and errors what it is told to."""

from collections.abc import Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse, LLMMetadata, MessageRole
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from pydantic import Field


class Voice(FunctionCallingLLM):
    """Answers `NAME: what was said last`, in two chunks where it streams; calls every tool that it is given, once."""

    called: str
    api_key: str = "sk-very-secret"
    window: int = 4000
    outputs: int = 100
    chat_model: bool = True
    calls_functions: bool = True
    arguments: dict[str, Any] = Field(default={})
    """What it calls tools with."""
    fails_with: Exception | None = Field(default=None, exclude=True)
    fails_after: int = 0
    """Chunks of a stream, before it fails."""
    heard: list[Any] = Field(default=[], exclude=True)
    """Method, what was said, and the rest of the arguments."""
    closed: int = 0
    """Streams that ended or were closed."""

    @classmethod
    def class_name(cls) -> str:
        return "Voice"

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(
            context_window=self.window,
            num_output=self.outputs,
            is_chat_model=self.chat_model,
            is_function_calling_model=self.calls_functions,
            model_name=self.called,
        )

    def _hear(self, *what: Any) -> None:
        self.heard.append(what)
        if self.fails_with is not None and self.fails_after == 0:
            raise self.fails_with

    def _reply(self, messages: Sequence[ChatMessage], tools: Sequence[Any]) -> ChatResponse:
        said = f"{self.called}: {messages[-1].content}"
        calls = [] if any(message.role == MessageRole.TOOL for message in messages) else tools
        names = [tool.metadata.name for tool in calls]
        own_format = (
            {self.called: names, "tool_calls": names} if names else {}
        )  # where LlamaIndex looks whether any are
        message = ChatMessage(role=MessageRole.ASSISTANT, content=said, additional_kwargs=own_format)
        return ChatResponse(message=message, additional_kwargs={"prompt_tokens": 7, "completion_tokens": 3})

    def _parts(self, text: str) -> list[tuple[str, str]]:
        half = len(text) // 2
        return [(text[:half], text[:half]), (text, text[half:])]

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], tools: Sequence[Any] = (), **kwargs: Any) -> ChatResponse:
        self._hear("chat", messages, kwargs)
        return self._reply(messages, tools)

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], tools: Sequence[Any] = (), **kwargs: Any) -> ChatResponse:
        self._hear("achat", messages, kwargs)
        return self._reply(messages, tools)

    def _chunk(self, place: int, text: str, delta: str, whole: ChatResponse) -> ChatResponse:
        if self.fails_with is not None and place == self.fails_after:
            raise self.fails_with
        message = whole.message.model_copy(deep=True)
        message.content = text
        return ChatResponse(message=message, delta=delta)

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], tools: Sequence[Any] = (), **kwargs: Any) -> Any:
        def chunks() -> Any:
            self._hear("stream_chat", messages, kwargs)
            whole = self._reply(messages, tools)
            try:
                for place, (text, delta) in enumerate(self._parts(whole.message.content or "")):
                    yield self._chunk(place, text, delta, whole)
            finally:
                self.closed += 1

        return chunks()

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], tools: Sequence[Any] = (), **kwargs: Any) -> Any:
        self._hear("astream_chat", messages, kwargs)

        async def chunks() -> Any:
            whole = self._reply(messages, tools)
            try:
                for place, (text, delta) in enumerate(self._parts(whole.message.content or "")):
                    yield self._chunk(place, text, delta, whole)
            finally:
                self.closed += 1

        return chunks()

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        self._hear("complete", prompt, {"formatted": formatted, **kwargs})
        return CompletionResponse(text=f"{self.called}: {prompt}")

    @llm_completion_callback()
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        self._hear("acomplete", prompt, {"formatted": formatted, **kwargs})
        return CompletionResponse(text=f"{self.called}: {prompt}")

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        self._hear("stream_complete", prompt, {"formatted": formatted, **kwargs})
        parts = self._parts(f"{self.called}: {prompt}")
        return (CompletionResponse(text=text, delta=delta) for text, delta in parts)

    @llm_completion_callback()
    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        self._hear("astream_complete", prompt, {"formatted": formatted, **kwargs})

        async def chunks() -> Any:
            for text, delta in self._parts(f"{self.called}: {prompt}"):
                yield CompletionResponse(text=text, delta=delta)

        return chunks()

    def _prepare_chat_with_tools(
        self,
        tools: Sequence[Any],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        said = ChatMessage(role=MessageRole.USER, content=user_msg) if isinstance(user_msg, str) else user_msg
        messages = [*(chat_history or []), *([] if said is None else [said])]
        return {"messages": messages, "tools": tools, "required": tool_required, **kwargs}

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        names = response.message.additional_kwargs.get(self.called, [])  # what others write, it cannot read
        if error_on_no_tool_call and not names:
            raise ValueError(f"{self.called} finds no tool call")
        return [ToolSelection(tool_id=name, tool_name=name, tool_kwargs=self.arguments) for name in names]
