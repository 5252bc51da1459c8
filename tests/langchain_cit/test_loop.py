"""An event loop is never blocked, and a thousand calls at once are answered rightly in bounded memory."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import langchain_core
import pytest
from blockbuster import BlockBuster, BlockingError, blockbuster_ctx
from langchain_core.runnables import RunnableLambda
from parrot import Parrot, prefer_large_for_hard

import cit_core
import langchain_cit
from cit_core import CapabilityStore, Router
from cit_core.records import Candidate
from cit_core.router import Batching, FakeScorer, Fallback, Sticky
from langchain_cit import RunnableRouter

SMALL, LARGE = "Meta-Llama-3.1-8B-Instruct", "gemini-1.5-pro-002"
QUERIES = ["easy one", "hard one", "easy two", "hard two"]


@pytest.fixture
def guarded() -> Iterator[BlockBuster]:
    """Every call that blocks is an error while an event loop runs, as in LangChain's own tests."""
    with blockbuster_ctx([cit_core, langchain_cit, langchain_core]) as buster:
        yield buster


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Router:
    """The shipped network on a store, so that all there is to block is there: files, a database, a session."""
    folder: Path = tmp_path_factory.mktemp("loop")
    store = CapabilityStore(f"sqlite:///{folder}/store.db")
    with store.transaction() as writer:
        writer.add_candidates([Candidate(id=id_) for id_ in (SMALL, LARGE)])
    return Router.from_store(store)


def failing_now_and_then(called: str) -> RunnableLambda:
    def answer(text: str) -> str:
        return f"{called} {text}"

    async def aanswer(text: str) -> str:
        await asyncio.sleep(0)
        if "two" in text:
            raise TimeoutError
        return answer(text)

    return RunnableLambda(answer, aanswer)


async def every_way(routing: Any) -> None:
    config = {"configurable": {"thread_id": "t"}}
    await routing.ainvoke("q", config)
    await routing.abatch(["q", "r"], config)
    [_ async for _ in routing.astream("q", config)]
    [_ async for _ in routing.abatch_as_completed(["q", "r"], config)]
    [_ async for _ in routing.astream_events("q", config, version="v2")]
    await routing.pick().ainvoke("q", config)
    await routing.pick().abatch(["q", "r"], config)
    await routing.as_key().ainvoke("q", config)

    async def parts() -> AsyncIterator[str]:
        yield "q"

    [_ async for _ in routing.atransform(parts(), config)]


async def test_the_guard_guards(guarded: BlockBuster, tmp_path: Path) -> None:
    """A scorer on the loop would be caught: this one reads a file."""

    def read(text: str, candidate: str) -> float:
        (tmp_path / "x").write_text("x")
        return 0.5

    router = Router(FakeScorer(read), [Candidate(id="a")], strict=True)
    with pytest.raises(BlockingError):
        router.route("q")
    assert (await router.aroute("q")).model == "a"


async def test_nothing_blocks_the_loop_with_the_real_network(real: Router, guarded: BlockBuster) -> None:
    routes = {SMALL: failing_now_and_then("small"), LARGE: failing_now_and_then("large")}
    await every_way(RunnableRouter(routes, real))
    await every_way(RunnableRouter(routes, real, sticky="conversation", context="conversation"))


async def test_nothing_blocks_the_loop_with_micro_batching(guarded: BlockBuster) -> None:
    zoo = [Candidate(id="small"), Candidate(id="large")]
    router = Router(FakeScorer(prefer_large_for_hard), zoo, batching=Batching(0.001))
    routing = RunnableRouter({c.id: failing_now_and_then(c.id) for c in zoo}, router, sticky=Sticky())
    await every_way(routing)
    await asyncio.gather(*(routing.ainvoke(f"hard {n}") for n in range(50)))


# -- a thousand at once -----------------------------------------------------------------------------------------------


def expected(number: int) -> str:
    query = f"{QUERIES[number % 4]} {number}"
    return f"{'large' if 'hard' in query else 'small'} heard {query}"


@pytest.mark.parametrize("batching", [None, Batching(max_wait_s=30, max_size=1000)], ids=["one by one", "together"])
async def test_a_thousand_calls_at_once(batching: Batching | None, guarded: BlockBuster) -> None:
    zoo, scorer = [Candidate(id="small"), Candidate(id="large")], FakeScorer(prefer_large_for_hard)
    routing = RunnableRouter(
        {c.id: Parrot(called=c.id) for c in zoo},
        Router(scorer, zoo, batching=batching),
        sticky=Sticky(remembered=10),
        fallback=Fallback(failures=1),
    )
    answers = await asyncio.gather(
        *(routing.ainvoke(f"{QUERIES[n % 4]} {n}", {"configurable": {"thread_id": str(n)}}) for n in range(1000))
    )
    assert [answer.text for answer in answers] == [expected(n) for n in range(1000)]
    sizes = [len(call) for call in scorer.calls]
    assert sum(sizes) == 1000
    assert sizes == ([1] * 1000 if batching is None else [1000])


async def test_what_a_router_keeps_does_not_grow_with_its_calls() -> None:
    zoo = [Candidate(id="small"), Candidate(id="large")]

    class Forgetful(FakeScorer):
        calls = property(lambda self: [], lambda self, calls: None)  # its notes are for tests, and grow

    router = Router(Forgetful(prefer_large_for_hard), zoo, batching=Batching(0.0))
    routing = RunnableRouter({c.id: RunnableLambda(str) for c in zoo}, router, sticky=Sticky(remembered=100))

    async def calls(count: int, first: int) -> None:
        for start in range(first, first + count, 50):
            await asyncio.gather(
                *(
                    routing.ainvoke(f"hard {n}", {"configurable": {"thread_id": str(n)}})
                    for n in range(start, start + 50)
                )
            )

    await calls(100, 0)
    tracemalloc.start()
    try:
        await calls(100, 100)
        before, _ = tracemalloc.get_traced_memory()
        await calls(500, 200)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 100_000, "500 calls leave less than 200 bytes each"
