"""ChatCIT: a chat model that hands every call to the candidate most likely to get it right.

Use it where a chat model is required. `RunnableRouter` for chains and `langchain_cit.middleware` for agents give the
candidate a run of its own in the trace. Here the call is one run, the router's, so that tokens and their cost are
counted once; the message says which candidate answered.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.caches import BaseCache
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput, ModelProfile
from langchain_core.language_models.base import LangSmithParams
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.utils import ConfigurableFieldSpec
from pydantic import ConfigDict, Field, PrivateAttr

from cit_core.errors import InvalidInput
from cit_core.messages import shown
from cit_core.policy import Constraints, Policy
from cit_core.router import Cascade, Fallback, Router, Sticky
from cit_core.router.options import (
    as_cascade,
    as_context,
    as_fallback,
    as_router,
    as_shadow,
    as_sticky,
    as_strict,
    check_options,
    pick_default,
)
from cit_core.router.shadow import Shadow
from langchain_cit._ahead import chosen, taken
from langchain_cit._chat_call import ChatCall
from langchain_cit._config_calls import ConfigCalls
from langchain_cit._configurable import KNOBS, THREAD_ID
from langchain_cit._inputs import Asking
from langchain_cit._model_calls import split_options
from langchain_cit._models import Models, open_models, with_options
from langchain_cit._profiles import conjunction
from langchain_cit._retries import with_sdk_retries
from langchain_cit._routes import AnyTool, Tools, as_chat_models, as_routes, without_tools
from langchain_cit._saved import Saved
from langchain_cit._single_flight import Flights
from langchain_cit._streams import closing
from langchain_cit._token_counts import TokenCounts
from langchain_cit._wrapper import Wrapper, unwrapped

if TYPE_CHECKING:
    from pathlib import Path

    from cit_core.policy.exploration import Exploration
    from cit_core.router.decision_log import DecisionLog
    from cit_core.store import CapabilityStore

__all__ = ["ChatCIT"]

NAME = "cit-router"
CALL_OPTIONS = ("temperature", "max_tokens", "stop")
"""Options of chat models that every candidate can be called with."""
OWN = {"api_key", "base_url", "max_retries", "model", "timeout"}
"""Options of chat models that each candidate has for itself."""
METHODS = ("function_calling", "json_mode", "json_schema")
"""Ways to a structured output, as LangChain's chat models name them."""


class _Models(dict[str, BaseChatModel]):
    """The chat models of a `ChatCIT`, and the routes around them: LangChain makes one anew of its fields."""

    given: Mapping[str, Runnable[Any, Any]]


class ChatCIT(Saved, TokenCounts, ConfigCalls):
    """A chat model that hands every call to the candidate most likely to get it right.

    `model="ID"`, bound or passed to a call, forces a candidate; `config["configurable"]` takes the same entries as for
    `RunnableRouter`. A message's `response_metadata` carries the decision as `cit_route`, the `model_name` of the
    candidate that answered and, if it is not the chosen one, `cit_fallback`.

    Candidates keep their own cache and rate limit. The router's own cache is off, as it would answer without routing.

    Args:
        routes: Chat model of each candidate, by id, as it is or from `bind`, `with_config` or `with_retry`. Candidates
            of the router without one do not take part.
        router: The router, or the address of a store.
        policy: What to maximise, in place of the router's policy.
        constraints: Limits on which candidates may be chosen, in place of the router's.
        context: Route on the last human `turn`, or on the whole `conversation`.
        sticky: `conversation`, or a `Sticky`: a conversation (`thread_id` in the config) keeps its candidate.
        fallback: After which errors another candidate is asked, the time limits, and how long a failing candidate is
            skipped.
        failover: An earlier name of `fallback`.
        default: The model that answers what cannot be decided (an empty or unreadable input, none left, a failed
            scorer): its id or the model itself. The router's own choice if not given.
        strict: Raise an error in such a case; as the router does if not given.
        cascade: A `Cascade` of `cit_core.router`; see `RunnableRouter`. A message's metadata has the steps, as
            `cit_cascade`.
        shadow: A `Shadow` of `cit_core.router.shadow`; see `RunnableRouter`.
        log: Where decisions and bills are logged, in place of the router's log.
        explore: Way to try other candidates now and then, in place of the router's.
        annotate: Whether messages carry the metadata above; if not, they are as the candidate made them.
        options: Options of any chat model: `callbacks`, `tags`, `metadata`, `disable_streaming` and the rest;
            `temperature`, `max_tokens` and `stop` are bound to every candidate, but for a temperature that its model
            refuses by its profile.

    Raises:
        UnknownCandidate: If a route has an id that is not a candidate of the router.
        InvalidInput: If there is no route, one is no chat model, or an option is none that there is.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    routes: Mapping[str, BaseChatModel] = Field(exclude=True)
    router: Router = Field(exclude=True)
    context: Literal["turn", "conversation"] = "turn"
    sticky: Sticky | None = Field(default=None, exclude=True)
    fallback: Fallback = Field(exclude=True)
    default: str | None = None
    strict: bool | None = None
    cascade: Cascade | None = Field(default=None, exclude=True)
    shadow: Shadow | None = Field(default=None, exclude=True)
    annotate: bool = True
    cache: BaseCache | bool | None = Field(default=False, exclude=True)
    _flights: Flights = PrivateAttr(default_factory=Flights)
    _wrappers: Mapping[str, Wrapper] = PrivateAttr()

    def __init__(
        self,
        routes: Mapping[str, BaseChatModel],
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
        cascade: Cascade | None = None,
        shadow: Shadow | None = None,
        log: DecisionLog | CapabilityStore | str | Path | None = None,
        explore: Exploration | str | None = None,
        annotate: bool = True,
        **options: Any,
    ) -> None:
        if own := sorted(OWN & options.keys()):
            raise InvalidInput(
                f"ChatCIT takes no {', '.join(own)}: each candidate has its own; make the candidates yourself, "
                "{'openai:gpt-4o': init_chat_model('openai:gpt-4o', base_url=...)}; time limits and retries are in "
                "fallback=Fallback(attempt_timeout_s=60, sdk_retries=2)"
            )
        asked = _call_options(options)
        check_options(options, type(self), {"streaming"})  # LangChain's name for what it does in any case
        router = as_router(router, policy, constraints, log=log, explore=explore)
        after = as_fallback(failover if fallback is None else fallback)
        outside = as_routes(_given(routes), router)
        given = {id_: with_options(route, asked) if asked else route for id_, route in outside.items()}
        inside = {id_: unwrapped(route) for id_, route in given.items()}
        models = with_sdk_retries(as_chat_models({id_: route for id_, (route, _) in inside.items()}), after)
        formats = {model.output_version for model in models.values()}
        super().__init__(
            routes=models,
            router=router,
            context=as_context(context),
            sticky=as_sticky(sticky),
            fallback=after,
            default=pick_default(default, routes, router),
            strict=as_strict(strict),
            cascade=as_cascade(cascade),
            shadow=as_shadow(shadow, router, models),
            annotate=annotate,
            **({"output_version": formats.pop()} if len(formats) == 1 else {}) | options,
        )
        self.routes = _Models(models)
        vars(self.routes)["given"] = given
        self._wrappers = {id_: wrapper for id_, (_, wrapper) in inside.items()}

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
    ) -> ChatCIT:
        """Route among the models that you call; see `RunnableRouter.from_models`.

        Names are opened with `temperature`, `max_tokens` and `stop`; a limit of an arm goes before `max_tokens`.

        Raises:
            InvalidInput: If there is no model, or one cannot be used.
            MissingExtra: If a string is given and langchain is not installed.
        """
        asked = _call_options(options)
        routes, router = open_models(models, policy, constraints, store, strict=strict, asked=asked)
        return cls(routes, router, **options)

    @property
    def failover(self) -> Fallback:
        """An earlier name of `fallback`."""
        return self.fallback

    # -- what it is ---------------------------------------------------------------------------------------------------

    @property
    def _llm_type(self) -> str:
        return NAME

    def _settings(self) -> dict[str, Any]:
        return {**super()._settings(), "routes": dict(_given(self.routes))}

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        """Return what a cache knows it by: what decides about an answer, not where the router was opened."""
        return str(sorted({**self._get_invocation_params(stop=stop, **kwargs), **kwargs}.items()))

    @property
    def _identifying_params(self) -> dict[str, Any]:
        """Return all that decides about an answer: a cache that is switched on must not mix up two routers."""
        limits = {
            name: sorted(v) if isinstance(v, frozenset) else v for name, v in vars(self.router.constraints).items()
        }
        candidates = {
            id_: {"_type": m._llm_type, **m._identifying_params, **self._wrappers[id_].kwargs}
            for id_, m in self.routes.items()
        }
        return {
            "candidates": candidates,
            "policy": self.router.policy.name,
            "constraints": limits,
            "store_version": self.router.store_version,
            "context": self.context,
        }

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        forced = kwargs.pop("model", None)
        known = forced if forced in self.routes else chosen(self.routes)
        if known is not None:
            return self.routes[known]._get_ls_params(stop=stop, **kwargs)
        told = super()._get_ls_params(stop=stop, **kwargs)
        return LangSmithParams(**{**told, "ls_provider": NAME, "ls_model_name": forced or NAME})

    def _resolve_model_profile(self) -> ModelProfile | None:
        return conjunction(model.profile for model in self.routes.values())

    @property
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        """The entries that a call may set in `config["configurable"]`."""
        return [*KNOBS, *([] if self.sticky is None else [THREAD_ID])]

    def bind_tools(
        self,
        tools: Sequence[AnyTool],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Hand tools to the chosen candidate; one that cannot call tools is not chosen.

        Args:
            tools: As any chat model takes them.
            tool_choice: Which tool to call, or `any`.
            kwargs: Go to the candidate's own `bind_tools`.
        """
        return self.bind(tools=Tools(tools), tool_choice=tool_choice, **kwargs)

    def with_structured_output(
        self, schema: dict[str, Any] | type, *, include_raw: bool = False, **kwargs: Any
    ) -> Runnable[LanguageModelInput, Any]:
        """Have the chosen candidate answer in this form.

        Args:
            schema: As any chat model takes it.
            include_raw: Give the message beside what was parsed.
            kwargs: `method` (`function_calling`, `json_mode`, `json_schema`), `strict` and the rest, of the candidates'
                own `with_structured_output`; a candidate that cannot does not take part. Without any, by tool calls.

        Raises:
            InvalidInput: If there is no such method.
            NoCandidate: If no candidate can; names each reason.
        """
        method = kwargs.get("method")
        if method is not None and method not in METHODS:
            raise InvalidInput(f"method is {shown(method)}; it must be one of {', '.join(map(repr, METHODS))}")
        if not kwargs or kwargs == {"method": "function_calling"}:
            return super().with_structured_output(schema, include_raw=include_raw)
        from langchain_cit.runnable import RunnableRouter

        options: dict[str, Any] = {"default": self.default, "strict": self.strict, "fallback": self.fallback}
        options |= {"cascade": self.cascade, "shadow": self.shadow}
        each = RunnableRouter(_given(self.routes), self.router, context=self.context, sticky=self.sticky, **options)
        return each.with_structured_output(schema, include_raw=include_raw, **kwargs)

    # -- what LangChain calls inside ----------------------------------------------------------------------------------

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        call, config = self._call(messages, stop, run_manager, kwargs)
        decision = taken(self.routes) or call.asking.decide(messages, call.options, config)
        steps = call.steps(decision)
        with self._flights.follow(call.key(decision)):
            return steps.answer(partial(call.answer, steps))  # type: ignore[no-any-return]

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        call, config = self._call(messages, stop, run_manager, kwargs)
        decision = taken(self.routes) or await call.asking.adecide(messages, call.options, config)
        steps = call.steps(decision)
        async with self._flights.afollow(call.key(decision)):
            return await steps.aanswer(partial(call.aanswer, steps))  # type: ignore[no-any-return]

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        call, config = self._call(messages, stop, run_manager, kwargs)
        steps = call.steps(taken(self.routes) or call.asking.decide(messages, call.options, config))
        yield from steps.stream(partial(call.pieces, steps))

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        call, config = self._call(messages, stop, run_manager, kwargs)
        steps = call.steps(taken(self.routes) or await call.asking.adecide(messages, call.options, config))
        async with closing(steps.astream(partial(call.apieces, steps))) as chunks:
            async for chunk in chunks:
                yield chunk

    def _call(
        self, messages: list[BaseMessage], stop: list[str] | None, run: Any, kwargs: Mapping[str, Any]
    ) -> tuple[ChatCall, RunnableConfig]:
        """Return the call, and what it says to the router as a config."""
        config, options = split_options(kwargs)
        asking = self._asking(options)
        return ChatCall(asking, self.routes, self._wrappers, self.annotate, messages, stop, run, options), config

    def _should_stream(self, *, async_api: bool, run_manager: Any = None, **kwargs: Any) -> bool:
        """Stream only if a candidate does."""
        wanted = super()._should_stream(async_api=async_api, run_manager=run_manager, **kwargs)
        return wanted and self._some_stream(async_api, kwargs)

    def _should_use_protocol_streaming(self, *, async_api: bool, run_manager: Any = None, **kwargs: Any) -> bool:
        wanted = super()._should_use_protocol_streaming(async_api=async_api, run_manager=run_manager, **kwargs)
        return wanted and self._some_stream(async_api, kwargs)

    def _some_stream(self, async_api: bool, kwargs: Mapping[str, Any]) -> bool:
        asked = {**kwargs, "stream": True}
        return any(model._should_stream(async_api=async_api, **asked) for model in self.routes.values())

    def _asking(self, kwargs: Mapping[str, Any]) -> Asking:
        unable = without_tools(self.routes) if kwargs.get("tools") else {}
        able = {id_: model for id_, model in self.routes.items() if id_ not in unable}
        whole = self.context == "conversation"
        settings: dict[str, Any] = {"sticky": self.sticky, "default": self.default, "strict": self.strict}
        settings |= {"cascade": self.cascade, "shadow": self.shadow}
        return Asking(self.router, able, self.fallback, whole=whole, unable=unable, **settings)


def _given(routes: Any) -> Any:
    return getattr(routes, "given", routes)


def _call_options(options: dict[str, Any]) -> dict[str, Any]:
    """Take the options for every candidate out of those of a chat model."""
    asked = {name: options.pop(name) for name in CALL_OPTIONS if name in options}
    return {name: value for name, value in asked.items() if value not in (None, [])}
