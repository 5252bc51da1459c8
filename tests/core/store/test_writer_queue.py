"""Writers write in the order in which they came: threads and processes, also when one of them dies."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cit_core.errors import StoreError
from cit_core.store.writer_queue import FairLock, TicketQueue, writer_queue_of


def test_threads_get_the_lock_in_the_order_in_which_they_asked() -> None:
    lock, came = FairLock(), []

    def work(number: int) -> None:
        with lock.hold(30):
            came.append(number)

    with lock.hold(30):
        threads = []
        for number in range(8):
            threads.append(threading.Thread(target=work, args=(number,)))
            threads[-1].start()
            while len(lock._waiting) <= number:
                time.sleep(0.001)
    for thread in threads:
        thread.join()
    assert came == list(range(8))


def test_who_asks_again_at_once_goes_to_the_end() -> None:
    """With a plain lock, a busy thread takes it again before a waiting one has woken up."""
    lock, came = FairLock(), []

    def work(name: str) -> None:
        for _ in range(20):
            with lock.hold(30):
                came.append(name)

    with lock.hold(30):
        threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
        for thread in threads:
            thread.start()
        while len(lock._waiting) < 2:
            time.sleep(0.001)
    for thread in threads:
        thread.join()
    both_wait = came[: 2 * min(came.index("a", -1) if came[-1] == "a" else 20, 20)]
    assert sorted(came) == ["a"] * 20 + ["b"] * 20
    assert max(len(list(run)) for run in _runs(both_wait)) <= 3


def _runs(names: list[str]) -> list[list[str]]:
    runs: list[list[str]] = []
    for name in names:
        if runs and runs[-1][0] == name:
            runs[-1].append(name)
        else:
            runs.append([name])
    return runs


def test_a_thread_that_waits_too_long_leaves_the_queue() -> None:
    lock = FairLock()
    with lock.hold(1), pytest.raises(StoreError, match="another thread has been writing for"), lock.hold(0.05):
        pass
    with lock.hold(0.0):
        assert not lock._waiting


QUEUER = """
import sys, time
from pathlib import Path
from cit_core.store.writer_queue import TicketQueue

queue, name, log = TicketQueue(Path(sys.argv[1])), sys.argv[2], Path(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
with queue.turn(60):
    with log.open("a") as file:
        file.write(name)
    print("mine", flush=True)
    sys.stdin.readline()
"""


class Queuer:
    """A process that waits for its turn."""

    def __init__(self, path: Path, name: str) -> None:
        command = [sys.executable, "-c", QUEUER, str(path), name, str(path.with_name("log"))]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
        self.process = subprocess.Popen(command, **pipes)  # type: ignore[call-overload]
        assert self.process.stdout.readline() == "ready\n"

    def go(self) -> None:
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def end(self) -> None:
        assert self.process.stdout.readline() == "mine\n"
        self.process.communicate("go\n", timeout=30)


def taken(path: Path) -> int:
    return int.from_bytes(path.read_bytes()[:8], "little")


def test_processes_write_in_the_order_in_which_they_came_and_the_dead_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "store.db-queue"
    names = "abcd"
    queuers = [Queuer(path, name) for name in names]
    own = TicketQueue(path)
    with own.turn(30):
        for place, queuer in enumerate(queuers):
            queuer.go()
            deadline = time.monotonic() + 30
            while taken(path) < place + 2:
                assert time.monotonic() < deadline
                time.sleep(0.005)
        queuers[1].process.kill()
        queuers[1].process.communicate()
    for place in (0, 2, 3):
        queuers[place].end()
    assert (tmp_path / "log").read_text() == "acd"


def test_a_folder_that_cannot_be_written_has_no_queue(tmp_path: Path) -> None:
    queue = TicketQueue(tmp_path / "nowhere" / "store.db-queue")
    with queue.turn(0.0):
        assert not (tmp_path / "nowhere").exists()


def test_stores_of_one_file_share_its_queue(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "store.db")
    queue = writer_queue_of(str(tmp_path / "store.db"))
    assert writer_queue_of(str(tmp_path / "link.db")) is queue
    assert writer_queue_of(str(tmp_path / "other.db")) is not queue
