"""A call reaches its candidate with that one's limits, and the next-best where it fails before its first token."""

import asyncio
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.rate_limiters import BaseRateLimiter
from scripted import Scripted, every_way

from cit_core.router import Fallback, Router
from langchain_cit import ChatCIT


class Turnstile(BaseRateLimiter):
    """Counts who passes."""

    def __init__(self) -> None:
        self.passed = 0

    def acquire(self, *, blocking: bool = True) -> bool:
        self.passed += 1
        return True

    async def aacquire(self, *, blocking: bool = True) -> bool:
        return self.acquire(blocking=blocking)


async def test_the_rate_limit_of_who_answers_is_kept(router) -> None:
    small, large = Turnstile(), Turnstile()
    routes = {
        "small": Scripted(model_name="s", rate_limiter=small),
        "large": Scripted(model_name="l", rate_limiter=large),
    }
    await every_way(ChatCIT(routes, router), "hard")
    assert (small.passed, large.passed) == (0, 4)


def over_broken(broken: Scripted, router: Router, **options: Any) -> ChatCIT:
    return ChatCIT({"small": Scripted(model_name="s"), "large": broken}, router, **options)


async def test_the_next_best_answers_for_who_cannot_be_reached(router) -> None:
    chat = over_broken(Scripted(model_name="l", fails=TimeoutError("slow")), router, fallback=Fallback(failures=99))
    for answer in await every_way(chat, "hard"):
        assert answer.text == "s says: hard"
        assert answer.response_metadata["model_name"] == "s"
        assert answer.response_metadata["cit_route"]["model"] == "large"
        told = answer.response_metadata["cit_fallback"]
        assert told["model"] == "small"
        assert told["failures"] == [{"model": "large", "error": "TimeoutError", "reason": "no answer"}]


async def test_once_a_piece_was_handed_on_the_error_is_the_callers(router) -> None:
    chat = over_broken(Scripted(model_name="l", fails=TimeoutError("slow"), fails_after=1), router)
    chunks = chat.stream("hard")
    assert next(chunks).text == "l "
    with pytest.raises(TimeoutError):
        next(chunks)
    achunks = chat.astream("hard")
    assert (await anext(achunks)).text == "l "
    with pytest.raises(TimeoutError):
        await anext(achunks)


class Tokens(BaseCallbackHandler):
    """Hears tokens, without asking for them."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def on_llm_new_token(self, token: Any, **_: Any) -> None:
        self.heard.append(token)


class Talkative(Scripted):
    """Streams inside, whoever asks, as some providers' models do."""

    streaming: bool = True


async def test_nor_does_another_one_begin_after_tokens_went_to_callbacks(router) -> None:
    talkative = Talkative(model_name="l", fails=TimeoutError("slow"), fails_after=1, streaming=True)
    chat = over_broken(talkative, router, fallback=Fallback(failures=99))
    for call in (chat.invoke, lambda q, config: asyncio.run(chat.ainvoke(q, config))):
        tokens = Tokens()
        with pytest.raises(TimeoutError):
            await asyncio.to_thread(call, "hard", {"callbacks": [tokens]})
        assert tokens.heard == ["l "]
    talkative.fails_after = 0
    assert chat.invoke("hard", {"callbacks": [Tokens()]}).text == "s says: hard"


async def test_other_errors_come_through_as_they_were_raised(router) -> None:
    chat = over_broken(Scripted(model_name="l", fails=ZeroDivisionError("a bug")), router)
    with pytest.raises(ZeroDivisionError):
        chat.invoke("hard")
    with pytest.raises(ZeroDivisionError):
        list(chat.stream("hard"))
