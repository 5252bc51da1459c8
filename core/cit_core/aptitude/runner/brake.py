"""Stop signal of a run: it keeps the reason and wakes every waiting task."""

from __future__ import annotations

import asyncio

__all__ = ["Brake", "Halted"]


class Halted(Exception):
    """The run stops; no request may start."""


class Brake:
    """Stop signal of a run, with its reason: running requests finish, none is started, sleeping workers wake up."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self._pulled = asyncio.Event()

    def pull(self, reason: str) -> None:
        """Stop; the first reason is kept."""
        self.reason = self.reason or reason
        self._pulled.set()

    def check(self) -> None:
        """Raise if the run stops.

        Raises:
            Halted: If the run stops.
        """
        if self._pulled.is_set():
            raise Halted

    async def sleep(self, seconds: float) -> None:
        """Sleep, unless the run stops.

        Raises:
            Halted: If the run stops, at once.
        """
        try:
            await asyncio.wait_for(self._pulled.wait(), seconds)
        except asyncio.TimeoutError:
            return
        raise Halted
