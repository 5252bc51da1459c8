"""One call of a Runnable that routes: decide, announce it, and ask the candidates inside the router's run."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from langchain_core.callbacks import adispatch_custom_event, dispatch_custom_event
from langchain_core.runnables import Runnable, RunnableConfig

from cit_core.records import Decision
from cit_core.router import Attempts
from cit_core.router.empty_answer import EmptyAnswer, held_by, held_one
from cit_core.router.steps import Steps
from langchain_cit._batch import Limited
from langchain_cit._cascade import Messages, Meter
from langchain_cit._first_token import (
    abuffered,
    afrom_first_token,
    buffered,
    from_first_token,
)
from langchain_cit._inputs import Asking, handed
from langchain_cit._streams import closing
from langchain_cit._trace import CIT_CASCADE, CIT_FALLBACK, CIT_ROUTE, fallback_event, for_child, route_event

__all__ = ["RoutedCall"]


@dataclass(frozen=True)
class RoutedCall:
    """A call of `RunnableRouter` with one input.

    Attributes:
        asking: The router with its settings.
        value: The input.
        run: Callback manager of the router's run.
        config: The config of that run.
        options: The options for the candidate.
        meters: What chat models answered within each candidate's run.
    """

    asking: Asking
    value: Any
    run: Any
    config: RunnableConfig
    options: Mapping[str, Any]
    meters: dict[str, Meter] = field(default_factory=dict)

    # -- what is told -------------------------------------------------------------------------------------------------

    def routed(self, decision: Decision) -> None:
        """Announce the decision."""
        dispatch_custom_event(CIT_ROUTE, route_event(decision), config=self.config)

    async def arouted(self, decision: Decision) -> None:
        """Announce asynchronously; see `routed`."""
        await adispatch_custom_event(CIT_ROUTE, route_event(decision), config=self.config)

    def fell_back(self, decision: Decision, attempts: Attempts) -> None:
        """Announce that another candidate than the chosen one is asked."""
        dispatch_custom_event(CIT_FALLBACK, fallback_event(decision, attempts), config=self.config)

    async def afell_back(self, decision: Decision, attempts: Attempts) -> None:
        """Announce asynchronously; see `fell_back`."""
        await adispatch_custom_event(CIT_FALLBACK, fallback_event(decision, attempts), config=self.config)

    # -- what a candidate is asked with -------------------------------------------------------------------------------

    def handed(self, route: Runnable[Any, Any]) -> Any:
        """Return what a candidate is given of the input."""
        return handed(route, self.value, self.asking.query_key)

    def child(self, decision: Decision, attempts: Attempts, **how: Any) -> RunnableConfig:
        """Return the config for the candidate's run, which is metered; see `for_child`."""
        child = for_child(self.config, self.run, decision, attempts, **how)
        callbacks: Any = child["callbacks"]  # a manager of its own
        meter = self.meters[attempts.model] = Meter()
        callbacks.add_handler(meter)
        return child

    def adapter(self) -> Messages:
        """Return LangChain's part in the steps and in the bill."""
        return Messages(self.asking, self.value, self._beside, self._again, self.meters)

    # -- the answer ---------------------------------------------------------------------------------------------------

    def answer(self) -> Any:
        """Decide, and return the answer."""
        decision = self.asking.decide(self.value, self.options, self.config)
        self.routed(decision)
        steps, tell = self._steps(decision), partial(dispatch_custom_event, CIT_CASCADE, config=self.config)
        return steps.answer(partial(self._answer, steps), tell)

    async def aanswer(self) -> Any:
        """Answer asynchronously; see `answer`."""
        decision = await self.asking.adecide(self.value, self.options, self.config)
        await self.arouted(decision)
        steps, tell = self._steps(decision), partial(adispatch_custom_event, CIT_CASCADE, config=self.config)
        return await steps.aanswer(partial(self._aanswer, steps), tell)

    def pieces(self) -> Iterator[Any]:
        """Decide, and yield the answer as it comes."""
        decision = self.asking.decide(self.value, self.options, self.config)
        self.routed(decision)
        steps, tell = self._steps(decision), partial(dispatch_custom_event, CIT_CASCADE, config=self.config)
        yield from steps.stream(partial(self._pieces, steps), tell)

    async def apieces(self) -> AsyncIterator[Any]:
        """Yield asynchronously; see `pieces`."""
        decision = await self.asking.adecide(self.value, self.options, self.config)
        await self.arouted(decision)
        steps, tell = self._steps(decision), partial(adispatch_custom_event, CIT_CASCADE, config=self.config)
        async with closing(steps.astream(partial(self._apieces, steps), tell)) as chunks:
            async for chunk in chunks:
                yield chunk

    # -- one of its steps ---------------------------------------------------------------------------------------------

    def _steps(self, decision: Decision) -> Steps:
        """Return the steps of the answer: one, or those of a cascade."""
        asking = self.asking
        return Steps(asking.cascade, decision, asking.fallback, self.adapter(), asking.settlement(decision))

    def _answer(self, steps: Steps, attempts: Attempts) -> Any:
        """Return the answer of the candidate that a step is for, or of the next-best."""
        decision = steps.decision
        try:
            while True:
                with attempts:
                    if attempts.fell_back:
                        self.fell_back(decision, attempts)
                    route = self.asking.routes[attempts.model]
                    child = self.child(decision, attempts, listening=route, hushed=not steps.final)
                    return Limited(route).invoke((self.handed(route), attempts), child, **self.options)
        except EmptyAnswer as error:
            return held_one(error, attempts)

    async def _aanswer(self, steps: Steps, attempts: Attempts) -> Any:
        decision = steps.decision
        try:
            while True:
                with attempts:
                    if attempts.fell_back:
                        await self.afell_back(decision, attempts)
                    route = self.asking.routes[attempts.model]
                    child = self.child(decision, attempts, listening=route, hushed=not steps.final)
                    return await Limited(route).ainvoke((self.handed(route), attempts), child, **self.options)
        except EmptyAnswer as error:
            return held_one(error, attempts)

    def _pieces(self, steps: Steps, attempts: Attempts) -> Generator[Any, None, None]:
        """Yield the answer for a step, from its first token on; all at once where it is verified first."""
        decision, wait = steps.decision, from_first_token if steps.final else buffered
        try:
            while True:
                with attempts:
                    if attempts.fell_back:
                        self.fell_back(decision, attempts)
                    route = self.asking.routes[attempts.model]
                    child = self.child(decision, attempts, hushed=not steps.final)
                    yield from wait(route.stream(self.handed(route), child, **self.options), attempts)
                    return
        except EmptyAnswer as error:
            yield from held_by(error, attempts)  # so it is with every candidate: a chain may have nothing to say

    async def _apieces(self, steps: Steps, attempts: Attempts) -> AsyncGenerator[Any, None]:
        """Yield asynchronously; see `_pieces`."""
        decision, wait = steps.decision, afrom_first_token if steps.final else abuffered
        try:
            while True:
                with attempts:
                    if attempts.fell_back:
                        await self.afell_back(decision, attempts)
                    route = self.asking.routes[attempts.model]
                    child = self.child(decision, attempts, hushed=not steps.final)
                    async with (
                        closing(route.astream(self.handed(route), child, **self.options)) as pieces,
                        closing(wait(pieces, attempts)) as chunks,
                    ):
                        async for chunk in chunks:
                            yield chunk
                    return
        except EmptyAnswer as error:
            for chunk in held_by(error, attempts):
                yield chunk

    def _again(self, attempts: Attempts, decision: Decision) -> Callable[..., Any]:
        route = self.asking.routes[attempts.model]
        given = self.handed(route), for_child(self.config, self.run, decision, attempts, hushed=True)
        return lambda later=False: (route.ainvoke if later else route.invoke)(*given, **self.options)

    def _beside(self, route: Runnable[Any, Any]) -> Any:
        """Ask a candidate outside of any run."""
        return route.invoke(self.handed(route), {"tags": ["cit_shadow"]}, **self.options)
