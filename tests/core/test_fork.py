"""Objects that ask for it are renewed in a forked child, in the order in which they asked."""

from __future__ import annotations

import gc
import multiprocessing
import os
import threading
import warnings
from multiprocessing.connection import Connection

from cit_core import fork
from cit_core.fork import no_fork, pause_during_fork, renew_after_fork


class Guarded:
    """A lock and how often it was renewed."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.renewed = 0
        renew_after_fork(self)

    def _renew_after_fork(self) -> None:
        self.lock = threading.Lock()
        self.renewed += 1


def _child(guarded: Guarded, answer: Connection) -> None:
    answer.send((guarded.renewed, guarded.lock.acquire(timeout=1.0)))


def test_a_lock_that_was_held_while_forking_is_free_in_the_child() -> None:
    guarded = Guarded()
    ours, theirs = multiprocessing.Pipe()
    with guarded.lock, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forking with threads
        child = multiprocessing.get_context("fork").Process(target=_child, args=(guarded, theirs))
        child.start()
        assert ours.poll(30.0)
        assert ours.recv() == (1, True)
    child.join()
    assert guarded.renewed == 0


def test_an_owner_that_is_gone_is_forgotten() -> None:
    guarded = Guarded()
    key = id(guarded)
    assert key in fork._owners
    del guarded
    gc.collect()
    assert key not in fork._owners


def test_a_fork_waits_for_what_must_not_be_forked_in_two() -> None:
    inside, leave, said = threading.Event(), threading.Event(), []

    def work() -> None:
        with no_fork():
            inside.set()
            leave.wait(30)
            said.append("finished")

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait(30)
    threading.Timer(0.2, leave.set).start()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork of a threaded process, which is the point
        pid = os.fork()
    if not pid:
        with no_fork():
            os._exit(0 if said == ["finished"] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    thread.join(30)


def test_a_thread_may_fork_within_the_block() -> None:
    with no_fork():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if not pid:
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    with no_fork():
        pass


class Resting:
    """Writes down what it is asked to do."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        renew_after_fork(self)
        pause_during_fork(self)

    def _pause_for_fork(self) -> None:
        self.asked.append("pause")

    def _resume_after_fork(self) -> None:
        self.asked.append("resume")

    def _renew_after_fork(self) -> None:
        self.asked.append("renew")


def _tell(resting: Resting, answer: Connection) -> None:
    answer.send(resting.asked)


def test_an_object_rests_during_the_fork_and_goes_on_afterwards() -> None:
    resting = Resting()
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=_tell, args=(resting, theirs))
    child.start()
    assert ours.poll(30.0)
    assert ours.recv() == ["pause", "renew"]
    child.join()
    assert resting.asked == ["pause", "resume"]
