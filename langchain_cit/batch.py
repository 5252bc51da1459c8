"""A batch on its way: whose turn it is for every input, until each has an answer or an error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cit_core.errors import CITError
from cit_core.records import Decision
from cit_core.router import Attempts, Failover

__all__ = ["Batch"]


class Batch:
    """Goes in rounds: every candidate is given its share, and what failed goes to the next-best in the next round.

    Args:
        outcomes: For every input its decision, or why it has none.
        failover: Who is asked after a failure.
        return_exceptions: Whether an input without a decision lets the others pass.

    Raises:
        CITError: Why an input has no decision, before anything is paid for.
    """

    def __init__(
        self, outcomes: Sequence[Decision | CITError], failover: Failover, return_exceptions: bool = True
    ) -> None:
        refused = next((outcome for outcome in outcomes if isinstance(outcome, CITError)), None)
        if refused is not None and not return_exceptions:
            raise refused
        self.decisions = {place: out for place, out in enumerate(outcomes) if isinstance(out, Decision)}
        self.results: list[Any] = list(outcomes)
        self._open = {place: failover.attempts(decision) for place, decision in self.decisions.items()}

    def __enter__(self) -> Batch:
        return self

    def __exit__(self, *_: object) -> None:
        """Where it came to an untimely end, whoever was being asked has not failed."""
        for attempts in self._open.values():
            attempts.abandoned()

    def shares(self) -> dict[str, list[int]]:
        """Candidate id to the places of the inputs that it is to answer in this round; empty when all is done."""
        shares: dict[str, list[int]] = {}
        for place, attempts in self._open.items():
            shares.setdefault(attempts.model, []).append(place)
        return shares

    def attempts(self, place: int) -> Attempts:
        """Those at the answer for one input that is still open."""
        return self._open[place]

    def fallbacks(self) -> Iterator[tuple[int, Decision, Attempts]]:
        """The inputs that are about to go to another candidate than the chosen one."""
        for place, attempts in self._open.items():
            if attempts.fell_back:
                yield place, self.decisions[place], attempts

    def take(self, shares: Mapping[str, list[int]], answers: Sequence[Sequence[Any]]) -> None:
        """Keep what came of a round.

        Args:
            shares: Of the round.
            answers: For every share, in order, its answers; errors are values.
        """
        for places, share in zip(shares.values(), answers, strict=True):
            for place, answer in zip(places, share, strict=True):
                self._take_one(place, answer)

    def _take_one(self, place: int, answer: Any) -> None:
        attempts = self._open[place]
        if isinstance(answer, BaseException):
            if attempts.failed(answer):
                return
        else:
            attempts.answered()
        self.results[place] = answer
        del self._open[place]
