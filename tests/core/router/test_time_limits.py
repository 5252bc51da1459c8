"""A call that takes too long is given up, and one that does not is as if there were no limit."""

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from time import monotonic, sleep

import pytest

from cit_core.router.time_limits import acall_within, aiterate_within, call_within, iterate_within

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


def within(seconds: float) -> Callable[[], float]:
    """Return what is left of a limit that begins now."""
    end = monotonic() + seconds
    return lambda: max(0.0, end - monotonic())


def test_a_call_within_its_limit_returns_or_raises_as_it_would() -> None:
    variable.set("mine")
    assert call_within(within(30), variable.get) == "mine"
    with pytest.raises(TimeoutError, match="its own"):
        call_within(within(30), lambda: (_ for _ in ()).throw(TimeoutError("its own")))
    assert call_within(lambda: None, threading.current_thread) is threading.current_thread()


def test_a_call_that_takes_too_long_is_given_up() -> None:
    release = threading.Event()
    with pytest.raises(TimeoutError, match=r"nothing came within 0\.0\d+ s"):
        call_within(within(0.05), release.wait)
    release.set()


def test_pieces_are_computed_when_they_are_asked_for() -> None:
    made: list[int] = []

    def pieces() -> Iterator[int]:
        for n in range(3):
            made.append(n)
            yield n

    stream = iterate_within(within(30), pieces())
    assert (next(stream), made) == (0, [0])
    assert list(stream) == [1, 2]


def test_a_piece_that_takes_too_long_ends_the_stream_which_is_closed_later() -> None:
    release, closed = threading.Event(), threading.Event()

    def pieces() -> Iterator[int]:
        try:
            yield 0
            release.wait(30)
            yield 1
        finally:
            closed.set()

    stream = iterate_within(within(0.1), pieces())
    assert next(stream) == 0
    with pytest.raises(TimeoutError):
        next(stream)
    release.set()
    assert closed.wait(30)


def test_a_reader_that_leaves_closes_the_stream() -> None:
    closed = threading.Event()

    def pieces() -> Iterator[int]:
        try:
            yield 0
            yield 1
        finally:
            closed.set()

    stream = iterate_within(within(30), pieces())
    assert next(stream) == 0
    stream.close()
    assert closed.wait(30)


def test_an_error_of_a_stream_comes_through() -> None:
    def pieces() -> Iterator[int]:
        yield 0
        raise KeyError("mine")

    stream = iterate_within(within(30), pieces())
    assert next(stream) == 0
    with pytest.raises(KeyError, match="mine"):
        next(stream)


async def test_the_same_without_threads() -> None:
    cancelled: list[bool] = []

    async def forever() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            cancelled.append(True)

    with pytest.raises(TimeoutError, match="nothing came within"):
        await acall_within(within(0.01), forever())
    assert cancelled == [True]
    assert await acall_within(within(30), asyncio.sleep(0, "x")) == "x"
    assert await acall_within(lambda: None, asyncio.sleep(0, "y")) == "y"


async def test_an_async_stream_has_a_limit_for_every_piece() -> None:
    async def pieces() -> AsyncIterator[int]:
        yield 0
        yield 1
        await asyncio.sleep(3600)

    stream = aiterate_within(within(0.2), pieces())
    assert [await anext(stream), await anext(stream)] == [0, 1]
    with pytest.raises(TimeoutError):
        await anext(stream)


async def test_a_limit_that_has_moved_is_asked_for_again() -> None:
    """A first token has come meanwhile: what is left of the call has another limit, or none."""
    has_come = False

    def left() -> float | None:
        return None if has_come else 0.05

    def work() -> str:
        nonlocal has_come
        has_come = True
        sleep(0.15)
        return "late"

    async def awork() -> str:
        nonlocal has_come
        has_come = True
        await asyncio.sleep(0.15)
        return "late"

    assert call_within(left, work) == "late"
    has_come = False
    assert await acall_within(left, awork()) == "late"
