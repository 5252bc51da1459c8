"""Work that would block an event loop, done in threads of our own.

Not in the loop's default executor, as `asyncio.to_thread` does: frameworks run whole sync candidates there, so a
decision would wait until one has answered - for ever, if that one waits for the decision.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Literal, ParamSpec, TypeVar

__all__ = ["aside"]

P = ParamSpec("P")
T = TypeVar("T")


async def aside(what: Literal["decisions", "feedback"], work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function in a thread, in the caller's context.

    Args:
        what: Whose threads; feedback may wait for a database, and no decision shall wait for that.
        work: The function.
        args: Its arguments.
        kwargs: Its keyword arguments.
    """
    call = partial(contextvars.copy_context().run, work, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_threads(what, os.getpid()), call)


@cache
def _threads(what: str, process: int) -> ThreadPoolExecutor:  # noqa: ARG001  # a fork has none of its parent's threads
    return ThreadPoolExecutor(min(32, (os.cpu_count() or 1) + 4), thread_name_prefix=f"cit-{what}")
