"""Asking again: how long it waits, whom it keeps waiting, and when it gives up. All in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from itertools import pairwise
from random import Random

import pytest
from virtual_time import run_virtually

from cit_core.aptitude.clients import Answer
from cit_core.aptitude.runner.retry import (
    FIRST_BACKOFF_S,
    LONGEST_BACKOFF_S,
    LONGEST_PAUSE_S,
    Asker,
    Brake,
    Halted,
    Pace,
    Timed,
)
from cit_core.errors import Refused, Transient


class Script:
    """A client that notes when it is asked, takes its time, and does what stands in the script for a prompt."""

    name = "script"

    def __init__(self, script: Callable[[str, int], Exception | None], takes_s: float = 0.0) -> None:
        self.asked: list[tuple[float, str]] = []
        self._script = script
        self._takes_s = takes_s

    async def ask(self, prompt: str, *, key: str) -> Answer:
        before = sum(asked == prompt for _, asked in self.asked)
        self.asked.append((asyncio.get_running_loop().time(), prompt))
        await asyncio.sleep(self._takes_s)
        error = self._script(prompt, before)
        if error is not None:
            raise error
        return Answer(f"answer to {prompt}")

    def times(self, prompt: str) -> list[float]:
        return [time for time, asked in self.asked if asked == prompt]


class Highest(Random):
    """Always draws the upper end."""

    def uniform(self, a: float, b: float) -> float:
        return b


class Lowest(Random):
    """Always draws the lower end."""

    def uniform(self, a: float, b: float) -> float:
        return a


def ask_all(
    client: Script,
    prompts: Iterable[str],
    *,
    per_minute: float | None = None,
    attempts: int = 6,
    random: Random | None = None,
    timeout_s: float = 120.0,
    brake: Callable[[Brake], object] = lambda brake: None,
) -> list[Timed | BaseException]:
    """Ask every prompt at once."""

    async def main() -> list[Timed | BaseException]:
        stop = Brake()
        asker = Asker(
            client, Pace(per_minute, stop), stop, timeout_s=timeout_s, attempts=attempts, random=random or Random(0),
            retried=lambda: None,
        )  # fmt: skip
        brake(stop)
        return await asyncio.gather(*(asker.ask(prompt, key=prompt) for prompt in prompts), return_exceptions=True)

    return run_virtually(main())


def first_times(count: int, error: Exception) -> Callable[[str, int], Exception | None]:
    return lambda prompt, before: error if before < count else None


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


def test_a_server_that_asks_to_wait_is_left_alone_by_everybody() -> None:
    def script(prompt: str, before: int) -> Exception | None:
        return Transient("slow down", retry_after_s=30.0) if prompt == "a" and not before else None

    client = Script(script, takes_s=1.0)
    results = ask_all(client, "ab", per_minute=60.0, random=Lowest())
    assert all(isinstance(result, Timed) for result in results)
    assert client.times("a") == [0.0, 31.0], "told at 1 s to wait 30"
    client = Script(script, takes_s=0.5)
    ask_all(client, "ab", per_minute=60.0, random=Lowest())
    assert client.times("b")[0] >= 30.5, "b's first request would have been due at 1 s"


def test_a_server_is_asked_again_however_long_it_wants_to_be_left_alone() -> None:
    client = Script(first_times(1, Transient("slow down", retry_after_s=1e9)))
    ask_all(client, ["q"], random=Lowest())
    assert client.times("q") == pytest.approx([0.0, LONGEST_PAUSE_S])


def test_requests_are_evenly_spaced_repeated_ones_included() -> None:
    client = Script(lambda prompt, before: Transient("busy") if prompt < "c" and not before else None, takes_s=9.0)
    ask_all(client, "abcdef", per_minute=20.0, random=Lowest())
    times = [time for time, _ in client.asked]
    assert len(times) == 8
    assert min(later - earlier for earlier, later in pairwise(times)) >= 3.0 - 1e-9
    assert times[:6] == pytest.approx([0, 3, 6, 9, 12, 15]), "and no slower than they may be"


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


@pytest.mark.parametrize("random", [Highest(), Lowest()])
@pytest.mark.parametrize("per_minute", [None, 0.5])
def test_the_brake_wakes_who_sleeps_and_what_was_sent_is_waited_for(per_minute: float | None, random: Random) -> None:
    client = Script(lambda prompt, before: Transient("busy") if prompt == "a" else None, takes_s=10.0)

    def brake(stop: Brake) -> None:
        asyncio.get_running_loop().call_later(5.0, stop.pull, "enough")

    first, second = ask_all(client, "ab", per_minute=per_minute, brake=brake, random=random)
    assert isinstance(first, Halted), "its answer would have to be asked for again"
    assert isinstance(second, Timed if per_minute is None else Halted)
    assert len(client.asked) == (2 if per_minute is None else 1)


def test_the_first_reason_to_stop_is_the_one_that_is_told() -> None:
    brake = Brake()
    brake.check()
    brake.pull("first")
    brake.pull("second")
    assert brake.reason == "first"
    with pytest.raises(Halted):
        brake.check()
