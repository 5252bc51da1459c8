"""Calls of a chat model that routes: what the config sets becomes an argument, all that `_generate` gets to see."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Literal

from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config

from cit_core.errors import CITError
from langchain_cit._ahead import Ahead, ahead
from langchain_cit._configurable import check_keys
from langchain_cit._inputs import Asking
from langchain_cit._model_calls import split_options
from langchain_cit._streams import closing

__all__ = ["ConfigCalls"]


class ConfigCalls(BaseChatModel):
    """The public calls of `ChatCIT`; the entries are those of its `config_specs`."""

    routes: Mapping[str, BaseChatModel]

    def invoke(
        self,
        input: LanguageModelInput,  # noqa: A002
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """Route, then call the chosen candidate; the next-best if that cannot serve."""
        given = {**self._set_by(config), **kwargs}
        with ahead(self._decide_ahead(input, given)):
            return super().invoke(input, config, stop=stop, **given)

    async def ainvoke(
        self,
        input: LanguageModelInput,  # noqa: A002
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """Invoke asynchronously; the decision is made in a worker thread."""
        given = {**self._set_by(config), **kwargs}
        with ahead(await self._adecide_ahead(input, given)):
            return await super().ainvoke(input, config, stop=stop, **given)

    def stream(
        self,
        input: LanguageModelInput,  # noqa: A002
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> Iterator[AIMessageChunk]:
        """Stream the answer; a fallback is possible before the first piece only."""
        given = {**self._set_by(config), **kwargs}
        return self._begun(input, given, super().stream(input, config, stop=stop, **given))

    def astream(
        self,
        input: LanguageModelInput,  # noqa: A002
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        """Stream asynchronously; the decision is made in a worker thread."""
        given = {**self._set_by(config), **kwargs}
        return self._abegun(input, given, super().astream(input, config, stop=stop, **given))

    def stream_events(
        self,
        input: LanguageModelInput,  # noqa: A002
        config: RunnableConfig | None = None,
        *,
        version: Literal["v1", "v2", "v3"] = "v2",
        **kwargs: Any,
    ) -> Any:
        """Stream events; the config is read here for `v3`, which does not go through `stream`."""
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
        """Stream events asynchronously; see `stream_events`."""
        given = self._set_by(config) if version == "v3" else {}
        return super().astream_events(input, config, version=version, **{**given, **kwargs})

    @abstractmethod
    def _asking(self, kwargs: Mapping[str, Any]) -> Asking:
        """Return the router with its settings, for a call with these options."""

    def _decide_ahead(self, value: LanguageModelInput, kwargs: Mapping[str, Any]) -> Ahead | None:
        """Decide before the run begins; None where the call itself finds out why it cannot be decided."""
        config, options = split_options(kwargs)
        try:
            messages = self._convert_input(value).to_messages()
            return Ahead(self.routes, self._asking(options).decide(messages, options, config))
        except (CITError, ValueError, TypeError, NotImplementedError):
            return None

    async def _adecide_ahead(self, value: LanguageModelInput, kwargs: Mapping[str, Any]) -> Ahead | None:
        """Decide without blocking the event loop; see `_decide_ahead`."""
        config, options = split_options(kwargs)
        try:
            messages = self._convert_input(value).to_messages()
            return Ahead(self.routes, await self._asking(options).adecide(messages, options, config))
        except (CITError, ValueError, TypeError, NotImplementedError):
            return None

    def _begun(
        self, value: LanguageModelInput, kwargs: Mapping[str, Any], chunks: Iterator[AIMessageChunk]
    ) -> Iterator[AIMessageChunk]:
        with ahead(self._decide_ahead(value, kwargs)):
            first = next(chunks, None)  # the run begins and the decision is taken in here
        if first is not None:
            yield first
            yield from chunks

    async def _abegun(
        self, value: LanguageModelInput, kwargs: Mapping[str, Any], pieces: AsyncIterator[AIMessageChunk]
    ) -> AsyncIterator[AIMessageChunk]:
        async with closing(pieces) as chunks:
            with ahead(await self._adecide_ahead(value, kwargs)):
                first = await anext(chunks, None)
            if first is not None:
                yield first
                async for chunk in chunks:
                    yield chunk

    def _set_by(self, config: RunnableConfig | None) -> dict[str, Any]:
        set_ = ensure_config(config).get("configurable", {})
        check_keys(RunnableConfig(configurable=set_))
        known = {spec.id for spec in self.config_specs}
        given = {k: v for k, v in set_.items() if k in known and v is not None}
        return {"configurable": given} if given else {}
