"""An LLM that is asked for several answers at once, and gives the one that most of them agree with."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    LLMMetadata,
)
from llama_index.core.llms import LLM
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from pydantic import Field

from cit_core.arms import SAMPLES
from cit_core.errors import InvalidInput
from cit_core.router.verifiers import ballot, elected
from llamaindex_cit._response_metadata import CIT_SAMPLES, Response, billed_tokens
from llamaindex_cit._streams import require_unbroken

__all__ = ["SampledLLM"]


class SampledLLM(FunctionCallingLLM):
    """The answer, or the tool calls, that most of several answers of an LLM agree with; of equals the first.

    Only that answer leaves it, a stream in one piece; `additional_kwargs["cit_samples"]` says how many were asked for,
    how many of them agree, and the tokens of all. An answer that fails has no vote, and if all fail, the first error is
    raised. Every answer is an event of its own in traces.

    Attributes:
        llm: The LLM, with a temperature above 0.
        samples: Answers that it is asked for, from 2 to 16.
    """

    llm: LLM
    samples: Annotated[int, Field(ge=SAMPLES[0], le=SAMPLES[1])]

    def __init__(self, llm: LLM, samples: int, **options: Any) -> None:
        super().__init__(**{"llm": llm, "samples": samples, "callback_manager": llm.callback_manager, **options})

    @classmethod
    def class_name(cls) -> str:
        """Return its name in what LlamaIndex writes down."""
        return "SampledLLM"

    @property
    def metadata(self) -> LLMMetadata:
        """The LLM's own."""
        return self.llm.metadata

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Chat, and give the answer that most agree with."""
        return self._ask(lambda llm: llm.chat(messages, **kwargs))

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Chat without blocking the event loop; see `chat`."""
        return await self._aask(lambda llm: llm.achat(messages, **kwargs))

    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """Yield the answer of `chat` in one piece."""
        whole = self.chat(messages, **kwargs)
        yield whole.model_copy(update={"delta": whole.message.content or ""})

    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        """Yield the answer of `achat` in one piece."""

        async def pieces() -> ChatResponseAsyncGen:
            whole = await self.achat(messages, **kwargs)
            yield whole.model_copy(update={"delta": whole.message.content or ""})

        return pieces()

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Complete the prompt, and give the answer that most agree with."""
        return self._ask(lambda llm: llm.complete(prompt, formatted=formatted, **kwargs))

    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Complete without blocking the event loop; see `complete`."""
        return await self._aask(lambda llm: llm.acomplete(prompt, formatted=formatted, **kwargs))

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        """Yield the answer of `complete` in one piece."""
        whole = self.complete(prompt, formatted, **kwargs)
        yield whole.model_copy(update={"delta": whole.text})

    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseAsyncGen:
        """Yield the answer of `acomplete` in one piece."""

        async def pieces() -> CompletionResponseAsyncGen:
            whole = await self.acomplete(prompt, formatted, **kwargs)
            yield whole.model_copy(update={"delta": whole.text})

        return pieces()

    def get_tool_calls_from_response(self, response: ChatResponse, *args: Any, **kwargs: Any) -> list[ToolSelection]:
        """Return the tool calls as the LLM itself reads them."""
        return self._caller.get_tool_calls_from_response(response, *args, **kwargs)

    def _prepare_chat_with_tools(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return self._caller._prepare_chat_with_tools_compat(*args, **kwargs)

    def _validate_chat_with_tools_response(self, *args: Any, **kwargs: Any) -> ChatResponse:
        return self._caller._validate_chat_with_tools_response(*args, **kwargs)

    @property
    def _caller(self) -> FunctionCallingLLM:
        if isinstance(self.llm, FunctionCallingLLM):
            return self.llm
        raise InvalidInput(
            f"{type(self.llm).__name__} cannot call functions; SampledLLM needs a FunctionCallingLLM for it"
        )

    @property
    def _asked(self) -> LLM:
        """The LLM with the callbacks of this one; a copy, which then keeps its client for the next call."""
        if self.llm.callback_manager is not self.callback_manager:
            self.llm = self.llm.model_copy(update={"callback_manager": self.callback_manager})
        return self.llm

    def _ask(self, call: Callable[[LLM], Response]) -> Response:
        llm = self._asked

        def ask() -> Response:
            return require_unbroken(call(llm))

        with ThreadPoolExecutor(self.samples, thread_name_prefix="cit-samples") as pool:
            asked = [pool.submit(contextvars.copy_context().run, ask) for _ in range(self.samples)]
        return self._elected([one.exception() or one.result() for one in asked])

    async def _aask(self, call: Callable[[LLM], Awaitable[Response]]) -> Response:
        llm = self._asked

        async def ask() -> Response:
            return require_unbroken(await call(llm))

        return self._elected(await asyncio.gather(*(ask() for _ in range(self.samples)), return_exceptions=True))

    def _elected(self, given: Sequence[Response | BaseException]) -> Response:
        said = [one for one in given if not isinstance(one, BaseException)]
        if not said:
            raise next(one for one in given if isinstance(one, BaseException))
        place, agreed = elected([self._ballot(response) for response in said])
        prompt, completion, cached, stored = (
            [n for n in counts if n is not None] for counts in zip(*map(billed_tokens, said), strict=True)
        )
        told: dict[str, Any] = {"asked": self.samples, "agreed": agreed}
        if prompt and completion:
            told |= {"prompt_tokens": sum(prompt), "completion_tokens": sum(completion)}
            told["prompt_tokens_details"] = {"cached_tokens": sum(cached), "cache_write_tokens": sum(stored)}
        chosen = said[place]
        return chosen.model_copy(update={"additional_kwargs": {**chosen.additional_kwargs, CIT_SAMPLES: told}})

    def _ballot(self, response: ChatResponse | CompletionResponse) -> str:
        if isinstance(response, CompletionResponse):
            return ballot(response.text)
        calls: list[ToolSelection] = []
        if isinstance(self.llm, FunctionCallingLLM) and self.metadata.is_function_calling_model:
            calls = self.llm.get_tool_calls_from_response(response, error_on_no_tool_call=False)
        return ballot(response.message.content or "", ((call.tool_name, call.tool_kwargs) for call in calls))
