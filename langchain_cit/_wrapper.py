"""Chat models inside `bind`, `with_config` and `with_retry`: the model, and what its wrapper adds to a call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import Runnable, RunnableBinding, RunnableParallel, RunnableSequence
from langchain_core.runnables.retry import RunnableRetry

__all__ = ["Wrapper", "remade", "unwrapped"]

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


def remade(route: Any, make: Callable[[Any], Runnable[Any, Any]]) -> Runnable[Any, Any]:
    """Return what is made of the model inside of a route, within the wrappers around that: options, config, retries.

    Args:
        route: A model, as it is or from `bind`, `with_config` or `with_retry`, whose own methods forget the rest.
        make: Makes a tool caller, or a chain with a structured output, of the model.
    """
    inside, wrapper = unwrapped(route)
    made = make(inside)
    made = _with_options(made, wrapper.kwargs) if wrapper.kwargs else made
    layers = []
    while route is not inside:
        layers.append(route)
        route = route.bound
    for layer in reversed(layers):
        made = layer.model_copy(update={"bound": made, "kwargs": {}})
    return made


def _with_options(made: Runnable[Any, Any], kwargs: Mapping[str, Any]) -> Runnable[Any, Any]:
    """Bind the model inside, which comes first, to options: a map of runnables does not hand them on."""
    if isinstance(made, RunnableSequence):
        return RunnableSequence(_with_options(made.first, kwargs), *made.steps[1:], name=made.name)
    if isinstance(made, RunnableParallel):
        return RunnableParallel({name: _with_options(step, kwargs) for name, step in made.steps__.items()})
    if isinstance(made, RunnableBinding):
        return made.model_copy(update={"kwargs": {**kwargs, **made.kwargs}})
    return made.bind(**kwargs)


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
