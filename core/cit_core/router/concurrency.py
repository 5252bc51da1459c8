"""Thread pools for work that would block an event loop.

Not the loop's default executor, which `asyncio.to_thread` uses: frameworks run whole sync candidates there, so a
decision would wait until one has answered - for ever, if that one waits for the decision.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Literal, ParamSpec, TypeVar

from cit_core.fork import renew_after_fork

__all__ = ["aside"]

P = ParamSpec("P")
T = TypeVar("T")

Purpose = Literal["decisions", "feedback", "verification"]


class _Pools:
    """One pool of threads for each purpose, made when it is first needed."""

    def __init__(self) -> None:
        self._renew_after_fork()
        renew_after_fork(self)

    def _renew_after_fork(self) -> None:
        self._lock = threading.Lock()
        self._pools: dict[str, ThreadPoolExecutor] = {}

    def of(self, purpose: Purpose) -> ThreadPoolExecutor:
        with self._lock:
            if purpose not in self._pools:
                most = min(32, (os.cpu_count() or 1) + 4)
                self._pools[purpose] = ThreadPoolExecutor(most, thread_name_prefix=f"cit-{purpose}")
            return self._pools[purpose]


_pools = _Pools()


async def aside(purpose: Purpose, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function in a thread, in the caller's context.

    Args:
        purpose: Name of the threads; feedback may wait for a database, and no decision shall wait for that.
        work: The function.
        args: Its arguments.
        kwargs: Its keyword arguments.
    """
    call = partial(contextvars.copy_context().run, work, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_pools.of(purpose), call)
