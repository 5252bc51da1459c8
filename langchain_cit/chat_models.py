"""ChatCIT: a chat model that hands every call to the candidate most likely to get it right.

For places that insist on a chat model. Chains are better served by `RunnableRouter` and agents by
`langchain_cit.middleware`, where the candidate has a run of its own in the trace. Here the call is one run, the
router's, so that tokens and their cost are counted once; the message says which candidate answered.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, Literal

from langchain_core.caches import BaseCache
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput, ModelProfile
from langchain_core.language_models.base import LangSmithParams
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import ensure_config
from langchain_core.runnables.utils import ConfigurableFieldSpec
from pydantic import ConfigDict, Field, PrivateAttr

from cit_core.records import Decision
from cit_core.router import Attempts, Fallback, Router, Sticky
from langchain_cit._configurable import KNOBS, THREAD_ID
from langchain_cit._inputs import Asking
from langchain_cit._options import as_context, as_fallback, as_router, as_routes, as_sticky, check_options
from langchain_cit._profiles import conjunction
from langchain_cit._response_metadata import Stamp, Unstamped, whole
from langchain_cit._routes import AnyTool, Tools, as_chat_models, bound, without_tools
from langchain_cit._single_flight import Flights, same_call
from langchain_cit._streams import END, closing, watched

__all__ = ["ChatCIT"]

NAME = "cit-router"


class ChatCIT(BaseChatModel):
    """A chat model that hands every call to the candidate most likely to get it right.

    `model="ID"`, bound or passed to a call, forces a candidate; `config["configurable"]` may hold what it may for
    `RunnableRouter`. A message's `response_metadata` carries the decision as `cit_route`, the `model_name` of who
    answered and, if that is not who was chosen, `cit_fallback`.

    Candidates keep their own cache and rate limit. The router's own cache is off, as it would answer without routing.

    Args:
        routes: Candidate id to its chat model. Candidates of the router without one do not take part.
        router: What decides.
        context: Route on the last human `turn`, or on the whole `conversation`.
        sticky: `conversation`, or a `Sticky`: a conversation (`thread_id` in the config) keeps its candidate.
        fallback: After which errors another candidate is asked, how often, and how long who fails is left alone.
        annotate: Whether messages carry all that; if not, they are what the candidate made of them.
        options: As any chat model takes them: `callbacks`, `tags`, `metadata`, `disable_streaming` and the rest.

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
    annotate: bool = True
    cache: BaseCache | bool | None = Field(default=False, exclude=True)
    _flights: Flights = PrivateAttr(default_factory=Flights)

    def __init__(
        self,
        routes: Mapping[str, BaseChatModel],
        router: Router,
        *,
        context: Literal["turn", "conversation"] = "turn",
        sticky: Literal["conversation"] | Sticky | None = None,
        fallback: Fallback | None = None,
        annotate: bool = True,
        **options: Any,
    ) -> None:
        check_options(options, type(self))
        router = as_router(router)
        models = as_chat_models(as_routes(routes, router))
        formats = {model.output_version for model in models.values()}
        super().__init__(
            routes=models,
            router=router,
            context=as_context(context),
            sticky=as_sticky(sticky),
            fallback=as_fallback(fallback),
            annotate=annotate,
            **({"output_version": formats.pop()} if len(formats) == 1 else {}) | options,
        )

    # -- what it is ---------------------------------------------------------------------------------------------------

    @property
    def _llm_type(self) -> str:
        return NAME

    @property
    def _identifying_params(self) -> dict[str, Any]:
        """All that decides about an answer: a cache that is switched on must not mix up two routers."""
        limits = {
            name: sorted(v) if isinstance(v, frozenset) else v for name, v in vars(self.router.constraints).items()
        }
        candidates = {id_: {"_type": m._llm_type, **m._identifying_params} for id_, m in self.routes.items()}
        return {
            "candidates": candidates,
            "policy": self.router.policy.name,
            "constraints": limits,
            "store_version": self.router.store_version,
            "context": self.context,
        }

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        forced = kwargs.pop("model", None)
        if forced in self.routes:
            return self.routes[forced]._get_ls_params(stop=stop, **kwargs)
        told = super()._get_ls_params(stop=stop, **kwargs)
        return LangSmithParams(**{**told, "ls_provider": NAME, "ls_model_name": forced or NAME})

    def _resolve_model_profile(self) -> ModelProfile | None:
        return conjunction(model.profile for model in self.routes.values())

    @property
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        """What a call may set in `config["configurable"]`."""
        return [*KNOBS, *([] if self.sticky is None else [THREAD_ID])]

    def bind_tools(
        self,
        tools: Sequence[AnyTool],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Hand tools to whoever is chosen; who cannot call tools is not.

        Args:
            tools: As any chat model takes them.
            tool_choice: Which tool to call, or `any`.
            kwargs: Go to the candidate's own `bind_tools`.
        """
        return self.bind(tools=Tools(tools), tool_choice=tool_choice, **kwargs)

    # -- how long a text is: a limit that is kept by this count is kept for whoever is chosen ------------------------

    def get_token_ids(self, text: str) -> list[int]:
        """Of the candidate that needs the most."""
        if self.custom_get_token_ids is not None:
            return self.custom_get_token_ids(text)
        return max((model.get_token_ids(text) for model in self.routes.values()), key=len)

    def get_num_tokens(self, text: str) -> int:
        """Those of the candidate that counts the most."""
        if self.custom_get_token_ids is not None:
            return super().get_num_tokens(text)
        return max(model.get_num_tokens(text) for model in self.routes.values())

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """Those of the candidate that counts the most; tools count for those that know what they take."""
        if self.custom_get_token_ids is not None:
            return super().get_num_tokens_from_messages(messages, tools)
        given = {} if tools is None else {"tools": tools}
        return max(model.get_num_tokens_from_messages(messages, **given) for model in self.routes.values())

    # -- calls: what the config sets becomes an argument, which is all that a chat model's inside gets to see ----------

    def invoke(
        self,
        input: LanguageModelInput,  # noqa: A002
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """Route, then call the chosen candidate; the next-best if that cannot be reached."""
        return super().invoke(input, config, stop=stop, **{**self._set_by(config), **kwargs})

    async def ainvoke(
        self,
        input: LanguageModelInput,  # noqa: A002
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """As `invoke`; the decision is made in a worker thread."""
        return await super().ainvoke(input, config, stop=stop, **{**self._set_by(config), **kwargs})

    def stream(
        self,
        input: LanguageModelInput,  # noqa: A002
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> Iterator[AIMessageChunk]:
        """As `invoke`, in pieces; the next-best is asked before the first piece only."""
        return super().stream(input, config, stop=stop, **{**self._set_by(config), **kwargs})

    def astream(
        self,
        input: LanguageModelInput,  # noqa: A002
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        """As `stream`; the decision is made in a worker thread."""
        return super().astream(input, config, stop=stop, **{**self._set_by(config), **kwargs})

    def stream_events(
        self,
        input: LanguageModelInput,  # noqa: A002
        config: RunnableConfig | None = None,
        *,
        version: Literal["v1", "v2", "v3"] = "v2",
        **kwargs: Any,
    ) -> Any:
        """As any chat model; only `v3` gets past `stream`, which takes from the config what it sets."""
        given = self._set_by(config) if version == "v3" else {}
        return super().stream_events(input, config, version=version, **{**given, **kwargs})

    def astream_events(
        self,
        input: LanguageModelInput,  # noqa: A002
        config: RunnableConfig | None = None,
        *,
        version: Literal["v1", "v2", "v3"] = "v2",
        **kwargs: Any,
    ) -> Any:
        """As `stream_events`."""
        given = self._set_by(config) if version == "v3" else {}
        return super().astream_events(input, config, version=version, **{**given, **kwargs})

    def _set_by(self, config: RunnableConfig | None) -> dict[str, Any]:
        known = {spec.id for spec in self.config_specs}
        given = {k: v for k, v in ensure_config(config).get("configurable", {}).items() if k in known and v is not None}
        return {"configurable": given} if given else {}

    # -- what LangChain calls inside ----------------------------------------------------------------------------------

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        config, kwargs = _apart(kwargs)
        decision = self._asking(kwargs).decide(messages, kwargs, config)
        with self._flights.follow(same_call(decision.model, self.routes, messages, stop, kwargs)):
            attempts = self.fallback.attempts(decision)
            while True:
                with attempts:
                    model, options = bound(self.routes[attempts.model], kwargs)
                    watching = watched(run_manager, attempts)
                    result = model._generate_with_cache(messages, stop=stop, run_manager=watching, **options)
                    return self._stamp(decision, attempts).result(result)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        config, kwargs = _apart(kwargs)
        decision = await self._asking(kwargs).adecide(messages, kwargs, config)
        async with self._flights.afollow(same_call(decision.model, self.routes, messages, stop, kwargs)):
            attempts = self.fallback.attempts(decision)
            while True:
                with attempts:
                    model, options = bound(self.routes[attempts.model], kwargs)
                    watching = watched(run_manager, attempts)
                    result = await model._agenerate_with_cache(messages, stop=stop, run_manager=watching, **options)
                    return self._stamp(decision, attempts).result(result)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        config, kwargs = _apart(kwargs)
        decision = self._asking(kwargs).decide(messages, kwargs, config)
        attempts = self.fallback.attempts(decision)
        while True:
            with attempts:
                stamp = self._stamp(decision, attempts)
                chunks = _chunks(self.routes[attempts.model], messages, stop, run_manager, kwargs)
                first = next(chunks, END)
                attempts.begun()
                if first is not END:
                    yield stamp.chunk(first)
                    yield from map(stamp.chunk, chunks)
                    yield from stamp.rest()
                return

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        config, kwargs = _apart(kwargs)
        decision = await self._asking(kwargs).adecide(messages, kwargs, config)
        attempts = self.fallback.attempts(decision)
        while True:
            with attempts:
                stamp = self._stamp(decision, attempts)
                async with closing(
                    _achunks(self.routes[attempts.model], messages, stop, run_manager, kwargs)
                ) as chunks:
                    first = await anext(chunks, END)
                    attempts.begun()
                    if first is not END:
                        yield stamp.chunk(first)
                        async for chunk in chunks:
                            yield stamp.chunk(chunk)
                        for chunk in stamp.rest():
                            yield chunk
                return

    def _should_stream(self, *, async_api: bool, run_manager: Any = None, **kwargs: Any) -> bool:
        """Not where no candidate does: an answer in one piece is better called an answer."""
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
        return Asking(self.router, able, whole=self.context == "conversation", sticky=self.sticky, unable=unable)

    def _stamp(self, decision: Decision, attempts: Attempts) -> Stamp | Unstamped:
        if not self.annotate:
            return Unstamped()
        name = self.routes[attempts.model]._get_ls_params().get("ls_model_name")
        return Stamp(decision, attempts, name or attempts.model)


def _apart(kwargs: Mapping[str, Any]) -> tuple[RunnableConfig, dict[str, Any]]:
    """What is meant for the router, and what for the candidate."""
    configurable = dict(kwargs.get("configurable", {}))
    if kwargs.get("model") is not None:
        configurable["cit_model"] = kwargs["model"]
    rest = {name: value for name, value in kwargs.items() if name not in {"configurable", "model"}}
    return RunnableConfig(configurable=configurable), rest


def _chunks(
    model: BaseChatModel,
    messages: list[BaseMessage],
    stop: list[str] | None,
    run_manager: CallbackManagerForLLMRun | None,
    kwargs: Mapping[str, Any],
) -> Iterator[ChatGenerationChunk]:
    model, options = bound(model, kwargs)
    if not model._should_stream(async_api=False, **{**options, "stream": True}):
        yield whole(model._generate_with_cache(messages, stop=stop, run_manager=run_manager, **options))
        return
    if model.rate_limiter is not None:
        model.rate_limiter.acquire(blocking=True)
    run = {} if run_manager is None else {"run_manager": run_manager}
    yield from model._stream(messages, stop=stop, **run, **options)


async def _achunks(
    model: BaseChatModel,
    messages: list[BaseMessage],
    stop: list[str] | None,
    run_manager: AsyncCallbackManagerForLLMRun | None,
    kwargs: Mapping[str, Any],
) -> AsyncIterator[ChatGenerationChunk]:
    model, options = bound(model, kwargs)
    if not model._should_stream(async_api=True, **{**options, "stream": True}):
        yield whole(await model._agenerate_with_cache(messages, stop=stop, run_manager=run_manager, **options))
        return
    if model.rate_limiter is not None:
        await model.rate_limiter.aacquire(blocking=True)
    run = {} if run_manager is None else {"run_manager": run_manager}
    async with closing(model._astream(messages, stop=stop, **run, **options)) as chunks:
        async for chunk in chunks:
            yield chunk
