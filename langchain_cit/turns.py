"""Calls that coincide: where a candidate has a cache, the second of two same calls waits for the answer to the first.

A cache alone serves calls that come one after the other. A batch, or a busy server, asks the same at the same time,
finds the cache empty each time and pays each time.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from typing import Any
from weakref import WeakValueDictionary

from langchain_core.caches import BaseCache
from langchain_core.globals import get_llm_cache
from langchain_core.language_models import BaseChatModel
from langchain_core.load import dumps
from langchain_core.messages import BaseMessage

__all__ = ["Turns"]


class Turns:
    """Lets the same calls of a candidate that caches pass one after the other, all others at once."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: WeakValueDictionary[Any, Any] = WeakValueDictionary()  # kept by those who hold them or wait

    def __reduce__(self) -> tuple[type[Turns], tuple[()]]:
        """A copy has calls of its own."""
        return Turns, ()

    def wait(
        self,
        id_: str,
        model: BaseChatModel,
        messages: Sequence[BaseMessage],
        stop: list[str] | None,
        options: Mapping[str, Any],
    ) -> AbstractContextManager[Any]:
        """Wait until no other thread makes this call.

        Args:
            id_: The candidate.
            model: Its chat model, which decides whether there is a cache.
            messages: As the model is given them, as are `stop` and `options`: what a cache tells calls apart by.
            stop: Of the call.
            options: Of the call.
        """
        if not _caches(model):
            return nullcontext()
        call = (id_, *_call(model, messages, stop, options))
        with self._guard:
            lock: threading.Lock = self._locks.setdefault(call, threading.Lock())
        return lock

    def await_(
        self,
        id_: str,
        model: BaseChatModel,
        messages: Sequence[BaseMessage],
        stop: list[str] | None,
        options: Mapping[str, Any],
    ) -> AbstractAsyncContextManager[Any]:
        """As `wait`, for the tasks of an event loop."""
        if not _caches(model):
            return nullcontext()
        call = (id_, *_call(model, messages, stop, options), asyncio.get_running_loop())
        with self._guard:
            lock: asyncio.Lock = self._locks.setdefault(call, asyncio.Lock())
        return lock


def _caches(model: BaseChatModel) -> bool:
    return isinstance(model.cache, BaseCache) or (model.cache is not False and get_llm_cache() is not None)


def _call(
    model: BaseChatModel, messages: Sequence[BaseMessage], stop: list[str] | None, options: Mapping[str, Any]
) -> tuple[str, str]:
    """What a cache tells calls apart by; the id of a message is not part of what is asked."""
    return dumps([message.model_copy(update={"id": None}) for message in messages]), model._get_llm_string(
        stop, **options
    )
