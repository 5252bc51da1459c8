"""A breaker that is open admits no caller before its time."""

import os
import threading

from hypothesis import given, settings
from hypothesis import strategies as st

from cit_core.router.breakers import Breakers, CoolDown


class Clock:
    """A clock that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.floats(0, 20)), max_size=40))
def test_an_open_breaker_admits_nobody_before_its_time(events: list[tuple[str, bool, float]]) -> None:
    clock = Clock()
    breakers = Breakers(2, 10.0, clock)
    failures, until = dict.fromkeys("abc", 0), dict.fromkeys("abc", 0.0)
    for model, good, wait in events:
        clock.now += wait
        caller = object()
        admitted = breakers.admits(model, caller)
        assert admitted == (failures[model] < 2 or clock.now >= until[model])
        if not admitted:
            continue
        if good:
            breakers.succeeded(model)
            failures[model] = 0
        else:
            breakers.failed(model, caller)
            failures[model] += 1
            until[model] = clock.now + 10.0


def test_a_cool_down_of_its_own_opens_at_once_and_is_kept_by_the_probe() -> None:
    clock = Clock()
    breakers, caller = Breakers(3, 10.0, clock), object()
    breakers.failed("a", caller, "key refused", CoolDown(100.0, final=True))
    assert breakers.cooling() == {"a": ("key refused", 100.0)}
    assert not breakers.may_answer("a")
    assert breakers.may_answer("b")
    clock.now += 100
    assert breakers.cooling() == {}
    assert breakers.admits("a", caller)
    clock.now += 99
    assert not breakers.admits("a", object()), "the probe has as long as the cool-down"
    breakers.succeeded("a")
    assert breakers.state("a") == "closed"
    assert breakers.may_answer("a")


def test_a_child_that_is_forked_while_the_lock_is_held_goes_on() -> None:
    breakers = Breakers(1, 10.0)
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with breakers._lock:
            held.set()
            release.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(30)
    pid = os.fork()
    if pid == 0:
        os._exit(0 if breakers.state("a") == "closed" else 1)
    release.set()
    holder.join()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
