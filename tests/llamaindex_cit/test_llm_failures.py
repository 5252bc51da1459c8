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
from cit_core.router import Failover, FakeScorer, Router, Sticky
from llamaindex_cit import CITLLM


@pytest.mark.parametrize("method", CHATS + COMPLETIONS + WITH_TOOLS)
async def test_after_a_failure_the_next_best_answers(voices, router, method) -> None:
    voices["large"].fails_with = TimeoutError("no answer")
    failover = Failover(failures=2)
    llm = CITLLM(voices, router, failover=failover)
    for asked in (1, 2, 2):  # after two failures it is left alone
        last = (await call(llm, method, "hard"))[-1]
        assert (last.text if "complete" in method else last.message.content) == "small: hard"
        assert last.additional_kwargs["cit_route"] == "small"
        assert last.additional_kwargs["cit_decision"]["model"] == "large"
        assert len(voices["large"].heard) == asked
    assert failover.state("large") == "open"


@pytest.mark.parametrize("method", CHATS + COMPLETIONS + WITH_TOOLS)
async def test_other_errors_and_the_last_one_come_through(voices, router, method) -> None:
    voices["large"].fails_with = ValueError("a mistake")
    with pytest.raises(ValueError, match="a mistake"):
        await call(CITLLM(voices, router), method, "hard")
    voices["large"].fails_with = TimeoutError("no answer")
    with pytest.raises(TimeoutError, match="no answer"):
        await call(CITLLM(voices, router, failover=Failover(max_attempts=1)), method, "hard")
    assert not voices["small"].heard
    voices["small"].fails_with = Transient("neither")
    with pytest.raises(Transient, match="neither"):
        await call(CITLLM(voices, router), method, "hard")


@pytest.mark.parametrize("method", ["stream_chat", "astream_chat"])
async def test_a_stream_that_has_begun_is_not_begun_again(voices, router, method) -> None:
    voices["large"].fails_with, voices["large"].fails_after = TimeoutError("cut off"), 1
    llm = CITLLM(voices, router, failover=Failover(failures=1))
    stream = getattr(llm, method)([user("hard")])
    stream = await settled(stream)
    first = await anext(stream) if method == "astream_chat" else next(stream)
    with pytest.raises(TimeoutError, match="cut off"):
        await drained(stream)
    assert (first.delta, voices["small"].heard) == ("large", [])
    assert llm.failover.state("large") == "open"  # it counts against the candidate all the same


async def test_a_stream_that_nobody_reads_to_its_end_is_closed(router) -> None:
    class Plain(Voice):
        async def astream_chat(self, messages: Any, **kwargs: Any) -> Any:  # LlamaIndex's callbacks leave theirs open
            async def chunks() -> Any:
                try:
                    while True:
                        yield ChatResponse(message=user("on and on"))
                finally:
                    self.closed += 1

            return chunks()

    voice = Plain(called="large")
    llm = CITLLM({"large": voice}, router)
    stream = llm.stream_chat([user("hard")])
    next(stream)
    stream.close()
    assert voice.closed == 1
    stream = await llm.astream_chat([user("hard")])
    await anext(stream)
    await stream.aclose()
    assert voice.closed == 2
    assert llm.failover.state("large") == "closed"


@pytest.mark.parametrize("method", ["stream_chat", "astream_chat"])
async def test_a_stream_may_be_empty(router, method) -> None:
    class Silent(Voice):
        def _parts(self, text: str) -> list[Any]:
            return []

    assert await call(CITLLM({"large": Silent(called="large")}, router), method, "hard") == []


def test_llms_that_share_a_failover_share_what_it_knows(voices, router) -> None:
    failover = Failover(failures=1)
    voices["large"].fails_with = TimeoutError()
    CITLLM(voices, router, failover=failover).complete("hard")
    CITLLM(voices, router, failover=failover).complete("hard")
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
            assert (await call(llm, method, "q"))[-1].additional_kwargs["cit_route"] == "large"
