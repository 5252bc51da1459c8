"""Inject faults into the store and count what was lost: python benchmarks/faults.py.

Processes are killed at random moments while they write, children are forked while threads write, bulk loads are killed,
the disk fills up, and eight processes write at once. On SQLite and, if CIT_TEST_POSTGRES_URL is set, on PostgreSQL (in
a schema of its own that is dropped afterwards). Exits with 1 if an acknowledged outcome is lost, a half batch is seen,
or a child hangs. Takes less than a minute with the defaults.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Annotated, NamedTuple

import typer
from rich.console import Console
from rich.table import Table
from store import schema_of_its_own

from cit_core.errors import StoreError
from cit_core.records import Candidate, Item, Outcome, Task
from cit_core.store import CapabilityStore, in_batches

ITEMS, BATCH, WRITERS = 20_000, 10, 8
BEGUN, DONE = b"b", b"."
CHILD_S = 30.0
"""A child that takes longer hangs."""


class Result(NamedTuple):
    """Counts of one kind of fault."""

    what: str
    faults: int
    acknowledged: int
    kept: int
    half_batches: int = 0
    hung: int = 0
    more: str = ""

    @property
    def lost(self) -> int:
        """Outcomes that were acknowledged and are not there."""
        return max(self.acknowledged - self.kept, 0)


def main(
    kills: Annotated[int, typer.Option(min=1, help="Processes to kill, of each kind.")] = 20,
    forks: Annotated[int, typer.Option(min=1, help="Children to fork while threads write.")] = 20,
    seconds: Annotated[float, typer.Option(min=1, help="How long eight processes write at once.")] = 5.0,
    seed: Annotated[int, typer.Option(help="Of the moments.")] = 0,
) -> None:
    """Inject faults and print what was lost."""
    moments = random.Random(seed)  # noqa: S311 - moments, no keys
    table = Table("store", "fault", "times", "acknowledged", "lost", "half batches", "hung", "")
    wrong = 0
    with ExitStack() as opened:
        urls = {"SQLite": f"sqlite:///{opened.enter_context(tempfile.TemporaryDirectory())}/store.db"}
        if server := os.environ.get("CIT_TEST_POSTGRES_URL"):
            urls["PostgreSQL"] = opened.enter_context(schema_of_its_own(server))
        for name, url in urls.items():
            _fill(url)
            results = [_kill(url, kills, moments), _kill_loads(url, kills, moments), _fork(url, forks)]
            results += [_fill_the_disk(url)] if name == "SQLite" else []
            results.append(_write_at_once(url, seconds))
            for result in results:
                counts = (result.faults, result.acknowledged, result.lost, result.half_batches, result.hung)
                table.add_row(name, result.what, *(f"{count:,}" for count in counts), result.more)
                wrong += result.lost + result.half_batches + result.hung
    Console().print(table)
    raise typer.Exit(1 if wrong else 0)


def _fill(url: str) -> None:
    with CapabilityStore(url) as store, store.transaction() as writer:
        writer.add_tasks([Task(id="task", keywords=("word",))])
        writer.add_candidates([Candidate(id="model")])
        for batch in in_batches((Item(id=f"item-{n}", task="task") for n in range(ITEMS)), 5_000):
            writer.add_items(batch)


def _outcomes(source: str, first: int, count: int = BATCH) -> list[Outcome]:
    numbers = range(first, first + count)
    return [Outcome(candidate="model", item=f"item-{n}", correct=1.0, source=source) for n in numbers]


def _kill(url: str, times: int, moments: random.Random) -> Result:
    """Kill a process that writes batch after batch, and compare with what it has acknowledged."""
    acknowledged = kept = half = 0
    for number in range(times):
        source = f"killed {number}"

        def write(said: int, source: str = source) -> None:
            with CapabilityStore(url) as store:
                for first in range(0, ITEMS, BATCH):
                    store.add_outcomes(_outcomes(source, first))
                    os.write(said, DONE)

        acknowledged += BATCH * _killed(write, moments.uniform(0.02, 0.3))
        with CapabilityStore(url) as store:
            found = len(store.measured("model", source))
        kept += found
        half += found % BATCH != 0
    return Result("killed while writing", times, acknowledged, kept, half, more="SIGKILL at random moments")


def _kill_loads(url: str, times: int, moments: random.Random) -> Result:
    """Kill a bulk load: either everything is seen or nothing."""
    seen = whole = half = 0
    for number in range(times):
        source = f"load {number}"

        def write(said: int, source: str = source) -> None:
            with CapabilityStore(url) as store:
                os.write(said, BEGUN)
                with store.bulk_load() as load:
                    for first in range(0, 200, BATCH):
                        with load.batch() as writer:
                            writer.add_outcomes(_outcomes(source, first))
                os.write(said, DONE)

        whole += 200 * _killed(write, moments.uniform(0.02, 0.5))
        with CapabilityStore(url) as store:
            found = len(store.measured("model", source))
        seen += found
        half += found not in (0, 200)
    return Result("killed in a bulk load", times, whole, seen, half, more="all of it or nothing")


def _fork(url: str, times: int) -> Result:
    """Fork children while threads write; both go on writing."""
    stop, counts = threading.Event(), [0, 0, 0]
    hung, longest = 0, 0.0
    with CapabilityStore(url) as store:

        def work(place: int) -> None:
            while not stop.is_set():
                store.add_outcomes(_outcomes(f"thread {place}", counts[place], 1))
                counts[place] += 1

        threads = [threading.Thread(target=work, args=(place,)) for place in range(3)]
        for thread in threads:
            thread.start()
        for number in range(times):
            began = time.perf_counter()
            child = _forked(lambda source=f"child {number}": store.add_outcomes(_outcomes(source, 0)))  # type: ignore[misc]
            longest = max(longest, time.perf_counter() - began)
            hung += not _ended(child)
        stop.set()
        for thread in threads:
            thread.join()
        sources = [f"thread {place}" for place in range(3)] + [f"child {number}" for number in range(times)]
        kept = sum(len(store.measured("model", source)) for source in sources)
    more = f"longest fork {1000 * longest:.0f} ms"
    return Result("forked while threads write", times, sum(counts) + times * BATCH, kept, hung=hung, more=more)


def _fill_the_disk(url: str) -> Result:
    """Write until no file may grow any more."""

    def write(said: int) -> None:
        with CapabilityStore(url) as store:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
            try:
                for first in range(0, ITEMS, BATCH):
                    store.add_outcomes(_outcomes("full", first))
                    os.write(said, DONE)
            except StoreError:
                os._exit(0)
            os._exit(1)

    acknowledged = BATCH * _killed(write, CHILD_S)
    with CapabilityStore(url) as store:
        kept = len(store.measured("model", "full"))
    return Result("disk full", 1, acknowledged, kept, kept % BATCH != 0)


def _write_at_once(url: str, seconds: float) -> Result:
    """Eight processes write outcome after outcome; each says how long every one took."""
    read, write = os.pipe()

    def work(name: str) -> None:
        with CapabilityStore(url) as store:
            end, took = time.monotonic() + seconds, []
            while time.monotonic() < end:
                began = time.perf_counter()
                store.add_outcomes(_outcomes(name, len(took), 1))
                took.append(time.perf_counter() - began)
        with os.fdopen(os.dup(write), "w") as file:
            file.write("".join(f"{each:.6f}\n" for each in took))

    children = [_forked(lambda name=f"writer {n}": work(name)) for n in range(WRITERS)]  # type: ignore[misc]
    os.close(write)
    with os.fdopen(read) as file:
        took = sorted(map(float, file.read().split()))
    hung = sum(not _ended(child) for child in children)
    with CapabilityStore(url) as store:
        kept = sum(len(store.measured("model", f"writer {n}")) for n in range(WRITERS))
    at = {name: 1000 * took[int(share * (len(took) - 1))] for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1))}
    more = ", ".join(f"{name} {milliseconds:.0f} ms" for name, milliseconds in at.items())
    return Result(f"{WRITERS} processes write", WRITERS, len(took), kept, hung=hung, more=more)


def _killed(work: Callable[[int], None], after_s: float) -> int:
    """Run `work` in a child, kill it after a while, and return how many dots it has written."""
    read, write = os.pipe()
    child = _forked(lambda: work(write))
    os.close(write)
    dots, deadline = 0, None
    os.set_blocking(read, False)
    while True:
        try:
            got = os.read(read, 65_536)
        except BlockingIOError:
            got = None
        if got == b"":
            break
        dots += (got or b"").count(DONE)
        if got and deadline is None:  # the clock starts when it writes
            deadline = time.monotonic() + after_s
        if deadline is not None and time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            deadline = time.monotonic() + CHILD_S
        time.sleep(0.001)
    os.close(read)
    os.waitpid(child, 0)
    return dots


def _forked(work: Callable[[], object]) -> int:
    child = os.fork()
    if child:
        return child
    try:
        work()
    finally:
        os._exit(0)


def _ended(child: int) -> bool:
    deadline = time.monotonic() + CHILD_S
    while time.monotonic() < deadline:
        if os.waitpid(child, os.WNOHANG)[0]:
            return True
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


if __name__ == "__main__":
    typer.run(main)
