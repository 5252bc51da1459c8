"""Same calls that coincide are made once where the candidate caches, and nobody waits for more than one of them."""

import asyncio
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatResult
from pydantic import Field
from scripted import Scripted

from cit_core.router import Fallback
from langchain_cit import ChatCIT


class Slow(Scripted):
    """Takes its time; `at_once` says for every call how many were under way when it began."""

    at_once: list[int] = Field(default_factory=list)

    going: list[None] = Field(default_factory=list)

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        self.going.append(None)
        self.at_once.append(len(self.going))
        try:
            time.sleep(0.05)
            return super()._generate(*args, **kwargs)
        finally:
            self.going.pop()


async def at_once(chat: ChatCIT, questions: list[str], method: str) -> list[AIMessage]:
    """Answers to questions that are asked at the same time."""
    if method == "batch":
        return chat.batch(questions, {"max_concurrency": len(questions)})
    if method == "abatch":
        return await chat.abatch(questions)
    with ThreadPoolExecutor(len(questions)) as pool:
        return list(pool.map(chat.invoke, questions))


@pytest.mark.parametrize("method", ["batch", "abatch", "threads"])
async def test_same_calls_that_coincide_are_paid_once_where_the_candidate_caches(router, method) -> None:
    chat = ChatCIT({"small": Slow(model_name="s", cache=InMemoryCache()), "large": Slow(model_name="l")}, router)
    easy, hard = ["easy"] * 4 + ["easy too"], ["hard"] * 3
    answers = await at_once(chat, easy + hard, method)
    assert [answer.text for answer in answers] == [f"s says: {q}" for q in easy] + [f"l says: {q}" for q in hard]
    assert len(chat.routes["small"].heard) == 2
    assert len(chat.routes["large"].heard) == 3  # it has no cache: who asks thrice wants three answers
    assert not chat._flights._under_way


class Forgetful(InMemoryCache):
    """Keeps nothing."""

    def update(self, *_: Any) -> None:
        """Forget it."""


@pytest.mark.parametrize("method", ["batch", "abatch", "threads"])
async def test_who_waited_in_vain_asks_at_once_with_all_the_others(router, method) -> None:
    chat = ChatCIT({"small": Slow(model_name="s", cache=Forgetful()), "large": Slow(model_name="l")}, router)
    answers = await at_once(chat, ["easy"] * 6, method)
    assert [answer.text for answer in answers] == ["s says: easy"] * 6
    assert len(chat.routes["small"].at_once) == 6
    assert max(chat.routes["small"].at_once) > 2, "nobody queues behind those who queued"


async def test_after_a_failure_all_who_waited_go_to_the_next_best_and_none_waits_again(router) -> None:
    small = Slow(model_name="s", cache=InMemoryCache(), fails=TimeoutError("no"))
    chat = ChatCIT({"small": small, "large": Scripted(model_name="l")}, router, fallback=Fallback(failures=1))
    answers = await chat.abatch(["easy"] * 5)
    assert {answer.text for answer in answers} == {"l says: easy"}
    assert len(small.at_once) == 1, "the breaker had opened before the others went on"
    assert not chat._flights._under_way


async def test_a_call_that_is_cancelled_lets_the_next_one_pass(router) -> None:
    chat = ChatCIT({"small": Slow(model_name="s", cache=InMemoryCache()), "large": Slow(model_name="l")}, router)
    first = asyncio.create_task(chat.ainvoke("easy"))
    while not chat._flights._under_way:
        await asyncio.sleep(0.001)
    second = asyncio.create_task(chat.ainvoke("easy"))
    await asyncio.sleep(0.005)
    first.cancel()
    assert (await asyncio.wait_for(second, 5)).text == "s says: easy"
    assert not chat._flights._under_way


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_does_not_wait_for_a_call_of_its_parent(router) -> None:
    chat = ChatCIT({"small": Slow(model_name="s", cache=InMemoryCache()), "large": Slow(model_name="l")}, router)
    with ThreadPoolExecutor(1) as pool:
        parents = pool.submit(chat.invoke, "easy")
        while not chat._flights._under_way:
            time.sleep(0.001)
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            os._exit(0 if chat.invoke("easy").text == "s says: easy" else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert parents.result().text == "s says: easy"
