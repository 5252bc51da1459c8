"""A forked child routes, whatever its parent was doing: prefork servers, threads, daemons, multiprocessing.

Every case is a process of its own, so that a fork copies nothing of the tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")

WAIT = """
import os, signal, sys, threading, time
def finished(pids, seconds=60):
    \"\"\"The exit statuses; a child that hangs is killed and counts as 'hangs'.\"\"\"
    found, deadline = [], time.monotonic() + seconds
    for pid in pids:
        while True:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                found.append(os.waitstatus_to_exitcode(status))
                break
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                found.append("hangs")
                break
            time.sleep(0.01)
    return found
"""


def run(code: str, timeout_s: float = 240) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", WAIT + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


def test_a_router_that_was_warm_before_the_fork_routes_in_every_child() -> None:
    said = run(
        """
        from cit_core import Router
        router = Router.from_pretrained(models=["gemini-1.5-pro-002", "Meta-Llama-3.1-8B-Instruct"])
        expected = router.route("What is 2+2?").scores
        pids = []
        for _ in range(3):
            pid = os.fork()
            if not pid:
                same = router.route("What is 2+2?").scores == expected
                router.route_many(["a?", "b?"] * 3)
                os._exit(0 if same else 1)
            pids.append(pid)
        print(finished(pids), router.route("What is 2+2?").scores == expected)
        """
    )
    assert said == "[0, 0, 0] True"


def test_no_child_of_a_threaded_parent_hangs() -> None:
    """40 children, while threads decide, remember conversations, fail, and give feedback."""
    said = run(
        """
        from cit_core import Candidate, FakeScorer, Router
        from cit_core.router import Batching, Fallback, Query, Sticky
        zoo = [Candidate(id=f"m{n}") for n in range(5)]
        scorer = FakeScorer({f"m{n}": n / 5 for n in range(5)})
        routers = [Router(scorer, zoo), Router(scorer, zoo, batching=Batching(max_wait_s=0.001))]
        sticky, fallback, stop = Sticky(remembered=50), Fallback(), threading.Event()
        def ask(n):
            for router in routers:
                decision = router.decide(Query(f"question {n}", conversation=sticky.conversation(n % 70)))
                attempts = fallback.attempts(decision)
                attempts.failed(TimeoutError()) if n % 3 == 0 else attempts.answered()
        def work(n):
            while not stop.is_set():
                ask(n)
                n += 1
        import logging; logging.disable()
        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads: thread.start()
        found = []
        for n in range(40):
            pid = os.fork()
            if not pid:
                for k in range(3): ask(k)
                os._exit(0)
            found += finished([pid], 20)
        stop.set()
        for thread in threads: thread.join()
        print(set(found), len(found))
        """
    )
    assert said == "{0} 40"


def test_a_child_of_a_parent_whose_threads_are_scoring_loads_the_network_again() -> None:
    said = run(
        """
        from cit_core import Router
        from cit_core.runtime import OnnxScorer
        base = Router.from_pretrained(models=["gemini-1.5-pro-002", "Meta-Llama-3.1-8B-Instruct"])
        router = Router(OnnxScorer("mini", threads=4), base.capabilities)
        stop = threading.Event()
        def work():
            while not stop.is_set():
                router.route("Which planet has the shortest day? " * 20)
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads: thread.start()
        found = []
        for n in range(6):
            pid = os.fork()
            if not pid:
                router.route("a?")
                os._exit(0)
            found += finished([pid], 60)
        stop.set()
        for thread in threads: thread.join()
        print(found)
        """
    )
    assert said == "[0, 0, 0, 0, 0, 0]"


def test_a_daemonised_process_leaves_in_order() -> None:
    """Its interpreter is taken down as usual, with the inherited sessions in it."""
    said = run(
        """
        from cit_core import Router
        router = Router.from_pretrained(models=["gemini-1.5-pro-002", "Meta-Llama-3.1-8B-Instruct"])
        router.route("warm")
        pid = os.fork()
        if pid:
            print(finished([pid]))
            os._exit(0) if sys.stdout.flush() else None
        else:
            router.route("cold")
        """
    )
    assert said == "[0]"


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_a_router_goes_to_a_process_of_any_kind(method: str) -> None:
    said = run(
        f"""
        import multiprocessing
        from cit_core import Candidate, FakeScorer, Router
        if __name__ == "__main__":
            router = Router(FakeScorer({{"a": 0.1, "b": 0.9}}), [Candidate(id="a"), Candidate(id="b")], batching={{}})
            router.route("warm")
            with multiprocessing.get_context("{method}").Pool(2) as pool:
                print([decision.model for decision in pool.map(router.route, ["p", "q", "r"])])
                pool.close()
                pool.join()
        """
    )
    assert said == "['b', 'b', 'b']"


def test_an_event_loop_in_the_child_has_threads_of_its_own() -> None:
    said = run(
        """
        import asyncio
        from cit_core import Candidate, FakeScorer, Router
        router = Router(FakeScorer({"a": 0.5}), [Candidate(id="a")])
        asyncio.run(router.aroute("warm"))
        pid = os.fork()
        if not pid:
            asyncio.run(router.aroute("cold"))
            os._exit(0)
        print(finished([pid], 20))
        """
    )
    assert said == "[0]"
