"""Ask a framework's model while it is measured, and leave it usable.

An async client keeps connections that belong to the event loop in which they were opened. A model that is measured in a
loop of its own would hold dead ones when that loop has ended, and so would every other model that shares its client
("Event loop is closed"). A blocking client belongs to no loop. So each question is asked through the model's blocking
method, in a daemon thread.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from cit_core.aptitude.clients._daemon_threads import DaemonThreads

__all__ = ["BlockingCalls"]

Question = TypeVar("Question")
Reply = TypeVar("Reply")


class BlockingCalls(Generic[Question, Reply]):
    """Calls of a model that never use the event loop they are awaited in.

    Args:
        call: Blocking method of the model.
        acall: Async method, for models that have no other: where `call` raises `NotImplementedError`.
    """

    def __init__(self, call: Callable[[Question], Reply], acall: Callable[[Question], Awaitable[Reply]]) -> None:
        self._call = call
        self._acall = acall
        self._async_alone = False
        self._threads = DaemonThreads()

    async def ask(self, question: Question) -> Reply:
        """Return the model's reply; raises what the model raises."""
        if not self._async_alone:
            run = contextvars.copy_context().run
            try:
                return await asyncio.get_running_loop().run_in_executor(self._threads, run, self._call, question)
            except NotImplementedError:
                self._async_alone = True
        return await self._acall(question)
