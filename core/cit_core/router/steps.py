"""The steps of an answer: one, or those of a cascade, of which each but the last is verified before it is handed on.

An adapter says how a step is asked and what its framework's answers hold; the order of things is here, for all.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import aclosing, closing
from typing import Any, Protocol

from cit_core.errors import Transient
from cit_core.records import Decision
from cit_core.router.cascade import Cascade
from cit_core.router.fallback import Attempts, Fallback
from cit_core.router.settlement import Settlement, Teller
from cit_core.router.verifiers import Answer

__all__ = ["Adapter", "Steps"]

Report = dict[str, Any]


class Adapter(Teller, Protocol):
    """What differs between frameworks. `given` is an answer, or the list of a stream's pieces."""

    def attempts(self, decision: Decision) -> Attempts:
        """Return the attempts at a step."""
        ...

    def answer(self, given: Any, attempts: Attempts, decision: Decision) -> Answer:
        """Return an answer as verifiers see it."""
        ...

    def marked(self, given: Any, report: Report) -> Any:
        """Return an answer, or a piece, with the steps in its metadata."""
        ...

    def accepted(self, decision: Decision, model: str) -> None:
        """Note which candidate's answer is accepted after verification."""
        ...


def _silent(_report: Report) -> None:
    pass


async def _asilent(_report: Report) -> None:
    pass


class Steps:
    """The steps of one answer. Without a cascade there is one, and nothing is changed or added.

    Args:
        cascade: The cascade, if there is one.
        decision: The decision, as the cascade planned it.
        fallback: Knows after which errors another answer may do.
        adapter: The framework's part.
        settlement: Keeps the bill; none if not given.
    """

    def __init__(
        self,
        cascade: Cascade | None,
        decision: Decision,
        fallback: Fallback,
        adapter: Adapter,
        settlement: Settlement | None = None,
    ) -> None:
        self._settlement = settlement
        self._first, self._fallback, self._adapter = decision, fallback, adapter
        cascades = cascade is not None and decision.chosen_by == "cascade"
        self._run = cascade.begin(decision) if cascade is not None and cascades else None
        self._final_report: Report | None = None

    @property
    def decision(self) -> Decision:
        """The decision for the step that is due."""
        return self._first if self._run is None else self._run.decision

    @property
    def final(self) -> bool:
        """True if the answer to that step is not verified."""
        return self._run is None or self._run.final

    def answer(self, ask: Callable[[Attempts], Any], tell: Callable[[Report], Any] = _silent) -> Any:
        """Return the accepted answer.

        Args:
            ask: Asks for one step.
            tell: Told the steps of a cascade after each of them.
        """
        while True:
            attempts = self._adapter.attempts(self.decision)
            try:
                given = ask(attempts)
            except Exception as error:
                if not self._rescued(error):
                    self._failed(error)
                    raise
                return self._accepted()
            if self._run is None:
                self._settle(given, attempts.model)
                return given
            if self._run.final:
                told = self._finished(given, attempts)
                self._settle(given, attempts.model)
                given = told
                tell(self._run.report())
                return given
            over = self._run.accepts(*self._verifiable(given, attempts))
            tell(self._run.report())
            if over:
                return self._accepted()

    async def aanswer(
        self, ask: Callable[[Attempts], Awaitable[Any]], tell: Callable[[Report], Awaitable[Any]] = _asilent
    ) -> Any:
        """Return asynchronously; see `answer`."""
        while True:
            attempts = self._adapter.attempts(self.decision)
            try:
                given = await ask(attempts)
            except Exception as error:
                if not self._rescued(error):
                    self._failed(error)
                    raise
                return self._accepted()
            if self._run is None:
                self._settle(given, attempts.model)
                return given
            if self._run.final:
                told = self._finished(given, attempts)
                self._settle(given, attempts.model)
                given = told
                await tell(self._run.report())
                return given
            over = await self._run.aaccepts(*self._verifiable(given, attempts))
            await tell(self._run.report())
            if over:
                return self._accepted()

    def stream(
        self, ask: Callable[[Attempts], Generator[Any, None, None]], tell: Callable[[Report], Any] = _silent
    ) -> Generator[Any, None, None]:
        """Yield the accepted answer: the last step's as it comes, that of a step before once it is accepted.

        Args:
            ask: Streams the answer of one step.
            tell: Told the steps of a cascade after each that is verified.
        """
        over = False
        while not over:
            attempts = self._adapter.attempts(self.decision)
            try:
                with closing(ask(attempts)) as pieces:
                    if self.final:
                        came: list[Any] = []
                        try:
                            for piece in pieces:
                                self._keep(came, piece)
                                yield self._live(piece, attempts)
                        except GeneratorExit:
                            self._aborted(came, attempts)
                            raise
                        self._settle(came, attempts.model, live=True)
                        return
                    held = list(pieces)
            except Exception as error:
                if attempts.has_begun or not self._rescued(error):
                    if not attempts.has_begun:
                        self._failed(error)
                    raise
                break
            assert self._run is not None
            over = self._run.accepts(*self._verifiable(held, attempts))
            tell(self._run.report())
        yield from self._accepted()

    async def astream(
        self,
        ask: Callable[[Attempts], AsyncGenerator[Any, None]],
        tell: Callable[[Report], Awaitable[Any]] = _asilent,
    ) -> AsyncGenerator[Any, None]:
        """Yield asynchronously; see `stream`."""
        over = False
        while not over:
            attempts = self._adapter.attempts(self.decision)
            try:
                async with aclosing(ask(attempts)) as pieces:
                    if self.final:
                        came: list[Any] = []
                        try:
                            async for piece in pieces:
                                self._keep(came, piece)
                                yield self._live(piece, attempts)
                        except (GeneratorExit, asyncio.CancelledError):
                            self._aborted(came, attempts)
                            raise
                        self._settle(came, attempts.model, live=True)
                        return
                    held = [piece async for piece in pieces]
            except Exception as error:
                if attempts.has_begun or not self._rescued(error):
                    if not attempts.has_begun:
                        self._failed(error)
                    raise
                break
            assert self._run is not None
            over = await self._run.aaccepts(*self._verifiable(held, attempts))
            await tell(self._run.report())
        for piece in self._accepted():
            yield piece

    def _verifiable(self, given: Any, attempts: Attempts) -> tuple[str, Answer, Any, float | None]:
        """Return what `CascadeRun.accepts` takes."""
        answer = self._adapter.answer(given, attempts, self.decision)
        cost = self._adapter.bill(given, attempts.model).cost_usd
        return self._adapter.question(), answer, (self.decision, attempts.model, given), cost

    def _rescued(self, error: Exception) -> bool:
        """Return whether an earlier answer is accepted in place of the one that failed."""
        return self._run is not None and self._run.rescued(error, self._fallback)

    def _accepted(self) -> Any:
        assert self._run is not None
        decision, model, given = self._run.answer
        self._adapter.accepted(decision, model)
        self._settle(given, model)
        return self._adapter.marked(given, self._run.report())

    def _finished(self, given: Any, attempts: Attempts) -> Any:
        assert self._run is not None
        self._run.finished(attempts.model, self._adapter.bill(given, attempts.model).cost_usd)
        return self._adapter.marked(given, self._run.report())

    def _keep(self, came: list[Any], piece: Any) -> None:
        if self._settlement is not None:
            came.append(piece)

    def _settle(self, given: Any, model: str, *, live: bool = False) -> None:
        """Keep what an answer took, and offer it to the shadow."""
        if self._settlement is None:
            return
        if self._run is not None and live:
            self._run.billed(self._adapter.bill(given, model).cost_usd)
        self._settlement.answered(self._adapter, given, model, None if self._run is None else self._run.report())

    def _failed(self, error: Exception) -> None:
        """Count a call that all candidates have failed; not where an empty answer or a cascade's steps were paid."""
        is_paid = isinstance(error, Transient) or (self._run is not None and self._run.holds_answer)
        if self._settlement is not None and not is_paid:
            self._settlement.failed()

    def _aborted(self, came: list[Any], attempts: Attempts) -> None:
        if self._settlement is not None:
            self._settlement.aborted(self._adapter, came, attempts.model)

    def _live(self, piece: Any, attempts: Attempts) -> Any:
        """Return a piece of a final answer; its report is of when it began."""
        if self._run is None:
            return piece
        if self._final_report is None:
            self._run.finished(attempts.model)
            self._final_report = self._run.report()
        return self._adapter.marked(piece, self._final_report)
