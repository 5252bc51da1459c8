"""CITLLM when candidates fail, when many call at once, and on an event loop."""

import asyncio
import time
from typing import Any

import pytest
from blockbuster import blockbuster_ctx
from llama_calls import CHATS, COMPLETIONS, WITH_TOOLS, call, drained, settled, user
from llama_index.core.base.llms.types import ChatResponse
from llama_voice import Voice
from llama_zoo import IDS

from cit_core.errors import Transient
from cit_core.records import Candidate
from cit_core.router import FakeScorer, Fallback, Router, Sticky
from llamaindex_cit import CITLLM


@pytest.mark.parametrize("method", CHATS + COMPLETIONS + WITH_TOOLS)
async def test_after_a_failure_the_next_best_answers(voices, router, method) -> None:
    voices["large"].fails_with = TimeoutError("no answer")
    fallback = Fallback(failures=2)
    llm = CITLLM(voices, router, fallback=fallback)
    for asked in (1, 2, 2):  # after two failures it is left alone
        last = (await call(llm, method, "hard"))[-1]
        assert (last.text if "complete" in method else last.message.content) == "small: hard"
        assert last.additional_kwargs["cit_model"] == "small"
        assert last.additional_kwargs["cit_route"]["model"] == "large"
        assert len(voices["large"].heard) == asked
    assert fallback.state("large") == "open"


@pytest.mark.parametrize("method", CHATS + COMPLETIONS + WITH_TOOLS)
async def test_other_errors_and_the_last_one_come_through(voices, router, method) -> None:
    voices["large"].fails_with = ValueError("a mistake")
    with pytest.raises(ValueError, match="a mistake"):
        await call(CITLLM(voices, router), method, "hard")
    voices["large"].fails_with = TimeoutError("no answer")
    with pytest.raises(TimeoutError, match="no answer"):
        await call(CITLLM(voices, router, fallback=Fallback(max_attempts=1)), method, "hard")
    assert not voices["small"].heard
    voices["small"].fails_with = Transient("neither")
    with pytest.raises(Transient, match="neither"):
        await call(CITLLM(voices, router), method, "hard")


@pytest.mark.parametrize("method", ["stream_chat", "astream_chat"])
async def test_a_stream_that_has_begun_is_not_begun_again(voices, router, method) -> None:
    voices["large"].fails_with, voices["large"].fails_after = TimeoutError("cut off"), 1
    llm = CITLLM(voices, router, fallback=Fallback(failures=1))
    stream = getattr(llm, method)([user("hard")])
    stream = await settled(stream)
    first = await anext(stream) if method == "astream_chat" else next(stream)
    with pytest.raises(TimeoutError, match="cut off"):
        await drained(stream)
    assert (first.delta, voices["small"].heard) == ("large", [])
    assert llm.fallback.state("large") == "open"  # it counts against the candidate all the same


class Endless(Voice):
    """Without LlamaIndex's callbacks, which leave what they wrap open."""

    def stream_chat(self, messages: Any, **kwargs: Any) -> Any:
        try:
            while True:
                yield ChatResponse(message=user("on and on"))
        finally:
            self.closed += 1

    async def astream_chat(self, messages: Any, **kwargs: Any) -> Any:
        async def chunks() -> Any:
            try:
                while True:
                    yield ChatResponse(message=user("on and on"))
            finally:
                self.closed += 1

        return chunks()


@pytest.mark.parametrize("read", [0, 1])
async def test_a_stream_that_nobody_reads_to_its_end_is_closed(router, read) -> None:
    llm = CITLLM({"large": Endless(called="large")}, router, fallback=Fallback(failures=1))
    stream = llm.stream_chat([user("hard")])
    for _ in range(read):
        next(stream)
    stream.close()
    assert llm.models["large"].closed == 1
    stream = await llm.astream_chat([user("hard")])
    for _ in range(read):
        await anext(stream)
    await stream.aclose()
    assert llm.models["large"].closed == 2
    assert llm.fallback.state("large") == "closed"


@pytest.mark.parametrize("method", ["stream_chat", "astream_chat"])
async def test_who_dies_in_every_stream_is_left_alone(voices, router, method) -> None:
    voices["large"].fails_with, voices["large"].fails_after = TimeoutError("cut off"), 1
    llm = CITLLM(voices, router, fallback=Fallback(failures=3))
    for _ in range(3):
        assert llm.fallback.state("large") == "closed"
        with pytest.raises(TimeoutError, match="cut off"):
            await call(llm, method, "hard")
    assert llm.fallback.state("large") == "open"


@pytest.mark.parametrize("method", ["stream_chat", "astream_chat"])
@pytest.mark.parametrize(("ending", "after"), [("read", "closed"), ("closed", "closed"), ("broken", "open")])
async def test_a_probe_ends_with_its_stream(voices, router, method, ending, after) -> None:
    now = [0.0]
    fallback = Fallback(failures=1, cool_down_s=30, clock=lambda: now[0])
    voices["large"].fails_with = TimeoutError("no answer")
    llm = CITLLM(voices, router, fallback=fallback)
    large = llm.models["large"]
    llm.chat([user("hard")])
    large.fails_with, large.fails_after = (TimeoutError("cut off") if ending == "broken" else None), 1
    now[0] = 31.0
    stream = await settled(getattr(llm, method)([user("hard")]))
    assert fallback.state("large") == "half-open"
    if ending == "closed":
        await stream.aclose() if method == "astream_chat" else stream.close()
    elif ending == "read":
        await drained(stream)
    else:
        with pytest.raises(TimeoutError, match="cut off"):
            await drained(stream)
    assert fallback.state("large") == after


@pytest.mark.parametrize("method", ["stream_chat", "astream_chat"])
async def test_a_stream_may_be_empty(router, method) -> None:
    class Silent(Voice):
        def _parts(self, text: str) -> list[Any]:
            return []

    assert await call(CITLLM({"large": Silent(called="large")}, router), method, "hard") == []


def test_llms_that_share_a_fallback_share_what_it_knows(voices, router) -> None:
    fallback = Fallback(failures=1)
    voices["large"].fails_with = TimeoutError()
    CITLLM(voices, router, fallback=fallback).complete("hard")
    CITLLM(voices, router, fallback=fallback).complete("hard")
    assert len(voices["large"].heard) == 1


# -- concurrency ------------------------------------------------------------------------------------------------------


class Limiter:
    """Counts how often it was asked to wait."""

    sync = asynchronous = 0

    def acquire(self) -> None:
        self.sync += 1

    async def async_acquire(self) -> None:
        self.asynchronous += 1


async def test_its_rate_limiter_is_honoured_beside_the_candidates(voices, router) -> None:
    outer, inner = Limiter(), Limiter()
    voices["large"].rate_limiter = inner
    llm = CITLLM(voices, router, rate_limiter=outer)
    for method in CHATS + COMPLETIONS:
        await call(llm, method, "hard")
    assert (outer.sync, outer.asynchronous) == (inner.sync, inner.asynchronous) == (4, 4)


@pytest.mark.parametrize("method", ["achat", "acomplete", "astream_chat", "astream_complete"])
async def test_a_call_cancelled_while_it_is_rate_limited_takes_no_probe(voices, router, method) -> None:
    class Full:
        async def async_acquire(self) -> None:
            await asyncio.Event().wait()

    now = [0.0]
    fallback = Fallback(failures=1, cool_down_s=30, clock=lambda: now[0])
    llm = CITLLM(voices, router, fallback=fallback)
    llm.models["large"].fails_with = TimeoutError("no answer")
    llm.complete("hard")
    llm.models["large"].fails_with = None
    now[0] = 31.0
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(
            call(CITLLM(voices, router, fallback=fallback, rate_limiter=Full()), method, "hard"), 0.05
        )
    assert llm.complete("hard").additional_kwargs["cit_model"] == "large"


async def test_two_hundred_at_once_do_not_mix(llm) -> None:
    texts = [f"{'hard' if number % 3 else 'easy'} {number}" for number in range(200)]
    answers = await asyncio.gather(*(llm.achat([user(text)]) for text in texts))
    wanted = [f"{'large' if 'hard' in text else 'small'}: {text}" for text in texts]
    assert [answer.message.content for answer in answers] == wanted


async def test_nothing_in_it_blocks_the_event_loop(voices) -> None:
    def score(_: str, id_: str) -> float:
        time.sleep(0.001)
        return 0.9 if id_ == "large" else 0.1

    llm = CITLLM(voices, Router(FakeScorer(score), [Candidate(id=id_) for id_ in IDS]), sticky=Sticky())
    with blockbuster_ctx():
        for method in ("achat", "acomplete", "astream_chat", "astream_complete", "achat_with_tools"):
            assert (await call(llm, method, "q"))[-1].additional_kwargs["cit_model"] == "large"
