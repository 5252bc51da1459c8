"""The decision alone, where the candidate is called by others: graphs, RouterRunnable, RunnableLambda."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from langchain_core.callbacks import adispatch_custom_event, dispatch_custom_event
from langchain_core.runnables import RunnableConfig, RunnableSerializable
from langchain_core.runnables.utils import ConfigurableFieldSpec

from cit_core.errors import CITError
from cit_core.records import Decision
from langchain_cit._invocation import RoutedCalls
from langchain_cit._trace import CIT_ROUTE, route_event

__all__ = ["Picker"]


class Picker(RunnableSerializable[Any, Any]):
    """Decide as a router does, with a run and an event of its own, and call no candidate.

    Args:
        routing: The router.
        gives: The `decision`, or the `key` of the chosen route beside the input.
    """

    routing: RoutedCalls
    gives: Literal["decision", "key"]

    @property
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        """The entries that a call may set about the decision."""
        return self.routing.config_specs

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """Decide."""
        work: Any = self._invoke  # LangChain hands on what its parameters ask for
        return self._call_with_config(work, input, config, **kwargs)

    def _invoke(self, value: Any, /, config: RunnableConfig, **kwargs: Any) -> Any:
        decision = self.routing.asking.decide(value, kwargs, config)
        dispatch_custom_event(CIT_ROUTE, route_event(decision), config=config)
        return self._given(value, decision)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """Invoke asynchronously; the decision is made in a worker thread."""
        work: Any = self._ainvoke
        return await self._acall_with_config(work, input, config, **kwargs)

    async def _ainvoke(self, value: Any, /, config: RunnableConfig, **kwargs: Any) -> Any:
        decision = await self.routing.asking.adecide(value, kwargs, config)
        await adispatch_custom_event(CIT_ROUTE, route_event(decision), config=config)
        return self._given(value, decision)

    def batch(
        self,
        inputs: list[Any],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """Decide for all inputs with one call of the scorer."""
        work: Any = self._batch
        return self._batch_with_config(work, inputs, config, return_exceptions=return_exceptions, **kwargs)

    def _batch(self, inputs: list[Any], /, config: list[RunnableConfig], **kwargs: Any) -> list[Any]:
        outcomes = self.routing.asking.decide_each(inputs, kwargs, config)
        for one, outcome in zip(config, outcomes, strict=True):
            if isinstance(outcome, Decision):
                dispatch_custom_event(CIT_ROUTE, route_event(outcome), config=one)
        return self._each_given(inputs, outcomes)

    async def abatch(
        self,
        inputs: list[Any],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """Run a batch asynchronously; the decisions are made in a worker thread."""
        work: Any = self._abatch
        return await self._abatch_with_config(work, inputs, config, return_exceptions=return_exceptions, **kwargs)

    async def _abatch(self, inputs: list[Any], /, config: list[RunnableConfig], **kwargs: Any) -> list[Any]:
        outcomes = await self.routing.asking.adecide_each(inputs, kwargs, config)
        for one, outcome in zip(config, outcomes, strict=True):
            if isinstance(outcome, Decision):
                await adispatch_custom_event(CIT_ROUTE, route_event(outcome), config=one)
        return self._each_given(inputs, outcomes)

    def _each_given(self, inputs: Sequence[Any], outcomes: Sequence[Decision | CITError]) -> list[Any]:
        return [
            self._given(value, outcome) if isinstance(outcome, Decision) else outcome
            for value, outcome in zip(inputs, outcomes, strict=True)
        ]

    def _given(self, value: Any, decision: Decision) -> Any:
        return decision if self.gives == "decision" else {"key": decision.model, "input": value}
