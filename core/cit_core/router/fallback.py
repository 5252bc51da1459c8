"""Fallback: after a failure ask the next-best candidate, and skip a candidate that fails again and again.

Frameworks call candidates in many ways - sync, async, in streams, in batches - so this calls none. It is a state
machine that adapters loop over:

    attempts = fallback.attempts(decision)
    while True:
        with attempts:
            return ask(attempts.model)

The `with` takes in an error after which another candidate is to be asked; any other, and the last one, comes through.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

from cit_core.errors import InvalidInput
from cit_core.messages import shown
from cit_core.provider_errors import Fault, classify, unavailable
from cit_core.records import Decision
from cit_core.router.breakers import Breakers, CoolDown
from cit_core.router.telemetry import tell_failure

__all__ = ["Attempts", "Failure", "Fallback", "FallbackOn"]

NO_FAILURES = frozenset({"GraphBubbleUp"})
"""Exceptions by which a framework pauses a run: LangGraph's interrupts. No candidate has failed."""
SMALL_ZOO = 10
"""Candidates that are tried for one answer where `max_attempts` is not given."""
DEAD = frozenset({"authentication", "not_found", "permission", "quota"})
"""Faults that no waiting mends: a key, an account or a model's name must be changed."""
OF_THE_QUESTION = frozenset({"content_filter", "context_length", "invalid_request"})
"""Faults that say nothing about the next question."""

FallbackOn = type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], bool]
"""Exceptions after which another candidate is asked."""


class Fallback:
    """Ask the next-best candidate after a failure, and skip a candidate that fails again and again.

    By default another candidate is asked where one cannot serve, as the clients of all providers report it: timeouts,
    broken connections, 5xx and overload (also inside a stream, before its first token), rate limits, a refused key or
    permission, no money left, an unknown or retired model, a prompt too long for its context window, a content filter.
    An invalid request and any error of your own code come through.

    One object may serve several adapters: a candidate that fails in one is then skipped in all. Safe for threads, tasks
    and forked processes; pickles without what happened so far.

    Args:
        fallback_on: Exception classes that count too, beside the default. Or a function of an exception, which replaces
            the default: it alone says after which errors another candidate is asked.
        max_attempts: Candidates asked for one answer, at most; 1 never falls back. All, up to 10, if not given.
        failures: Consecutive failures after which a candidate is skipped. A rate limit or a `Retry-After` cools down at
            once, a dead key, account or model at once and for `long_cool_down_s`; a prompt too long or filtered, never.
        cool_down_s: How long a candidate is skipped [s], where the provider's `Retry-After` does not say; then one call
            probes whether it answers again.
        long_cool_down_s: The same for 401, 402, 403 and 404 [s].
        timeout_s: Limit of a call as a whole, over all attempts [s].
        attempt_timeout_s: Limit of one candidate's whole answer [s].
        first_token_timeout_s: Limit of one candidate's time to the first token of a stream [s]; an agent's answers that
            are followed token by token are streams too.
        sdk_retries: Retries that the clients of providers may make by themselves, where their object allows a limit; as
            they are set if not given.
        clock: Returns the time [s].

    Raises:
        InvalidInput: If an option cannot be used.
    """

    def __init__(
        self,
        fallback_on: FallbackOn | None = None,
        *,
        max_attempts: int | None = None,
        failures: int = 3,
        cool_down_s: float = 30.0,
        long_cool_down_s: float = 600.0,
        timeout_s: float | None = None,
        attempt_timeout_s: float | None = None,
        first_token_timeout_s: float | None = None,
        sdk_retries: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        _check_fallback_on(fallback_on)
        _check_count("failures", failures)
        if max_attempts is not None:
            _check_count("max_attempts", max_attempts)
        if sdk_retries is not None:
            _check_count("sdk_retries", sdk_retries, least=0)
        self.fallback_on = fallback_on
        self.max_attempts = max_attempts
        self.failures = failures
        self.cool_down_s = _check_seconds("cool_down_s", cool_down_s)
        self.long_cool_down_s = _check_seconds("long_cool_down_s", long_cool_down_s)
        self.timeout_s = _check_limit("timeout_s", timeout_s)
        self.attempt_timeout_s = _check_limit("attempt_timeout_s", attempt_timeout_s)
        self.first_token_timeout_s = _check_limit("first_token_timeout_s", first_token_timeout_s)
        self.sdk_retries = sdk_retries
        self._clock = clock
        self._breakers = Breakers(failures, cool_down_s, clock)

    @property
    def settings(self) -> dict[str, Any]:
        """The options by name, without the clock."""
        names = ("fallback_on", "max_attempts", "failures", "cool_down_s", "long_cool_down_s")
        limits = ("timeout_s", "attempt_timeout_s", "first_token_timeout_s", "sdk_retries")
        return {name: getattr(self, name) for name in (*names, *limits)}

    def __repr__(self) -> str:
        return f"Fallback({', '.join(f'{name}={_shown(value)}' for name, value in self.settings.items())})"

    def __reduce__(self) -> tuple[Callable[..., Fallback], tuple[dict[str, Any]]]:
        return _fallback, (self.settings,)

    def attempts(self, decision: Decision, windows: Mapping[str, int | None] | None = None) -> Attempts:
        """Return the attempts at one answer, in order of the decision's ranking.

        Args:
            decision: The decision; its ranking is the order of attempts.
            windows: Context window [tokens] by candidate, as far as known: a prompt too long for one is sent to
                a longer one next.
        """
        return Attempts(self, self._breakers, decision, windows or {})

    def state(self, model: str) -> Literal["closed", "open", "half-open"]:
        """Return a candidate's state: `open` in its cool-down, `half-open` when it may be probed, else `closed`."""
        return self._breakers.state(model)

    def cooling(self) -> dict[str, str]:
        """Return the candidates in their cool-down, id to reason and time left."""
        return {id_: f"{reason}; {left:.0f} s left" for id_, (reason, left) in self._breakers.cooling().items()}

    def with_cool_downs(self, decision: Decision) -> Decision:
        """Return a decision that shows which of its candidates are cooling down."""
        ranked = decision.scores
        cooling = {id_: reason for id_, reason in self.cooling().items() if id_ in ranked}
        return decision.model_copy(update={"cooling_down": cooling}) if cooling else decision

    def covers(self, error: BaseException) -> bool:
        """Return whether another candidate may be asked after this error."""
        on = self.fallback_on
        if not isinstance(error, Exception) or any(kind.__name__ in NO_FAILURES for kind in type(error).__mro__):
            return False
        if on is None or isinstance(on, type | tuple):
            return unavailable(error) or (on is not None and isinstance(error, on))
        return on(error)

    def cool_down_after(self, fault: Fault | None) -> CoolDown | None:
        """Return the cool-down that a fault calls for at once; None where failures are counted first."""
        if fault is None or fault.kind in OF_THE_QUESTION:
            return None
        if fault.kind in DEAD:
            return CoolDown(max(self.long_cool_down_s, fault.retry_after_s or 0.0), final=True)
        if fault.retry_after_s:
            return CoolDown(fault.retry_after_s, final=True)
        return CoolDown(self.cool_down_s) if fault.kind == "rate_limit" else None


@dataclass(frozen=True)
class Failure:
    """An attempt that failed."""

    model: str
    error: str
    """The name of the exception's class; its text may hold a prompt or a key."""
    reason: str = ""
    """Meaning of the provider's error; empty where it is none."""

    def __str__(self) -> str:
        return f"{self.model} ({self.error}{self.reason and ': '}{self.reason})"


class Attempts:
    """The attempts at one answer, for one call. In a `while True`, or drive `failed` and `answered` yourself.

    Candidates in their cool-down come last, and only where asking early is not pointless; but if all are in one, the
    chosen candidate is asked in any case.

    Attributes:
        model: The candidate to ask now.
        failures: The attempts so far that failed.
    """

    def __init__(
        self, fallback: Fallback, breakers: Breakers, decision: Decision, windows: Mapping[str, int | None]
    ) -> None:
        self._fallback = fallback
        self._breakers = breakers
        self._decision = decision
        self._windows = windows
        self._left = [ranked.model for ranked in decision.ranking]
        self._begun = self._streamed = False
        self._started_s = self._turn_s = fallback._clock()
        self.failures: tuple[Failure, ...] = ()
        self.model = self._next() or self._left.pop(0)

    @property
    def fell_back(self) -> bool:
        """True if another candidate than the decision's is asked now."""
        return self.model != self._decision.model

    @property
    def has_begun(self) -> bool:
        """True once a part of the answer was handed on."""
        return self._begun

    def seconds_left(self, *, stream: bool = False) -> float | None:
        """Return how long the candidate may take from now [s]; None without a limit.

        Args:
            stream: True if the answer comes in pieces, so that the first token has a limit of its own.
        """
        now, options = self._fallback._clock(), self._fallback
        ends = [(options.timeout_s, self._started_s), (options.attempt_timeout_s, self._turn_s)]
        if (stream or self._streamed) and not self._begun:
            ends.append((options.first_token_timeout_s, self._turn_s))
        limits = [start + limit - now for limit, start in ends if limit is not None]
        return max(0.0, min(limits)) if limits else None

    def streamed(self) -> None:
        """Note that the candidate streams, though it is asked for its answer in one piece."""
        self._streamed = True

    def asked(self) -> None:
        """Note that the candidate is asked now: its time limits begin."""
        self._turn_s = self._fallback._clock()

    def begun(self) -> None:
        """Note that the first part of an answer is about to be handed on: from here on, an error is the caller's.

        Whether the candidate has answered is known when the answer is complete, or the caller wants no more of it.
        """
        self._begun = True

    def answered(self) -> None:
        """Note that the candidate has answered."""
        self._breakers.succeeded(self.model)

    def abandoned(self) -> None:
        """Note that the candidate was not asked to the end, so nothing was learned: a probe is the next call's."""
        self._breakers.abandoned(self.model, self)

    @contextmanager
    def opening(self) -> Iterator[None]:
        """Handle errors until the first part of a stream that is read elsewhere, as `with attempts` does."""
        try:
            yield
        except BaseException as error:  # a cancelled call is no failure, and must free the candidate it was probing
            if not self.failed(error):
                raise
        else:
            self.begun()

    def failed(self, error: BaseException) -> bool:
        """Note that the candidate has failed.

        Returns:
            Whether `model` is now another one to ask; if not, the error is the caller's.
        """
        if not self._fallback.covers(error):
            if self._begun and isinstance(error, GeneratorExit):  # the reader wants no more
                self.answered()
            else:
                self.abandoned()
            return False
        failed, fault = self.model, classify(error)
        self._tell_breaker(error, fault)
        self.failures = (*self.failures, Failure(failed, type(error).__name__, "" if fault is None else str(fault)))
        following = None if self._begun or self._spent() else self._next(fault)
        tell_failure(self._decision, failed, error, following)
        if following is None:
            self._note(error)
            return False
        self.model, self._turn_s, self._streamed = following, self._fallback._clock(), False
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

    def _tell_breaker(self, error: BaseException, fault: Fault | None) -> None:
        if fault is not None and fault.kind in OF_THE_QUESTION:
            self.abandoned()
            return
        reason = type(error).__name__ if fault is None else str(fault)
        self._breakers.failed(self.model, self, reason, self._fallback.cool_down_after(fault))

    def _spent(self) -> bool:
        most, limit = self._fallback.max_attempts or SMALL_ZOO, self._fallback.timeout_s
        late = limit is not None and self._fallback._clock() >= self._started_s + limit
        return late or len(self.failures) >= most

    def _next(self, fault: Fault | None = None) -> str | None:
        """Take the next candidate: the best that is not cooling down, else the best that may answer all the same."""
        if fault is not None and fault.kind == "context_length":
            self._left = self._longer_first()
        model = next((model for model in self._left if self._breakers.admits(model, self)), None)
        if model is None:
            model = next(filter(self._breakers.may_answer, self._left), None)
        if model is not None:
            self._left.remove(model)
        return model

    def _longer_first(self) -> list[str]:
        """Return the candidates left: those with a longer context window than this one's, of unknown length, the rest.

        None is left out: what is known of a window may be wrong, as that of this one was.
        """
        known = {id_: window for id_ in self._left if (window := self._windows.get(id_)) is not None}
        own = self._windows.get(self.model)
        longer = [id_ for id_ in self._left if id_ in known and (own is None or known[id_] > own)]
        if own is None:
            longer.sort(key=lambda id_: -known[id_])
        unknown = [id_ for id_ in self._left if id_ not in known]
        return [*longer, *unknown, *(id_ for id_ in self._left if id_ in known and id_ not in longer)]

    def _note(self, error: BaseException) -> None:
        """Say in the last error which candidates were asked and which were not."""
        if len(self.failures) == 1 and (self._begun or len(self._decision.ranking) == 1):
            return
        asked, cooling = {failure.model for failure in self.failures}, self._fallback.cooling()
        said = ["asked: " + ", ".join(map(str, self.failures))]
        rest = [ranked.model for ranked in self._decision.ranking if ranked.model not in asked]
        if rest and not self._begun:
            said.append("not asked: " + ", ".join(f"{id_} ({cooling[id_]})" if id_ in cooling else id_ for id_ in rest))
        if hasattr(error, "add_note"):
            error.add_note("; ".join(said))
        else:  # Python 3.10
            error.__notes__ = [*getattr(error, "__notes__", []), "; ".join(said)]


def _check_fallback_on(fallback_on: object) -> None:
    kinds = fallback_on if isinstance(fallback_on, tuple) else (fallback_on,)
    classes = all(isinstance(kind, type) and issubclass(kind, Exception) for kind in kinds)
    if fallback_on is None or classes or (callable(fallback_on) and not isinstance(fallback_on, type)):
        return
    raise InvalidInput(
        f"fallback_on is {_shown(fallback_on)}; "
        "it must be an exception class, a tuple of them, or a function of an exception"
    )


def _check_count(name: str, number: object, least: int = 1) -> None:
    if not isinstance(number, int) or isinstance(number, bool) or number < least:
        raise InvalidInput(f"{name} is {_shown(number)}; it must be a whole number, {least} or more")


def _check_seconds(name: str, seconds: Any) -> float:
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not seconds >= 0.0:
        raise InvalidInput(f"{name} is {_shown(seconds)}; it must be 0 or more seconds")
    return seconds


def _check_limit(name: str, seconds: Any) -> float | None:
    return None if seconds is None else _check_seconds(name, seconds)


def _shown(value: object) -> str:
    """Return a value for a message; classes by name."""
    if isinstance(value, tuple):
        return f"({', '.join(map(_shown, value))}{',' * (len(value) == 1)})"
    return value.__qualname__ if isinstance(value, type) else shown(value)


def _fallback(settings: Mapping[str, Any]) -> Fallback:
    return Fallback(**settings)
