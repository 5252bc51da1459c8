"""Every way to call a router: invoke, stream, transform, batch, their async twins, and what they have in common.

A decision is made and announced as the custom event `cit_route`; then the chosen candidate is called inside the
router's run, and where it cannot be reached the next-best, which the custom event `cit_fallback` announces.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal

from langchain_core.callbacks import (
    AsyncCallbackManagerForChainRun,
    CallbackManagerForChainRun,
    adispatch_custom_event,
    dispatch_custom_event,
)
from langchain_core.runnables import Runnable, RunnableConfig, RunnableSerializable
from langchain_core.runnables.config import get_config_list, get_executor_for_config
from langchain_core.runnables.utils import gather_with_concurrency
from pydantic import ConfigDict, Field

from cit_core.errors import CITError
from cit_core.records import Decision
from cit_core.router import Attempts, Fallback, Router, Sticky
from langchain_cit._inputs import Asking, handed
from langchain_cit._streams import END, closing, join
from langchain_cit._trace import CIT_FALLBACK, CIT_ROUTE, fallback_event, for_child, route_event

__all__ = ["Batch", "RoutedCalls"]


class RoutedCalls(RunnableSerializable[Any, Any]):
    """What `RunnableRouter` does when it is called. The fields are documented there."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    routes: Mapping[str, Runnable[Any, Any]]
    router: Router = Field(exclude=True)
    query_key: str | None = None
    context: Literal["turn", "conversation"] = "turn"
    sticky: Sticky | None = Field(default=None, exclude=True)
    fallback: Fallback = Field(exclude=True)
    unable: Mapping[str, str] = {}

    @property
    def asking(self) -> Asking:
        """How its inputs become questions for the router."""
        whole = self.context == "conversation"
        return Asking(self.router, self.routes, self.query_key, whole, self.sticky, self.unable)

    def _handed(self, route: Runnable[Any, Any], value: Any) -> Any:
        return handed(route, value, self.query_key)

    # -- one input ----------------------------------------------------------------------------------------------------

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """Route, then invoke the chosen candidate; the next-best if that cannot be reached."""
        return self._call_with_config(self._invoke, input, config, **kwargs)

    def _invoke(
        self, value: Any, /, run_manager: CallbackManagerForChainRun, config: RunnableConfig, **kwargs: Any
    ) -> Any:
        decision = self.asking.decide(value, kwargs, config)
        dispatch_custom_event(CIT_ROUTE, route_event(decision), config=config)
        attempts = self.fallback.attempts(decision)
        while True:
            with attempts:
                if attempts.fell_back:
                    dispatch_custom_event(CIT_FALLBACK, fallback_event(decision, attempts), config=config)
                route = self.routes[attempts.model]
                child = for_child(config, run_manager, attempts.model, listening=attempts, route=route)
                return route.invoke(self._handed(route, value), child, **kwargs)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """As `invoke`; the decision is made in a worker thread."""
        return await self._acall_with_config(self._ainvoke, input, config, **kwargs)

    async def _ainvoke(
        self, value: Any, /, run_manager: AsyncCallbackManagerForChainRun, config: RunnableConfig, **kwargs: Any
    ) -> Any:
        decision = await self.asking.adecide(value, kwargs, config)
        await adispatch_custom_event(CIT_ROUTE, route_event(decision), config=config)
        attempts = self.fallback.attempts(decision)
        while True:
            with attempts:
                if attempts.fell_back:
                    await adispatch_custom_event(CIT_FALLBACK, fallback_event(decision, attempts), config=config)
                route = self.routes[attempts.model]
                child = for_child(config, run_manager, attempts.model, listening=attempts, route=route)
                return await route.ainvoke(self._handed(route, value), child, **kwargs)

    # -- streams ------------------------------------------------------------------------------------------------------

    def stream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:  # noqa: A002
        """Route, then stream the chosen candidate's answer; the next-best is asked before the first chunk only."""
        yield from self.transform(iter([input]), config, **kwargs)

    def transform(self, input: Iterator[Any], config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:  # noqa: A002
        """As `stream`, once the input has arrived in full: half a question cannot be routed."""
        yield from self._transform_stream_with_config(input, self._transform, config, **kwargs)

    def _transform(
        self, parts: Iterator[Any], /, run_manager: CallbackManagerForChainRun, config: RunnableConfig, **kwargs: Any
    ) -> Iterator[Any]:
        value = join(list(parts))
        if value is END:
            return
        decision = self.asking.decide(value, kwargs, config)
        dispatch_custom_event(CIT_ROUTE, route_event(decision), config=config)
        attempts = self.fallback.attempts(decision)
        while True:
            with attempts:
                if attempts.fell_back:
                    dispatch_custom_event(CIT_FALLBACK, fallback_event(decision, attempts), config=config)
                route, child = self.routes[attempts.model], for_child(config, run_manager, attempts.model)
                chunks = iter(route.stream(self._handed(route, value), child, **kwargs))
                first = next(chunks, END)
                attempts.begun()
                if first is not END:
                    yield first
                    yield from chunks
                return

    async def astream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> AsyncIterator[Any]:  # noqa: A002
        """As `stream`; the decision is made in a worker thread."""

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
        """As `transform`; the decision is made in a worker thread."""
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
        decision = await self.asking.adecide(value, kwargs, config)
        await adispatch_custom_event(CIT_ROUTE, route_event(decision), config=config)
        attempts = self.fallback.attempts(decision)
        while True:
            with attempts:
                if attempts.fell_back:
                    await adispatch_custom_event(CIT_FALLBACK, fallback_event(decision, attempts), config=config)
                route, child = self.routes[attempts.model], for_child(config, run_manager, attempts.model)
                async with closing(aiter(route.astream(self._handed(route, value), child, **kwargs))) as chunks:
                    first = await anext(chunks, END)
                    attempts.begun()
                    if first is not END:
                        yield first
                        async for chunk in chunks:
                            yield chunk
                return

    # -- batches ------------------------------------------------------------------------------------------------------

    def batch(
        self,
        inputs: list[Any],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """Route all inputs with one call of the scorer, then hand every candidate its share as one batch."""
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
        outcomes = self.asking.decide_each(inputs, kwargs, config)
        with Batch(outcomes, self.fallback, return_exceptions) as batch:
            for place, decision in batch.decisions.items():
                dispatch_custom_event(CIT_ROUTE, route_event(decision), config=config[place])

            def answer(model: str) -> list[Any]:
                route, mine = self.routes[model], shares[model]
                children = [
                    for_child(config[place], run_manager[place], model, listening=batch.attempts(place), route=route)
                    for place in mine
                ]
                values = [self._handed(route, inputs[place]) for place in mine]
                return route.batch(values, children, return_exceptions=True, **kwargs)

            while shares := batch.shares():
                for place, decision, attempts in batch.fallbacks():
                    dispatch_custom_event(CIT_FALLBACK, fallback_event(decision, attempts), config=config[place])
                with get_executor_for_config({"max_concurrency": _shares_at_once(config)}) as executor:
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
        """As `batch`; the decisions are made in a worker thread."""
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
        outcomes = await self.asking.adecide_each(inputs, kwargs, config)
        with Batch(outcomes, self.fallback, return_exceptions) as batch:
            for place, decision in batch.decisions.items():
                await adispatch_custom_event(CIT_ROUTE, route_event(decision), config=config[place])

            async def answer(model: str) -> list[Any]:
                route, mine = self.routes[model], shares[model]
                children = [
                    for_child(config[place], run_manager[place], model, listening=batch.attempts(place), route=route)
                    for place in mine
                ]
                values = [self._handed(route, inputs[place]) for place in mine]
                return await route.abatch(values, children, return_exceptions=True, **kwargs)

            while shares := batch.shares():
                for place, decision, attempts in batch.fallbacks():
                    await adispatch_custom_event(CIT_FALLBACK, fallback_event(decision, attempts), config=config[place])
                batch.take(shares, await gather_with_concurrency(_shares_at_once(config), *map(answer, shares)))
            return batch.results

    def batch_as_completed(
        self,
        inputs: Sequence[Any],
        config: RunnableConfig | Sequence[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> Iterator[tuple[int, Any]]:
        """Route all inputs with one call of the scorer, then invoke for each; gives each answer with its place."""
        configs = get_config_list(config, len(inputs))
        asking = self.asking
        decided = asking.with_decisions(inputs, configs, asking.decide_each(inputs, kwargs, configs))
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
        """As `batch_as_completed`; the decisions are made in a worker thread."""
        configs = get_config_list(config, len(inputs))
        asking = self.asking
        decided = asking.with_decisions(inputs, configs, await asking.adecide_each(inputs, kwargs, configs))
        work: Any = super().abatch_as_completed
        async for answer in work(inputs, decided, return_exceptions=return_exceptions, **kwargs):
            yield answer


def _shares_at_once(config: Sequence[RunnableConfig]) -> int | None:
    """A limit is kept inside a share, so under a limit shares go one after the other: together they would exceed it."""
    return None if config[0].get("max_concurrency") is None else 1


class Batch:
    """Goes in rounds: every candidate is given its share, and what failed goes to the next-best in the next round.

    Args:
        outcomes: For every input its decision, or why it has none.
        fallback: Who is asked after a failure.
        return_exceptions: Whether an input without a decision lets the others pass.

    Raises:
        CITError: Why an input has no decision, before anything is paid for.
    """

    def __init__(
        self, outcomes: Sequence[Decision | CITError], fallback: Fallback, return_exceptions: bool = True
    ) -> None:
        refused = next((outcome for outcome in outcomes if isinstance(outcome, CITError)), None)
        if refused is not None and not return_exceptions:
            raise refused
        self.decisions = {place: out for place, out in enumerate(outcomes) if isinstance(out, Decision)}
        self.results: list[Any] = list(outcomes)
        self._open = {place: fallback.attempts(decision) for place, decision in self.decisions.items()}

    def __enter__(self) -> Batch:
        return self

    def __exit__(self, *_: object) -> None:
        """Where it came to an untimely end, whoever was being asked has not failed."""
        for attempts in self._open.values():
            attempts.abandoned()

    def shares(self) -> dict[str, list[int]]:
        """Candidate id to the places of the inputs that it is to answer in this round; empty when all is done."""
        shares: dict[str, list[int]] = {}
        for place, attempts in self._open.items():
            shares.setdefault(attempts.model, []).append(place)
        return shares

    def attempts(self, place: int) -> Attempts:
        """Those at the answer for one input that is still open."""
        return self._open[place]

    def fallbacks(self) -> Iterator[tuple[int, Decision, Attempts]]:
        """The inputs that are about to go to another candidate than the chosen one."""
        for place, attempts in self._open.items():
            if attempts.fell_back:
                yield place, self.decisions[place], attempts

    def take(self, shares: Mapping[str, list[int]], answers: Sequence[Sequence[Any]]) -> None:
        """Keep what came of a round.

        Args:
            shares: Of the round.
            answers: For every share, in order, its answers; errors are values.
        """
        for places, share in zip(shares.values(), answers, strict=True):
            for place, answer in zip(places, share, strict=True):
                self._take_one(place, answer)

    def _take_one(self, place: int, answer: Any) -> None:
        attempts = self._open[place]
        if isinstance(answer, BaseException):
            if attempts.failed(answer):
                return
        else:
            attempts.answered()
        self.results[place] = answer
        del self._open[place]
