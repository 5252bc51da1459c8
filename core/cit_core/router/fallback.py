"""After a failure, the next-best candidate: who is asked, in which order, and who is left alone for a while.

Frameworks call candidates in many ways - sync, async, in streams, in batches - so this calls nobody. It is a state
machine that adapters loop over:

    attempts = fallback.attempts(decision)
    while True:
        with attempts:
            return ask(attempts.model)

The `with` takes in an error after which another candidate is to be asked; any other, and the last one, comes through.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

from cit_core.errors import InvalidInput
from cit_core.provider_errors import unavailable
from cit_core.records import Decision
from cit_core.router.telemetry import tell_failure

__all__ = ["Attempts", "Breakers", "Failure", "Fallback", "FallbackOn"]

NO_FAILURES = frozenset({"GraphBubbleUp"})
"""Exceptions by which a framework pauses a run: LangGraph's interrupts. Nobody has failed."""

FallbackOn = type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], bool]
"""Exceptions after which another candidate is asked."""


class Fallback:
    """Asks the next-best candidate after a failure, and leaves alone who fails again and again.

    One object may serve several adapters: who fails in one is then left alone in all. Safe for threads and tasks;
    pickles without what happened so far.

    Args:
        fallback_on: Exception classes, or a function that tells, after which another candidate is asked. If not given:
            timeouts, broken connections, rate limits and 5xx, as the clients of all providers raise them.
        max_attempts: Candidates asked for one answer, at most; 1 never falls back.
        failures: In a row, after which a candidate is left alone.
        cool_down_s: How long [s]; then a single call probes whether it answers again.
        clock: Tells the time [s].

    Raises:
        InvalidInput: If something given cannot be used.
    """

    def __init__(
        self,
        fallback_on: FallbackOn | None = None,
        *,
        max_attempts: int = 3,
        failures: int = 3,
        cool_down_s: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        _check(fallback_on)
        for name, number in {"max_attempts": max_attempts, "failures": failures}.items():
            if number < 1:
                raise InvalidInput(f"{name} is {number!r}; it must be 1 or more")
        if not cool_down_s >= 0.0:
            raise InvalidInput(f"cool_down_s is {cool_down_s!r}; it must be 0 or more seconds")
        self.fallback_on = fallback_on
        self.max_attempts = max_attempts
        self.failures = failures
        self.cool_down_s = cool_down_s
        self._breakers = Breakers(failures, cool_down_s, clock)

    def __repr__(self) -> str:
        return (
            f"Fallback({self.fallback_on!r}, max_attempts={self.max_attempts}, failures={self.failures}, "
            f"cool_down_s={self.cool_down_s})"
        )

    def __reduce__(self) -> tuple[Callable[..., Fallback], tuple[FallbackOn | None, int, int, float]]:
        return _fallback, (self.fallback_on, self.max_attempts, self.failures, self.cool_down_s)

    def attempts(self, decision: Decision) -> Attempts:
        """The attempts at one answer, in order of the decision's ranking."""
        return Attempts(self, self._breakers, decision)

    def state(self, model: str) -> Literal["closed", "open", "half-open"]:
        """Of a candidate's circuit breaker: `open` while it is left alone, `half-open` when it may be probed."""
        return self._breakers.state(model)

    def covers(self, error: BaseException) -> bool:
        """Whether another candidate may be asked after this error."""
        on = self.fallback_on
        if not isinstance(error, Exception) or any(kind.__name__ in NO_FAILURES for kind in type(error).__mro__):
            return False
        if on is None:
            return unavailable(error)
        return isinstance(error, on) if isinstance(on, type | tuple) else on(error)


@dataclass(frozen=True)
class Failure:
    """An attempt that failed."""

    model: str
    error: str
    """The name of the exception's class; its text may hold a prompt or a key."""


class Attempts:
    """The attempts at one answer, for one call. In a `while True`, or drive `failed` and `answered` yourself.

    Candidates in their cool-down are passed over, except that somebody is asked in any case: if all of them are, it is
    the chosen one.

    Attributes:
        model: Whose turn it is.
        failures: The attempts so far that failed.
    """

    def __init__(self, fallback: Fallback, breakers: Breakers, decision: Decision) -> None:
        self._fallback = fallback
        self._breakers = breakers
        self._decision = decision
        self._left = [ranked.model for ranked in decision.ranking]
        self._begun = False
        self.failures: tuple[Failure, ...] = ()
        self.model = self._next() or self._left.pop(0)

    @property
    def fell_back(self) -> bool:
        """Whether it is somebody else's turn than the decision's."""
        return self.model != self._decision.model

    def begun(self) -> None:
        """The first part of an answer is about to be handed on: from here on, an error is the caller's.

        Whether the candidate has answered is known when the answer is complete, or nobody wants the rest.
        """
        self._begun = True

    def answered(self) -> None:
        """The candidate has answered."""
        self._breakers.succeeded(self.model)

    def abandoned(self) -> None:
        """The candidate was not asked to the end, so nothing was learned: a probe is the next call's."""
        self._breakers.abandoned(self.model, self)

    @contextmanager
    def opening(self) -> Iterator[None]:
        """As `with attempts`, for a stream that is read elsewhere: within, its first part is waited for."""
        try:
            yield
        except BaseException as error:
            if not self.failed(error):
                raise
        else:
            self.begun()

    def failed(self, error: BaseException) -> bool:
        """The candidate has failed.

        Returns:
            Whether `model` is now another one to ask; if not, the error is the caller's.
        """
        if not self._fallback.covers(error):
            if self._begun and isinstance(error, GeneratorExit):  # whoever listened has heard enough
                self.answered()
            else:
                self.abandoned()
            return False
        failed, before = self.model, self.failures
        self._breakers.failed(failed, self)
        self.failures = (*before, Failure(failed, type(error).__name__))
        goes_on = not self._begun and len(self.failures) < self._fallback.max_attempts
        following = self._next() if goes_on else None
        tell_failure(self._decision, failed, error, following)
        if following is None:
            _note(error, before)
            return False
        self.model = following
        return True

    def __enter__(self) -> Attempts:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if error is not None:
            return self.failed(error)
        self.answered()
        return False

    def _next(self) -> str | None:
        model = next((model for model in self._left if self._breakers.admits(model, self)), None)
        if model is not None:
            self._left.remove(model)
        return model


def _check(fallback_on: object) -> None:
    kinds = fallback_on if isinstance(fallback_on, tuple) else (fallback_on,)
    classes = all(isinstance(kind, type) and issubclass(kind, Exception) for kind in kinds)
    if fallback_on is None or classes or (callable(fallback_on) and not isinstance(fallback_on, type)):
        return
    raise InvalidInput(
        f"fallback_on is {fallback_on!r}; it must be an exception class, a tuple of them, or a function of an exception"
    )


def _note(error: BaseException, before: tuple[Failure, ...]) -> None:
    """Say in the last error who else was asked, where Python can (3.11)."""
    if before and hasattr(error, "add_note"):
        error.add_note("asked before: " + ", ".join(f"{failure.model} ({failure.error})" for failure in before))


def _fallback(fallback_on: FallbackOn | None, max_attempts: int, failures: int, cool_down_s: float) -> Fallback:
    return Fallback(fallback_on, max_attempts=max_attempts, failures=failures, cool_down_s=cool_down_s)


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
