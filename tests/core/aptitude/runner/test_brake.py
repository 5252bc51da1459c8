"""The brake: it wakes what waits, lets what was sent come back, and keeps the first reason."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from scripted_client import Highest, Lowest, Script, ask_all

from cit_core.aptitude.runner.brake import Brake, Halted
from cit_core.aptitude.runner.retry import Timed
from cit_core.errors import Transient


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
