"""Single flight: where a candidate has a cache, a call waits for an equal one that is under way.

A cache alone serves calls that come one after the other. A batch, or a busy server, asks the same at the same time,
finds the cache empty each time and pays each time.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Hashable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from langchain_core.caches import BaseCache
from langchain_core.globals import get_llm_cache
from langchain_core.language_models import BaseChatModel
from langchain_core.load import dumps
from langchain_core.messages import BaseMessage

__all__ = ["Flights", "same_call"]

LONGEST_WAIT_S = 60.0
"""A call that has waited so long for another is made: that one may be waiting for it, through a thread of its own."""
_leading: ContextVar[bool] = ContextVar("cit_leading", default=False)
"""True inside a call that others may wait for. It waits for none then, so that no two calls wait for each other:
a candidate may ask the same router again, the same or another question."""


class Flights:
    """The calls under way. A call that follows one waits until it ends, well or not, and is then made at once.

    So a call waits for one other at most, whatever became of it: where nothing is in a cache then, all that waited are
    made.
    """

    def __init__(self) -> None:
        # Written to without a lock, as a dict may be: one that is held during a fork stays held in the child.
        self._under_way: dict[Hashable, Any] = {}

    def __reduce__(self) -> tuple[type[Flights], tuple[()]]:
        """Return an empty object: a copy has calls of its own."""
        return Flights, ()

    @contextmanager
    def follow(self, call: Hashable) -> Iterator[None]:
        """Make a call, after an equal one of another thread if there is one."""
        with self._joined((os.getpid(), call), threading.Event()) as leading:
            if leading is not None:
                leading.wait(LONGEST_WAIT_S)
            yield

    @asynccontextmanager
    async def afollow(self, call: Hashable) -> AsyncIterator[None]:
        """Wait as `follow` does, for the tasks of an event loop."""
        with self._joined((asyncio.get_running_loop(), call), asyncio.Event()) as leading:
            if leading is not None:
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(leading.wait(), LONGEST_WAIT_S)
            yield

    @contextmanager
    def _joined(self, place: Hashable, own: Any) -> Iterator[Any]:
        """Yield the event of the call ahead, set when it ends; None for the first, which sets `own` for the others."""
        leading = self._under_way.setdefault(place, own)
        if leading is not own:
            yield None if _leading.get() else leading
            return
        before = _leading.set(True)
        try:
            yield None
        finally:
            _leading.reset(before)
            del self._under_way[place]
            own.set()


def same_call(
    id_: str,
    routes: Mapping[str, BaseChatModel],
    messages: Sequence[BaseMessage],
    stop: list[str] | None,
    options: Mapping[str, Any],
) -> Hashable:
    """Return a key that is equal for calls which a cache answers alike; where there is no cache, each has its own.

    Args:
        id_: The candidate that is called.
        routes: The chat models by candidate, which decide whether there is a cache.
        messages: The messages; their ids are not part of what is asked.
        stop: The stop words of the call.
        options: The options of the call.
    """
    model = routes[id_]
    if not (isinstance(model.cache, BaseCache) or (model.cache is not False and get_llm_cache() is not None)):
        return object()
    asked = [message.model_copy(update={"id": None}) for message in messages]
    return id_, dumps(asked), model._get_llm_string(stop, **options)
