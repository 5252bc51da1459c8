"""CITLLM: an LLM that hands every call to the candidate most likely to get it right.

It sends no LLM events and counts no tokens: those of the candidate are all there are, as if it had been called itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    LLMMetadata,
    MessageRole,
)
from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms import LLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.tools.types import BaseTool
from pydantic import Field, PrivateAttr, ValidationError

from cit_core.errors import InvalidInput
from cit_core.messages import shown
from cit_core.policy import Constraints, Policy
from cit_core.router import Cascade, Fallback, Router, Sticky
from cit_core.router.options import as_cascade, as_router, as_shadow, as_sticky, as_strict, pick_default
from cit_core.router.shadow import Shadow
from llamaindex_cit._callbacks import both
from llamaindex_cit._copies import deep_copies, picklable, shallow_copies, without_listeners
from llamaindex_cit._dispatch import Dispatch
from llamaindex_cit._history import call_with_tools, in_common
from llamaindex_cit._inputs import of_messages, of_prompt, with_tools
from llamaindex_cit._models import Models, open_models
from llamaindex_cit._options import as_models, invalid_options, pick_fallback, require_options
from llamaindex_cit._response_metadata import CIT_MODEL, unstamped
from llamaindex_cit._templates import Templates
from llamaindex_cit._trail import follow

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Self

    from cit_core.policy.exploration import Exploration
    from cit_core.router.decision_log import DecisionLog
    from cit_core.store import CapabilityStore

__all__ = ["CITLLM"]

_conversation: ContextVar[str | None] = ContextVar("cit_conversation", default=None)


class CITLLM(Templates):
    """LLM that hands every call to the candidate most likely to get it right, and to the next best if that one fails.

    Its metadata promises what all candidates can do: function calling or chat if each of them can, the shortest context
    window. A call with tools goes to those that can call functions.

    A response says in `additional_kwargs` which candidate answered (`cit_model`) and the decision (`cit_route`).

    Args:
        models: Candidate id to its LLM. Candidates of the router without one do not take part. Shallow copies are
            kept, which share clients and caches, because they are given the callbacks of this LLM.
        router: What decides.
        policy: What to maximise, in place of the router's policy.
        constraints: Limits on which candidates may be chosen, in place of the router's.
        fallback: After which errors the next-best candidate is asked, and time limits; `Fallback(max_attempts=1)`
            never asks another. Streams fall back only before their first token. `failover` is an alias.
        sticky: Keeps a conversation with the candidate that it began with: a `Sticky`, or `conversation` for one with
            its defaults; every call is decided anew if not given. A conversation is known by its name,
            `with llm.conversation(NAME)`, or else by the user's first message.
        default: The LLM that answers what cannot be decided (an empty or unreadable input, none left, a failed
            scorer): its id or the LLM itself. The router's own choice if not given.
        strict: Raise an error in such a case; as the router does if not given.
        cascade: A `Cascade` of `cit_core.router`: a cheaper candidate is asked first where that pays, its answer is
            verified, and a better one asked if need be. A response says the steps, as `cit_cascade`.
        shadow: A `Shadow` of `cit_core.router.shadow`: some answers are compared with a reference model's, in the
            background; without a function of its own it asks the candidate of that id.
        log: Where decisions and bills are logged, in place of the router's log: a path, a store, a `DecisionLog`.
        explore: Way to try other candidates now and then, in place of the router's: `epsilon:0.02`, `thompson`.
        options: Options of every LlamaIndex LLM: `system_prompt`, `callback_manager`, `output_parser`, ...

    Raises:
        UnknownCandidate: If a model has an id that is not a candidate of the router.
        InvalidInput: If there is no model, one is not a LlamaIndex LLM, or an option cannot be used.

    Example:
        Settings.llm = CITLLM({"small": small_llm, "large": large_llm}, router)
    """

    models: dict[str, LLM] = Field(exclude=True, repr=False)
    router: Router = Field(exclude=True, repr=False)
    fallback: Fallback = Field(exclude=True)
    sticky: Sticky | None = Field(default=None, exclude=True)
    default: str | None = None
    strict: bool | None = None
    cascade: Cascade | None = Field(default=None, exclude=True)
    shadow: Shadow | None = Field(default=None, exclude=True)
    _own_callbacks: dict[str, CallbackManager] = PrivateAttr()
    _handed_on: tuple[CallbackManager, list[Any]] | None = PrivateAttr(default=None)

    def __init__(
        self,
        models: Mapping[str, LLM],
        router: Router,
        *,
        policy: Policy | str | None = None,
        constraints: Constraints | Mapping[str, Any] | None = None,
        fallback: Fallback | None = None,
        sticky: Literal["conversation"] | Sticky | None = None,
        default: str | LLM | None = None,
        strict: bool | None = None,
        cascade: Cascade | None = None,
        shadow: Shadow | None = None,
        log: DecisionLog | CapabilityStore | str | Path | None = None,
        explore: Exploration | str | None = None,
        **options: Any,
    ) -> None:
        chosen = pick_fallback(fallback, options)
        require_options(options, type(self).model_fields)
        router = as_router(router, policy, constraints, log=log, explore=explore)
        llms = shallow_copies(as_models(models, router))
        undecided = {"default": pick_default(default, models, router), "strict": as_strict(strict)}
        steps = {"fallback": chosen, "cascade": as_cascade(cascade), "shadow": as_shadow(shadow, router, models)}
        settings = {"router": router, "sticky": as_sticky(sticky), **undecided, **steps}
        try:
            super().__init__(models=llms, **settings, **options)
        except ValidationError as error:
            raise invalid_options(error) from None
        self._own_callbacks = {id_: llm.callback_manager for id_, llm in self.models.items()}
        follow()

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
    ) -> CITLLM:
        """Route among the models that you call, with what is publicly known of them: offline, before any test.

        Args:
            models: `provider:model` strings (`openai:gpt-5-mini`), which LlamaIndex's own classes open; LLMs, known by
                `metadata.model_name`; or a mapping from names to either.
            policy: What to maximise.
            constraints: Limits on which candidates may be chosen.
            store: Outcomes of your own, which go before public scores; a store or its address.
            strict: Refuse a model of which nothing is known; otherwise it counts as one of its price and age.
            options: Options of a CITLLM.

        Raises:
            InvalidInput: If there is no model, one cannot be used, or the package of a provider is not installed.
        """
        llms, router = open_models(models, policy, constraints, store, strict=strict)
        return cls(llms, router, **options)

    @property
    def failover(self) -> Fallback:
        """Alias of `fallback`."""
        return self.fallback

    @classmethod
    def class_name(cls) -> str:
        """Return its name in what LlamaIndex writes down."""
        return "CITLLM"

    @property
    def metadata(self) -> LLMMetadata:
        """Capabilities that all candidates have, and the smallest of their limits."""
        every = [llm.metadata for llm in self.models.values()]
        roles = {one.system_role for one in every}
        return LLMMetadata(
            context_window=min(one.context_window for one in every),
            num_output=min((one.num_output for one in every if one.num_output > 0), default=-1),
            is_chat_model=all(one.is_chat_model for one in every),
            is_function_calling_model=len(self._dispatch.callers) == len(every),
            model_name="cit-router",
            system_role=roles.pop() if len(roles) == 1 else MessageRole.SYSTEM,
        )

    def to_payload(self) -> dict[str, Any]:
        """Return what traces may hold of it: no key and no prompt."""
        return {**super().to_payload(), "candidates": list(self.models), "policy": self.router.policy.name}

    def __copy__(self) -> Self:
        """Copy with candidates of its own: callbacks of the copy are not those of the original."""
        copied = super().__copy__()
        copied.models = shallow_copies(self.models)
        copied._handed_on = None
        return copied

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Copy with deep copies of the candidates; the router, its helpers and callbacks are shared."""
        copied = self.__copy__()
        copied.models = deep_copies(self.models, self._own_callbacks, {} if memo is None else memo)
        return copied

    def __getstate__(self) -> dict[str, Any]:
        """Return what it is made with, as far as that pickles; without its parts there is no router to come back."""
        parts = {**self.__dict__, "models": without_listeners(self.models, self._own_callbacks)}
        return {"__dict__": picklable(parts, ("models", "router", "fallback", "sticky", "cascade"))}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state["__dict__"])  # type: ignore[misc]

    @contextmanager
    def conversation(self, name: str) -> Iterator[None]:
        """Assign the calls inside to the conversation of this name.

        That holds for tasks that are started inside, and for other routed LLMs. A thread pool's threads inherit it only
        with `pool.submit(contextvars.copy_context().run, llm.complete, PROMPT)`.

        Raises:
            InvalidInput: If the name is no text.
        """
        if not isinstance(name, str):
            raise InvalidInput(f"the name of a conversation is {shown(name)}; it must be a text")
        token = _conversation.set(name)
        try:
            yield
        finally:
            _conversation.reset(token)

    # -- chat and completion ------------------------------------------------------------------------------------------

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Route, then chat with the chosen candidate."""
        return self._ready.ask(
            of_messages(messages), _conversation.get(), lambda llm: llm.chat(in_common(messages, llm), **kwargs)
        )

    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """Chat in chunks; the first one is here when this returns."""
        return self._ready.stream(
            of_messages(messages), _conversation.get(), lambda llm: llm.stream_chat(in_common(messages, llm), **kwargs)
        )

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Chat without blocking the event loop; see `chat`."""
        return await self._ready.aask(
            of_messages(messages), _conversation.get(), lambda llm: llm.achat(in_common(messages, llm), **kwargs)
        )

    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        """Chat in chunks without blocking the event loop; see `stream_chat`."""
        return await self._ready.astream(
            of_messages(messages), _conversation.get(), lambda llm: llm.astream_chat(in_common(messages, llm), **kwargs)
        )

    def complete(self, prompt: str | None = None, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Route, then let the chosen candidate complete the prompt."""
        text, done = self._given(prompt, formatted)
        return self._ready.ask(
            of_prompt(text), _conversation.get(), lambda llm: llm.complete(text, formatted=done, **kwargs)
        )

    def stream_complete(
        self, prompt: str | None = None, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        """Complete in chunks; the first one is here when this returns."""
        text, done = self._given(prompt, formatted)
        return self._ready.stream(
            of_prompt(text), _conversation.get(), lambda llm: llm.stream_complete(text, formatted=done, **kwargs)
        )

    async def acomplete(self, prompt: str | None = None, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Complete without blocking the event loop; see `complete`."""
        text, done = self._given(prompt, formatted)
        return await self._ready.aask(
            of_prompt(text), _conversation.get(), lambda llm: llm.acomplete(text, formatted=done, **kwargs)
        )

    async def astream_complete(
        self, prompt: str | None = None, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseAsyncGen:
        """Complete in chunks without blocking the event loop; see `stream_complete`."""
        text, done = self._given(prompt, formatted)
        return await self._ready.astream(
            of_prompt(text), _conversation.get(), lambda llm: llm.astream_complete(text, formatted=done, **kwargs)
        )

    # -- tools --------------------------------------------------------------------------------------------------------

    def chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> ChatResponse:
        """Route among those that can call functions, then let the chosen candidate do all of it."""
        given = tools, user_msg, chat_history, *args
        answer: ChatResponse = self._ready.ask(
            with_tools(tools, user_msg, chat_history),
            _conversation.get(),
            lambda llm: call_with_tools(llm, "chat_with_tools", given, kwargs),
        )
        return answer

    def stream_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> ChatResponseGen:
        """Chat with tools in chunks; the first one is here when this returns."""
        given = tools, user_msg, chat_history, *args
        return self._ready.stream(
            with_tools(tools, user_msg, chat_history),
            _conversation.get(),
            lambda llm: call_with_tools(llm, "stream_chat_with_tools", given, kwargs),
        )

    async def achat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> ChatResponse:
        """Chat with tools without blocking the event loop; see `chat_with_tools`."""
        given = tools, user_msg, chat_history, *args
        return await self._ready.aask(
            with_tools(tools, user_msg, chat_history),
            _conversation.get(),
            lambda llm: call_with_tools(llm, "achat_with_tools", given, kwargs),
        )

    async def astream_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> ChatResponseAsyncGen:
        """Chat with tools in chunks without blocking the event loop; see `stream_chat_with_tools`."""
        given = tools, user_msg, chat_history, *args
        return await self._ready.astream(
            with_tools(tools, user_msg, chat_history),
            _conversation.get(),
            lambda llm: call_with_tools(llm, "astream_chat_with_tools", given, kwargs),
        )

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        """Return the tool calls as the candidate that answered reads them: providers write them in different ways."""
        callers = self._dispatch.callers
        producer = response.additional_kwargs.get(CIT_MODEL)
        if producer not in callers:  # no candidate's response: agents make one for a stream without chunks
            producer = next(iter(callers), None)
        if producer is None:
            raise InvalidInput(
                f"none of {', '.join(map(repr, self.models))} can call functions, so none can read calls"
            )
        return callers[producer].get_tool_calls_from_response(
            unstamped(response), error_on_no_tool_call=error_on_no_tool_call, **kwargs
        )

    def _prepare_chat_with_tools(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        raise NotImplementedError("each candidate prepares calls with tools in its own way; use chat_with_tools")

    # -- routing ------------------------------------------------------------------------------------------------------

    @property
    def _dispatch(self) -> Dispatch:
        limiter, more = getattr(self, "rate_limiter", None), (self.default, self.strict, self.cascade, self.shadow)
        return Dispatch(self.models, self.router, self.fallback, self.sticky, limiter, *more)

    @property
    def _ready(self) -> Dispatch:
        """The dispatch, after callbacks were handed on: `Settings` gives them to the outer LLM alone."""
        manager = self.callback_manager
        if self._handed_on != (manager, manager.handlers):
            for id_, llm in self.models.items():
                llm.callback_manager = both(self._own_callbacks[id_], manager)
            self._handed_on = manager, list(manager.handlers)
        return self._dispatch
