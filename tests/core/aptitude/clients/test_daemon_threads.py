"""A function that hangs neither keeps others waiting nor the process from ending."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from cit_core.aptitude.clients._daemon_threads import DaemonThreads

HANGS = """
import asyncio, threading
from cit_core.aptitude.clients import CallableClient
from cit_core.aptitude.runner import RunOptions, run_aptitude
from cit_core.records import Item, Suite, Task
from cit_core.store import CapabilityStore

items = [Item(id=f"q{n}", task="t", instruction=f"{n} + 1?", answer=str(n + 1), grader="number") for n in range(2)]
suite = Suite(name="s", tasks=(Task(id="t", keywords=("sums",)),), items={"t": ("q0", "q1")})
with CapabilityStore("sqlite:///hangs.db") as store:
    hangs = CallableClient(lambda prompt: threading.Event().wait())
    report = run_aptitude(hangs, suite, items, store, candidate="m", options=RunOptions(timeout_s=0.2, attempts=1))
    print(report.published, report.stopped or report.failed)
"""


def test_a_hanging_function_does_not_keep_the_process_from_ending(tmp_path) -> None:  # type: ignore[no-untyped-def]
    ended = subprocess.run([sys.executable, "-c", HANGS], cwd=tmp_path, timeout=60, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "False" in ended.stdout
    assert "no answer within 0.2 s" in ended.stdout


async def test_it_serves_as_the_default_executor_of_a_loop() -> None:
    loop = asyncio.get_running_loop()
    loop.set_default_executor(DaemonThreads("mine"))
    thread = await asyncio.to_thread(threading.current_thread)
    assert (thread.name, thread.daemon) == ("mine", True)
    with pytest.raises(ZeroDivisionError):
        await asyncio.to_thread(lambda: 1 / 0)
