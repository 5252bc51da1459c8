"""Measure a model in one call: suite, texts, options and the run. Both adapters use it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cit_core.aptitude.clients import Client
from cit_core.aptitude.clients._daemon_threads import DaemonThreads
from cit_core.aptitude.evidence_fit import fit_store
from cit_core.aptitude.runner import Progress, RunOptions, RunReport, arun_aptitude
from cit_core.aptitude.runner.runner import loop_is_running
from cit_core.aptitude.suites import BASICS, sources
from cit_core.errors import InvalidInput
from cit_core.records import Candidate
from cit_core.runtime import load_scorer
from cit_core.store import CapabilityStore

__all__ = ["ameasure", "measure"]


def measure(
    client: Client,
    *,
    store: CapabilityStore,
    suite: str = BASICS,
    texts: str | Path | None = None,
    questions: str | Path | None = None,
    candidate: str | Candidate | None = None,
    progress: Callable[[Progress], None] | None = None,
    **options: Any,
) -> RunReport:
    """Measure one model and return the report. Blocks until it is done, and closes the client at the end.

    Where an event loop is running already, as in a notebook, the test runs in a loop of its own in another thread.

    Args:
        client: Client of the model that is measured.
        store: Store of the outcomes; a test that was cut off is resumed.
        suite: Name or file of a suite.
        texts: File or dataset with the suite's texts; `cit-basics` generates its own.
        questions: File of your own questions and answers, in place of a suite (`cit_core.aptitude.suites.sources`).
        candidate: Id in the store, or a record with facts; the client's name if not given.
        progress: Called after every item and every repeated request, in the loop of the test.
        options: Fields of `cit_core.aptitude.runner.RunOptions`.

    Raises:
        InvalidInput: If the suite, the texts or an option cannot be used. Nothing was asked then.
        StoreError: If the store cannot be written. What was kept stays.
    """

    async def measure_and_close() -> RunReport:
        asyncio.get_running_loop().set_default_executor(DaemonThreads())  # a call that hangs is left behind
        try:
            return await ameasure(
                client,
                store=store,
                suite=suite,
                texts=texts,
                questions=questions,
                candidate=candidate,
                progress=progress,
                **options,
            )
        finally:
            close = getattr(client, "aclose", None)
            if close is not None:
                await close()

    return _run(measure_and_close())


async def ameasure(
    client: Client,
    *,
    store: CapabilityStore,
    suite: str = BASICS,
    texts: str | Path | None = None,
    questions: str | Path | None = None,
    candidate: str | Candidate | None = None,
    progress: Callable[[Progress], None] | None = None,
    **options: Any,
) -> RunReport:
    """Measure one model in the running event loop, as `measure` does. The client stays open.

    Raises:
        InvalidInput: If the suite, the texts or an option cannot be used. Nothing was asked then.
        StoreError: If the store cannot be written. What was kept stays.
    """
    chosen = RunOptions(**_known(options))
    asked, items = await asyncio.to_thread(sources.suite_and_items, suite, texts, questions)
    report = await arun_aptitude(client, asked, items, store, candidate=candidate, options=chosen, progress=progress)
    if report.published:  # its questions become evidence, too
        await asyncio.to_thread(fit_store, store, load_scorer(), anew=chosen.retest)
    return report


def _known(options: dict[str, Any]) -> dict[str, Any]:
    names = list(RunOptions.__dataclass_fields__)
    unknown = [name for name in options if name not in names]
    if unknown:
        raise InvalidInput(f"no option {unknown[0]!r} of a test; there are {', '.join(names)}")
    return options


def _run(work: Coroutine[Any, Any, RunReport]) -> RunReport:
    """Run a coroutine to its end, in another thread where this one has a running loop."""
    if not loop_is_running():
        return asyncio.run(work)
    started: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []

    async def noted() -> RunReport:
        task = asyncio.current_task()
        assert task is not None
        started.append((asyncio.get_running_loop(), task))
        return await work

    with ThreadPoolExecutor(1, "cit-measure") as thread:
        report = thread.submit(contextvars.copy_context().run, asyncio.run, noted())
        try:
            return report.result()
        finally:
            for loop, task in started if not report.done() else ():  # Ctrl-C: the test ends in order first
                loop.call_soon_threadsafe(task.cancel)
