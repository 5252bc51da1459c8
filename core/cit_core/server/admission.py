"""Admission: how many requests are decided and sent at once; the others wait in order, and beyond a number are refused.

Without it, 500 requests that come together are all half done at the same time, and connections to idle providers time
out. A request has a place from its decision until it is sent, not while its provider thinks.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from types import TracebackType

from cit_core.errors import CITError

__all__ = ["Admission", "Overloaded", "Place"]

GRACE, STEP_S = 4, 0.25
"""Steps, and the time of one [s], after which a request gives up its place though it is not sent: a provider that
cannot be connected to must not hold up the others. Steps, for a loop that is late needs more time to send."""


class Overloaded(CITError):
    """Too many requests wait already."""


class Place:
    """A place among the admitted; given up once."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._is_left = False
        self._wait(GRACE)

    def _wait(self, steps: int) -> None:
        then = partial(self._wait, steps - 1) if steps else self.leave
        self._limit = asyncio.get_running_loop().call_later(STEP_S, then)

    def leave(self) -> None:
        """Give the place to the next one."""
        if not self._is_left:
            self._is_left = True
            self._limit.cancel()
            self._admission._next()

    def __enter__(self) -> Place:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()


class Admission:
    """A queue in the order of coming. Of one event loop."""

    def __init__(self) -> None:
        self._admitted = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """Number of requests that wait."""
        return len(self._waiting)

    async def enter(self, at_once: int, queued: int) -> Place:
        """Wait for a place.

        Args:
            at_once: Most places.
            queued: Most requests that wait.

        Raises:
            Overloaded: If as many wait already.
        """
        if self._admitted < at_once:  # then nobody waits
            self._admitted += 1
            return Place(self)
        if len(self._waiting) >= queued:
            raise Overloaded(
                f"{queued} requests wait already; try again later, or allow more: [server] max_queued = {2 * queued}"
            )
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._waiting.remove(turn)
            else:  # its turn had just come
                self._next()
            raise
        return Place(self)

    def _next(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._admitted -= 1
