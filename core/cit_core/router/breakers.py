"""Circuit breakers: skip a candidate for a while after it failed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from cit_core.fork import renew_after_fork

__all__ = ["Breakers", "CoolDown"]


@dataclass(frozen=True)
class CoolDown:
    """A cool-down that begins at once, without counting failures first.

    Attributes:
        seconds: Duration [s].
        final: True if an earlier call is pointless or unwelcome (a dead key, a `Retry-After`).
    """

    seconds: float
    final: bool = False


@dataclass
class _Breaker:
    failures: int = 0
    """Number of failures in a row."""
    blocked_until: float | None = None
    """Time of the next probe [s]; None while every call is let through."""
    cool_down: CoolDown = CoolDown(0.0)
    reason: str = ""
    probe: object = None
    """The caller with a running probe."""


class Breakers:
    """Per-candidate circuit breakers: closed, open for a cool-down, then half-open for one probe.

    The probe closes the breaker or opens it anew; one that never reports is replaced after another cool-down. Safe for
    threads, tasks and forked processes.

    Args:
        failures: Consecutive failures that open a breaker.
        cool_down_s: Duration for which an open breaker admits no caller [s].
        clock: Returns the time [s].
    """

    def __init__(self, failures: int, cool_down_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._failures = failures
        self._cool_down = CoolDown(cool_down_s)
        self._clock = clock
        self._breakers: dict[str, _Breaker] = {}
        self._lock = threading.Lock()
        renew_after_fork(self)

    def _renew_after_fork(self) -> None:
        self._lock = threading.Lock()

    def state(self, model: str) -> Literal["closed", "open", "half-open"]:
        """Return the state of a candidate's breaker."""
        with self._lock:
            breaker = self._breakers.get(model)
            if breaker is None or breaker.blocked_until is None:
                return "closed"
            return "half-open" if breaker.probe is not None or self._cooled(breaker) else "open"

    def cooling(self) -> dict[str, tuple[str, float]]:
        """Return for each candidate in its cool-down the reason and the time that is left [s]."""
        with self._lock:
            now = self._clock()
            return {
                model: (breaker.reason, breaker.blocked_until - now)
                for model, breaker in self._breakers.items()
                if breaker.blocked_until is not None and breaker.blocked_until > now
            }

    def admits(self, model: str, caller: object) -> bool:
        """Return whether a caller may ask a candidate now; where it is half-open, the caller becomes the one probe."""
        with self._lock:
            breaker = self._breakers.get(model)
            if breaker is None or breaker.blocked_until is None:
                return True
            if not self._cooled(breaker):
                return False
            self._block(breaker)
            breaker.probe = caller
            return True

    def may_answer(self, model: str) -> bool:
        """Return whether asking a candidate in its cool-down is better than giving up."""
        with self._lock:
            breaker = self._breakers.get(model)
            return breaker is None or not breaker.cool_down.final

    def succeeded(self, model: str) -> None:
        """Close the breaker of a candidate that answered."""
        with self._lock:
            self._breakers.pop(model, None)

    def failed(self, model: str, caller: object, reason: str = "", cool_down: CoolDown | None = None) -> None:
        """Count a failure; in a cool-down, only the probe's counts.

        Args:
            model: The candidate that failed.
            caller: The caller given to `admits`.
            reason: Reason for `cooling`.
            cool_down: Open the breaker at once, for so long.
        """
        with self._lock:
            breaker = self._breakers.setdefault(model, _Breaker())
            if breaker.blocked_until is not None and breaker.probe is not caller:
                longer = cool_down is not None and self._clock() + cool_down.seconds > breaker.blocked_until
                if not longer:
                    return
            breaker.failures += 1
            if cool_down is not None or breaker.failures >= self._failures:
                breaker.cool_down, breaker.reason = cool_down or self._cool_down, reason
                self._block(breaker)
                breaker.probe = None

    def abandoned(self, model: str, caller: object) -> None:
        """Make the next call the probe, if this caller was it: it learned nothing."""
        with self._lock:
            breaker = self._breakers.get(model)
            if breaker is not None and breaker.probe is caller:
                breaker.blocked_until, breaker.probe = self._clock(), None

    def _block(self, breaker: _Breaker) -> None:
        breaker.blocked_until = self._clock() + breaker.cool_down.seconds

    def _cooled(self, breaker: _Breaker) -> bool:
        return breaker.blocked_until is not None and self._clock() >= breaker.blocked_until
