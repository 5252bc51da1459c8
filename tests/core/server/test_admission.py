"""Requests that come together are decided a few at a time, in order; beyond the queue they are refused."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx
import numpy as np
import pytest
from gateway_process import ENVIRONMENT, fake_router, serving, settings_file
from numpy.typing import NDArray
from scripted_provider import ScriptedProvider

from cit_core import Capability, FakeScorer, Router
from cit_core.server import admission
from cit_core.server.admission import Admission, Overloaded, Place
from cit_core.server.app import create_app
from cit_core.settings import read_settings

ASK = {"model": "cit", "messages": [{"role": "user", "content": "What is 7 times 8?"}]}


async def test_places_are_taken_in_order_and_given_up_once() -> None:
    queue, came = Admission(), []
    held = [await queue.enter(2, 9) for _ in range(2)]

    async def one(name: str) -> Place:
        place = await queue.enter(2, 9)
        came.append(name)
        return place

    waiting = [asyncio.create_task(one(name)) for name in "abc"]
    await asyncio.sleep(0)
    assert (came, queue.waiting) == ([], 3)
    waiting[1].cancel()  # this caller leaves
    for _ in range(2):
        held[0].leave()  # the second time nothing happens
    await asyncio.sleep(0.01)
    assert (came, queue.waiting) == (["a"], 1)
    held[1].leave()
    await asyncio.sleep(0.01)
    assert came == ["a", "c"]
    for place in (await waiting[0], await waiting[2]):
        place.leave()
    assert queue._admitted == 0


async def test_a_caller_who_leaves_in_the_moment_of_its_turn_passes_it_on() -> None:
    queue = Admission()
    first = await queue.enter(1, 9)
    leaving, next_one = (asyncio.create_task(queue.enter(1, 9)) for _ in range(2))
    await asyncio.sleep(0)
    first.leave()
    leaving.cancel()
    (await asyncio.wait_for(next_one, 5)).leave()
    assert queue._admitted == 0


async def test_a_provider_that_cannot_be_connected_to_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "STEP_S", 0.005)
    queue = Admission()
    await queue.enter(1, 9)  # never given up
    assert await asyncio.wait_for(queue.enter(1, 9), 5)
    with pytest.raises(Overloaded, match=r"0 requests wait already.*max_queued"):
        await queue.enter(1, 0)


class GatedScorer(FakeScorer):
    """Scores when the gate is open; knows how many calls were under way at once."""

    def __init__(self, scores: Mapping[str, float]) -> None:
        super().__init__(scores)
        self.gate, self.now, self.most = threading.Event(), 0, 0

    def score(self, instructions: Sequence[str], capabilities: Sequence[Capability]) -> NDArray[np.floating]:
        self.now += 1
        self.most = max(self.most, self.now)
        self.gate.wait(20)
        self.now -= 1
        return super().score(instructions, capabilities)


async def test_a_full_queue_is_told_in_the_words_of_the_protocol(tmp_path: Path) -> None:
    more = "[server]\nmax_deciding = 1\nmax_queued = 2"
    with ScriptedProvider() as provider:
        settings = read_settings(settings_file(tmp_path, provider.url, {"a": "ok"}, more), {})
        router = Router(scorer := GatedScorer({"a": 0.9}), fake_router(settings).candidates)
        with serving(create_app(settings, ENVIRONMENT, router)) as url:
            async with httpx.AsyncClient(timeout=30) as client:
                asked = [asyncio.create_task(client.post(f"{url}/v1/chat/completions", json=ASK)) for _ in range(3)]
                while "cit_waiting_requests 2.0" not in (await client.get(f"{url}/metrics")).text:
                    await asyncio.sleep(0.02)
                for path in ("chat/completions", "responses", "messages", "route"):
                    refused = await client.post(f"{url}/v1/{path}", json={**ASK, "input": "What?", "max_tokens": 9})
                    assert (refused.status_code, refused.headers["retry-after"]) == (503, "2"), path
                    assert "2 requests wait already" in refused.json()["error"]["message"]
                assert (await client.get(f"{url}/healthz")).status_code == 200
                assert (await client.get(f"{url}/readyz")).json() == {"status": "ready", "models": 1}
                scorer.gate.set()
                assert [one.status_code for one in await asyncio.gather(*asked)] == [200] * 3
    assert scorer.most == 1


async def test_a_place_is_free_while_the_provider_thinks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "STEP_S", 60.0)
    with ScriptedProvider() as provider:
        path = settings_file(tmp_path, provider.url, {"a": "stall"}, "[server]\nmax_deciding = 1\nmax_queued = 9")
        settings = read_settings(path, {})
        with serving(create_app(settings, ENVIRONMENT, fake_router(settings))) as url:
            async with httpx.AsyncClient(timeout=30) as client:
                body = {**ASK, "stream": True}
                asked = [asyncio.create_task(client.post(f"{url}/v1/chat/completions", json=body)) for _ in range(3)]
                end = time.monotonic() + 30
                while provider.hits["stall"] < 3:
                    assert time.monotonic() < end
                    await asyncio.sleep(0.02)
                for one in asked:
                    one.cancel()
