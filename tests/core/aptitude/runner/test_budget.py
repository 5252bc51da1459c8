"""Costs: what a call may cost, what it did cost, and room for one more within a limit."""

from __future__ import annotations

import asyncio

import pytest

from cit_core.aptitude.runner.brake import Brake, Halted
from cit_core.aptitude.runner.budget import ASSUMED_COMPLETION_TOKENS, Budget, Prices, require_prices, tokens_of
from cit_core.errors import InvalidInput, Refused, Transient
from cit_core.records import Candidate

PRICED = Candidate(id="m", price_in=1.0, price_out=10.0)


def test_the_length_of_answers_is_learned() -> None:
    prices = Prices(PRICED)
    assert (prices.known, prices.measured, prices.completion_tokens) == (True, False, ASSUMED_COMPLETION_TOKENS)
    prices.learn("", 100)
    prices.learn("x" * 40, None)
    assert (prices.measured, prices.completion_tokens) == (True, 55.0)
    assert prices.expected("x" * 400) == pytest.approx(100e-6 + 550e-6)
    assert Prices(PRICED, 7.0).completion_tokens == 7.0
    assert Prices(Candidate(id="m")).expected("x") is None


def test_what_is_counted_beside_a_prompt_is_learned() -> None:
    prices = Prices(PRICED, 0.0)
    prices.learn("", 0, prompt="x" * 400, prompt_tokens=1_100)
    prices.learn("", 0, prompt="x" * 40, prompt_tokens=None)
    assert prices.expected("x" * 400) == pytest.approx(1_100e-6)
    prices.learn("", 0, prompt="x" * 8_000, prompt_tokens=0)
    assert prices.expected("x" * 400) == pytest.approx(100e-6), "never less than its own text"


def test_what_a_failure_was_billed() -> None:
    prices = Prices(PRICED)
    told, counted, late = Refused("x"), Refused("x"), Transient("no answer within 1 s")
    told.cost_usd = 0.5
    counted.prompt_tokens, counted.completion_tokens = 1_000, 100
    late.may_be_billed = True
    assert prices.billed("", told) == 0.5
    assert prices.billed("", counted) == pytest.approx(0.002)
    assert prices.billed("", late) == pytest.approx(ASSUMED_COMPLETION_TOKENS * 10e-6)
    assert prices.billed("", Transient("HTTP 503", status=503)) == 0.0
    assert Prices(Candidate(id="m")).billed("", counted) == 0.0, "nobody knows the price"


async def test_room_is_made_when_a_call_ends_and_the_limit_halts() -> None:
    budget, order = Budget(1.0, 0.0, Brake()), list[str]()

    async def call(name: str, cost: float, spends: float) -> None:
        async with budget.room_for(lambda: cost):
            order.append(name)
            await asyncio.sleep(0)
            budget.spent += spends

    await asyncio.gather(call("a", 0.8, 0.1), call("b", 0.8, 0.1))
    assert order == ["a", "b"]
    with pytest.raises(Halted):
        await call("c", 0.9, 0.0)


def test_a_limit_needs_prices() -> None:
    require_prices(Prices(PRICED))
    with pytest.raises(InvalidInput, match="--price-in and --price-out"):
        require_prices(Prices(Candidate(id="m")))
    assert tokens_of("x" * 8) == 2.0
