"""A process ends in order, whatever its threads are doing: exit status 0, nothing on stderr."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading

import pytest

from cit_core import shutdown
from cit_core.shutdown import uninterrupted


def end_of(code: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("batching", ["None", "Batching()"])
def test_a_process_ends_in_order_while_daemon_threads_route(batching: str) -> None:
    assert end_of(
        f"""
        import threading, time
        from cit_core import Router
        from cit_core.router import Batching
        router = Router.from_pretrained(batching={batching})
        def work(n):
            while True:
                router.route("word " * 150 + str(n))
        for n in range(16): threading.Thread(target=work, args=(n,), daemon=True).start()
        time.sleep(0.3)
        """
    ) == (0, "", "")


def test_a_network_that_is_used_by_itself_ends_in_order_too() -> None:
    assert end_of(
        """
        import threading, time
        from cit_core import load_scorer
        scorer = load_scorer()
        def work():
            while True:
                scorer.encode(["word " * 200])
        for n in range(8): threading.Thread(target=work, daemon=True).start()
        time.sleep(0.3)
        """
    ) == (0, "", "")


OPENS = """
import atexit, multiprocessing, threading, time
from cit_core import Router
def work():
    time.sleep(0.2)
    router = Router.from_models(["openai:gpt-5.6-luna", "openai:gpt-5.6-sol"])  # nobody has announced their end
    found = router.route_many([f"What is {n} times 7?" for n in range(8)])
    print(len(found), router.route("hi").warnings, flush=True)
def in_a_thread():
    threading.Thread(target=work).start()
"""


@pytest.mark.parametrize(
    "way",
    [
        "in_a_thread()",
        "atexit.register(work)",
        "child = multiprocessing.get_context('fork').Process(target=in_a_thread); child.start(); child.join()",
    ],
)
def test_a_router_is_opened_and_decides_after_the_main_thread_has_ended(way: str) -> None:
    assert end_of(OPENS + way) == (0, "8 ()\n", "")


def test_what_is_under_way_is_finished_and_nothing_begins_after() -> None:
    """The end waits for a slow scorer; its thread finds the door closed when it comes back."""
    assert end_of(
        """
        import sys, threading, time
        from cit_core import Candidate, Router
        class Slow:
            def score(self, texts, capabilities):
                began.set()
                time.sleep(0.5)
                sys.stdout.write("scored\\n")
                sys.stdout.flush()
                return [[0.5]] * len(texts)
        router = Router(Slow(), [Candidate(id="a")])
        began = threading.Event()
        def work():
            while True:
                router.route("q")
        threading.Thread(target=work, daemon=True).start()
        began.wait()
        """
    ) == (0, "scored\n", "")


def test_the_main_thread_may_still_route_at_the_end() -> None:
    assert end_of(
        """
        import atexit
        atexit.register(lambda: print(router.route("last words").model))
        from cit_core import Candidate, FakeScorer, Router
        router = Router(FakeScorer({"a": 0.5}), [Candidate(id="a")])
        """
    ) == (0, "a\n", "")


def test_the_end_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutdown, "LONGEST_WAIT_S", 0.01)
    gate, entered, leave = shutdown._Gate(), threading.Event(), threading.Event()

    def stay() -> None:
        gate.enter()
        entered.set()
        leave.wait(30)
        gate.leave()

    thread = threading.Thread(target=stay)
    thread.start()
    entered.wait(30)
    gate.close()
    leave.set()
    thread.join(30)
    assert not thread.is_alive()


def test_a_thread_that_is_inside_may_go_deeper_while_the_end_waits() -> None:
    gate, entered, closing, found = shutdown._Gate(), threading.Event(), threading.Event(), []

    def work() -> None:
        gate.enter()
        entered.set()
        closing.wait(30)
        gate.enter()
        found.append("deeper")
        gate.leave()
        gate.leave()

    thread = threading.Thread(target=work)
    thread.start()
    entered.wait(30)
    closer = threading.Thread(target=gate.close)
    closer.start()
    closing.set()
    closer.join(30)
    thread.join(30)
    assert found == ["deeper"]


def test_the_block_may_fail() -> None:
    with pytest.raises(ZeroDivisionError), uninterrupted():
        raise ZeroDivisionError
    assert shutdown._gate._inside == 0
