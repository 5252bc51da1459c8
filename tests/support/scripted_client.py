"""A client by script, asked by an `Asker` in virtual time: for the tests of retries, rate limits and the brake."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from random import Random

from virtual_time import run_virtually

from cit_core.aptitude.clients import Answer
from cit_core.aptitude.runner.brake import Brake
from cit_core.aptitude.runner.rate_limit import Pace
from cit_core.aptitude.runner.retry import Asker, Timed

__all__ = ["Highest", "Lowest", "Script", "ask_all", "first_times"]


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
            retried=lambda _: None,
        )  # fmt: skip
        brake(stop)
        return await asyncio.gather(*(asker.ask(prompt, key=prompt) for prompt in prompts), return_exceptions=True)

    return run_virtually(main())


def first_times(count: int, error: Exception) -> Callable[[str, int], Exception | None]:
    return lambda prompt, before: error if before < count else None
