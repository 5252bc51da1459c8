"""RunnableRouter: decide once for every input, then call the chosen candidate.

It has a run of its own and hands input, config and keyword arguments to the candidate untouched, but for parts of a
conversation that only another provider can read. So traces, callbacks, streaming and limits work as if the candidate
had been called by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable, RunnableConfig, RunnableSerializable
from langchain_core.runnables.graph import Graph
from langchain_core.runnables.utils import ConfigurableFieldSpec, get_unique_config_specs

from cit_core.errors import InvalidInput
from cit_core.messages import shown
from cit_core.policy import Constraints, Policy, QueryFacts
from cit_core.router import Cascade, Fallback, Router, Sticky
from cit_core.router.options import (
    as_cascade,
    as_context,
    as_fallback,
    as_router,
    as_shadow,
    as_sticky,
    as_strict,
    pick_default,
)
from cit_core.router.serialization import router_from_config
from cit_core.router.shadow import Shadow
from langchain_cit._cascade import require_repeatable
from langchain_cit._configurable import KNOBS, THREAD_ID
from langchain_cit._invocation import RoutedCalls
from langchain_cit._models import Models, open_models
from langchain_cit._picker import Picker
from langchain_cit._profiles import bind_each
from langchain_cit._retries import with_sdk_retries
from langchain_cit._routes import as_routes
from langchain_cit._saved import Saved
from langchain_cit._wrapper import remade

if TYPE_CHECKING:
    from pathlib import Path

    from cit_core.policy.exploration import Exploration
    from cit_core.router.decision_log import DecisionLog
    from cit_core.store import CapabilityStore

__all__ = ["RunnableRouter"]


class RunnableRouter(Saved, RoutedCalls):
    """A Runnable that hands every input to the candidate most likely to get it right.

    A call may set in `config["configurable"]`: `cit_policy` (`best`, `threshold:TAU`, `cost:VALUE`), `cit_tradeoff`
    (what a right answer is worth [USD]; the same as `cost:VALUE`), `cit_model` (the only candidate to choose) and
    `cit_constraints` (fields of `cit_core.Constraints`, beside the router's own).

    Args:
        routes: What answers for each candidate, by id. Candidates of the router without a route do not take part.
        router: The router, the config that `to_config` wrote of one, or the address of a store.
        policy: What to maximise, in place of the router's policy.
        constraints: Limits on which candidates may be chosen, in place of the router's.
        query_key: Key of the query in dict inputs; the only key if not given.
        context: Route on the last human `turn`, or on the whole `conversation`.
        sticky: `conversation`, or a `Sticky`: a conversation (`thread_id` in the config) keeps its candidate.
        fallback: After which errors another candidate is asked, the time limits, and how long a failing candidate is
            skipped.
        failover: An earlier name of `fallback`.
        default: The route that answers what cannot be decided (an empty or unreadable input, none left, a failed
            scorer): its id or the route itself. The router's own choice if not given.
        strict: Raise an error in such a case; as the router does if not given.
        unable: Why candidates without a route have none, for decisions.
        cascade: A `Cascade` of `cit_core.router`: a cheaper candidate is asked first where that pays, its answer is
            verified, and a better one asked if need be. Routes must be models, or chains of prompts, models and
            parsers.
        shadow: A `Shadow` of `cit_core.router.shadow`: some answers are compared with a reference model's, in the
            background; without a function of its own it asks the candidate of that id.
        log: Where decisions and bills are logged, in place of the router's log: a path, a store, a `DecisionLog`.
        explore: Way to try other candidates now and then, in place of the router's: `epsilon:0.02`, `thompson`.
        name: Name of its runs in traces.

    Raises:
        UnknownCandidate: If a route has an id that is not a candidate of the router.
        InvalidInput: If there is no route, one is neither a Runnable nor callable, or an option cannot be used.

    Example:
        chain = prompt | RunnableRouter({"small": small_model, "large": large_model}, router) | StrOutputParser()
    """

    def __init__(
        self,
        routes: Mapping[str, Runnable[Any, Any] | Callable[[Any], Any]],
        router: Router | Mapping[str, Any],
        *,
        policy: Policy | str | None = None,
        constraints: Constraints | Mapping[str, Any] | None = None,
        query_key: str | None = None,
        context: Literal["turn", "conversation"] = "turn",
        sticky: Literal["conversation"] | Sticky | Mapping[str, Any] | None = None,
        fallback: Fallback | Mapping[str, Any] | None = None,
        failover: Fallback | Mapping[str, Any] | None = None,
        default: str | Runnable[Any, Any] | Callable[[Any], Any] | None = None,
        strict: bool | None = None,
        unable: Mapping[str, str] | None = None,
        cascade: Cascade | None = None,
        shadow: Shadow | None = None,
        log: DecisionLog | CapabilityStore | str | Path | None = None,
        explore: Exploration | str | None = None,
        name: str | None = None,
    ) -> None:
        decides = as_router(router, policy, constraints, log=log, explore=explore)
        after = as_fallback(failover if fallback is None else fallback)
        runnables = as_routes(routes, decides)
        require_repeatable(runnables, as_cascade(cascade))
        super().__init__(
            routes=with_sdk_retries(runnables, after),
            router=decides,
            query_key=query_key,
            context=as_context(context),
            sticky=as_sticky(sticky),
            fallback=after,
            unable=dict(unable or {}),
            default=pick_default(default, routes, decides),
            strict=as_strict(strict),
            cascade=cascade,
            shadow=as_shadow(shadow, decides, routes),
            name=name,
        )

    @classmethod
    def from_models(
        cls,
        models: Models,
        *,
        policy: Policy | str | None = None,
        constraints: Constraints | Mapping[str, Any] | None = None,
        store: CapabilityStore | str | None = None,
        strict: bool = False,
        **options: Any,
    ) -> RunnableRouter:
        """Route among the models that you call, with what is publicly known of them: offline, before any test.

        Args:
            models: `provider:model` strings (`openai:gpt-5-mini`, `openai:gpt-5-mini@low`), which LangChain's
                `init_chat_model` opens; chat models; or a mapping from such names to chat models or whole chains.
            policy: What to maximise.
            constraints: Limits on which candidates may be chosen.
            store: Outcomes of your own, which go before public scores; a store or its address.
            strict: Refuse a model of which nothing is known; otherwise it counts as one of its price and age.
            options: Options of a RunnableRouter.

        Raises:
            InvalidInput: If there is no model, or one cannot be used.
            MissingExtra: If a string is given and langchain is not installed.

        Example:
            chain = prompt | RunnableRouter.from_models(["openai:gpt-5-mini", my_vllm_model], policy="cost:0.02")
        """
        routes, router = open_models(models, policy, constraints, store, strict=strict)
        return cls(routes, router, **options)

    # -- deciding without calling -------------------------------------------------------------------------------------

    def pick(self, keys: str | list[str] | None = None) -> RunnableSerializable[Any, Any]:
        """Return a Runnable that gives the Decision for an input and calls no candidate.

        Args:
            keys: If given, pick these keys of the output, as the `pick` of every Runnable does.
        """
        return Picker(routing=self, gives="decision") if keys is None else super().pick(keys)

    def as_key(self) -> RunnableSerializable[Any, dict[str, Any]]:
        """Return a Runnable that gives `{"key": candidate id, "input": input}`, as RouterRunnable takes it."""
        one = (
            self if self.cascade is None else self.model_copy(update={"cascade": None})
        )  # whoever calls it verifies nothing
        return Picker(routing=one, gives="key")

    # -- for agents and extraction ------------------------------------------------------------------------------------

    def bind_tools(
        self, tools: Sequence[Any], *, tool_choice: Any = None, **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Return a router with these tools for its candidates; one that cannot call tools does not take part.

        Raises:
            NoCandidate: If no candidate can; names each reason.
        """
        given = kwargs if tool_choice is None else {**kwargs, "tool_choice": tool_choice}
        return self._bound(QueryFacts(tools=True), lambda route: route.bind_tools(tools, **given))

    def with_structured_output(self, schema: Any, **kwargs: Any) -> Runnable[LanguageModelInput, Any]:
        """Return a router with candidates that answer in this form; one that cannot does not take part.

        Raises:
            NoCandidate: If no candidate can; names each reason.
        """
        facts = QueryFacts(structured_output=True)
        return self._bound(facts, lambda route: route.with_structured_output(schema, **kwargs))

    def _bound(self, facts: QueryFacts, bind: Callable[[Any], Runnable[Any, Any]]) -> RunnableRouter:
        candidates = {candidate.id: candidate for candidate in self.router.candidates}
        bound, unable = bind_each(self.routes, candidates, facts, lambda route: remade(route, bind))
        return self.model_copy(update={"routes": bound, "unable": {**self.unable, **unable}})

    # -- what LangChain asks of a Runnable ----------------------------------------------------------------------------

    @property
    def InputType(self) -> Any:  # noqa: N802
        """The input type of all candidates; Any if they differ."""
        return _common(lambda route: route.InputType, self.routes.values())

    @property
    def OutputType(self) -> Any:  # noqa: N802
        """The output type of all candidates; Any if they differ."""
        return _common(lambda route: route.OutputType, self.routes.values())

    @property
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        """The entries that a call may set: how to route, and what can be configured in any candidate."""
        theirs = [spec for route in self.routes.values() for spec in route.config_specs]
        taken = {spec.id for spec in theirs}
        ours = [*KNOBS, THREAD_ID] if self.sticky is not None else KNOBS
        return get_unique_config_specs([*(spec for spec in ours if spec.id not in taken), *theirs])

    def get_graph(self, config: RunnableConfig | None = None) -> Graph:
        """Return the graph of candidates side by side, each behind an edge with its id."""
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

    # -- as JSON ------------------------------------------------------------------------------------------------------

    def to_config(self) -> dict[str, Any]:
        """Return all but the routes, as JSON can hold it: addresses and settings, no outcomes, weights or keys.

        Raises:
            InvalidInput: If the router was put together from parts, or a setting is a function.
        """
        return {**self._settings(), "routes": list(self.routes), "unable": dict(self.unable), "name": self.name}

    @classmethod
    def from_config(
        cls,
        config: Mapping[str, Any],
        routes: Mapping[str, Runnable[Any, Any] | Callable[[Any], Any]],
        *,
        store: CapabilityStore | None = None,
    ) -> RunnableRouter:
        """Return the router that `to_config` described.

        Args:
            config: The result of `to_config`.
            routes: What answers for each of its candidates.
            store: The store, if its address has a password, which is never written down.

        Raises:
            InvalidInput: If the config is not of a RunnableRouter, or `routes` are not those that it names.
        """
        options = dict(config)
        named = options.pop("routes", None)
        if not isinstance(named, list | tuple) or set(named) != set(routes):
            came = sorted(map(str, named)) if isinstance(named, list | tuple) else shown(named)
            raise InvalidInput(f"routes are of {sorted(routes)}; the config names {came}")
        return cls(routes, router_from_config(options.pop("router", {}), store), **options)

    def _settings(self) -> dict[str, Any]:
        return {**super()._settings(), "query_key": self.query_key}


def _common(of: Callable[[Runnable[Any, Any]], Any], routes: Iterable[Runnable[Any, Any]]) -> Any:
    try:
        types = [of(route) for route in routes]
    except TypeError:  # a Runnable that does not know its types
        return Any
    return types[0] if all(type_ == types[0] for type_ in types) else Any
