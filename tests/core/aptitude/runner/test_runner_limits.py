"""Limits of a run, on requests under way and on money, and the circle test, which pays turn by turn."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from running import ITEMS, PRICED, SKILL, SOURCE, SUITE, run
from small_suite import number_of, skilled, suite_of, task_of

from cit_core.aptitude.clients import Answer, FakeClient
from cit_core.aptitude.runner import RunOptions
from cit_core.errors import InvalidInput, Transient
from cit_core.records import Candidate
from cit_core.store import CapabilityStore


@pytest.fixture
def sqlite(sqlite_url: str) -> Iterator[CapabilityStore]:
    with CapabilityStore(sqlite_url) as store:
        yield store


# -- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [1, 5, 30, 99])
def test_as_many_requests_as_allowed_are_under_way_and_never_more(sqlite: CapabilityStore, concurrency: int) -> None:
    now = most = 0

    class Counting(FakeClient):
        async def ask(self, prompt: str, *, key: str) -> Answer:
            nonlocal now, most
            now += 1
            most = max(most, now)
            await asyncio.sleep(1.0)
            now -= 1
            return await super().ask(prompt, key=key)

    run(Counting(skilled(SKILL), failures=[Transient("busy")] * 3), sqlite, concurrency=concurrency)
    assert most == min(concurrency, 30)


def test_a_cost_limit_is_not_passed_by_all_runs_together(store: CapabilityStore) -> None:
    """An answer costs $0.01 here; a limit of $0.105 lets ten through, however they are spread over runs."""

    def client() -> FakeClient:
        return FakeClient(lambda prompt: Answer(skilled(SKILL)(prompt), 0, 1000))

    first = run(client(), store, candidate=PRICED, max_cost_usd=0.035, concurrency=1)
    assert (first.answered, first.published) == (3, False)
    assert first.cost_usd == pytest.approx(0.03)
    assert "$0.03 of $0.035 are spent" in str(first.stopped)
    second = run(client(), store, candidate=PRICED, max_cost_usd=0.105, concurrency=4)
    assert (second.known, second.answered, second.published) == (3, 7, False)
    assert second.cost_usd == pytest.approx(0.10), "what earlier runs have spent counts"
    asked = client()
    assert run(asked, store, candidate=PRICED, max_cost_usd=0.105).answered == 0
    assert asked.calls == []
    assert run(client(), store, candidate=PRICED, max_cost_usd=1.0).published


def test_calls_under_way_count_towards_the_limit(sqlite: CapabilityStore) -> None:
    under_way = most = 0

    class Slow(FakeClient):
        async def ask(self, prompt: str, *, key: str) -> Answer:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(1.0)
            under_way -= 1
            return Answer("1", 0, 256)

    report = run(Slow(str), sqlite, candidate=Candidate(id="fake", price_in=0, price_out=10), max_cost_usd=0.0129)
    assert most == 4, "the first is asked alone, for nobody knows what it costs; then $0.00256 each"
    assert report.answered == 5


def test_how_long_answers_are_is_known_from_other_tests(sqlite: CapabilityStore) -> None:
    def client() -> FakeClient:
        return FakeClient(lambda prompt: Answer(skilled(SKILL)(prompt), 0, 1000))

    run(client(), sqlite, suite=suite_of("sums"), candidate=PRICED)
    other = SUITE.model_copy(update={"name": "other"})
    report = run(client(), sqlite, suite=(other, ITEMS), max_cost_usd=0.035)
    assert report.answered == 3, "$0.01 each; eight would fit if the first were assumed to be short"


def test_where_answers_cost_less_than_feared_calls_wait_and_the_run_goes_on(sqlite: CapabilityStore) -> None:
    client = FakeClient(lambda prompt: Answer(skilled(SKILL)(prompt), 0, 10))
    report = run(client, sqlite, candidate=PRICED, max_cost_usd=0.006)  # two of the first calls fit, the third waits
    assert (report.answered, report.stopped) == (30, None)


def test_tokens_that_nobody_counts_are_counted_by_characters(sqlite: CapabilityStore) -> None:
    def client() -> FakeClient:
        return FakeClient(lambda _: "x" * 4000)

    free_to_ask = Candidate(id="fake", price_in=0, price_out=10)
    report = run(client(), sqlite, candidate=free_to_ask, max_cost_usd=0.035, concurrency=1)
    assert report.answered == 3
    assert report.cost_usd == pytest.approx(0.03)
    assert all(outcome.cost_usd is None for outcome in sqlite.outcomes()), "a guess is no fact"
    assert run(client(), sqlite, candidate=free_to_ask, max_cost_usd=0.035).answered == 0, "and found again"


def test_a_system_message_counts_towards_the_limit_and_what_was_cut_off_is_counted(sqlite: CapabilityStore) -> None:
    """Ten thousand tokens at $1 a million, of which the questions are a few: $0.01 an answer."""
    client = FakeClient(lambda prompt: Answer(skilled(SKILL)(prompt), 10_000, 0, cut_off=prompt.startswith("sums")))
    report = run(client, sqlite, candidate=PRICED, max_cost_usd=0.105, concurrency=8)
    assert (report.answered, report.cut_off) == (10, 4)
    assert report.cost_usd == pytest.approx(0.1)


def test_a_cost_limit_needs_prices(sqlite: CapabilityStore) -> None:
    client = FakeClient(skilled(SKILL))
    with pytest.raises(InvalidInput, match="--price-in and --price-out"):
        run(client, sqlite, max_cost_usd=1.0)
    with pytest.raises(InvalidInput, match="--price-in and --price-out"):
        run(client, sqlite, max_cost_usd=1.0, candidate=Candidate(id="fake", price_in=1.0))
    assert client.calls == []


@pytest.mark.parametrize(
    "options",
    [
        {"concurrency": 0}, {"per_minute": 0.0}, {"per_minute": float("nan")}, {"timeout_s": 0.0}, {"attempts": 0},
        {"max_cost_usd": -1.0}, {"max_failed": 1.0}, {"max_failed": -0.1}, {"circle": -1}, {"timeout_s": float("inf")},
    ],
)  # fmt: skip
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(options))):
        RunOptions(**options)


# -- the circle test --------------------------------------------------------------------------------------------------

CIRCLE = f"{SOURCE}:circle4"


def test_in_a_circle_every_turn_must_hold_and_a_wrong_one_ends_it(store: CapabilityStore) -> None:
    """It knows the sums, and of the letters likes the A whatever stands there."""

    def likes_a(prompt: str) -> str:
        return "Answer: A" if task_of(prompt) == "letters" else skilled(lambda _: True)(prompt)

    assert run(FakeClient(likes_a), store, suite=suite_of("letters", per_task=8)).right == {"letters": 0.25}
    client = FakeClient(likes_a)
    report = run(client, store, circle=4)
    assert report.source == CIRCLE
    assert report.right == {"sums": 1.0, "letters": 0.0, "words": 1.0}
    asked = Counter(number_of(prompt) for prompt, _ in client.calls if task_of(prompt) == "letters")
    right_letter = {number_of(item.instruction or ""): item.answer for item in ITEMS if item.options}
    assert {n: right_letter[n] == "A" for n in range(10)} == {n: count > 1 for n, count in asked.items()}
    assert report.published
    assert store.held() == tuple(f"{CIRCLE}#turn{turn}" for turn in range(4)), "turns never count by themselves"
    assert store.capability("fake").usage.latency_s == 0.0


def test_who_knows_is_right_in_every_turn(sqlite: CapabilityStore) -> None:
    client = FakeClient(lambda prompt: Answer(skilled(lambda _: True)(prompt), 100, 50))
    report = run(client, sqlite, circle=3, candidate=PRICED, suite=suite_of("letters"))
    assert report.right == {"letters": 1.0}
    assert len(client.calls) == len({key for _, key in client.calls}) == 30
    (first, *_) = sqlite.outcomes(candidate="fake", source=f"{SOURCE}:circle3")
    assert first.answer is not None
    assert first.answer.count("Answer: ") == 3
    assert len(set(first.answer.split("\n---\n"))) == 3, "the right letter was another one in every turn"
    assert report.cost_usd == pytest.approx(30 * 0.0006)
    assert sqlite.capability("fake").usage.cost_usd == pytest.approx(0.0006), "as one query takes it"


@pytest.mark.parametrize("after", [1, 2, 3, 7, 21, 39])
def test_a_circle_that_was_cut_pays_for_no_turn_twice(sqlite: CapabilityStore, after: int) -> None:
    """Cut anywhere, by a mistake that the runner does not expect; the store then has what a kill leaves there."""
    calls: list[tuple[str, str]] = []
    suite = suite_of("letters")
    for _ in range(1 + 40 // after):
        client = FakeClient(skilled({"letters": 7}), failures=[None] * after + [ZeroDivisionError()])
        try:
            report = run(client, sqlite, circle=4, concurrency=1, suite=suite)
        except ZeroDivisionError:
            calls += client.calls[:-1]
            continue
        calls += client.calls
        break
    assert report.right == {"letters": 0.7}
    assert report.published
    assert len(calls) == len(set(calls)) == 7 * 4 + 3


def test_the_circle_keeps_to_a_cost_limit_turn_by_turn(sqlite: CapabilityStore) -> None:
    def client() -> FakeClient:
        return FakeClient(lambda prompt: Answer(skilled(lambda _: True)(prompt), 0, 1000))

    suite = suite_of("letters")
    first = run(client(), sqlite, circle=4, candidate=PRICED, max_cost_usd=0.065, concurrency=1, suite=suite)
    assert (first.answered, first.known) == (1, 0)
    assert first.cost_usd == pytest.approx(0.06), "one item of four turns, and two turns of the next"
    second = run(client(), sqlite, circle=4, candidate=PRICED, max_cost_usd=0.085, concurrency=1, suite=suite)
    assert (second.answered, second.known) == (1, 1)
    assert second.cost_usd == pytest.approx(0.08)
