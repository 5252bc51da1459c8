"""From calls of LangChain to questions for a router: what is in the input, the arguments and the config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig

from cit_core.errors import CITError, UnknownCandidate
from cit_core.records import Decision
from cit_core.router import Query, Router, Sticky
from cit_core.router.aside import aside
from langchain_cit.abilities import reasons_against
from langchain_cit.knobs import forced_model, policy_of, thread_of
from langchain_cit.query import read_query

__all__ = ["Asking"]

DECIDED = "__cit_decision"
"""Configurable entry with a decision that was made before the call."""


@dataclass(frozen=True)
class Decided:
    """A decision, by whom and for what: configs are inherited, and a router inside a candidate has its own to make."""

    routes: Mapping[str, Runnable[Any, Any]]
    value: Any
    decision: Decision


@dataclass(frozen=True)
class Asking:
    """Asks a router about calls.

    Attributes:
        router: What decides.
        routes: Who takes part: candidate id to what answers for it.
        query_key: For dict inputs, the key under which the query stands.
        whole: Route on the whole conversation, not on its last human turn.
        sticky: Where conversations are remembered; they are not if not given.
        unable: Who does not take part, and why.
    """

    router: Router
    routes: Mapping[str, Runnable[Any, Any]]
    query_key: str | None = None
    whole: bool = False
    sticky: Sticky | None = None
    unable: Mapping[str, str] = field(default_factory=dict)

    def query(self, value: Any, kwargs: Mapping[str, Any], config: RunnableConfig) -> Query:
        """The question that a call puts to the router.

        Args:
            value: The input.
            kwargs: What the candidate will be called with; tools or a schema in it narrow the choice.
            config: Of the call.

        Raises:
            InvalidInput: If there is no query in the input, or the config asks for what there is not.
        """
        tools, schema = bool(kwargs.get("tools")), bool(kwargs.get("response_format"))
        read = read_query(value, self.query_key, whole=self.whole, tools=tools, schema=schema)
        thread = None if self.sticky is None else thread_of(config)
        return replace(
            read,
            policy=policy_of(config),
            model=self._forced(config),
            conversation=None if self.sticky is None or thread is None else self.sticky.conversation(thread),
            excluded={**self._without_route(), **reasons_against(self.routes, read.known_facts)},
        )

    def decide(self, value: Any, kwargs: Mapping[str, Any], config: RunnableConfig) -> Decision:
        """Decide for one call, unless that was done before.

        Raises:
            InvalidInput: As `query`.
            NoCandidate: If every candidate is excluded.
        """
        decided = self._decided(value, config)
        return self.router.decide(self.query(value, kwargs, config)) if decided is None else decided

    async def adecide(self, value: Any, kwargs: Mapping[str, Any], config: RunnableConfig) -> Decision:
        """As `decide`; the event loop is never blocked."""
        decided = self._decided(value, config)
        return await self.router.adecide(self.query(value, kwargs, config)) if decided is None else decided

    def decide_each(
        self, values: Sequence[Any], kwargs: Mapping[str, Any], configs: Sequence[RunnableConfig]
    ) -> list[Decision | CITError]:
        """Decide for a batch, with one call of the scorer; who cannot be routed has its error."""
        asked = [self._query_or_error(value, kwargs, config) for value, config in zip(values, configs, strict=True)]
        decided = iter(self.router.decide_each([query for query in asked if isinstance(query, Query)]))
        return [next(decided) if isinstance(query, Query) else query for query in asked]

    async def adecide_each(
        self, values: Sequence[Any], kwargs: Mapping[str, Any], configs: Sequence[RunnableConfig]
    ) -> list[Decision | CITError]:
        """As `decide_each`, in a worker thread."""
        return await aside("decisions", self.decide_each, values, kwargs, configs)

    def with_decisions(
        self, values: Sequence[Any], configs: Sequence[RunnableConfig], outcomes: Sequence[Decision | CITError]
    ) -> list[RunnableConfig]:
        """Configs that carry what was decided for each value; where it failed, the call itself finds out why."""
        return [
            {
                **config,
                "configurable": {**config.get("configurable", {}), DECIDED: Decided(self.routes, value, outcome)},
            }
            if isinstance(outcome, Decision)
            else config
            for value, config, outcome in zip(values, configs, outcomes, strict=True)
        ]

    def _decided(self, value: Any, config: RunnableConfig) -> Decision | None:
        found: Decided | None = config.get("configurable", {}).get(DECIDED)
        mine = found is not None and found.routes is self.routes and found.value is value
        return found.decision if found is not None and mine else None

    def _query_or_error(self, value: Any, kwargs: Mapping[str, Any], config: RunnableConfig) -> Query | CITError:
        try:
            return self.query(value, kwargs, config)
        except CITError as error:
            return error

    def _forced(self, config: RunnableConfig) -> str | None:
        model = forced_model(config)
        if model is not None and model not in self.routes and model not in self.unable:
            raise UnknownCandidate(model, self.routes, "the routes (in cit_model)")
        return model

    def _without_route(self) -> dict[str, str]:
        here = self.routes.keys()
        return {c.id: self.unable.get(c.id, "no route leads to it") for c in self.router.candidates if c.id not in here}
