"""Shadow mode: a sample of answered queries is answered by a reference model too, and the answers are compared.

In threads of its own, so that no user waits; blind, for the judge is not told which answer is which.
"""

from __future__ import annotations

import atexit
import logging
import queue
import random
import threading
import weakref
from collections.abc import Callable, Container
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from cit_core.errors import InvalidInput
from cit_core.fork import renew_after_fork
from cit_core.messages import shown
from cit_core.policy.rules import within
from cit_core.records import Decision
from cit_core.router.decision_log import DecisionLog

__all__ = ["Shadow", "words_of"]

logger = logging.getLogger("cit_core.router")

LINGER_S = 0.5


@dataclass(frozen=True)
class _Waiting:
    decision: Decision
    question: Any
    answer: Any
    model: str
    ask: Callable[[], Any] | None


class Shadow:
    """Compares a sample of answers with those of a reference model. Thread-safe.

    Args:
        reference: Id of the reference model, always the best for instance.
        ask: Asks it: a function of the question, such as the `invoke` of a chat model. `RunnableRouter`, `ChatCIT` and
            `CITLLM` ask their own candidate of this id in the same way as the answer's if not given.
        log: Where the comparisons go; the log of their router for these if not given.
        judge: Function of (question, one answer, another answer) to how much better the one is: 1 better, 0.5 as good,
            0 worse. Which of them is the reference's is drawn anew each time.
        metric: Function of (question, answer) to a quality from 0 to 1, in place of a judge.
        rate: Share of answers that are compared.
        waiting: Answers that may wait; more are passed over.
        draw: Random number in [0, 1).

    Raises:
        InvalidInput: If there is neither a judge nor a metric, or both, the rate is no share, or the log is none.
    """

    def __init__(
        self,
        reference: str,
        ask: Callable[[Any], Any] | None = None,
        log: DecisionLog | None = None,
        *,
        judge: Callable[[Any, Any, Any], float] | None = None,
        metric: Callable[[Any, Any], float] | None = None,
        rate: float = 0.05,
        waiting: int = 100,
        draw: Callable[[], float] = random.random,
    ) -> None:
        if (judge is None) == (metric is None):
            raise InvalidInput("a shadow needs either judge=f(question, one, another) or metric=f(question, answer)")
        if not within(rate, 0.0, 1.0):
            raise InvalidInput(f"rate is {shown(rate)}; it must be a share of answers, 0 to 1")
        if not isinstance(reference, str) or not (ask is None or callable(ask)):
            raise InvalidInput(f"a shadow is {shown(reference)}, {shown(ask)}; it needs a model's id and a function")
        if not (log is None or isinstance(log, DecisionLog)):
            raise InvalidInput(f"log is {shown(log)}; it must be a DecisionLog of cit_core.router.decision_log")
        self.reference = reference
        self.log = log
        self.rate = float(rate)
        self._ask, self._judge, self._metric, self._draw = ask, judge, metric, draw
        self._size = waiting
        self.compared = 0
        self.failed = 0
        self.passed_over = 0
        self._renew_after_fork()
        renew_after_fork(self)
        atexit.register(_stop, weakref.ref(self))

    def _renew_after_fork(self) -> None:
        self._queue: queue.Queue[_Waiting] = queue.Queue(self._size)
        self._working = threading.Lock()
        self._idle = threading.Condition()
        self._unfinished = 0

    def __reduce__(self) -> tuple[Any, ...]:
        judged = {"judge": self._judge, "metric": self._metric, "rate": self.rate}
        return _shadow_again, (self.reference, self._ask, self.log, {**judged, "waiting": self._size})

    def with_log(self, log: DecisionLog | None) -> Shadow:
        """Return this shadow with a log: its own, or this one.

        Raises:
            InvalidInput: If there is neither.
        """
        if self.log is None and log is None:
            raise InvalidInput(
                "a shadow needs a log of decisions; Shadow(..., log=DecisionLog(FILE)), or log=FILE beside"
            )
        self.log = self.log or log
        return self

    def asks(self, ids: Container[str]) -> bool:
        """Return whether it can ask its model, by itself or as one of these candidates."""
        return self._ask is not None or self.reference in ids

    def offer(
        self,
        decision: Decision,
        question: Any,
        answer: Any,
        model: str | None = None,
        ask: Callable[[], Any] | None = None,
    ) -> bool:
        """Take an answer that a user has got; return whether it will be compared. Never waits, never raises.

        Args:
            decision: The decision.
            question: What was asked, as `ask` takes it.
            answer: The answer.
            model: Candidate that answered, where it was not the chosen one.
            ask: Asks the reference model this question, in place of the shadow's own function, which goes first.
        """
        answered = model or decision.model
        if answered == self.reference or self._draw() >= self.rate:
            return False
        with self._idle:
            try:
                self._queue.put_nowait(_Waiting(decision, question, answer, answered, ask))
            except queue.Full:
                self.passed_over += 1
                return False
            self._unfinished += 1
        self._start()
        return True

    def flush(self, timeout_s: float = 60.0) -> bool:
        """Wait until all that was taken is compared; return whether it is."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._unfinished, timeout_s)

    def _start(self) -> None:
        working = self._working
        if working.acquire(blocking=False):
            try:
                threading.Thread(target=self._work, name="cit-shadow", daemon=True).start()
            except RuntimeError:  # too many threads, or the interpreter ends: the next answer starts one
                working.release()

    def _work(self) -> None:
        working = self._working
        try:
            with suppress(queue.Empty):
                while True:
                    self._compare(self._queue.get(timeout=LINGER_S))
        finally:
            working.release()
        if not self._queue.empty():  # came after the last look
            self._start()

    def _compare(self, one: _Waiting) -> None:
        score = None
        try:
            score = self._score(one.question, one.answer, self._answer(one))
        except Exception as error:  # noqa: BLE001  # code of the user's; nobody waits for it
            logger.warning("a shadow answer was not compared (%s)", type(error).__name__)
        if score is not None and self.log is not None:
            costs = {ranked.model: ranked.expected_cost_usd for ranked in one.decision.ranking}
            self.log.shadow(one.decision.id, one.model, self.reference, score, costs.get(self.reference))
        with self._idle:
            self.compared += score is not None
            self.failed += score is None
            self._unfinished -= 1
            self._idle.notify_all()

    def _answer(self, one: _Waiting) -> Any:
        """Return the reference's answer; in words where the other one is, so that nothing tells them apart."""
        given = self._ask(one.question) if self._ask is not None else one.ask() if one.ask is not None else None
        if given is None:
            raise InvalidInput(f"nothing says how {self.reference} is asked; Shadow(..., ask=function)")
        return words_of(given) if isinstance(one.answer, str) else given

    def _score(self, question: Any, answer: Any, reference: Any) -> float:
        """Return how the answer did beside the reference's: 1 better, 0.5 as good, 0 worse."""
        if self._metric is not None:
            ours, theirs = float(self._metric(question, answer)), float(self._metric(question, reference))
            return _share(0.5 + (ours - theirs) / 2.0)
        assert self._judge is not None
        if self._draw() < 0.5:
            return _share(float(self._judge(question, answer, reference)))
        return 1.0 - _share(float(self._judge(question, reference, answer)))


def words_of(given: Any) -> Any:
    """Return the text of what frameworks return of a model: a message, a response; anything else as it is."""
    for name in ("message", "text", "content"):
        found = getattr(given, name, None)
        if isinstance(found, str):
            return str(found)
        if found is not None and not callable(found):
            return words_of(found) if name == "message" else given
    return given


def _shadow_again(reference: str, ask: Any, log: DecisionLog | None, options: dict[str, Any]) -> Shadow:
    return Shadow(reference, ask, log, **options)


def _share(number: float) -> float:
    if 0.0 <= number <= 1.0:
        return number
    raise ValueError("the judge must say 0 to 1")


def _stop(reference: weakref.ref[Shadow]) -> None:
    shadow = reference()
    if shadow is not None:
        shadow.flush(1.0)
