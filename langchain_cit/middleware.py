"""Agents whose model is, for every run or every model call, the candidate most likely to get it right.

Two middlewares for `create_agent`, sync and async: `CITRunMiddleware` decides once per run, when it begins, and keeps
to it while tools are being called; `CITCallMiddleware` decides anew for every model call. The candidate has a run of
its own in the trace, tagged `cit_route:ID`; the decision is sent as the custom event `cit_route` and kept under that
name in the agent's private state, and so in its checkpoints.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal

from langchain_core.callbacks import adispatch_custom_event, dispatch_custom_event
from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config, merge_configs, var_child_runnable_config
from typing_extensions import NotRequired

from cit_core.errors import MissingExtra, NoCandidate
from cit_core.records import Decision
from cit_core.router import Attempts, Fallback, Query, Router, Sticky
from langchain_cit._inputs import Asking
from langchain_cit._options import as_context, as_fallback, as_router, as_routes, as_sticky
from langchain_cit._routes import as_chat_models, without_tools
from langchain_cit._streams import FirstToken, followed
from langchain_cit._trace import CIT_FALLBACK, CIT_ROUTE, fallback_event, route_event

if TYPE_CHECKING:
    from langchain.agents.middleware import ModelRequest
    from langchain_core.language_models import BaseChatModel

__all__ = ["CITCallMiddleware", "CITRunMiddleware", "RoutedState", "Unanswered"]

try:
    from langchain.agents.middleware import (
        AgentMiddleware,
        AgentState,
        ExtendedModelResponse,
        ModelRequest,
        ModelResponse,
    )
    from langchain.agents.middleware.types import ModelCallResult, PrivateStateAttr
    from langchain.agents.structured_output import ToolStrategy
    from langchain.chat_models import init_chat_model
    from langgraph.types import Command
except ImportError as error:
    raise MissingExtra("langchain", "agents") from error


class RoutedState(AgentState[Any]):
    """An agent's state with the last decision as JSON, which is neither in its input nor in its output."""

    cit_route: NotRequired[Annotated[dict[str, Any] | None, PrivateStateAttr]]


class _Routing(AgentMiddleware[RoutedState, Any, Any]):
    """What both have in common: from a request to a question for the router, and from its decision to an answer."""

    state_schema = RoutedState

    def __init__(
        self,
        routes: Mapping[str, str | BaseChatModel],
        router: Router,
        *,
        context: Literal["turn", "conversation"] = "turn",
        sticky: Literal["conversation"] | Sticky | None = None,
        fallback: Fallback | None = None,
    ) -> None:
        super().__init__()
        self.router = as_router(router)
        made = {id_: init_chat_model(route) if isinstance(route, str) else route for id_, route in routes.items()}
        self.routes = as_chat_models(as_routes(made, self.router))
        self.context = as_context(context)
        self.sticky = as_sticky(sticky)
        self.fallback = as_fallback(fallback)
        self._unanswered = Unanswered()

    def _asking(self, *, tools: bool = False) -> Asking:
        unable = without_tools(self.routes) if tools else {}
        able = {id_: model for id_, model in self.routes.items() if id_ not in unable}
        return Asking(self.router, able, whole=self.context == "conversation", sticky=self.sticky, unable=unable)

    def _query(self, request: ModelRequest[Any]) -> Query:
        wanted = request.response_format
        tools = bool(request.tools) or isinstance(wanted, ToolStrategy)
        schema = wanted is not None and not isinstance(wanted, ToolStrategy)
        messages = [*([request.system_message] if request.system_message else []), *request.messages]
        return self._asking(tools=tools).query(messages, {"tools": tools, "response_format": schema}, ensure_config())

    def _route(
        self,
        query: Query,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], ModelResponse[Any]],
    ) -> ExtendedModelResponse[Any]:
        decision = self.router.decide(query)
        _tell(CIT_ROUTE, route_event(decision))
        return _recorded(decision, self._answer(decision, request, handler))

    async def _aroute(
        self,
        query: Query,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ExtendedModelResponse[Any]:
        decision = await self.router.adecide(query)
        await _atell(CIT_ROUTE, route_event(decision))
        return _recorded(decision, await self._aanswer(decision, request, handler))

    def _answer(
        self,
        decision: Decision,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], ModelResponse[Any]],
    ) -> ModelResponse[Any]:
        attempts = self.fallback.attempts(decision)
        while True:
            with self._unanswered.until_answered(request), attempts:
                if attempts.fell_back:
                    _tell(CIT_FALLBACK, fallback_event(decision, attempts))
                with _as_route(attempts, self.routes[attempts.model]):
                    return handler(request.override(model=self.routes[attempts.model]))

    async def _aanswer(
        self,
        decision: Decision,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any]:
        attempts = self.fallback.attempts(decision)
        while True:
            with self._unanswered.until_answered(request), attempts:
                if attempts.fell_back:
                    await _atell(CIT_FALLBACK, fallback_event(decision, attempts))
                with _as_route(attempts, self.routes[attempts.model]):
                    return await handler(request.override(model=self.routes[attempts.model]))


class CITCallMiddleware(_Routing):
    """Decides for every model call of an agent.

    A call that another middleware makes again with a model of its own choice is left alone, so that fallbacks work
    further out as well as further in.

    Args:
        routes: Candidate id to its chat model, or to the name of one as `init_chat_model` takes it.
        router: What decides.
        context: Route on the last human `turn`, or on the whole `conversation`.
        sticky: `conversation`, or a `Sticky`: a thread keeps its candidate.
        fallback: After which errors another candidate is asked, how often, and how long who fails is left alone.

    Raises:
        UnknownCandidate: If a route has an id that is not a candidate of the router.
        InvalidInput: If there is no route, one is no chat model, or an option is none that there is.
    """

    def wrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], ModelResponse[Any]],
    ) -> ModelCallResult[Any]:
        """Route, then call the model with the chosen candidate; with the next-best if that cannot be reached."""
        if self._unanswered.is_made_again(request):
            return handler(request)
        return self._route(self._query(request), request, handler)

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelCallResult[Any]:
        """As `wrap_model_call`; the decision is made in a worker thread."""
        if self._unanswered.is_made_again(request):
            return await handler(request)
        return await self._aroute(self._query(request), request, handler)


class CITRunMiddleware(_Routing):
    """Decides once per run of an agent, before its first model call.

    If a call needs what the chosen candidate cannot do, such as reading a picture that a tool returned, the best one
    that can answers it.

    Args:
        routes: Candidate id to its chat model, or to the name of one as `init_chat_model` takes it.
        router: What decides.
        context: Route on the last human `turn`, or on the whole `conversation`.
        sticky: `conversation`, or a `Sticky`: a thread keeps its candidate over runs.
        fallback: After which errors another candidate is asked, how often, and how long who fails is left alone.

    Raises:
        UnknownCandidate: If a route has an id that is not a candidate of the router.
        InvalidInput: If there is no route, one is no chat model, or an option is none that there is.
    """

    def before_agent(self, state: RoutedState, runtime: Any) -> dict[str, Any]:  # noqa: ARG002
        """Decide, and keep the decision in the state."""
        decision = self._asking().decide(state["messages"], {}, ensure_config())
        _tell(CIT_ROUTE, route_event(decision))
        return {CIT_ROUTE: route_event(decision)}

    async def abefore_agent(self, state: RoutedState, runtime: Any) -> dict[str, Any]:  # noqa: ARG002
        """As `before_agent`; the decision is made in a worker thread."""
        decision = await self._asking().adecide(state["messages"], {}, ensure_config())
        await _atell(CIT_ROUTE, route_event(decision))
        return {CIT_ROUTE: route_event(decision)}

    def wrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], ModelResponse[Any]],
    ) -> ModelCallResult[Any]:
        """Call the model with the run's candidate; with the next-best if that cannot be reached."""
        if self._unanswered.is_made_again(request):
            return handler(request)
        query = self._query(request)
        decided = _decided(request.state)
        if decided is None:
            return self._route(query, request, handler)
        return self._answer(self._among_able(decided, query), request, handler)

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelCallResult[Any]:
        """As `wrap_model_call`."""
        if self._unanswered.is_made_again(request):
            return await handler(request)
        query = self._query(request)
        decided = _decided(request.state)
        if decided is None:
            return await self._aroute(query, request, handler)
        return await self._aanswer(self._among_able(decided, query), request, handler)

    def _among_able(self, decision: Decision, query: Query) -> Decision:
        """The run's decision among those who can take this call."""
        limits = self.router.constraints
        reasons = {
            candidate.id: query.excluded.get(candidate.id) or limits.reason_against(candidate, query.known_facts)
            for candidate in self.router.candidates
        }
        excluded = {**decision.excluded, **{id_: reason for id_, reason in reasons.items() if reason is not None}}
        ranking = tuple(ranked for ranked in decision.ranking if ranked.model not in excluded)
        if not ranking:
            raise NoCandidate(excluded)
        best = {"model": ranking[0].model, "probability": ranking[0].probability}
        return decision.model_copy(update={**best, "ranking": ranking, "excluded": excluded})


def _decided(state: Mapping[str, Any]) -> Decision | None:
    """The decision of the run; None where another middleware jumped over the beginning."""
    kept = state.get(CIT_ROUTE)
    return None if kept is None else Decision.model_validate(kept)


def _recorded(decision: Decision, response: ModelResponse[Any]) -> ExtendedModelResponse[Any]:
    return ExtendedModelResponse(response, Command(update={CIT_ROUTE: route_event(decision)}))


@contextmanager
def _as_route(attempts: Attempts, model: BaseChatModel) -> Iterator[None]:
    """The model that is called within bears the candidate's id in its run; its first token is noticed, if followed."""
    around = ensure_config()
    more: RunnableConfig = {
        "callbacks": [FirstToken(attempts)] if followed(around.get("callbacks"), model) else [],
        "tags": [f"{CIT_ROUTE}:{attempts.model}"],
        "metadata": {CIT_ROUTE: attempts.model},
    }
    before = var_child_runnable_config.set(merge_configs(around, more))
    try:
        yield
    finally:
        var_child_runnable_config.reset(before)


def _tell(name: str, data: dict[str, Any]) -> None:
    config = ensure_config()
    if _in_a_run(config):
        dispatch_custom_event(name, data, config=config)


async def _atell(name: str, data: dict[str, Any]) -> None:
    config = ensure_config()
    if _in_a_run(config):
        await adispatch_custom_event(name, data, config=config)


def _in_a_run(config: RunnableConfig) -> bool:
    """Not where a middleware is called by hand, nor in async nodes before Python 3.11: there is nobody to tell."""
    return getattr(config.get("callbacks"), "parent_run_id", None) is not None


class Unanswered:
    """Remembers the model that each call came with, until it is answered. Thread-safe.

    Args:
        remembered: Calls in memory; the oldest is forgotten.
    """

    def __init__(self, remembered: int = 10_000) -> None:
        self._remembered = remembered
        self._models: OrderedDict[str, BaseChatModel] = OrderedDict()
        self._lock = threading.Lock()

    def is_made_again(self, request: ModelRequest[Any]) -> bool:
        """Whether the same call came before with another model and was not answered."""
        task = _task(request)
        with self._lock:
            return task is not None and self._models.get(task, request.model) is not request.model

    @contextmanager
    def until_answered(self, request: ModelRequest[Any]) -> Iterator[None]:
        """Remember a call; it is forgotten if what is done within does not fail."""
        task = _task(request)
        if task is None:
            yield
            return
        with self._lock:
            self._models[task] = request.model
            while len(self._models) > self._remembered:
                self._models.popitem(last=False)
        yield
        with self._lock:
            self._models.pop(task, None)


def _task(request: ModelRequest[Any]) -> str | None:
    """None where a middleware is called by hand."""
    task = getattr(getattr(request.runtime, "execution_info", None), "task_id", None)
    return task if isinstance(task, str) else None
