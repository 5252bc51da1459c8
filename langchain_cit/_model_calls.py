"""Calls of a candidate's chat model from inside another chat model, as LangChain's own methods make them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from functools import partial
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableConfig

from cit_core.router import Attempts
from cit_core.router.empty_answer import EmptyAnswer
from cit_core.router.time_limits import acall_within, call_within
from langchain_cit._first_token import require_answer, watched
from langchain_cit._history import in_common
from langchain_cit._response_metadata import whole
from langchain_cit._routes import bound
from langchain_cit._streams import closing

__all__ = ["agenerate", "astream", "generate", "split_options", "stream"]


def split_options(kwargs: Mapping[str, Any]) -> tuple[RunnableConfig, dict[str, Any]]:
    """Return the options of a call that are meant for the router, as a config, and those for the candidate."""
    configurable = dict(kwargs.get("configurable", {}))
    if kwargs.get("model") is not None:
        configurable["cit_model"] = kwargs["model"]
    rest = {name: value for name, value in kwargs.items() if name not in {"configurable", "model"}}
    return RunnableConfig(configurable=configurable), rest


def generate(
    model: BaseChatModel,
    attempts: Attempts,
    messages: list[BaseMessage],
    stop: list[str] | None,
    run_manager: CallbackManagerForLLMRun | None,
    kwargs: Mapping[str, Any],
) -> ChatResult:
    """Return a candidate's answer in one piece, within the attempts' time limits.

    Raises:
        EmptyAnswer: If there is none in its response.
    """
    model, messages, options = _bound(model, messages, stop, kwargs)
    run = watched(run_manager, attempts, model, tools=bool(options.get("tools")))
    ask = partial(model._generate_with_cache, messages, run_manager=run, **options)
    return _answered(call_within(attempts.seconds_left, ask), attempts)


async def agenerate(
    model: BaseChatModel,
    attempts: Attempts,
    messages: list[BaseMessage],
    stop: list[str] | None,
    run_manager: AsyncCallbackManagerForLLMRun | None,
    kwargs: Mapping[str, Any],
) -> ChatResult:
    """Generate asynchronously; see `generate`."""
    model, messages, options = _bound(model, messages, stop, kwargs)
    run = watched(run_manager, attempts, model, tools=bool(options.get("tools")))
    answer = model._agenerate_with_cache(messages, run_manager=run, **options)
    return _answered(await acall_within(attempts.seconds_left, answer), attempts)


def stream(
    model: BaseChatModel,
    messages: list[BaseMessage],
    stop: list[str] | None,
    run_manager: CallbackManagerForLLMRun | None,
    kwargs: Mapping[str, Any],
) -> Iterator[ChatGenerationChunk]:
    """Yield a candidate's answer in pieces; in one where it has no stream."""
    model, messages, options = _bound(model, messages, stop, kwargs)
    if not model._should_stream(async_api=False, **{**options, "stream": True}):
        yield whole(model._generate_with_cache(messages, run_manager=run_manager, **options))
        return
    if model.rate_limiter is not None:
        model.rate_limiter.acquire(blocking=True)
    run: dict[str, Any] = {} if run_manager is None else {"run_manager": run_manager}
    yield from model._stream(messages, **run, **options)


async def astream(
    model: BaseChatModel,
    messages: list[BaseMessage],
    stop: list[str] | None,
    run_manager: AsyncCallbackManagerForLLMRun | None,
    kwargs: Mapping[str, Any],
) -> AsyncIterator[ChatGenerationChunk]:
    """Stream asynchronously; see `stream`."""
    model, messages, options = _bound(model, messages, stop, kwargs)
    if not model._should_stream(async_api=True, **{**options, "stream": True}):
        yield whole(await model._agenerate_with_cache(messages, run_manager=run_manager, **options))
        return
    if model.rate_limiter is not None:
        await model.rate_limiter.aacquire(blocking=True)
    run: dict[str, Any] = {} if run_manager is None else {"run_manager": run_manager}
    async with closing(model._astream(messages, **run, **options)) as chunks:
        async for chunk in chunks:
            yield chunk


def _bound(
    model: BaseChatModel, messages: list[BaseMessage], stop: list[str] | None, kwargs: Mapping[str, Any]
) -> tuple[BaseChatModel, list[BaseMessage], dict[str, Any]]:
    """Return a model, the messages as it can read them, and its options: the call's stop words, or else those bound."""
    made, options = bound(model, kwargs)
    return made, in_common(messages, model), {**options, "stop": options.get("stop") if stop is None else stop}


def _answered(result: ChatResult, attempts: Attempts) -> ChatResult:
    if not result.generations:
        raise EmptyAnswer(attempts=attempts)
    return require_answer(result, attempts, result.generations[0].message)
