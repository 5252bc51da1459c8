"""Stores that were opened before a fork: in every child nothing that was acknowledged is lost, and nothing hangs."""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from store_records import outcome

from cit_core.errors import StoreError
from cit_core.records import Candidate, Item, Task
from cit_core.store import CapabilityStore

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")


@pytest.fixture
def shared(store: CapabilityStore) -> CapabilityStore:
    """A store with one candidate and items i0 to i99, which has been read and written."""
    with store.transaction() as writer:
        writer.add_tasks([Task(id="t", keywords=("k",))])
        writer.add_items([Item(id=f"i{n}", task="t") for n in range(100)])
        writer.add_candidates([Candidate(id="small")])
    return store


def fork(work: Callable[[], None]) -> int:
    """Run `work` in a forked child; its exit code is 0 if it returns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forking with threads
        child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the parent reads the exit code
        sys.stderr.write(f"child: {error!r}\n")
        sys.stderr.flush()
    finally:
        os._exit(1)


def exit_code(child: int, timeout_s: float = 60.0) -> int:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    raise AssertionError("the child hangs")


def write(store: CapabilityStore, source: str, count: int = 5) -> None:
    """Acknowledge one outcome after the other."""
    store.add_outcomes([outcome(f"i{n}", source=source) for n in range(count)], batch_size=1)


@contextmanager
def threads_that_write(store: CapabilityStore) -> Iterator[list[int]]:
    """Three threads write; yields how many outcomes were acknowledged to each."""
    stop, acknowledged = threading.Event(), [0, 0, 0]

    def work(place: int) -> None:
        while not stop.is_set() and acknowledged[place] < 100:
            store.add_outcomes([outcome(f"i{acknowledged[place]}", source=f"thread {place}")])
            acknowledged[place] += 1

    threads = [threading.Thread(target=work, args=(place,)) for place in range(3)]
    for thread in threads:
        thread.start()
    yield acknowledged
    stop.set()
    for thread in threads:
        thread.join(60)


def test_workers_of_a_prefork_server_share_a_store_that_was_opened_before(shared: CapabilityStore) -> None:
    """Gunicorn with `--preload`: the parent has used its connections, and goes on using them."""
    children = [fork(lambda name=f"worker {n}": write(shared, name)) for n in range(3)]  # type: ignore[misc]
    write(shared, "parent")
    assert [exit_code(child) for child in children] == [0, 0, 0]
    assert shared.outcome_count() == 4 * 5
    assert shared.version == 1 + 4 * 5


def test_children_of_children_write_too(shared: CapabilityStore) -> None:
    def work() -> None:
        write(shared, "child")
        assert exit_code(fork(lambda: write(shared, "grandchild"))) == 0
        write(shared, "child again")

    assert exit_code(fork(work)) == 0
    write(shared, "parent")
    assert shared.outcome_count() == 4 * 5


def test_children_forked_while_threads_write_lose_nothing_and_return(shared: CapabilityStore) -> None:
    """The threads hold locks and are within transactions at any moment of the fork."""
    with threads_that_write(shared) as acknowledged:
        for number in range(6):
            assert exit_code(fork(lambda name=f"child {number}": write(shared, name, 2))) == 0  # type: ignore[misc]
    assert shared.outcome_count() == sum(acknowledged) + 6 * 2


def test_a_child_leaves_the_transaction_of_its_parent_alone(shared: CapabilityStore, store_url: str) -> None:
    """PostgreSQL: the child writes on a connection of its own. SQLite: it is told what to do, and writes nothing."""
    is_file = store_url.startswith("sqlite")

    def work() -> None:
        if is_file:
            with pytest.raises(StoreError, match="forked while a transaction of the store was open"):
                shared.outcome_count()
            with pytest.raises(StoreError, match="forked while a transaction"):
                CapabilityStore(store_url)
        else:
            assert shared.outcome_count() == 0

    with shared.transaction() as writer:
        writer.add_outcomes([outcome("i0")])
        child = fork(work)
        assert exit_code(child) == 0
        writer.add_outcomes([outcome("i1")])
    assert shared.measured("small") == {"i0", "i1"}


def test_a_child_cannot_write_with_its_parents_writer(shared: CapabilityStore) -> None:
    def work() -> None:
        with pytest.raises(StoreError, match="belongs to the process that was forked"):
            writer.add_outcomes([outcome("i5")])

    with shared.transaction() as writer:
        assert exit_code(fork(work)) == 0
        writer.add_outcomes([outcome("i1")])
    assert shared.measured("small") == {"i1"}


def test_a_child_that_leaves_the_block_commits_nothing(shared: CapabilityStore) -> None:
    """As a program that daemonises within a transaction: only one of the two processes may end it."""
    child = 0
    try:
        with shared.transaction() as writer:
            writer.add_outcomes([outcome("i1")])
            child = fork_bare()
    except StoreError as error:
        os._exit(0 if "belongs to the process that was forked" in str(error) else 1)
    if not child:
        os._exit(2)
    assert exit_code(child) == 0
    assert shared.measured("small") == {"i1"}


def fork_bare() -> int:
    return os.fork()


def test_a_child_of_a_reader_in_the_middle_is_refused_or_reads_by_itself(
    shared: CapabilityStore, store_url: str
) -> None:
    write(shared, "run", 3)
    reader = shared.outcomes()
    assert next(reader).item == "i0"

    def work() -> None:
        if store_url.startswith("sqlite"):
            with pytest.raises(StoreError, match="End the transaction before you fork"):
                write(shared, "child")
        else:
            write(shared, "child")

    assert exit_code(fork(work)) == 0
    assert [o.item for o in reader] == ["i1", "i2"], "the parent goes on where it was"


WORKER = """
import sys
from store_records import outcome

def work(store, source):
    store.add_outcomes([outcome(f"i{n}", source=source) for n in range(5)], batch_size=1)
"""


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_a_store_is_an_argument_of_a_process(
    shared: CapabilityStore, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "store_worker.py").write_text(WORKER)
    monkeypatch.syspath_prepend(tmp_path)
    import store_worker  # type: ignore[import-not-found]

    monkeypatch.delitem(sys.modules, "store_worker")
    sys.modules["store_worker"] = store_worker
    context = multiprocessing.get_context(method)
    processes = [context.Process(target=store_worker.work, args=(shared, f"process {n}")) for n in range(2)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for process in processes:
            process.start()
    write(shared, "parent")
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    assert shared.outcome_count() == 3 * 5


DAEMON = """
import os, sys, time
from pathlib import Path
from store_records import outcome
from cit_core.store import CapabilityStore

url, folder, leave = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
store = CapabilityStore(url)
store.add_outcomes([outcome("i0", source="before")])
for _ in range(2):                      # python-daemon, `celery -D`, `uwsgi --daemonize`
    if os.fork():
        sys.exit() if leave == "exit" else os._exit(0)
    os.setsid()
store.add_outcomes([outcome("i1", source="daemon")])
(folder / "first").touch()
while not (folder / "go").exists():
    time.sleep(0.01)
store.add_outcomes([outcome(f"i{n}", source="daemon") for n in range(2, 8)], batch_size=1)
(folder / "second").touch()
"""


@pytest.mark.parametrize("leave", ["exit", "_exit"])
def test_a_daemon_keeps_what_it_acknowledged_after_others_came_and_went(
    shared: CapabilityStore, store_url: str, tmp_path: Path, leave: str
) -> None:
    """Its parents have exited, and another process has been the last to close the file."""
    shared.close()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "error", "-c", DAEMON, store_url, str(tmp_path), leave]
    subprocess.run(command, check=True, timeout=60, env=environment)
    wait_for(tmp_path / "first")
    look = "import sys; from cit_core.store import CapabilityStore; CapabilityStore(sys.argv[1]).candidates()"
    subprocess.run([sys.executable, "-c", look, store_url], check=True, timeout=60, env=environment)
    (tmp_path / "go").touch()
    wait_for(tmp_path / "second")
    assert {o.item for o in shared.outcomes()} == {f"i{n}" for n in range(8)}


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} did not come"
        time.sleep(0.01)


def test_a_fork_that_python_was_not_told_of_is_noticed(shared: CapabilityStore, store_url: str) -> None:
    """Servers written in C fork without Python's hooks: PostgreSQL goes on, SQLite says what to do."""
    connections = shared._connections
    assert shared.outcome_count() == 0
    connections._process = os.getpid() + 1  # what such a child finds
    if store_url.startswith("sqlite"):
        try:
            with pytest.raises(StoreError, match="lazy-apps"):
                shared.outcome_count()
        finally:
            from cit_core.store import connections as module

            module._unusable.clear()
    write(shared, "child")
    assert shared.outcome_count() == 5


APPLICATION = """
import json, os
from cit_core.records import Candidate, Outcome
from cit_core.router import FakeScorer, Router
from cit_core.store import CapabilityStore

store = CapabilityStore(os.environ["STORE"], create=False)
router = Router.from_store(store, FakeScorer({"small": 0.5}))
store.version  # a connection that is open when the workers are forked

def application(environ, start):
    item = environ["PATH_INFO"].strip("/")
    model = router.route(f"question {item}").model
    store.add_outcomes([Outcome(candidate=model, item=item, correct=1.0, source="served")])
    start("200 OK", [("Content-Type", "application/json")])
    return [json.dumps([item, os.getpid()]).encode()]
"""


class OverSocket(http.client.HTTPConnection):
    """HTTP to a Unix socket."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self.host)


@pytest.mark.parametrize("preload", [True, False], ids=["preload", "each worker its own"])
def test_gunicorn_serves_and_loses_nothing(
    shared: CapabilityStore, store_url: str, preload: bool, tmp_path: Path
) -> None:
    pytest.importorskip("gunicorn", reason="the server itself: pip install gunicorn")
    (tmp_path / "served.py").write_text(APPLICATION)
    with tempfile.TemporaryDirectory() as short:
        path = f"{short}/socket"
        options = ["--workers", "2", "--threads", "2", "--bind", f"unix:{path}", "--chdir", str(tmp_path)]
        options += ["--preload"] if preload else []
        environment = {**os.environ, "STORE": store_url, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-m", "gunicorn", *options, "served"]
        server = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        try:

            def ask(item: str) -> tuple[str, int]:
                with closing(OverSocket(path)) as connection:
                    connection.request("GET", f"/{item}")
                    with connection.getresponse() as response:
                        answered, process = json.load(response)
                return answered, process

            deadline = time.monotonic() + 60
            while not Path(path).exists():  # it listens as soon as it is there
                assert time.monotonic() < deadline
                assert server.poll() is None
                time.sleep(0.05)
            items = [f"i{n}" for n in range(24)]
            with ThreadPoolExecutor(8) as pool:
                answers = list(pool.map(ask, items))
        finally:
            server.terminate()
            said = server.communicate(timeout=60)[1]
    assert server.returncode == 0, said
    assert [answered for answered, _ in answers] == items
    assert server.pid not in {process for _, process in answers}
    assert shared.measured("small", "served") == set(items), said
    assert "Traceback" not in said
