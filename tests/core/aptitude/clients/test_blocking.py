"""A framework's model is asked in threads, so that no event loop's clients are touched."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar

import pytest

from cit_core.aptitude.clients.blocking import BlockingCalls

tenant: ContextVar[str] = ContextVar("tenant")


async def never(_: str) -> str:
    raise AssertionError("asked through the event loop")


async def test_calls_run_side_by_side_in_threads_with_the_callers_context() -> None:
    both = threading.Barrier(2, timeout=10)

    def call(question: str) -> tuple[str, str, str]:
        both.wait()
        return question, tenant.get(), threading.current_thread().name

    calls = BlockingCalls(call, never)  # type: ignore[arg-type]
    tenant.set("me")
    answers = await asyncio.gather(calls.ask("a"), calls.ask("b"))
    assert [answer[:2] for answer in answers] == [("a", "me"), ("b", "me")]
    assert threading.current_thread().name not in {answer[2] for answer in answers}


async def test_a_model_without_a_blocking_method_is_asked_in_the_loop_and_tried_once() -> None:
    tried = []

    def call(question: str) -> str:
        tried.append(question)
        raise NotImplementedError

    async def acall(question: str) -> str:
        return question.upper()

    calls = BlockingCalls(call, acall)
    assert [await calls.ask("a"), await calls.ask("b")] == ["A", "B"]
    assert tried == ["a"]


async def test_what_the_model_raises_is_raised() -> None:
    def call(_: str) -> str:
        raise KeyError("a mistake of the model")

    with pytest.raises(KeyError, match="a mistake"):
        await BlockingCalls(call, never).ask("a")
