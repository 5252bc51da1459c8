"""RunnableRouter: decides once for every input, then steps aside.

It has a run of its own, announces its decision as the custom event `cit_route`, and hands input, config and keyword
arguments to the chosen candidate untouched, so traces, callbacks, streaming and limits work as if the candidate had
been called by itself.
"""

from __future__ import annotations

import asyncio
import operator
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial, reduce
from typing import Any

from langchain_core.callbacks import (
    AsyncCallbackManagerForChainRun,
    CallbackManagerForChainRun,
    adispatch_custom_event,
    dispatch_custom_event,
)
from langchain_core.runnables import Runnable, RunnableConfig, RunnableSerializable
from langchain_core.runnables.base import coerce_to_runnable
from langchain_core.runnables.config import get_executor_for_config, patch_config
from langchain_core.runnables.graph import Graph
from langchain_core.runnables.utils import ConfigurableFieldSpec, gather_with_concurrency, get_unique_config_specs
from pydantic import ConfigDict

from cit_core.errors import InvalidInput, UnknownCandidate
from cit_core.records import Decision
from cit_core.router import Router
from langchain_cit.deciding import Decider, decisions_in, merge, shares_of

__all__ = ["RunnableRouter"]

CIT_ROUTE = "cit_route"
"""Name of the custom event, of the tag (`cit_route:ID`) and of the metadata entry on the chosen candidate's run."""


class RunnableRouter(RunnableSerializable[Any, Any]):
    """Hands every input to the candidate most likely to get it right.

    Args:
        routes: Candidate id to what answers for it. Candidates of the router without a route do not take part.
        router: What decides.
        query_key: For dict inputs, the key under which the query stands; the only key if not given.
        name: Name of its runs in traces.

    Raises:
        UnknownCandidate: If a route has an id that is not a candidate of the router.
        InvalidInput: If there is no route, or one is neither a Runnable nor callable.

    Example:
        chain = prompt | RunnableRouter({"small": small_model, "large": large_model}, router) | StrOutputParser()
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    routes: Mapping[str, Runnable[Any, Any]]
    router: Router
    query_key: str | None = None

    def __init__(
        self,
        routes: Mapping[str, Runnable[Any, Any] | Callable[[Any], Any]],
        router: Router,
        *,
        query_key: str | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(routes=_check(routes, router), router=router, query_key=query_key, name=name)

    # -- one input ----------------------------------------------------------------------------------------------------

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """Route, then invoke the chosen candidate."""
        return self._call_with_config(self._invoke, input, config, **kwargs)

    def _invoke(
        self, value: Any, /, run_manager: CallbackManagerForChainRun, config: RunnableConfig, **kwargs: Any
    ) -> Any:
        decision = self._decider().one(value, kwargs)
        dispatch_custom_event(CIT_ROUTE, decision.model_dump(mode="json"), config=config)
        return self.routes[decision.model].invoke(value, _for_child(config, run_manager, decision), **kwargs)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """As `invoke`; the decision is made in a worker thread."""
        return await self._acall_with_config(self._ainvoke, input, config, **kwargs)

    async def _ainvoke(
        self, value: Any, /, run_manager: AsyncCallbackManagerForChainRun, config: RunnableConfig, **kwargs: Any
    ) -> Any:
        decision = await asyncio.to_thread(self._decider().one, value, kwargs)
        await adispatch_custom_event(CIT_ROUTE, decision.model_dump(mode="json"), config=config)
        return await self.routes[decision.model].ainvoke(value, _for_child(config, run_manager, decision), **kwargs)

    # -- streams ------------------------------------------------------------------------------------------------------

    def stream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:  # noqa: A002
        """Route, then stream the chosen candidate's answer."""
        yield from self.transform(iter([input]), config, **kwargs)

    def transform(self, input: Iterator[Any], config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:  # noqa: A002
        """As `stream`, once the input has arrived in full: half a question cannot be routed."""
        yield from self._transform_stream_with_config(input, self._transform, config, **kwargs)

    def _transform(
        self, chunks: Iterator[Any], /, run_manager: CallbackManagerForChainRun, config: RunnableConfig, **kwargs: Any
    ) -> Iterator[Any]:
        if parts := list(chunks):
            value = _join(parts)
            decision = self._decider().one(value, kwargs)
            dispatch_custom_event(CIT_ROUTE, decision.model_dump(mode="json"), config=config)
            yield from self.routes[decision.model].stream(value, _for_child(config, run_manager, decision), **kwargs)

    async def astream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> AsyncIterator[Any]:  # noqa: A002
        """As `stream`; the decision is made in a worker thread."""

        async def once() -> AsyncIterator[Any]:
            yield input

        async for chunk in self.atransform(once(), config, **kwargs):
            yield chunk

    async def atransform(
        self,
        input: AsyncIterator[Any],  # noqa: A002
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[Any]:
        """As `transform`; the decision is made in a worker thread."""
        async for chunk in self._atransform_stream_with_config(input, self._atransform, config, **kwargs):
            yield chunk

    async def _atransform(
        self,
        chunks: AsyncIterator[Any],
        /,
        run_manager: AsyncCallbackManagerForChainRun,
        config: RunnableConfig,
        **kwargs: Any,
    ) -> AsyncIterator[Any]:
        if parts := [chunk async for chunk in chunks]:
            value = _join(parts)
            decision = await asyncio.to_thread(self._decider().one, value, kwargs)
            await adispatch_custom_event(CIT_ROUTE, decision.model_dump(mode="json"), config=config)
            child = _for_child(config, run_manager, decision)
            async for chunk in self.routes[decision.model].astream(value, child, **kwargs):
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
        outcomes = self._decider().many(inputs, kwargs, return_exceptions)
        shares = shares_of(outcomes)
        children = {}
        for place, decision in decisions_in(outcomes):
            dispatch_custom_event(CIT_ROUTE, decision.model_dump(mode="json"), config=config[place])
            children[place] = _for_child(config[place], run_manager[place], decision)

        def answer(model: str) -> list[Any]:
            mine = shares[model]
            configs = [children[place] for place in mine]
            return self.routes[model].batch([inputs[p] for p in mine], configs, return_exceptions=True, **kwargs)

        with get_executor_for_config({"max_concurrency": _shares_at_once(config)}) as executor:
            return merge(outcomes, shares, list(executor.map(answer, shares)))

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
        outcomes = await asyncio.to_thread(self._decider().many, inputs, kwargs, return_exceptions)
        shares = shares_of(outcomes)
        children = {}
        for place, decision in decisions_in(outcomes):
            await adispatch_custom_event(CIT_ROUTE, decision.model_dump(mode="json"), config=config[place])
            children[place] = _for_child(config[place], run_manager[place], decision)

        async def answer(model: str) -> list[Any]:
            mine = shares[model]
            configs = [children[place] for place in mine]
            return await self.routes[model].abatch([inputs[p] for p in mine], configs, return_exceptions=True, **kwargs)

        answers = await gather_with_concurrency(_shares_at_once(config), *map(answer, shares))
        return merge(outcomes, shares, answers)

    def _decider(self) -> Decider:
        return Decider(self.router, frozenset(self.routes), self.query_key)

    # -- what LangChain asks of a Runnable ----------------------------------------------------------------------------

    @property
    def InputType(self) -> Any:  # noqa: N802
        """What all candidates take; Any if they differ."""
        return _common(lambda route: route.InputType, self.routes.values())

    @property
    def OutputType(self) -> Any:  # noqa: N802
        """What all candidates give; Any if they differ."""
        return _common(lambda route: route.OutputType, self.routes.values())

    @property
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        """What can be configured in any candidate."""
        return get_unique_config_specs(spec for route in self.routes.values() for spec in route.config_specs)

    def get_graph(self, config: RunnableConfig | None = None) -> Graph:
        """The candidates side by side, each behind an edge that bears its id."""
        graph = Graph()
        start = graph.add_node(self.get_input_schema(config))
        here = graph.add_node(self)
        end = graph.add_node(self.get_output_schema(config))
        graph.add_edge(start, here)
        for id_, route in self.routes.items():
            inner = route.get_graph(config)
            inner.trim_first_node()
            inner.trim_last_node()
            first, last = graph.extend(inner, prefix=id_)
            if first is not None:
                graph.add_edge(here, first, data=id_, conditional=True)
            if last is not None:
                graph.add_edge(last, end)
        return graph


def _check(routes: Mapping[str, Any], router: Router) -> dict[str, Runnable[Any, Any]]:
    if not isinstance(router, Router):
        raise InvalidInput(f"router is {type(router).__name__}; it must be a cit_core.Router")
    if not isinstance(routes, Mapping) or not routes:
        raise InvalidInput("routes must be a dict with at least one entry: candidate id to Runnable or callable")
    known = [candidate.id for candidate in router.candidates]
    for id_ in routes:
        if id_ not in known:
            raise UnknownCandidate(id_, known, "the router")
    return {id_: _as_runnable(id_, route) for id_, route in routes.items()}


def _as_runnable(id_: str, route: Any) -> Runnable[Any, Any]:
    try:
        runnable: Runnable[Any, Any] = coerce_to_runnable(route)
    except TypeError as error:
        came = type(route).__name__
        raise InvalidInput(f"the route of {id_!r} is {came}; it must be a Runnable or callable") from error
    return runnable


def _for_child(
    config: RunnableConfig, run: CallbackManagerForChainRun | AsyncCallbackManagerForChainRun, decision: Decision
) -> RunnableConfig:
    child = patch_config(config, callbacks=run.get_child(f"{CIT_ROUTE}:{decision.model}"))
    return {**child, "metadata": {**child.get("metadata", {}), CIT_ROUTE: decision.model}}


def _join(chunks: Sequence[Any]) -> Any:
    try:
        return reduce(operator.add, chunks)
    except TypeError:  # as everywhere in LangChain: what cannot be added is replaced by what came last
        return chunks[-1]


def _shares_at_once(config: Sequence[RunnableConfig]) -> int | None:
    """A limit is kept inside a share, so under a limit shares go one after the other: together they would exceed it."""
    return None if config[0].get("max_concurrency") is None else 1


def _common(of: Callable[[Runnable[Any, Any]], Any], routes: Iterable[Runnable[Any, Any]]) -> Any:
    try:
        types = [of(route) for route in routes]
    except TypeError:  # a Runnable that was not told its types
        return Any
    return types[0] if all(type_ == types[0] for type_ in types) else Any
