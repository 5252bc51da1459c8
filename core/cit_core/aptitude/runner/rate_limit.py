"""Rate limit: one for all requests of a run to a server."""

from __future__ import annotations

import asyncio

from cit_core.aptitude.runner.brake import Brake

__all__ = ["Pace"]


class Pace:
    """Rate limit of requests: evenly spaced, and none while the server asks for a pause.

    Args:
        per_minute: Requests at most; as fast as they come if not given.
        brake: Ends every wait.
    """

    def __init__(self, per_minute: float | None, brake: Brake) -> None:
        self._gap_s = 60.0 / per_minute if per_minute else 0.0
        self._next = 0.0
        self._brake = brake

    def pause(self, seconds: float) -> None:
        """Let no request start for some seconds."""
        self._next = max(self._next, _now() + seconds)

    async def turn(self) -> None:
        """Wait until a request may start.

        Raises:
            Halted: If the run stops.
        """
        while (wait := self._next - _now()) > 0:  # others wait too, and only one of us is the next
            await self._brake.sleep(wait)
        self._brake.check()
        self._next = _now() + self._gap_s


def _now() -> float:
    return asyncio.get_running_loop().time()
