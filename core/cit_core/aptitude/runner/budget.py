"""Costs of a test: measured and expected costs of answers, and a limit on the billed amount."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from cit_core.aptitude.runner.brake import Brake
from cit_core.errors import AnswerError, InvalidInput
from cit_core.records import Candidate
from cit_core.tokens import estimate_tokens

__all__ = ["ASSUMED_COMPLETION_TOKENS", "Budget", "Prices", "require_prices", "tokens_of"]

ASSUMED_COMPLETION_TOKENS = 256.0
"""Assumed length of an answer before any was seen; a router assumes the same."""


class Prices:
    """Prices of a candidate, and the length of its answers.

    Args:
        candidate: The candidate; its prices may be unknown.
        completion_tokens: Mean length of an answer, as measured before.
    """

    def __init__(self, candidate: Candidate, completion_tokens: float | None = None) -> None:
        self.candidate = candidate
        self._measured = completion_tokens
        self._tokens, self._answers = 0.0, 0
        self._beside, self._prompts = 0.0, 0

    @property
    def known(self) -> bool:
        """True if the prices are known, so that costs can be predicted."""
        return self.candidate.expected_cost(0, 0) is not None

    @property
    def completion_tokens(self) -> float:
        """Expected length of the next answer: the mean in this test, else the measured one, else the assumed one."""
        if self._answers:
            return self._tokens / self._answers
        return ASSUMED_COMPLETION_TOKENS if self._measured is None else self._measured

    @property
    def measured(self) -> bool:
        """True if answers of this candidate have been seen."""
        return bool(self._answers) or self._measured is not None

    def expected(self, prompt: str) -> float | None:
        """Return the USD that a prompt may cost; None where prices are not known."""
        beside = max(0.0, self._beside / self._prompts) if self._prompts else 0.0
        return self.candidate.expected_cost(tokens_of(prompt) + beside, self.completion_tokens)

    def learn(
        self, answer: str, completion_tokens: int | None, *, prompt: str = "", prompt_tokens: int | None = None
    ) -> None:
        """Remember how long an answer was, and what was counted beside the prompt's own text: a system message."""
        self._tokens += tokens_of(answer) if completion_tokens is None else completion_tokens
        self._answers += 1
        if prompt_tokens is not None:
            self._beside += prompt_tokens - tokens_of(prompt)
            self._prompts += 1

    def of(self, prompt_tokens: int | None, completion_tokens: int | None) -> float | None:
        """Return the USD for an answer with counted tokens; None if they or the prices are not known."""
        if prompt_tokens is None or completion_tokens is None:
            return None
        return self.candidate.expected_cost(prompt_tokens, completion_tokens)

    def billed(self, prompt: str, error: AnswerError) -> float:
        """Return USD for an attempt without an answer: as the provider reports, or may have charged after a timeout."""
        if error.cost_usd is not None:
            return error.cost_usd
        if error.completion_tokens is not None:
            prompt_tokens = tokens_of(prompt) if error.prompt_tokens is None else error.prompt_tokens
            return self.candidate.expected_cost(prompt_tokens, error.completion_tokens) or 0.0
        return (self.expected(prompt) or 0.0) if error.may_be_billed else 0.0

    def guess(self, prompt: str, answer: str) -> float:
        """Return the USD for an answer with estimated tokens; 0 if prices are not known."""
        return self.candidate.expected_cost(tokens_of(prompt), tokens_of(answer)) or 0.0


class Budget:
    """Lets a call start only if it, and all that are under way, are expected to stay within the limit.

    Args:
        limit: USD; None is no limit.
        spent: USD that went before.
        brake: Pulled where the next call does not fit.
    """

    def __init__(self, limit: float | None, spent: float, brake: Brake) -> None:
        self.spent = spent
        self._limit = limit
        self._brake = brake
        self._reserved = 0.0
        self._under_way = 0
        self._landed = asyncio.Condition()

    @property
    def limited(self) -> bool:
        """True if there is a limit."""
        return self._limit is not None

    @property
    def reserved(self) -> float:
        """USD that the calls under way may cost."""
        return self._reserved

    @asynccontextmanager
    async def room_for(
        self, cost: Callable[[], float], *, alone: Callable[[], bool] = lambda: False
    ) -> AsyncIterator[float]:
        """Wait until a call fits beside those under way, and count it among them within the block.

        Both arguments are asked again whenever a call has ended, for it may have told more.

        Args:
            cost: USD that the call may cost.
            alone: True if nothing else may be under way, because the cost of a call is not known yet.

        Yields:
            USD that are reserved for it.

        Raises:
            Halted: If it does not fit, and nothing that is under way can change that.
        """
        async with self._landed:
            await self._landed.wait_for(lambda: not self._under_way or (self._fits(cost()) and not alone()))
            reserved = cost()
            if not self._fits(reserved):
                self._brake.pull(
                    f"the next question may cost ${reserved:.3g}; ${self.spent:.4g} of ${self._limit:.4g} are spent"
                )
            self._brake.check()
            self._reserved += reserved
            self._under_way += 1
        try:
            yield reserved
        finally:
            self._reserved -= reserved
            self._under_way -= 1
            async with self._landed:
                self._landed.notify_all()

    def _fits(self, cost: float) -> bool:
        return self._limit is None or self.spent + self._reserved + cost <= self._limit


def require_prices(prices: Prices) -> None:
    """Refuse a limit if costs cannot be predicted.

    Raises:
        InvalidInput: If a price is not known.
    """
    if not prices.known:
        raise InvalidInput(
            f"the prices of {prices.candidate.id!r} are not known, so its cost cannot be limited; "
            "give --price-in and --price-out in USD per 1M tokens"
        )


def tokens_of(text: str) -> int:
    """Estimate the number of tokens of a text."""
    return estimate_tokens(text) if text else 0
