"""An estimate says what a run would take, from what is known, without asking or writing anything."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from small_suite import number_of, skilled, suite_of
from virtual_time import run_virtually

from cit_core.aptitude.clients import Answer, FakeClient
from cit_core.aptitude.grading import prompt
from cit_core.aptitude.runner import RunOptions, arun_aptitude
from cit_core.aptitude.runner.estimate import estimate
from cit_core.errors import InvalidInput, Refused
from cit_core.records import Candidate, Item, Outcome, Task
from cit_core.store import CapabilityStore
from cit_core.tokens import estimate_tokens

SUITE, ITEMS = suite_of("letters")
PRICED = Candidate(id="fake", price_in=1.0, price_out=10.0)
TOKENS = sum(estimate_tokens(prompt(item)) for item in ITEMS)


@pytest.fixture
def sqlite(sqlite_url: str) -> Iterator[CapabilityStore]:
    with CapabilityStore(sqlite_url) as store:
        yield store


def test_without_a_store_lengths_are_assumed() -> None:
    found = estimate(SUITE, ITEMS, None, candidate=PRICED)
    assert (found.items, found.known, found.calls, found.measured) == (10, 0, 10, False)
    assert found.prompt_tokens == TOKENS
    assert found.completion_tokens == 2560
    assert found.cost_usd == pytest.approx(TOKENS * 1e-6 + 2560 * 10e-6)
    assert found.minutes is None
    assert estimate(SUITE, ITEMS, None, candidate="fake").cost_usd is None


def test_a_circle_asks_up_to_as_often_as_it_has_turns() -> None:
    found = estimate(SUITE, ITEMS, None, candidate="fake", options=RunOptions(circle=3))
    assert (found.items, found.calls) == (10, 30)
    assert found.source == "aptitude:small@1:fake:circle3"


def test_time_is_that_of_the_slower_of_latency_and_rate(sqlite: CapabilityStore) -> None:
    sqlite.add_candidates([PRICED])
    sqlite.add_tasks([Task(id="other", keywords=("other",))])
    sqlite.add_items([Item(id="o", task="other")])
    sqlite.add_outcomes(
        [Outcome(candidate="fake", item="o", correct=1, source="s", latency_s=12.0, completion_tokens=100)]
    )
    found = estimate(SUITE, ITEMS, sqlite, candidate="fake", options=RunOptions(concurrency=2))
    assert (found.completion_tokens, found.measured) == (1000, True), "of whatever test"
    assert found.minutes == pytest.approx(10 * 12 / 2 / 60)
    slower = estimate(SUITE, ITEMS, sqlite, candidate="fake", options=RunOptions(concurrency=2, per_minute=2.0))
    assert slower.minutes == 5.0


def test_what_was_answered_is_left_out_and_measured(sqlite: CapabilityStore) -> None:
    class Slow(FakeClient):
        async def ask(self, prompt: str, *, key: str) -> Answer:
            await asyncio.sleep(6.0)
            return await super().ask(prompt, key=key)

    def answer(prompt: str) -> Any:
        if number_of(prompt) >= 4:
            raise Refused("no")
        return Answer(skilled(lambda _: True)(prompt), 50, 30)

    run_virtually(arun_aptitude(Slow(answer), SUITE, ITEMS, sqlite))
    version = sqlite.version
    found = estimate(SUITE, ITEMS, sqlite, candidate=PRICED)
    assert (found.items, found.known, found.calls, found.completion_tokens) == (6, 4, 6, 180)
    assert found.minutes == pytest.approx(6 * 6.0 / 8 / 60)
    assert (sqlite.version, sqlite.candidate("fake").price_in) == (version, None), "nothing was written"


def test_turns_that_were_answered_are_left_out_as_well(sqlite: CapabilityStore) -> None:
    options = RunOptions(circle=2, concurrency=1)
    client = FakeClient(skilled(lambda _: True), failures=[None, None, None, ZeroDivisionError()])
    with pytest.raises(ZeroDivisionError):
        run_virtually(arun_aptitude(client, SUITE, ITEMS, sqlite, options=options))
    found = estimate(SUITE, ITEMS, sqlite, candidate="fake", options=options)
    assert (found.known, found.items, found.calls) == (1, 9, 17)


def test_what_a_run_would_refuse_is_refused() -> None:
    with pytest.raises(InvalidInput, match="did not come"):
        estimate(SUITE, ITEMS[1:], None, candidate="fake")
