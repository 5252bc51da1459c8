"""Calls of a chat model that routes: what the config sets becomes an argument, all that `_generate` gets to see."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal

from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config

from langchain_cit._configurable import check_keys

__all__ = ["ConfigCalls"]


class ConfigCalls(BaseChatModel):
    """The public calls of `ChatCIT`; the entries are those of its `config_specs`."""

    def invoke(
        self,
        input: LanguageModelInput,  # noqa: A002
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """Route, then call the chosen candidate; the next-best if that cannot serve."""
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
        """As any chat model; only `v3` does not go through `stream`, which reads the config."""
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
        set_ = ensure_config(config).get("configurable", {})
        check_keys(RunnableConfig(configurable=set_))
        known = {spec.id for spec in self.config_specs}
        given = {k: v for k, v in set_.items() if k in known and v is not None}
        return {"configurable": given} if given else {}
