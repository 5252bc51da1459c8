"""A chat model that is asked for several answers at once, and gives the one that most of them agree with."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import reduce
from typing import Annotated, Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.language_models.base import LangSmithParams
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import add_usage
from langchain_core.outputs import ChatResult
from langchain_core.runnables import Runnable, RunnableBinding
from langchain_core.runnables.config import ContextThreadPoolExecutor
from pydantic import Field

from cit_core.arms import SAMPLES
from cit_core.router.verifiers import ballot, elected
from langchain_cit._first_token import require_unbroken

__all__ = ["CIT_SAMPLES", "SampledChatModel"]

CIT_SAMPLES = "cit_samples"
"""Key in a message's `response_metadata`: how many answers were asked for, and how many of them agree."""


class SampledChatModel(BaseChatModel):
    """The answer, or the tool calls, that most of several answers of a chat model agree with; of equals the first.

    Only that answer leaves it, in one piece; its usage is that of all. An answer that fails has no vote, and if all
    fail, the first error is raised. Caches and callbacks of the model itself are not used: answers differ.

    Attributes:
        model: The model, with a temperature above 0.
        samples: Answers that it is asked for, from 2 to 16.
    """

    model: BaseChatModel
    samples: Annotated[int, Field(ge=SAMPLES[0], le=SAMPLES[1])]

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Return True: it is written down as the model and the number."""
        return True

    @property
    def _llm_type(self) -> str:
        return "cit-samples"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"samples": self.samples, "model": self.model._get_invocation_params()}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        return self.model._get_ls_params(stop, **kwargs)

    def _resolve_model_profile(self) -> Any:
        return self.model.profile

    def get_token_ids(self, text: str) -> list[int]:
        """Return the model's own token ids."""
        return self.model.get_token_ids(text)

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[LanguageModelInput, AIMessage]:
        """Hand tools to the model; the calls that most of its answers agree with come out, and no others."""
        made: Any = self.model.bind_tools(tools, **kwargs)
        if isinstance(made, RunnableBinding):
            return self.model_copy(update={"model": made.bound}).bind(**made.kwargs)
        return self.model_copy(update={"model": made})  # as test doubles do, which know their tools

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002  # tokens of answers not given
        **kwargs: Any,
    ) -> ChatResult:
        def ask(_: int) -> ChatResult:
            if self.model.rate_limiter is not None:
                self.model.rate_limiter.acquire(blocking=True)
            return _unbroken(self.model._generate(messages, stop, **kwargs))

        with ContextThreadPoolExecutor(self.samples, thread_name_prefix="cit-samples") as pool:
            asked = [pool.submit(ask, place) for place in range(self.samples)]
        return self._elected([one.exception() or one.result() for one in asked])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002  # as in `_generate`
        **kwargs: Any,
    ) -> ChatResult:
        async def ask() -> ChatResult:
            if self.model.rate_limiter is not None:
                await self.model.rate_limiter.aacquire(blocking=True)
            return _unbroken(await self.model._agenerate(messages, stop, **kwargs))

        return self._elected(await asyncio.gather(*(ask() for _ in range(self.samples)), return_exceptions=True))

    def _elected(self, given: Sequence[ChatResult | BaseException]) -> ChatResult:
        results = [one for one in given if isinstance(one, ChatResult)]
        if not results:
            raise next(one for one in given if isinstance(one, BaseException))
        said: list[Any] = [result.generations[0].message for result in results]
        place, agreed = elected([_ballot(message) for message in said])
        usage = reduce(add_usage, (getattr(message, "usage_metadata", None) for message in said), None)
        told = {**said[place].response_metadata, CIT_SAMPLES: {"asked": self.samples, "agreed": agreed}}
        message = said[place].model_copy(update={"response_metadata": told, "usage_metadata": usage})
        chosen = results[place]
        generation = chosen.generations[0].model_copy(update={"message": message})
        return ChatResult(generations=[generation], llm_output=chosen.llm_output)


def _unbroken(result: ChatResult) -> ChatResult:
    for generation in result.generations:
        require_unbroken(generation)
        require_unbroken(generation.message)
    return result


def _ballot(message: BaseMessage) -> str:
    calls = getattr(message, "tool_calls", None) or ()
    return ballot(str(message.text), ((call["name"], call["args"]) for call in calls))
