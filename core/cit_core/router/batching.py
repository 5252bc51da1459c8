"""Batching: score together the calls that come while others are being scored."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field
from pydantic.dataclasses import dataclass as pydantic_dataclass

from cit_core.errors import CITError, InvalidInput
from cit_core.fork import renew_after_fork
from cit_core.messages import shown
from cit_core.records import Decision
from cit_core.router.query import Query
from cit_core.router.telemetry import Caller
from cit_core.validation import OPTIONS, AtLeast0, Positive, our_errors

__all__ = ["Batcher", "Batching", "as_batching"]

Outcome = Decision | CITError
"""Result of a query."""


@our_errors
@pydantic_dataclass(frozen=True, config=OPTIONS)
class Batching:
    """Options for collecting queries that are scored together.

    Who comes while nothing is scored is scored at once; who comes meanwhile waits for the end, and is scored with all
    others who came. Worth it where many coincide: the shipped `mini` shares the queries of a batch among the cores, and
    a network on a GPU reads them in one forward.

    Attributes:
        max_wait_s: Longest wait of the first query of a batch for more, 0 to 60 [s]: a larger batch, a later answer.
        max_size: Most queries in one call of the scorer; as many are scored without further waiting.
    """

    max_wait_s: Annotated[AtLeast0, Field(le=60.0)] = 0.0
    max_size: Positive = 64


def as_batching(given: object) -> Batching | None:
    """Return how calls that coincide are scored together, or None if each is scored by itself.

    Raises:
        InvalidInput: If it is neither a `Batching`, nor its config, nor None.
    """
    if given is None or isinstance(given, Batching):
        return given
    if isinstance(given, Mapping) and all(isinstance(name, str) for name in given):
        return Batching(**given)
    raise InvalidInput(f"batching is {shown(given)}; use Batching(max_wait_s=..., max_size=...) of cit_core.router")


@dataclass(frozen=True)
class _Waiting:
    query: Query
    answer: Future[Outcome] = field(default_factory=Future)
    caller: Caller = field(default_factory=Caller.here)
    """Telemetry of the decision belongs to the caller's trace."""


class Batcher:
    """Collects queries from threads and event loops and has them decided together. Thread-safe.

    A thread lives while there is something to decide, so nothing is left behind when the router is dropped. Batches are
    scored one after the other. In a forked process no query waits: those of the parent stay with its threads.

    Args:
        settings: Longest wait and largest batch.
        decide: Decides for a batch.
    """

    def __init__(
        self, settings: Batching, decide: Callable[[Sequence[Query], Sequence[Caller]], Sequence[Outcome]]
    ) -> None:
        self._settings = settings
        self._decide = decide
        self._renew_after_fork()
        renew_after_fork(self)

    def _renew_after_fork(self) -> None:
        self._waiting: queue.SimpleQueue[_Waiting] = queue.SimpleQueue()
        self._working = threading.Lock()

    def submit(self, query: Query) -> Future[Outcome]:
        """Take a query in; never blocks.

        Raises:
            InvalidInput: If it is no `Query`: the others of its batch shall not fail for it.
        """
        if not isinstance(query, Query):
            raise InvalidInput(f"the query is {shown(query)}; it must be a cit_core.router.Query; route takes a text")
        waiting = _Waiting(query)
        self._waiting.put(waiting)
        self._ensure_worker()
        return waiting.answer

    def __reduce__(self) -> tuple[type[Batcher], tuple[Any, ...]]:
        return Batcher, (self._settings, self._decide)  # queries that wait stay in the process that was asked

    def _ensure_worker(self) -> None:
        if self._working.acquire(blocking=False):
            threading.Thread(target=self._work, name="cit-batching", daemon=True).start()

    def _work(self) -> None:
        try:
            while batch := self._collect():
                self._answer(batch)
        finally:
            self._working.release()
        if not self._waiting.empty():  # came after the last look, while another thread was working
            self._ensure_worker()

    def _collect(self) -> list[_Waiting]:
        """Return what waits, once it is enough or the first has waited long enough; nothing if nothing does."""
        batch: list[_Waiting] = []
        left = 0.0
        while len(batch) < self._settings.max_size:
            try:
                batch.append(self._waiting.get(timeout=left) if left > 0.0 else self._waiting.get_nowait())
            except queue.Empty:
                break
            waited = max(0.0, (time.time_ns() - batch[0].caller.since_ns) / 1e9)  # a clock may be set back
            left = self._settings.max_wait_s - waited
        return batch

    def _answer(self, batch: Sequence[_Waiting]) -> None:
        batch = [waiting for waiting in batch if waiting.answer.set_running_or_notify_cancel()]
        if not batch:
            return
        try:
            outcomes = self._decide([waiting.query for waiting in batch], [waiting.caller for waiting in batch])
        except BaseException as error:  # noqa: BLE001  # an error of the scorer belongs to the waiting callers
            for waiting in batch:
                waiting.answer.set_exception(error)
            return
        for waiting, outcome in zip(batch, outcomes, strict=True):
            waiting.answer.set_result(outcome)
