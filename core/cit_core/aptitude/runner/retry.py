"""Ask an LLM with a time limit, and retry where that may help.

All workers of a run share the `Pace`, because a server that asks one caller to wait means all of them, and the `Brake`,
because nothing more is paid once the run has to stop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import NamedTuple

from cit_core.aptitude.clients import Answer, Client
from cit_core.aptitude.runner.brake import Brake
from cit_core.aptitude.runner.rate_limit import Pace
from cit_core.aptitude.runner.reachability import is_unreachable
from cit_core.errors import AnswerError, Transient

__all__ = ["LONGEST_PAUSE_S", "Asker", "Timed"]

FIRST_BACKOFF_S = 1.0
"""Upper end of the first wait before asking again; it doubles with every attempt."""
LONGEST_BACKOFF_S = 60.0
LONGEST_PAUSE_S = 300.0
"""Longest wait: a server which asks for a longer one is asked again after this time."""


class Timed(NamedTuple):
    """An answer and its latency."""

    answer: Answer
    latency_s: float
    """Duration of the successful attempt, in seconds."""


class Asker:
    """Asks one client, with retries. Waits between attempts are random up to a bound that doubles (full jitter).

    Args:
        client: The client to ask.
        pace: The rate limit.
        brake: Ends every wait, and every further attempt.
        timeout_s: Time limit of one attempt.
        attempts: Attempts at one question. A rate-limited attempt does not count while others are answered: then
            the limit is the server's, and the question will have its turn.
        random: Source of the random waits.
        retried: Called with the error of every attempt that has to be repeated.
        failed: Called with the error of every attempt without an answer, because it may have been billed.
    """

    def __init__(
        self,
        client: Client,
        pace: Pace,
        brake: Brake,
        *,
        timeout_s: float,
        attempts: int,
        random: Random,
        retried: Callable[[Transient], None],
        failed: Callable[[str, AnswerError], None] = lambda _prompt, _error: None,
    ) -> None:
        self._client = client
        self._pace = pace
        self._brake = brake
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._random = random
        self._retried = retried
        self._failed = failed
        self._answered = 0

    async def ask(self, prompt: str, *, key: str) -> Timed:
        """Ask until there is an answer.

        Raises:
            Transient: The last attempt's, if there was none.
            Refused: If asking again will not help.
            Halted: If the run stops meanwhile.
        """
        failed, answered = 0, self._answered
        while True:
            await self._pace.turn()
            try:
                return await self._once(prompt, key)
            except Transient as error:
                progress, answered = self._answered > answered, self._answered
                if error.retry_after_s is None or not progress:
                    failed += 1
                if failed >= self._attempts:
                    raise
                self._retried(error)
                await self._wait(failed, error.retry_after_s)

    async def _once(self, prompt: str, key: str) -> Timed:
        began = _now()
        try:
            answer = await asyncio.wait_for(self._client.ask(prompt, key=key), self._timeout_s)
        except asyncio.TimeoutError:
            late = Transient(f"no answer within {self._timeout_s:g} s")
            late.may_be_billed = True
            self._failed(prompt, late)
            raise late from None
        except AnswerError as error:
            self._failed(prompt, error)
            if is_unreachable(error) and not self._answered:
                self._brake.pull(f"the server cannot be reached: {error}; is it running, and is its address right?")
            raise
        self._answered += 1
        return Timed(answer, _now() - began)

    async def _wait(self, failed: int, retry_after_s: float | None) -> None:
        pause = min(retry_after_s or 0.0, LONGEST_PAUSE_S)
        self._pace.pause(pause)
        longest = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** max(0, failed - 1))
        await self._brake.sleep(pause + self._random.uniform(0.0, longest))


def _now() -> float:
    return asyncio.get_running_loop().time()
