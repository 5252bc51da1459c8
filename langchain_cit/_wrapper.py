"""Chat models inside `bind`, `with_config` and `with_retry`: the model, and what its wrapper adds to a call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import Runnable
from langchain_core.runnables.base import RunnableBinding
from langchain_core.runnables.retry import RunnableRetry

__all__ = ["Wrapper", "unwrapped"]

T = TypeVar("T")


@dataclass(frozen=True)
class Wrapper:
    """The wrapper around a candidate's model.

    Attributes:
        kwargs: Options that were bound; those of a call go before them.
        retry: How often it is asked again; whole answers only, as LangChain's own retries.
    """

    kwargs: Mapping[str, Any]
    retry: RunnableRetry[Any, Any] | None = None

    def call(self, function: Callable[..., T], kwargs: Mapping[str, Any]) -> T:
        """Call with the options of both, again where that is wanted."""
        call = partial(function, kwargs={**self.kwargs, **kwargs})
        return call() if self.retry is None else self.retry._sync_retrying(reraise=True)(call)

    async def acall(self, function: Callable[..., Awaitable[T]], kwargs: Mapping[str, Any]) -> T:
        """Call asynchronously; see `call`."""
        call = partial(function, kwargs={**self.kwargs, **kwargs})
        if self.retry is None:
            return await call()
        answer: T = await self.retry._async_retrying(reraise=True)(call)
        return answer


def unwrapped(route: Runnable[Any, Any]) -> tuple[Runnable[Any, Any], Wrapper]:
    """Return what is inside all wrappers, and what they add; a config's callbacks and tags have no run to go to."""
    kwargs: dict[str, Any] = {}
    retry: RunnableRetry[Any, Any] | None = None
    while isinstance(route, RunnableBinding | RunnableRetry) and not isinstance(route, BaseChatModel):
        kwargs = {**route.kwargs, **kwargs}
        if isinstance(route, RunnableRetry) and retry is None:
            retry = route
        route = route.bound
    return route, Wrapper(kwargs, retry)
