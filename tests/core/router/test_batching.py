"""Calls that coincide are scored together, from threads and event loops, and each gets its own answer."""

import asyncio
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cit_core.errors import InvalidInput, NoCandidate
from cit_core.policy import Best, Constraints, CostAware
from cit_core.records import Candidate, Capability
from cit_core.router import Batching, FakeScorer, Query, Router
from cit_core.router.batching import Batcher

ZOO = [Candidate(id="small", price_in=0.1, price_out=0.1), Candidate(id="large", price_in=9, price_out=9)]


def by_parity(instruction: str, candidate: str) -> float:
    """The large one for odd numbers."""
    return 0.9 if (candidate == "large") == bool(int(instruction) % 2) else 0.4


def wanted(number: int) -> str:
    return "large" if number % 2 else "small"


@pytest.fixture
def scorer() -> FakeScorer:
    return FakeScorer(by_parity)


def test_it_is_off_by_default(scorer: FakeScorer) -> None:
    router, before = Router(scorer, ZOO), threading.active_count()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(router.route, map(str, range(8))))
    assert sorted(map(len, scorer.calls)) == [1] * 8
    assert threading.active_count() == before


async def test_a_thousand_tasks_at_once_are_one_call_of_the_scorer(scorer: FakeScorer) -> None:
    router = Router(scorer, ZOO, batching=Batching(max_wait_s=30, max_size=1000))
    decisions = await asyncio.gather(*(router.aroute(str(n)) for n in range(1000)))
    assert [d.model for d in decisions] == [wanted(n) for n in range(1000)]
    assert list(map(len, scorer.calls)) == [1000], "and a full batch waits no longer"


def test_threads_at_once_are_one_call_of_the_scorer(scorer: FakeScorer) -> None:
    router = Router(scorer, ZOO, batching=Batching(max_wait_s=20, max_size=16))
    with ThreadPoolExecutor(16) as pool:
        decisions = list(pool.map(router.route, map(str, range(16))))
    assert [d.model for d in decisions] == [wanted(n) for n in range(16)]
    assert list(map(len, scorer.calls)) == [16]


async def test_threads_and_tasks_share_a_batch(scorer: FakeScorer) -> None:
    router = Router(scorer, ZOO, batching=Batching(max_wait_s=20, max_size=4))
    decisions = await asyncio.gather(
        *(router.aroute(str(n)) for n in (0, 1)), *(asyncio.to_thread(router.route, str(n)) for n in (2, 3))
    )
    assert [d.model for d in decisions] == ["small", "large", "small", "large"]
    assert list(map(len, scorer.calls)) == [4]


async def test_a_batch_is_never_larger_than_its_limit(scorer: FakeScorer) -> None:
    router = Router(scorer, ZOO, batching=Batching(max_wait_s=0.5, max_size=7))
    decisions = await asyncio.gather(*(router.aroute(str(n)) for n in range(50)))
    assert [d.model for d in decisions] == [wanted(n) for n in range(50)]
    assert max(map(len, scorer.calls)) == 7
    assert sum(map(len, scorer.calls)) == 50


@pytest.mark.parametrize("wait", [0.0, 0.05])
def test_one_alone_is_answered_after_the_wait(scorer: FakeScorer, wait: float) -> None:
    router = Router(scorer, ZOO, batching=Batching(max_wait_s=wait))
    started = time.monotonic()
    assert router.route("1").model == "large"
    assert time.monotonic() - started >= wait * 0.9


def test_who_comes_alone_is_scored_at_once_and_who_comes_meanwhile_together() -> None:
    begun, may_end = threading.Event(), threading.Event()

    class Slow(FakeScorer):
        def score(self, instructions: Sequence[str], capabilities: Sequence[Capability]) -> Any:
            begun.set()
            may_end.wait(20)
            return super().score(instructions, capabilities)

    slow = Slow(by_parity)
    router = Router(slow, ZOO, batching=Batching())
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(router.route, "0")
        assert begun.wait(20), "it waits for nobody"
        others = [pool.submit(router.route, str(number)) for number in range(1, 6)]
        batcher = router._batcher
        while batcher._waiting.qsize() < 5:
            time.sleep(0.001)
        may_end.set()
        assert [one.result().model for one in (first, *others)] == [wanted(number) for number in range(6)]
    assert sorted(map(len, slow.calls)) == [1, 5]


async def test_each_query_keeps_its_own_policy_constraints_and_error(scorer: FakeScorer) -> None:
    router = Router(scorer, ZOO, batching=Batching(max_wait_s=20, max_size=5), strict=True)
    outcomes = await asyncio.gather(
        router.aroute("1"),
        router.aroute("1", policy=CostAware(1e-6)),
        router.aroute("1", constraints=Constraints(deny=frozenset({"large"}))),
        router.aroute("1", constraints=Constraints(deny=frozenset({"large", "small"}))),
        router.aroute(" "),
        return_exceptions=True,
    )
    assert [getattr(o, "model", type(o)) for o in outcomes] == ["large", "small", "small", NoCandidate, InvalidInput]
    assert list(map(len, scorer.calls)) == [3]


async def test_a_broken_scorer_fails_those_who_waited_for_it_and_nobody_else() -> None:
    class Flaky(FakeScorer):
        broken = True

        def score(self, instructions: Sequence[str], capabilities: Sequence[Capability]) -> Any:
            if self.broken:
                raise OSError("no memory")
            return super().score(instructions, capabilities)

    scorer = Flaky(by_parity)
    router = Router(scorer, ZOO, batching=Batching(max_wait_s=20, max_size=2), strict=True)
    outcomes = await asyncio.gather(router.aroute("1"), router.aroute("2"), return_exceptions=True)
    assert list(map(type, outcomes)) == [OSError, OSError]
    scorer.broken = False
    assert [d.model for d in await asyncio.gather(router.aroute("1"), router.aroute("2"))] == ["large", "small"]


async def test_who_is_cancelled_is_not_scored_and_harms_nobody(scorer: FakeScorer) -> None:
    router = Router(scorer, ZOO, batching=Batching(max_wait_s=0.2, max_size=64))
    staying, leaving = asyncio.create_task(router.aroute("1")), asyncio.create_task(router.aroute("2"))
    await asyncio.sleep(0.01)
    leaving.cancel()
    assert (await staying).model == "large"
    assert scorer.calls == [("1",)]


FORKS = """
import os, sys, threading, time
from cit_core.records import Candidate
from cit_core.router import Batching, FakeScorer, Query, Router
router = Router(FakeScorer({"one": 0.5}), [Candidate(id="one")], batching=Batching(max_wait_s=1.0))
waiting = router._batcher.submit(Query("q"))
while not router._batcher._working.locked() or not router._batcher._waiting.empty():
    time.sleep(0.001)
child = os.fork()
if child == 0:
    os._exit(0 if router._batcher.submit(Query("q")).result(timeout=20).model == "one" else 1)
assert os.waitpid(child, 0)[1] == 0
assert waiting.result(timeout=20).model == "one"
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_fork_while_somebody_waits_decides_by_itself() -> None:
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORKS], check=True, timeout=60)


def test_no_thread_is_left_behind(scorer: FakeScorer) -> None:
    router = Router(scorer, ZOO, batching=Batching(max_wait_s=0))
    for n in range(20):
        router.route(str(n))
    deadline = time.monotonic() + 10
    while any(thread.name == "cit-batching" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_nobody_is_forgotten_under_load(scorer: FakeScorer) -> None:
    """Many short bursts: each ends a worker while the next may be arriving."""
    router = Router(scorer, ZOO, batching=Batching(max_wait_s=0, max_size=3))
    with ThreadPoolExecutor(16) as pool:
        models = list(pool.map(lambda n: router.route(str(n)).model, range(2000)))
    assert models == [wanted(n) for n in range(2000)]
    assert sum(map(len, scorer.calls)) == 2000


def test_who_comes_while_the_worker_is_leaving_is_not_forgotten(
    scorer: FakeScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody submits after the worker's last look, and while it still counts as working."""
    look, late = Batcher._collect, []

    def collect(self: Batcher) -> Any:
        batch = look(self)
        if not batch and not late:
            late.append(self.submit(Query("2")))
            met.set()
        return batch

    met = threading.Event()
    monkeypatch.setattr(Batcher, "_collect", collect)
    assert Router(scorer, ZOO, batching=Batching(max_wait_s=0)).route("1").model == "large"
    assert met.wait(timeout=10)
    assert late[0].result(timeout=10).model == "small"


@pytest.mark.parametrize("options", [{"max_wait_s": -1}, {"max_wait_s": float("nan")}, {"max_size": 0}])
def test_settings_that_cannot_be_used_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=f"{next(iter(options))} is"):
        Batching(**options)


def test_a_batching_router_pickles() -> None:
    router = Router(FakeScorer({"small": 0.1, "large": 0.2}), ZOO, batching=Batching(max_wait_s=0))
    router.route("q")
    assert pickle.loads(pickle.dumps(router)).route("q").model == "large"


# -- queries with all that a call may set -----------------------------------------------------------------------------


def test_many_queries_are_one_call_each_with_its_own_settings(scorer: FakeScorer) -> None:
    router = Router(scorer, ZOO, strict=True)
    outcomes = router.decide_each(
        [
            Query("1"),
            Query("1", policy=CostAware(1e-6)),
            Query(""),
            Query("1", model="small"),
            Query("1", model="medium"),
            Query("1", model="large", constraints=Constraints(deny=frozenset({"large"}))),
        ]
    )
    assert [getattr(o, "model", str(o)[:25]) for o in outcomes] == [
        "large",
        "small",
        "the query is empty; pass ",
        "small",
        "no candidate 'medium' amo",
        "all 2 candidates are excl",
    ]
    assert list(map(len, scorer.calls)) == [3]
    assert router.decide_each([]) == []


async def test_a_named_candidate_is_chosen_whatever_the_policy_but_not_against_constraints(scorer: FakeScorer) -> None:
    unpriced = Candidate(id="unpriced")
    router = Router(
        FakeScorer({"small": 0.9, "large": 0.8, "unpriced": 0.1}),
        [*ZOO, unpriced],
        policy=CostAware(0.1),
        excluded={"large": "not measured yet"},
    )
    assert router.route("q").model == "small"
    for id_ in ("large", "unpriced"):
        decision = await router.adecide(Query("q", model=id_))
        assert (decision.model, decision.chosen_by, list(decision.scores)) == (id_, "caller", [id_])
        assert "(asked for, fake)" in decision.explain()
    limited = Router(scorer, ZOO, constraints=Constraints(deny=frozenset({"large"})))
    with pytest.raises(NoCandidate, match="large: denied"):
        limited.decide(Query("1", model="large"))


async def test_who_a_policy_leaves_without_a_candidate_costs_the_others_nothing() -> None:
    router = Router(FakeScorer({"unpriced": 0.5}), [Candidate(id="unpriced")], strict=True)
    bad, good = await router.adecide_each([Query("q", policy=CostAware(1.0)), Query("q", policy=Best())])
    assert isinstance(bad, NoCandidate)
    assert good.model == "unpriced"  # type: ignore[union-attr]
