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
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from cit_core.errors import InvalidInput
from cit_core.fork import renew_after_fork
from cit_core.messages import shown
from cit_core.policy.rules import within
from cit_core.records import Decision
from cit_core.router.decision_log import DecisionLog

__all__ = ["Shadow"]

logger = logging.getLogger("cit_core.router")

LINGER_S = 0.5


@dataclass(frozen=True)
class _Waiting:
    decision: Decision
    question: Any
    answer: Any
    model: str


class Shadow:
    """Compares a sample of answers with those of a reference model. Thread-safe.

    Args:
        reference: Id of the reference model, always the best for instance.
        ask: Asks it: a function of the question, such as the `invoke` of a chat model.
        log: Where the comparisons go.
        judge: Function of (question, one answer, another answer) to how much better the one is: 1 better, 0.5 as good,
            0 worse. Which of them is the reference's is drawn anew each time.
        metric: Function of (question, answer) to a quality from 0 to 1, in place of a judge.
        rate: Share of answers that are compared.
        waiting: Answers that may wait; more are passed over.
        draw: Random number in [0, 1).

    Raises:
        InvalidInput: If there is neither a judge nor a metric, or both, or the rate is no share.
    """

    def __init__(
        self,
        reference: str,
        ask: Callable[[Any], Any],
        log: DecisionLog,
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

    def offer(self, decision: Decision, question: Any, answer: Any, model: str | None = None) -> bool:
        """Take an answer that a user has got; return whether it will be compared. Never waits, never raises.

        Args:
            decision: The decision.
            question: What was asked, as `ask` takes it.
            answer: The answer.
            model: Candidate that answered, where it was not the chosen one.
        """
        answered = model or decision.model
        if answered == self.reference or self._draw() >= self.rate:
            return False
        with self._idle:
            try:
                self._queue.put_nowait(_Waiting(decision, question, answer, answered))
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
            score = self._score(one.question, one.answer, self._ask(one.question))
        except Exception as error:  # noqa: BLE001  # code of the user's; nobody waits for it
            logger.warning("a shadow answer was not compared (%s)", type(error).__name__)
        if score is not None:
            costs = {ranked.model: ranked.expected_cost_usd for ranked in one.decision.ranking}
            self.log.shadow(one.decision.id, one.model, self.reference, score, costs.get(self.reference))
        with self._idle:
            self.compared += score is not None
            self.failed += score is None
            self._unfinished -= 1
            self._idle.notify_all()

    def _score(self, question: Any, answer: Any, reference: Any) -> float:
        """Return how the answer did beside the reference's: 1 better, 0.5 as good, 0 worse."""
        if self._metric is not None:
            ours, theirs = float(self._metric(question, answer)), float(self._metric(question, reference))
            return _share(0.5 + (ours - theirs) / 2.0)
        assert self._judge is not None
        if self._draw() < 0.5:
            return _share(float(self._judge(question, answer, reference)))
        return 1.0 - _share(float(self._judge(question, reference, answer)))


def _share(number: float) -> float:
    if 0.0 <= number <= 1.0:
        return number
    raise ValueError("the judge must say 0 to 1")


def _stop(reference: weakref.ref[Shadow]) -> None:
    shadow = reference()
    if shadow is not None:
        shadow.flush(1.0)
