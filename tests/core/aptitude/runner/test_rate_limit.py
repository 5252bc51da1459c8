"""The pace: requests are evenly spaced, and a server that asks for a pause gets it from every worker."""

from __future__ import annotations

from itertools import pairwise

import pytest
from scripted_client import Lowest, Script, ask_all

from cit_core.aptitude.runner.retry import Timed
from cit_core.errors import Transient


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


def test_requests_are_evenly_spaced_repeated_ones_included() -> None:
    client = Script(lambda prompt, before: Transient("busy") if prompt < "c" and not before else None, takes_s=9.0)
    ask_all(client, "abcdef", per_minute=20.0, random=Lowest())
    times = [time for time, _ in client.asked]
    assert len(times) == 8
    assert min(later - earlier for earlier, later in pairwise(times)) >= 3.0 - 1e-9
    assert times[:6] == pytest.approx([0, 3, 6, 9, 12, 15]), "and no slower than they may be"
