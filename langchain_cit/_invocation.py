"""Every way to call a router: invoke, stream, transform, batch and their async twins.

A decision is made and announced as the custom event `cit_route`; then the chosen candidate is called inside the
router's run, and where it cannot serve the next-best, which the custom event `cit_fallback` announces.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal

from langchain_core.callbacks import AsyncCallbackManagerForChainRun, CallbackManagerForChainRun
from langchain_core.runnables import Runnable, RunnableConfig, RunnableSerializable
from langchain_core.runnables.config import get_config_list, get_executor_for_config
from langchain_core.runnables.utils import gather_with_concurrency
from pydantic import ConfigDict, Field

from cit_core.router import Cascade, Fallback, Router, Sticky
from cit_core.router.concurrency import aside
from cit_core.router.shadow import Shadow
from langchain_cit._batch import Batch, Limited, shares_at_once
from langchain_cit._inputs import Asking
from langchain_cit._routed_call import RoutedCall
from langchain_cit._streams import END, closing, join

__all__ = ["RoutedCalls"]


class RoutedCalls(RunnableSerializable[Any, Any]):
    """The calls of `RunnableRouter`, which documents the fields."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    routes: Mapping[str, Runnable[Any, Any]]
    router: Router = Field(exclude=True)
    query_key: str | None = None
    context: Literal["turn", "conversation"] = "turn"
    sticky: Sticky | None = Field(default=None, exclude=True)
    fallback: Fallback = Field(exclude=True)
    unable: Mapping[str, str] = {}
    default: str | None = None
    strict: bool | None = None
    cascade: Cascade | None = Field(default=None, exclude=True)
    shadow: Shadow | None = Field(default=None, exclude=True)

    @property
    def failover(self) -> Fallback:
        """An earlier name of `fallback`."""
        return self.fallback

    @property
    def asking(self) -> Asking:
        """The router with these settings."""
        whole = self.context == "conversation"
        return Asking(
            self.router,
            self.routes,
            self.fallback,
            self.query_key,
            whole,
            self.sticky,
            self.unable,
            self.default,
            self.strict,
            self.cascade,
            self.shadow,
        )

    # -- one input ----------------------------------------------------------------------------------------------------

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """Route, then invoke the chosen candidate; the next-best if that cannot serve."""
        return self._call_with_config(self._invoke, input, config, **kwargs)

    def _invoke(
        self, value: Any, /, run_manager: CallbackManagerForChainRun, config: RunnableConfig, **kwargs: Any
    ) -> Any:
        return RoutedCall(self.asking, value, run_manager, config, kwargs).answer()

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """Invoke asynchronously; the decision is made in a worker thread."""
        return await self._acall_with_config(self._ainvoke, input, config, **kwargs)

    async def _ainvoke(
        self, value: Any, /, run_manager: AsyncCallbackManagerForChainRun, config: RunnableConfig, **kwargs: Any
    ) -> Any:
        return await RoutedCall(self.asking, value, run_manager, config, kwargs).aanswer()

    # -- streams ------------------------------------------------------------------------------------------------------

    def stream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:  # noqa: A002
        """Route, then stream the chosen candidate's answer; the next-best is asked before the first chunk only."""
        yield from self.transform(iter([input]), config, **kwargs)

    def transform(self, input: Iterator[Any], config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:  # noqa: A002
        """Stream, once the input has arrived in full: half a question cannot be routed."""
        yield from self._transform_stream_with_config(input, self._transform, config, **kwargs)

    def _transform(
        self, parts: Iterator[Any], /, run_manager: CallbackManagerForChainRun, config: RunnableConfig, **kwargs: Any
    ) -> Iterator[Any]:
        value = join(list(parts))
        if value is not END:
            yield from RoutedCall(self.asking, value, run_manager, config, kwargs).pieces()

    async def astream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> AsyncIterator[Any]:  # noqa: A002
        """Stream asynchronously; the decision is made in a worker thread."""

        async def once() -> AsyncIterator[Any]:
            yield input

        async with closing(self.atransform(once(), config, **kwargs)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def atransform(
        self,
        input: AsyncIterator[Any],  # noqa: A002
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[Any]:
        """Transform asynchronously; the decision is made in a worker thread."""
        async with closing(self._atransform_stream_with_config(input, self._atransform, config, **kwargs)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _atransform(
        self,
        parts: AsyncIterator[Any],
        /,
        run_manager: AsyncCallbackManagerForChainRun,
        config: RunnableConfig,
        **kwargs: Any,
    ) -> AsyncIterator[Any]:
        value = join([part async for part in parts])
        if value is END:
            return
        async with closing(RoutedCall(self.asking, value, run_manager, config, kwargs).apieces()) as chunks:
            async for chunk in chunks:
                yield chunk

    # -- batches ------------------------------------------------------------------------------------------------------

    def batch(
        self,
        inputs: list[Any],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """Route all inputs with one call of the scorer, then hand every candidate its share as one batch.

        With a cascade, each input has steps of its own.
        """
        if self.cascade is not None:
            decided = self._decided_each(inputs, config, kwargs)
            return super().batch(inputs, decided, return_exceptions=return_exceptions, **kwargs)
        work = partial(self._batch, return_exceptions)
        return self._batch_with_config(work, inputs, config, return_exceptions=return_exceptions, **kwargs)

    def _batch(
        self,
        return_exceptions: bool,
        inputs: list[Any],
        /,
        run_manager: list[CallbackManagerForChainRun],
        config: list[RunnableConfig],
        **kwargs: Any,
    ) -> list[Any]:
        asking = self.asking.for_batch(return_exceptions)
        calls = _calls(asking, inputs, run_manager, config, kwargs)
        decided = asking.decide_each(inputs, kwargs, config)
        with Batch(asking, decided, return_exceptions, lambda place: calls[place].adapter()) as batch:
            for place, decision in batch.decisions.items():
                calls[place].routed(decision)

            def answer(model: str) -> list[Any]:
                route, values, children = self._share(batch, model, shares[model], calls)
                return route.batch(values, children, return_exceptions=True, **kwargs)

            while shares := batch.shares():
                for place, decision, attempts in batch.fallbacks():
                    calls[place].fell_back(decision, attempts)
                with get_executor_for_config({"max_concurrency": shares_at_once(config)}) as executor:
                    batch.take(shares, list(executor.map(answer, shares)))
            return batch.results

    async def abatch(
        self,
        inputs: list[Any],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """Run a batch asynchronously; the decisions are made in a worker thread."""
        if self.cascade is not None:
            decided = await aside("decisions", self._decided_each, inputs, config, kwargs)
            return await super().abatch(inputs, decided, return_exceptions=return_exceptions, **kwargs)
        work = partial(self._abatch, return_exceptions)
        return await self._abatch_with_config(work, inputs, config, return_exceptions=return_exceptions, **kwargs)

    async def _abatch(
        self,
        return_exceptions: bool,
        inputs: list[Any],
        /,
        run_manager: list[AsyncCallbackManagerForChainRun],
        config: list[RunnableConfig],
        **kwargs: Any,
    ) -> list[Any]:
        asking = self.asking.for_batch(return_exceptions)
        calls = _calls(asking, inputs, run_manager, config, kwargs)
        decided = await asking.adecide_each(inputs, kwargs, config)
        with Batch(asking, decided, return_exceptions, lambda place: calls[place].adapter()) as batch:
            for place, decision in batch.decisions.items():
                await calls[place].arouted(decision)

            async def answer(model: str) -> list[Any]:
                route, values, children = self._share(batch, model, shares[model], calls)
                return await route.abatch(values, children, return_exceptions=True, **kwargs)

            while shares := batch.shares():
                for place, decision, attempts in batch.fallbacks():
                    await calls[place].afell_back(decision, attempts)
                batch.take(shares, await gather_with_concurrency(shares_at_once(config), *map(answer, shares)))
            return batch.results

    def _share(
        self, batch: Batch, model: str, places: list[int], calls: Sequence[RoutedCall]
    ) -> tuple[Runnable[Any, Any], list[Any], list[RunnableConfig]]:
        """Return what answers for a candidate, the inputs of its share and their configs."""
        route = self.routes[model]
        attempts = [batch.attempts(place) for place in places]
        children = [
            calls[place].child(batch.decisions[place], one, listening=route)
            for place, one in zip(places, attempts, strict=True)
        ]
        values = [calls[place].handed(route) for place in places]
        if attempts[0].seconds_left() is None:
            return route, values, children
        return Limited(route), list(zip(values, attempts, strict=True)), children

    def batch_as_completed(
        self,
        inputs: Sequence[Any],
        config: RunnableConfig | Sequence[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> Iterator[tuple[int, Any]]:
        """Route all inputs with one call of the scorer, then invoke for each; gives each answer with its place."""
        decided = self._decided_each(inputs, config, kwargs)
        work: Any = super().batch_as_completed
        yield from work(inputs, decided, return_exceptions=return_exceptions, **kwargs)

    async def abatch_as_completed(
        self,
        inputs: Sequence[Any],
        config: RunnableConfig | Sequence[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> AsyncIterator[tuple[int, Any]]:
        """Run a batch asynchronously and yield as completed; the decisions are made in a worker thread."""
        decided = await aside("decisions", self._decided_each, inputs, config, kwargs)
        work: Any = super().abatch_as_completed
        async for answer in work(inputs, decided, return_exceptions=return_exceptions, **kwargs):
            yield answer

    def _decided_each(
        self, inputs: Sequence[Any], config: RunnableConfig | Sequence[RunnableConfig] | None, kwargs: Mapping[str, Any]
    ) -> list[RunnableConfig]:
        """Return configs that carry the decisions for a batch, made with one call of the scorer."""
        configs, asking = get_config_list(config, len(inputs)), self.asking
        return asking.with_decisions(inputs, configs, asking.decide_each(inputs, kwargs, configs))


def _calls(
    asking: Asking,
    inputs: Sequence[Any],
    runs: Sequence[Any],
    configs: Sequence[RunnableConfig],
    kwargs: Mapping[str, Any],
) -> list[RoutedCall]:
    each = zip(inputs, runs, configs, strict=True)
    return [RoutedCall(asking, value, run, config, kwargs) for value, run, config in each]
