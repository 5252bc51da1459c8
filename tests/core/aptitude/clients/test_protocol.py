"""Functions and fakes as clients: threads, contexts, failures, and answers without text."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Any

import pytest

from cit_core.aptitude.clients import Answer, CallableClient, Client, FakeClient
from cit_core.aptitude.clients.protocol import checked_answer
from cit_core.errors import InvalidInput, Refused, Transient


def shout(prompt: str) -> str:
    return prompt.upper()


async def test_a_plain_function_is_called_in_a_thread_with_the_callers_context_and_an_async_one_is_awaited() -> None:
    who = contextvars.ContextVar("who", default="nobody")
    meet = threading.Barrier(8, timeout=30)  # broken unless all eight are called at once

    def plain(prompt: str) -> str:
        meet.wait()
        return f"{who.get()} asks {prompt}"

    async def later(prompt: str) -> Answer:
        await asyncio.sleep(0)
        return Answer(prompt, prompt_tokens=1, cost_usd=0.5)

    who.set("somebody")
    asked = CallableClient(plain)
    assert asked.name == "plain"
    answers = await asyncio.gather(*(asked.ask(str(n), key="") for n in range(8)))
    assert [answer.text for answer in answers] == [f"somebody asks {n}" for n in range(8)]
    asked = CallableClient(later, name="mine")
    assert asked.name == "mine"
    assert await asked.ask("q", key="") == Answer("q", prompt_tokens=1, cost_usd=0.5)


async def test_what_a_function_raises_or_returns_is_told_apart() -> None:
    def late(prompt: str) -> str:
        raise TimeoutError(prompt)

    def broken(prompt: str) -> str:
        raise KeyError(prompt)

    def numb(prompt: str) -> Any:
        return 7

    for function, expected in ((late, Transient), (broken, KeyError), (numb, InvalidInput)):
        asked = CallableClient(function)
        with pytest.raises(expected) as caught:
            await asked.ask("SECRET", key="")
        assert function is broken or "SECRET" not in str(caught.value)


async def test_the_fake_answers_fails_on_demand_and_keeps_its_calls() -> None:
    fake: Client = FakeClient(shout, failures=[None, Transient("busy", retry_after_s=1.0)])
    assert (await fake.ask("a", key="1")).text == "A"
    with pytest.raises(Transient, match="busy"):
        await fake.ask("b", key="2")
    assert (await fake.ask("b", key="2")).text == "B"
    assert isinstance(fake, FakeClient)
    assert fake.calls == [("a", "1"), ("b", "2"), ("b", "2")]


async def test_who_asks_the_fake_lets_others_ask() -> None:
    fake = FakeClient(lambda prompt: str(len(fake.calls)))
    answers = await asyncio.gather(*(fake.ask("q", key=str(n)) for n in range(3)))
    assert [answer.text for answer in answers] == ["3", "3", "3"]


@pytest.mark.parametrize("reason", ["length", "max_tokens", "MAX_TOKENS"])
def test_the_limit_of_tokens_cuts_an_answer_off_or_leaves_none(reason: str) -> None:
    assert checked_answer("The answer", reason).cut_off
    with pytest.raises(Refused, match="max_tokens was used up before it began"):
        checked_answer("", reason)
    assert not checked_answer("The answer", "stop").cut_off


@pytest.mark.parametrize("reason", ["content_filter", "SAFETY", "PROHIBITED_CONTENT"])
def test_what_the_provider_keeps_back_is_no_answer(reason: str) -> None:
    with pytest.raises(Refused, match="the provider kept it back"):
        checked_answer("", reason)
