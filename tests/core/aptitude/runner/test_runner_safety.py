"""A test is safe to pay for: what is billed without an answer counts, and what can no longer count is not paid."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from running import PRICED, SKILL, SOURCE, run
from small_suite import skilled

from cit_core.aptitude.clients import Answer, FakeClient
from cit_core.aptitude.runner import Progress
from cit_core.errors import InvalidInput, Refused, Transient
from cit_core.records import Candidate
from cit_core.store import CapabilityStore

FREE_TO_ASK = Candidate(id="fake", price_in=0, price_out=10)


@pytest.fixture
def store(sqlite_url: str) -> Iterator[CapabilityStore]:
    with CapabilityStore(sqlite_url) as opened:
        yield opened


def thought(tokens: int) -> Refused:
    """The answer of a reasoning model that spent its tokens thinking; $0.01 for each 1,000."""
    error = Refused("the answer has no text: max_tokens was used up before it began")
    error.prompt_tokens, error.completion_tokens = 0, tokens
    return error


def unable(error: Exception) -> FakeClient:
    def answer(prompt: str) -> str:
        raise error

    return FakeClient(answer)


def test_thoughts_without_an_answer_are_paid_and_count(store: CapabilityStore) -> None:
    """The first call is made alone, and what it cost is known before the second."""
    client = unable(thought(1000))
    report = run(client, store, candidate=PRICED, max_cost_usd=0.025, max_failed=0.9)
    assert len(client.calls) == 2
    assert report.cost_usd == pytest.approx(0.02)
    assert "$0.02 of $0.025 are spent" in str(report.stopped)
    again = unable(thought(1000))
    report = run(again, store, candidate=PRICED, max_cost_usd=0.035, max_failed=0.9)
    assert len(again.calls) == 1, "what an earlier run has paid in vain counts as well"
    assert report.cost_usd == pytest.approx(0.03)


def test_an_expensive_first_answer_ends_a_small_limit(store: CapabilityStore) -> None:
    client = FakeClient(lambda prompt: Answer("", 0, 16_000))
    report = run(client, store, candidate=PRICED, max_cost_usd=0.01, concurrency=8)
    assert len(client.calls) == 1
    assert report.cost_usd == pytest.approx(0.16)


def test_a_timeout_may_have_been_billed(store: CapabilityStore) -> None:
    class Hangs(FakeClient):
        async def ask(self, prompt: str, *, key: str) -> Answer:
            self.calls.append((prompt, key))
            await asyncio.sleep(1e6)
            raise AssertionError

    client = Hangs(str)
    report = run(client, store, candidate=PRICED, max_failed=0.0, attempts=2, concurrency=1)
    assert report.cost_usd == pytest.approx(2 * 256 * 10e-6, rel=0.1), "two attempts, as long as is assumed"


def test_a_refused_connection_ends_the_run_at_once(store: CapabilityStore) -> None:
    def refused(prompt: str) -> str:
        try:
            raise ConnectionRefusedError("SECRET")
        except ConnectionRefusedError:
            raise Transient("no usable response (APIConnectionError)") from None

    client = FakeClient(refused)
    report = run(client, store, concurrency=1)
    assert len(client.calls) == 1
    assert report.stopped == (
        "the server cannot be reached: no usable response (APIConnectionError); "
        "is it running, and is its address right?"
    )
    assert not report.published


def test_a_server_that_goes_away_in_between_is_waited_for(store: CapabilityStore) -> None:
    def lost() -> Transient:
        error = Transient("no usable response")
        error.__context__ = ConnectionRefusedError()
        return error

    client = FakeClient(skilled(SKILL), failures=[None, None, None, lost(), lost(), None])
    report = run(client, store, concurrency=1)
    assert (report.answered, report.retries, report.published) == (30, 2, True)


def test_a_run_that_cannot_be_published_any_more_stops(store: CapabilityStore) -> None:
    client = unable(Refused("HTTP 400", status=400))
    report = run(client, store, concurrency=1)
    assert len(client.calls) == 2, "1.5 of 30 may fail"
    assert report.stopped is not None
    assert report.stopped.startswith("2 of 30 questions failed, and 5% may")
    assert report.stopped.endswith("Most frequent (2): HTTP 400")


def test_progress_says_why_questions_fail_and_requests_are_repeated(store: CapabilityStore) -> None:
    seen: list[Progress] = []
    failures = [Transient("busy"), None, Refused("HTTP 400", status=400), None]
    run(FakeClient(skilled(SKILL), failures=failures), store, concurrency=1, progress=seen.append)
    assert [now.trouble for now in seen[:3]] == [None, "busy", "busy"]
    assert (seen[-1].reasons, seen[-1].retries, seen[-1].failed) == ({"HTTP 400": 1}, 1, 1)


SETTINGS = {"model": "m", "system": "Be brief.", "temperature": 0.0, "effort": "low"}


def begun(store: CapabilityStore, settings: dict[str, Any]) -> None:
    """Twelve answers."""
    client = FakeClient(skilled(SKILL), failures=[None] * 12 + [Refused("no", status=401)], settings=settings)
    assert run(client, store, concurrency=1).answered == 12


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model": "n"}, "was begun with model 'm', and this run has model 'n'"),
        ({"temperature": 1.0}, "was begun with temperature 0.0, and this run has temperature 1.0"),
        ({"effort": None}, "was begun with effort 'low', and this run has no effort"),
        ({"system": "Be long."}, "was begun with another system, and this run has another system"),
    ],
)
def test_a_test_is_not_gone_on_with_in_another_way(store: CapabilityStore, change: dict[str, Any], says: str) -> None:
    begun(store, SETTINGS)
    client = FakeClient(skilled(SKILL), settings=SETTINGS | change)
    with pytest.raises(InvalidInput, match=says) as caught:
        run(client, store)
    assert "Be " not in str(caught.value)
    assert client.calls == []
    assert run(FakeClient(skilled(SKILL), settings=SETTINGS), store).published


def test_settings_are_kept_without_the_system_prompt(store: CapabilityStore) -> None:
    begun(store, SETTINGS)
    kept = store.setting(f"aptitude run {SOURCE}")
    assert kept["settings"]["model"] == "m"
    assert "Be brief." not in str(kept)


def test_a_test_of_an_older_release_is_gone_on_with(store: CapabilityStore) -> None:
    begun(store, {})
    assert run(FakeClient(skilled(SKILL), settings=SETTINGS), store).published


def test_another_id_is_another_test(store: CapabilityStore) -> None:
    begun(store, SETTINGS)
    other = FakeClient(skilled(SKILL), settings=SETTINGS | {"effort": "high"})
    assert run(other, store, candidate=Candidate(id="fake@high")).published


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the run is killed in a child")
def test_what_a_killed_run_had_spent_or_under_way_counts_in_the_next(store: CapabilityStore) -> None:
    """Two answers, a failure that was billed, and a question under way, at $0.01 each; then SIGKILL."""

    class Killed(FakeClient):
        asked = 0

        async def ask(self, prompt: str, *, key: str) -> Answer:
            self.asked += 1
            if self.asked == 3:
                error = Transient("cut off")
                error.prompt_tokens, error.completion_tokens = 0, 1000
                raise error
            if self.asked == 5:
                os.kill(os.getpid(), signal.SIGKILL)
            return Answer(skilled(SKILL)(prompt), 0, 1000)

    child = os.fork()
    if not child:
        run(Killed(str), store, candidate=FREE_TO_ASK, max_cost_usd=1.0, concurrency=1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    answers = sum(outcome.cost_usd or 0 for outcome in store.outcomes())
    assert answers == pytest.approx(0.03)
    nothing = run(FakeClient(str), store, candidate=FREE_TO_ASK, max_cost_usd=0.05, concurrency=1)
    assert (nothing.answered, nothing.cost_usd) == (0, pytest.approx(0.05)), "the failure and what was under way too"
    assert nothing.stopped is not None
    again = run(FakeClient(lambda prompt: Answer("1", 0, 1000)), store, candidate=FREE_TO_ASK, max_cost_usd=0.065)
    assert again.answered == 1
    assert len(store.setting(f"aptitude run {SOURCE}")) == 2
