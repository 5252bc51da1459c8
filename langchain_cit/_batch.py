"""Batches in rounds: every candidate is given its share, and what failed goes to the next-best in the next round."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig

from cit_core.errors import CITError, Transient
from cit_core.records import Decision
from cit_core.router import Attempts
from cit_core.router.empty_answer import EmptyAnswer
from cit_core.router.settlement import Teller
from cit_core.router.time_limits import acall_within, call_within
from langchain_cit._first_token import require_answer
from langchain_cit._inputs import Asking

__all__ = ["Batch", "Limited", "shares_at_once"]


class Limited(Runnable[tuple[Any, Attempts], Any]):
    """Ask a candidate within the time limits of the attempts at an answer; adds no run to the trace.

    Args:
        route: Model or chain of the candidate.
    """

    def __init__(self, route: Runnable[Any, Any]) -> None:
        self._route = route

    def invoke(self, input: tuple[Any, Attempts], config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """Invoke the candidate.

        Args:
            input: The candidate's input and the attempts.
            config: The config of its run.
            kwargs: Go to the candidate.
        """
        value, attempts = input
        attempts.asked()
        ask = partial(self._route.invoke, value, config, **kwargs)
        return require_answer(call_within(attempts.seconds_left, ask), attempts)

    async def ainvoke(self, input: tuple[Any, Attempts], config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """Invoke asynchronously; see `invoke`."""
        value, attempts = input
        attempts.asked()
        answer = await acall_within(attempts.seconds_left, self._route.ainvoke(value, config, **kwargs))
        return require_answer(answer, attempts)


def shares_at_once(config: Sequence[RunnableConfig]) -> int | None:
    """Return how many shares may be answered at once: one under a limit, which is kept inside a share."""
    return None if config[0].get("max_concurrency") is None else 1


class Batch:
    """The state of a batch between rounds.

    Args:
        asking: Makes the attempts at each answer.
        outcomes: The decision for every input, or why it has none.
        return_exceptions: True if the others are answered where an input has no decision.
        tellers: Returns what reads the answer for a place, for its bill; none are kept if not given.

    Raises:
        CITError: Why an input has no decision, before anything is paid for.
    """

    def __init__(
        self,
        asking: Asking,
        outcomes: Sequence[Decision | CITError],
        return_exceptions: bool = True,
        tellers: Callable[[int], Teller] | None = None,
    ) -> None:
        refused = next((outcome for outcome in outcomes if isinstance(outcome, CITError)), None)
        if refused is not None and not return_exceptions:
            raise refused
        self.decisions = {place: out for place, out in enumerate(outcomes) if isinstance(out, Decision)}
        self.results: list[Any] = list(outcomes)
        self._open = {place: asking.attempts(decision) for place, decision in self.decisions.items()}
        self._tellers = tellers
        self._settlements = {
            place: kept
            for place, decision in self.decisions.items()
            if tellers is not None and (kept := asking.settlement(decision)) is not None
        }

    def __enter__(self) -> Batch:
        return self

    def __exit__(self, *_: object) -> None:
        """Release the candidates of running calls without counting a failure, if the batch is interrupted."""
        for attempts in self._open.values():
            attempts.abandoned()

    def shares(self) -> dict[str, list[int]]:
        """Return for each candidate the places of the inputs that it is to answer now; empty when all is done."""
        shares: dict[str, list[int]] = {}
        for place, attempts in self._open.items():
            shares.setdefault(attempts.model, []).append(place)
        return shares

    def attempts(self, place: int) -> Attempts:
        """Return the attempts at the answer for one input that is still open."""
        return self._open[place]

    def fallbacks(self) -> Iterator[tuple[int, Decision, Attempts]]:
        """Yield the inputs that are about to go to another candidate than the chosen one."""
        for place, attempts in self._open.items():
            if attempts.fell_back:
                yield place, self.decisions[place], attempts

    def take(self, shares: Mapping[str, list[int]], answers: Sequence[Sequence[Any]]) -> None:
        """Keep what came of a round.

        Args:
            shares: The shares of the round.
            answers: The answers of every share, in order; errors are values.
        """
        for places, share in zip(shares.values(), answers, strict=True):
            for place, answer in zip(places, share, strict=True):
                self._take_one(place, answer)

    def _take_one(self, place: int, answer: Any) -> None:
        attempts, settlement = self._open[place], self._settlements.get(place)
        error = answer if isinstance(answer, BaseException) else _missing(answer, attempts)
        if error is None:
            attempts.answered()
            if self._tellers is not None and settlement is not None:
                settlement.answered(self._tellers(place), answer, attempts.model, timed=False)
        elif attempts.failed(error):
            return
        elif isinstance(error, EmptyAnswer) and error.attempts is attempts and error.held:
            answer = error.held[0]  # so it is with every candidate
        elif settlement is not None and not isinstance(error, Transient):  # an answer that is none was paid
            settlement.failed()
        self.results[place] = answer
        del self._open[place]


def _missing(answer: Any, attempts: Attempts) -> Transient | None:
    try:
        require_answer(answer, attempts)
    except Transient as error:
        return error
    return None
