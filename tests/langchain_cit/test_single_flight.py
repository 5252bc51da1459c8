"""Same calls that coincide are made once where the candidate caches, and nobody waits for more than one of them."""

import asyncio
import os
import signal
import threading
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


class AsksAgain(Scripted):
    """Asks the routed model the same, or what `asks` says, once, before it answers."""

    asks: dict[str, str] = Field(default_factory=dict)
    chats: list[ChatCIT] = Field(default_factory=list)
    meet: Any = None

    def _generate(self, messages: Any, *args: Any, **kwargs: Any) -> ChatResult:
        question = messages[-1].text
        if question in self.asks:
            again = self.asks.pop(question)
            if self.meet is not None:
                self.meet.wait(30)
            self.chats[0].invoke(again)
        return super()._generate(messages, *args, **kwargs)


def test_a_candidate_that_asks_the_same_again_does_not_wait_for_itself(router) -> None:
    model = AsksAgain(model_name="s", cache=InMemoryCache(), asks={"easy": "easy"})
    chat = ChatCIT({"small": model}, router)
    model.chats.append(chat)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(chat.invoke, "easy").result(30).text == "s says: easy"
    assert not chat._flights._under_way


async def test_nor_where_it_is_asked_in_an_event_loop(router) -> None:
    model = AsksAgain(model_name="s", cache=InMemoryCache(), asks={"easy": "easy"})
    chat = ChatCIT({"small": model}, router)
    model.chats.append(chat)
    assert (await asyncio.wait_for(chat.ainvoke("easy"), 30)).text == "s says: easy"


def test_two_calls_that_ask_for_each_other_wait_for_neither(router) -> None:
    asks = {"easy one": "easy two", "easy two": "easy one"}
    model = AsksAgain(model_name="s", cache=InMemoryCache(), asks=asks, meet=threading.Barrier(2))
    chat = ChatCIT({"small": model}, router)
    model.chats.append(chat)
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(chat.invoke, question) for question in ("easy one", "easy two")]
        assert [answer.result(30).text for answer in answers] == ["s says: easy one", "s says: easy two"]


def test_a_thread_of_the_candidates_own_makes_no_call_wait_for_ever(router, monkeypatch) -> None:
    monkeypatch.setattr("langchain_cit._single_flight.LONGEST_WAIT_S", 0.2)

    class InAThread(AsksAgain):
        def _generate(self, messages: Any, *args: Any, **kwargs: Any) -> ChatResult:
            if self.asks:
                again = self.asks.pop(messages[-1].text)
                thread = threading.Thread(target=self.chats[0].invoke, args=(again,))
                thread.start()
                thread.join(30)
            return Scripted._generate(self, messages, *args, **kwargs)

    model = InAThread(model_name="s", cache=InMemoryCache(), asks={"easy": "easy"})
    chat = ChatCIT({"small": model}, router)
    model.chats.append(chat)
    assert chat.invoke("easy").text == "s says: easy"
