"""Time limits for calls that have none of their own, sync and async, for answers in one piece and in a stream.

A sync call cannot be stopped from outside, so under a limit it runs in a daemon thread, in the caller's context. When
its time is up the thread is abandoned; it ends with the client's own timeout, and what it returns is dropped.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue
from typing import Any, Final, TypeVar

__all__ = ["acall_within", "aiterate_within", "call_within", "iterate_within"]

T = TypeVar("T")
Limit = Callable[[], float | None]
"""Returns the seconds that are left, None for no limit. Asked again when they are over: the limit may have moved."""
_END: Final = object()


def call_within(seconds: Limit, work: Callable[[], T]) -> T:
    """Return what a function returns.

    Args:
        seconds: Returns the limit [s]; where it is None at the beginning, there is no thread.
        work: The function.

    Raises:
        TimeoutError: If it takes longer.
    """
    if seconds() is None:
        return work()
    outcome: Future[T] = Future()
    _in_thread(partial(_settle, outcome, work))
    return _result(outcome, seconds)


def iterate_within(seconds: Limit, pieces: Iterator[T]) -> Generator[T, None, None]:
    """Yield the pieces of an iterator; each is computed when it is asked for.

    Args:
        seconds: Returns the limit for the next piece [s]; None for none. Asked again before every piece.
        pieces: The iterator; closed at the end, or when an abandoned step returns.

    Raises:
        TimeoutError: If a piece takes longer.
    """
    if seconds() is None:
        yield from pieces
        return
    wanted: SimpleQueue[Future[Any] | None] = SimpleQueue()
    _in_thread(partial(_serve, wanted, pieces))
    try:
        while True:
            outcome: Future[Any] = Future()
            wanted.put(outcome)
            piece = _result(outcome, seconds)
            if piece is _END:
                return
            yield piece
    finally:
        wanted.put(None)


async def acall_within(seconds: Limit, work: Awaitable[T]) -> T:
    """Await a coroutine within a time limit, and cancel it when its time is up; see `call_within`."""
    first = seconds()
    if first is None:
        return await work
    if sys.version_info >= (3, 11):
        limit = asyncio.timeout(None)  # in this task: a generator may hold what belongs to it
        try:
            async with limit:
                with _watched(seconds, first, limit.reschedule):
                    return await work
        except TimeoutError as error:
            if limit.expired():
                raise TimeoutError(_said(first)) from error
            raise
    task = asyncio.ensure_future(work)
    try:
        await _until_done(task, seconds, first)
    finally:
        task.cancel()
    return await task


@contextmanager
def _watched(seconds: Limit, first: float, end: Callable[[float], None]) -> Iterator[None]:
    """Call `end` with the time of now once nothing is left."""
    loop = asyncio.get_running_loop()
    timers: list[asyncio.TimerHandle] = []

    def look() -> None:
        left = seconds()
        if left is None:
            return
        if left > 0:
            timers[:] = [loop.call_later(left, look)]
        else:
            end(loop.time())

    timers.append(loop.call_later(first, look))
    try:
        yield
    finally:
        timers[0].cancel()


async def _until_done(task: asyncio.Future[Any], seconds: Limit, first: float) -> None:
    """Wait for a task within a limit, as Python 3.10 can."""
    left: float | None = first
    while not (await asyncio.wait({task}, timeout=left))[0]:
        left = seconds()
        if left is not None and left <= 0:
            raise TimeoutError(_said(first))


async def aiterate_within(seconds: Limit, pieces: AsyncIterator[T]) -> AsyncIterator[T]:
    """Yield the pieces of an async iterator within a time limit; the caller closes it. See `iterate_within`."""
    while True:
        piece: Any = await acall_within(seconds, _anext(pieces))
        if piece is _END:
            return
        yield piece


async def _anext(pieces: AsyncIterator[T]) -> T | object:
    return await anext(pieces, _END)


def _in_thread(work: Callable[[], None]) -> None:
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work,), name="cit-limited", daemon=True).start()


def _serve(wanted: SimpleQueue[Future[Any] | None], pieces: Iterator[Any]) -> None:
    while (outcome := wanted.get()) is not None:
        _settle(outcome, lambda: next(pieces, _END))
    close = getattr(pieces, "close", None)
    if close is not None:
        _settle(Future(), close)


def _settle(outcome: Future[Any], work: Callable[[], Any]) -> None:
    try:
        outcome.set_result(work())
    except BaseException as error:  # noqa: BLE001  # handed over: it is raised where the caller waits
        outcome.set_exception(error)


def _result(outcome: Future[T], seconds: Limit) -> T:
    first = left = seconds()
    while not wait([outcome], None if left is None else max(0.0, left)).done:
        left = seconds()
        if left is not None and left <= 0:
            raise TimeoutError(_said(first))
    return outcome.result()


def _said(seconds: float | None) -> str:
    return f"nothing came within {round(seconds or 0.0, 2):g} s"
