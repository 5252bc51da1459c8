"""Retries: how long they wait, and when they end. All in virtual time."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from scripted_client import Highest, Lowest, Script, ask_all, first_times

from cit_core.aptitude.clients import Answer
from cit_core.aptitude.runner.retry import FIRST_BACKOFF_S, LONGEST_BACKOFF_S, LONGEST_PAUSE_S, Timed
from cit_core.errors import Refused, Transient


def test_the_time_of_an_answer_is_that_of_the_attempt_that_brought_it() -> None:
    client = Script(first_times(2, Transient("busy")), takes_s=1.5)
    assert ask_all(client, ["q"]) == [Timed(Answer("answer to q"), 1.5)]
    assert len(client.asked) == 3


def test_waits_double_up_to_the_longest_and_are_random_below() -> None:
    client = Script(first_times(9, Transient("busy")))
    ask_all(client, ["q"], attempts=10, random=Highest())
    times = client.times("q")
    waits = [later - earlier for earlier, later in pairwise(times)]
    doubling = [min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2**attempt) for attempt in range(9)]
    assert waits == pytest.approx(doubling)
    client = Script(first_times(9, Transient("busy")))
    ask_all(client, ["q"], attempts=10, random=Lowest())
    assert client.times("q") == [0.0] * 10, "full jitter begins at no wait at all"


def test_after_the_last_attempt_its_error_is_raised() -> None:
    client = Script(lambda prompt, before: Transient(f"busy {before}"))
    (error,) = ask_all(client, ["q"], attempts=3)
    assert isinstance(error, Transient)
    assert str(error) == "busy 2"
    assert len(client.asked) == 3


def test_what_is_refused_is_not_asked_again() -> None:
    client = Script(lambda prompt, before: Refused("no", status=400))
    (error,) = ask_all(client, ["q"])
    assert isinstance(error, Refused)
    assert len(client.asked) == 1


def test_a_request_that_hangs_is_given_up_and_sent_again() -> None:
    client = Script(lambda prompt, before: None, takes_s=1e9)
    (error,) = ask_all(client, ["q"], timeout_s=7.0, attempts=3, random=Lowest())
    assert isinstance(error, Transient)
    assert "no answer within 7 s" in str(error)
    assert client.times("q") == [0.0, 7.0, 14.0]


def test_being_told_to_wait_does_not_count_while_others_are_answered() -> None:
    """A server that answers one request a second and tells the others to wait: all have their turn in the end."""
    busy_until = 0.0

    def script(prompt: str, before: int) -> Exception | None:
        nonlocal busy_until
        now = asyncio.get_running_loop().time()
        if now < busy_until:
            return Transient("slow down", status=429, retry_after_s=1.0)
        busy_until = now + 1.0
        return None

    client = Script(script)
    results = ask_all(client, map(str, range(20)), attempts=3)
    assert all(isinstance(result, Timed) for result in results)
    assert max(len(client.times(str(number))) for number in range(20)) > 3


def test_being_told_to_wait_and_nothing_else_ends_after_the_last_attempt() -> None:
    client = Script(lambda prompt, before: Transient("slow down", retry_after_s=1.0))
    results = ask_all(client, "ab", attempts=4)
    assert all(isinstance(result, Transient) for result in results)
    assert len(client.asked) == 8


def test_a_server_is_asked_again_however_long_it_wants_to_be_left_alone() -> None:
    client = Script(first_times(1, Transient("slow down", retry_after_s=1e9)))
    ask_all(client, ["q"], random=Lowest())
    assert client.times("q") == pytest.approx([0.0, LONGEST_PAUSE_S])
