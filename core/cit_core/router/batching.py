"""Calls that coincide are scored together: one forward for many queries, at the price of a short wait."""

from __future__ import annotations

import contextvars
import os
import queue
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from cit_core.errors import CITError, InvalidInput
from cit_core.records import Decision
from cit_core.router.query import Query
from cit_core.router.telemetry import tell_decision

__all__ = ["Batcher", "Batching"]


@dataclass(frozen=True)
class Batching:
    """How long a query may wait for company, and how many are scored together.

    Worth it for a scorer that is faster with many queries than with one, as a network on a GPU is; the shipped `mini`
    reads queries one by one.

    Attributes:
        max_wait_s: Longest wait of the first query of a batch before it is scored [s].
        max_size: Queries in one call of the scorer at most; as many are scored without further waiting.
    """

    max_wait_s: float = 0.005
    max_size: int = 64

    def __post_init__(self) -> None:
        if not 0.0 <= self.max_wait_s <= 60.0:
            raise InvalidInput(f"max_wait_s is {self.max_wait_s!r}; it must be between 0 and 60 seconds")
        if self.max_size < 1:
            raise InvalidInput(f"max_size is {self.max_size!r}; it must be 1 or more")


@dataclass(frozen=True)
class _Waiting:
    query: Query
    answer: Future[Decision] = field(default_factory=Future)
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    """Of the caller: what is told of the decision belongs to the caller's trace."""
    since_ns: int = field(default_factory=time.time_ns)


class Batcher:
    """Collects queries from threads and event loops and has them decided together. Thread-safe.

    A thread lives while there is something to decide, so nothing is left behind when the router is dropped. Batches are
    scored one after the other.

    Args:
        settings: How long to wait, and for how many.
        decide: Decides for a batch.
    """

    def __init__(
        self,
        settings: Batching,
        decide: Callable[[Sequence[Query]], Sequence[Decision | CITError]],
    ) -> None:
        self._settings = settings
        self._decide = decide
        self.begin_anew()
        _alive.add(self)

    def begin_anew(self) -> None:
        """Nobody waits and nobody works: as when it was made, and in a forked process, which has no worker."""
        self._waiting: queue.SimpleQueue[_Waiting] = queue.SimpleQueue()
        self._working = threading.Lock()

    def submit(self, query: Query) -> Future[Decision]:
        """Take a query in; never blocks."""
        waiting = _Waiting(query)
        self._waiting.put(waiting)
        self._work_if_nobody_does()
        return waiting.answer

    def __reduce__(self) -> tuple[type[Batcher], tuple[Any, ...]]:
        return Batcher, (self._settings, self._decide)  # who waits stays in the process that was asked

    def _work_if_nobody_does(self) -> None:
        if self._working.acquire(blocking=False):
            threading.Thread(target=self._work, name="cit-batching", daemon=True).start()

    def _work(self) -> None:
        try:
            while batch := self._collect():
                self._answer(batch)
        finally:
            self._working.release()
        if not self._waiting.empty():  # came after the last look, and found somebody working
            self._work_if_nobody_does()

    def _collect(self) -> list[_Waiting]:
        """Who waits, once they are enough or the first has waited long enough; nobody if nobody does."""
        batch: list[_Waiting] = []
        left = 0.0
        while len(batch) < self._settings.max_size:
            try:
                batch.append(self._waiting.get(timeout=left) if left > 0.0 else self._waiting.get_nowait())
            except queue.Empty:
                break
            waited = max(0.0, (time.time_ns() - batch[0].since_ns) / 1e9)  # a clock may be set back
            left = self._settings.max_wait_s - waited
        return batch

    def _answer(self, batch: Sequence[_Waiting]) -> None:
        batch = [waiting for waiting in batch if waiting.answer.set_running_or_notify_cancel()]
        if not batch:
            return
        try:
            outcomes = self._decide([waiting.query for waiting in batch])
        except BaseException as error:  # noqa: BLE001  # whatever a scorer raises belongs to those who wait
            for waiting in batch:
                waiting.answer.set_exception(error)
            return
        for waiting, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Decision):
                waiting.context.run(tell_decision, waiting.query, outcome, waiting.since_ns)
                waiting.answer.set_result(outcome)
            else:
                waiting.answer.set_exception(outcome)


_alive: weakref.WeakSet[Batcher] = weakref.WeakSet()


def _begin_all_anew() -> None:
    for batcher in list(_alive):
        batcher.begin_anew()


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_begin_all_anew)
