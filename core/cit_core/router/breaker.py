"""Who failed lately is left alone for a while: a circuit breaker for every candidate."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Breakers"]


@dataclass
class _Breaker:
    failures: int = 0
    """In a row."""
    blocked_until: float | None = None
    """When the next probe is let through [s]; None while everybody is."""
    probe: object = None
    """Whose probe is under way."""


class Breakers:
    """Closed until `failures` in a row; then open for `cool_down_s`; then half-open: one probe is let through.

    The probe closes the breaker or opens it anew. One that never reports is replaced after another `cool_down_s`.
    Safe for threads and tasks.

    Args:
        failures: In a row, that open a breaker.
        cool_down_s: How long an open breaker lets nobody through [s].
        clock: Tells the time [s].
    """

    def __init__(self, failures: int, cool_down_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._failures = failures
        self._cool_down_s = cool_down_s
        self._clock = clock
        self._breakers: dict[str, _Breaker] = {}
        self._lock = threading.Lock()

    def state(self, model: str) -> Literal["closed", "open", "half-open"]:
        """Where a candidate's breaker is now."""
        with self._lock:
            breaker = self._breakers.get(model)
            if breaker is None or breaker.blocked_until is None:
                return "closed"
            return "half-open" if breaker.probe is not None or self._cooled(breaker) else "open"

    def admits(self, model: str, caller: object) -> bool:
        """Whether a caller may ask a candidate now; where it is half-open, a yes makes this call the one probe."""
        with self._lock:
            breaker = self._breakers.get(model)
            if breaker is None or breaker.blocked_until is None:
                return True
            if not self._cooled(breaker):
                return False
            self._block(breaker)
            breaker.probe = caller
            return True

    def succeeded(self, model: str) -> None:
        """It answered: all is forgotten."""
        with self._lock:
            self._breakers.pop(model, None)

    def failed(self, model: str, caller: object) -> None:
        """It failed to answer; where it is left alone already, the probe's failure alone is news."""
        with self._lock:
            breaker = self._breakers.setdefault(model, _Breaker())
            if breaker.blocked_until is not None and breaker.probe is not caller:
                return
            breaker.failures += 1
            if breaker.failures >= self._failures:
                self._block(breaker)
                breaker.probe = None

    def abandoned(self, model: str, caller: object) -> None:
        """It was asked, and nothing was learned about it: if that was the probe, the next call is."""
        with self._lock:
            breaker = self._breakers.get(model)
            if breaker is not None and breaker.probe is caller:
                breaker.blocked_until, breaker.probe = self._clock(), None

    def _block(self, breaker: _Breaker) -> None:
        breaker.blocked_until = self._clock() + self._cool_down_s

    def _cooled(self, breaker: _Breaker) -> bool:
        return breaker.blocked_until is not None and self._clock() >= breaker.blocked_until
