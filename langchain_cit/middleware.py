"""Middlewares that give an agent, for every run or every model call, the candidate most likely to get it right.

Two for `create_agent`, sync and async: `CITRunMiddleware` decides once per run, when it begins, and keeps to it while
tools are being called; `CITCallMiddleware` decides anew for every model call. The candidate has a run of its own in the
trace, tagged `cit_model:ID`; the decision is sent as the custom event `cit_route` and kept under that name in the
agent's private state, and so in its checkpoints, beside the id of the candidate that answered, `cit_model`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage
from langchain_core.runnables.config import ensure_config
from typing_extensions import NotRequired

from cit_core.errors import MissingExtra, NoCandidate, Transient
from cit_core.policy import Constraints, Policy
from cit_core.records import Decision
from cit_core.router import Attempts, Fallback, Query, Router, Sticky
from cit_core.router.default_route import because
from cit_core.router.empty_answer import EmptyAnswer, held_one
from cit_core.router.options import (
    as_context,
    as_fallback,
    as_router,
    as_sticky,
    as_strict,
    check_ids,
    pick_default,
)
from cit_core.router.settlement import Settlement
from cit_core.router.time_limits import acall_within, call_within
from langchain_cit._cascade import message_bill
from langchain_cit._configurable import thread_of
from langchain_cit._first_token import require_answer
from langchain_cit._history import request_for
from langchain_cit._inputs import Asking
from langchain_cit._models import open_model
from langchain_cit._retries import with_sdk_retries
from langchain_cit._routes import as_chat_models, as_routes, without_tools
from langchain_cit._trace import CIT_FALLBACK, CIT_MODEL, CIT_ROUTE, as_route, atell, fallback_event, route_event, tell
from langchain_cit._unanswered import Unanswered

if TYPE_CHECKING:
    from pathlib import Path

    from cit_core.policy.exploration import Exploration
    from cit_core.router.decision_log import DecisionLog
    from cit_core.store import CapabilityStore

__all__ = ["CITCallMiddleware", "CITRunMiddleware", "RoutedState"]

CIT_CONVERSATION = "cit_conversation"
"""Name, in the state, of the candidate that a sticky conversation keeps and its probability when it was chosen."""

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
    from langgraph.types import Command
except ImportError as error:
    raise MissingExtra("langchain", "agents") from error


class RoutedState(AgentState[Any]):
    """An agent's state with the last decision, which candidate answered, and what a conversation keeps: all private."""

    cit_route: NotRequired[Annotated[dict[str, Any] | None, PrivateStateAttr]]
    cit_model: NotRequired[Annotated[str | None, PrivateStateAttr]]
    cit_conversation: NotRequired[Annotated[dict[str, Any] | None, PrivateStateAttr]]


class _Routing(AgentMiddleware[RoutedState, Any, Any]):
    """Base of both middlewares: a question for the router from a request, and an answer from its decision."""

    state_schema = RoutedState

    def __init__(
        self,
        routes: Mapping[str, str | BaseChatModel],
        router: Router,
        *,
        policy: Policy | str | None = None,
        constraints: Constraints | Mapping[str, Any] | None = None,
        context: Literal["turn", "conversation"] = "turn",
        sticky: Literal["conversation"] | Sticky | None = None,
        fallback: Fallback | None = None,
        failover: Fallback | None = None,
        default: str | BaseChatModel | None = None,
        strict: bool | None = None,
        log: DecisionLog | CapabilityStore | str | Path | None = None,
        explore: Exploration | str | None = None,
    ) -> None:
        super().__init__()
        self.router = as_router(router, policy, constraints, log=log, explore=explore)
        given = check_ids(routes, self.router, kind="chat model, or the name of one")
        made = {id_: open_model(route) if isinstance(route, str) else route for id_, route in given.items()}
        self.fallback = as_fallback(failover if fallback is None else fallback)
        self.routes = with_sdk_retries(as_chat_models(as_routes(made, self.router)), self.fallback)
        self.context = as_context(context)
        self.sticky = as_sticky(sticky)
        self.default = pick_default(default, given, self.router)
        self.strict = as_strict(strict)
        self._unanswered = Unanswered()

    @property
    def failover(self) -> Fallback:
        """An earlier name of `fallback`."""
        return self.fallback

    def _asking(self, *, tools: bool = False) -> Asking:
        unable = without_tools(self.routes) if tools else {}
        able = {id_: model for id_, model in self.routes.items() if id_ not in unable}
        whole = self.context == "conversation"
        settings: dict[str, Any] = {"sticky": self.sticky, "default": self.default, "strict": self.strict}
        return Asking(self.router, able, self.fallback, whole=whole, unable=unable, **settings)

    def _query(self, request: ModelRequest[Any]) -> Query:
        wanted = request.response_format
        tools = bool(request.tools) or isinstance(wanted, ToolStrategy)
        schema = wanted is not None and not isinstance(wanted, ToolStrategy)
        self._recall(request.state)
        messages = [*([request.system_message] if request.system_message else []), *request.messages]
        return self._asking(tools=tools).query(messages, {"tools": tools, "response_format": schema}, ensure_config())

    def _recall(self, state: Mapping[str, Any]) -> None:
        """Go on with the candidate that the checkpoint names: another process may have chosen it."""
        thread, kept = thread_of(ensure_config()), state.get(CIT_CONVERSATION)
        if self.sticky is not None and thread is not None and kept:
            self.sticky.remember(thread, kept["model"], kept["probability"])

    def _kept(self) -> dict[str, Any]:
        """Return what the state shall hold of a sticky conversation."""
        thread = thread_of(ensure_config())
        found = None if self.sticky is None or thread is None else self.sticky.recall(thread)
        return {} if found is None else {CIT_CONVERSATION: {"model": found[0], "probability": found[1]}}

    def _route(
        self,
        query: Query,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], ModelResponse[Any]],
    ) -> ExtendedModelResponse[Any]:
        decision = self._asking().finished(self.router.decide(query), ensure_config())
        tell(CIT_ROUTE, route_event(decision))
        return self._answer(decision, request, handler, record=True)

    async def _aroute(
        self,
        query: Query,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ExtendedModelResponse[Any]:
        decision = self._asking().finished(await self.router.adecide(query), ensure_config())
        await atell(CIT_ROUTE, route_event(decision))
        return await self._aanswer(decision, request, handler, record=True)

    def _answer(
        self,
        decision: Decision,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], ModelResponse[Any]],
        *,
        record: bool = False,
    ) -> ExtendedModelResponse[Any]:
        asking = self._asking()
        attempts, settlement = asking.attempts(decision), asking.settlement(decision)
        try:
            while True:
                with self._unanswered.until_answered(request), attempts:
                    if attempts.fell_back:
                        tell(CIT_FALLBACK, fallback_event(decision, attempts))
                    model = self.routes[attempts.model]
                    with as_route(decision, attempts, model, tools=bool(request.tools)):
                        ask = partial(handler, request_for(request, model))
                        response = call_within(attempts.seconds_left, ask)
                    response = require_answer(response, attempts, _message(response))
                    self._settle(settlement, attempts.model, request, response)
                    return _recorded(decision, attempts, response, self._kept() if record else None)
        except EmptyAnswer as error:
            return _recorded(decision, attempts, held_one(error, attempts), self._kept() if record else None)
        except Exception as error:
            self._unpaid(settlement, request, error)
            raise

    async def _aanswer(
        self,
        decision: Decision,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
        *,
        record: bool = False,
    ) -> ExtendedModelResponse[Any]:
        asking = self._asking()
        attempts, settlement = asking.attempts(decision), asking.settlement(decision)
        try:
            while True:
                with self._unanswered.until_answered(request), attempts:
                    if attempts.fell_back:
                        await atell(CIT_FALLBACK, fallback_event(decision, attempts))
                    model = self.routes[attempts.model]
                    with as_route(decision, attempts, model, tools=bool(request.tools)):
                        answer = handler(request_for(request, model))
                        response = await acall_within(attempts.seconds_left, answer)
                    response = require_answer(response, attempts, _message(response))
                    self._settle(settlement, attempts.model, request, response)
                    return _recorded(decision, attempts, response, self._kept() if record else None)
        except EmptyAnswer as error:
            return _recorded(decision, attempts, held_one(error, attempts), self._kept() if record else None)
        except Exception as error:
            self._unpaid(settlement, request, error)
            raise

    def _unpaid(self, settlement: Settlement | None, request: ModelRequest[Any], error: Exception) -> None:
        """Take what was expected for a run out of its limits; an answer that its provider broke off was paid."""
        if settlement is not None and _is_first(request) and not isinstance(error, Transient):
            settlement.failed()

    def _settle(self, settlement: Settlement | None, model: str, request: ModelRequest[Any], response: object) -> None:
        """Keep the bill of a model call; after the first of a run, nothing was expected for it."""
        if settlement is not None:
            bill = message_bill(_message(response), self.router, model)
            settlement.billed(model, bill, again=not _is_first(request))


class CITCallMiddleware(_Routing):
    """Decide for every model call of an agent.

    A call that another middleware makes again with a model of its own choice is left alone, so that fallbacks work
    further out as well as further in.

    Args:
        routes: Chat model of each candidate, by id, or the name of one or of an arm, as `ChatCIT.from_models` takes it.
        router: The router, or the address of a store.
        policy: What to maximise, in place of the router's policy.
        constraints: Limits on which candidates may be chosen, in place of the router's.
        context: Route on the last human `turn`, or on the whole `conversation`.
        sticky: `conversation`, or a `Sticky`: a thread keeps its candidate.
        fallback: After which errors another candidate is asked, the time limits, and how long a failing candidate is
            skipped. The first token has a limit of its own where the agent is streamed token by token.
        failover: An earlier name of `fallback`.
        default: The model that answers what cannot be decided (an empty or unreadable input, none left, a failed
            scorer): its id or the model itself. The router's own choice if not given.
        strict: Raise an error in such a case; as the router does if not given.
        log: Where decisions and bills are logged, in place of the router's log.
        explore: Way to try other candidates now and then, in place of the router's.

    Raises:
        UnknownCandidate: If a route has an id that is not a candidate of the router.
        InvalidInput: If there is no route, one is no chat model, or an option cannot be used.
    """

    def wrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], ModelResponse[Any]],
    ) -> ModelCallResult[Any]:
        """Route, then call the model with the chosen candidate; with the next-best if that cannot serve."""
        if self._unanswered.is_made_again(request):
            return handler(request)
        return self._route(self._query(request), request, handler)

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelCallResult[Any]:
        """Wrap a model call; the decision is made in a worker thread. See `wrap_model_call`."""
        if self._unanswered.is_made_again(request):
            return await handler(request)
        return await self._aroute(self._query(request), request, handler)


class CITRunMiddleware(_Routing):
    """Decide once per run of an agent, before its first model call.

    If a call needs what the chosen candidate cannot do, such as reading a picture that a tool returned, the best one
    that can answers it.

    Args:
        routes: Chat model of each candidate, by id, or the name of one or of an arm, as `ChatCIT.from_models` takes it.
        router: The router, or the address of a store.
        policy: What to maximise, in place of the router's policy.
        constraints: Limits on which candidates may be chosen, in place of the router's.
        context: Route on the last human `turn`, or on the whole `conversation`.
        sticky: `conversation`, or a `Sticky`: a thread keeps its candidate over runs.
        fallback: After which errors another candidate is asked, and the time limits; more at `CITCallMiddleware`.
        failover: An earlier name of `fallback`.
        default: The model that answers what cannot be decided; more at `CITCallMiddleware`.
        strict: Raise an error in such a case; as the router does if not given.
        log: Where decisions and bills are logged, in place of the router's log.
        explore: Way to try other candidates now and then, in place of the router's.

    Raises:
        UnknownCandidate: If a route has an id that is not a candidate of the router.
        InvalidInput: If there is no route, one is no chat model, or an option cannot be used.
    """

    def before_agent(self, state: RoutedState, runtime: Any) -> dict[str, Any]:  # noqa: ARG002
        """Decide, and keep the decision in the state."""
        self._recall(state)
        decision = self._asking().decide(state["messages"], {}, ensure_config())
        tell(CIT_ROUTE, route_event(decision))
        return {CIT_ROUTE: route_event(decision), **self._kept()}

    async def abefore_agent(self, state: RoutedState, runtime: Any) -> dict[str, Any]:  # noqa: ARG002
        """Decide before the agent runs, in a worker thread; see `before_agent`."""
        self._recall(state)
        decision = await self._asking().adecide(state["messages"], {}, ensure_config())
        await atell(CIT_ROUTE, route_event(decision))
        return {CIT_ROUTE: route_event(decision), **self._kept()}

    def wrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], ModelResponse[Any]],
    ) -> ModelCallResult[Any]:
        """Call the model with the run's candidate; with the next-best if that cannot serve."""
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
        """Wrap a model call asynchronously; see `wrap_model_call`."""
        if self._unanswered.is_made_again(request):
            return await handler(request)
        query = self._query(request)
        decided = _decided(request.state)
        if decided is None:
            return await self._aroute(query, request, handler)
        return await self._aanswer(self._among_able(decided, query), request, handler)

    def _among_able(self, decision: Decision, query: Query) -> Decision:
        """Return the run's decision among the candidates that can take this call."""
        limits = self.router.constraints
        reasons = {
            candidate.id: query.excluded.get(candidate.id) or limits.reason_against(candidate, query.known_facts)
            for candidate in self.router.candidates
        }
        excluded = {**decision.excluded, **{id_: reason for id_, reason in reasons.items() if reason is not None}}
        ranking = tuple(ranked for ranked in decision.ranking if ranked.model not in excluded)
        if not ranking:
            return self._anyway(decision, query, NoCandidate(excluded))
        best = {"model": ranking[0].model, "probability": ranking[0].probability}
        return decision.model_copy(update={**best, "ranking": ranking, "excluded": excluded})

    def _anyway(self, decision: Decision, query: Query, problem: NoCandidate) -> Decision:
        """Return the run's decision if no candidate can take this call, among those that are not forbidden."""
        limits = query.constraints or self.router.constraints
        ranking = tuple(r for r in decision.ranking if limits.among([r.model]).allow and r.model not in limits.deny)
        if not ranking or self._asking().is_strict:
            raise problem
        model = ranking[0].model
        told = f"{because(problem)}: {model} goes on"
        changed = {"model": model, "probability": ranking[0].probability, "ranking": ranking, "chosen_by": "default"}
        return decision.model_copy(update={**changed, "warnings": (told, *decision.warnings)})


def _decided(state: Mapping[str, Any]) -> Decision | None:
    """Return the decision of the run; None where another middleware skipped the beginning."""
    kept = state.get(CIT_ROUTE)
    return None if kept is None else Decision.model_validate(kept)


def _is_first(request: ModelRequest[Any]) -> bool:
    """Return whether a model call is the first of its run: nothing was expected for others."""
    return not request.messages or isinstance(request.messages[-1], HumanMessage)


def _message(response: object) -> object:
    """Return the message in what a handler gave: a response, or the message itself from another middleware."""
    messages = getattr(response, "result", None)
    return messages[0] if messages else response


def _recorded(
    decision: Decision, attempts: Attempts, response: ModelResponse[Any], kept: Mapping[str, Any] | None
) -> ExtendedModelResponse[Any]:
    decided = {} if kept is None else {CIT_ROUTE: route_event(decision), **kept}
    return ExtendedModelResponse(response, Command(update={**decided, CIT_MODEL: attempts.model}))
