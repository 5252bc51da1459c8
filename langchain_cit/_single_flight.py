"""Calls that coincide: where a candidate has a cache, a call waits for a same one that is under way.

A cache alone serves calls that come one after the other. A batch, or a busy server, asks the same at the same time,
finds the cache empty each time and pays each time.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Hashable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from langchain_core.caches import BaseCache
from langchain_core.globals import get_llm_cache
from langchain_core.language_models import BaseChatModel
from langchain_core.load import dumps
from langchain_core.messages import BaseMessage

__all__ = ["Flights", "same_call"]


class Flights:
    """Knows which calls are under way. Who follows one waits until it ends, well or not, and then goes on at once.

    So a call waits for one other at most, whatever became of that: where nothing is in a cache then, all who waited
    ask.
    """

    def __init__(self) -> None:
        # Written to without a lock, as a dict may be: a lock could be held by nobody for ever in a forked process.
        self._under_way: dict[Hashable, Any] = {}

    def __reduce__(self) -> tuple[type[Flights], tuple[()]]:
        """A copy has calls of its own."""
        return Flights, ()

    @contextmanager
    def follow(self, call: Hashable) -> Iterator[None]:
        """Make a call, after the same one of another thread if there is one."""
        with self._joined((os.getpid(), call), threading.Event()) as leading:
            if leading is not None:
                leading.wait()
            yield

    @asynccontextmanager
    async def afollow(self, call: Hashable) -> AsyncIterator[None]:
        """As `follow`, for the tasks of an event loop."""
        with self._joined((asyncio.get_running_loop(), call), asyncio.Event()) as leading:
            if leading is not None:
                await leading.wait()
            yield

    @contextmanager
    def _joined(self, place: Hashable, own: Any) -> Iterator[Any]:
        """What tells when the one ahead has ended; None for who is first, whose `own` tells the others."""
        leading = self._under_way.setdefault(place, own)
        if leading is not own:
            yield leading
            return
        try:
            yield None
        finally:
            del self._under_way[place]
            own.set()


def same_call(
    id_: str,
    routes: Mapping[str, BaseChatModel],
    messages: Sequence[BaseMessage],
    stop: list[str] | None,
    options: Mapping[str, Any],
) -> Hashable:
    """What calls have in common that a cache answers alike; where there is no cache, a call is like no other.

    Args:
        id_: The candidate that is called.
        routes: Candidate id to its chat model, which decides whether there is a cache.
        messages: Of the call; their ids are not part of what is asked.
        stop: Of the call.
        options: Of the call.
    """
    model = routes[id_]
    if not (isinstance(model.cache, BaseCache) or (model.cache is not False and get_llm_cache() is not None)):
        return object()
    asked = [message.model_copy(update={"id": None}) for message in messages]
    return id_, dumps(asked), model._get_llm_string(stop, **options)
