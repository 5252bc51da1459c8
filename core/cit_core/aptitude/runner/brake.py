"""The brake of a run: why it stops, and how everything that waits learns of it."""

from __future__ import annotations

import asyncio

__all__ = ["Brake", "Halted"]


class Halted(Exception):
    """The run stops: do not ask."""


class Brake:
    """Why a run stops. What was sent is waited for; nothing more is sent, and who sleeps wakes up."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self._pulled = asyncio.Event()

    def pull(self, reason: str) -> None:
        """Stop; the first reason is the one that is told."""
        self.reason = self.reason or reason
        self._pulled.set()

    def check(self) -> None:
        """Go on, or not.

        Raises:
            Halted: If the run stops.
        """
        if self._pulled.is_set():
            raise Halted

    async def sleep(self, seconds: float) -> None:
        """Wait, unless the run stops.

        Raises:
            Halted: If the run stops, at once.
        """
        try:
            await asyncio.wait_for(self._pulled.wait(), seconds)
        except asyncio.TimeoutError:
            return
        raise Halted
