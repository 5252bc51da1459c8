"""Keys, limits, callers who leave, many streams at once, and a configuration that changes meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from gateway_process import ENVIRONMENT, fake_router, gateway, serving, settings_file
from scripted_provider import ANSWER, STREAMS, ScriptedProvider, anthropic_events, openai_answer, sse

from cit_core import Router
from cit_core.errors import StoreError
from cit_core.records import Candidate, Item, Outcome, Task
from cit_core.router.decision_log import read_log
from cit_core.server.access import new_key
from cit_core.server.app import _watch, create_app
from cit_core.server.relay import Answer
from cit_core.server.replies import Passage
from cit_core.settings import Settings, read_settings
from cit_core.store import CapabilityStore

ASK = {"model": "cit", "messages": [{"role": "user", "content": "What is 7 times 8?"}]}


def test_a_request_that_is_too_long(tmp_path: Path) -> None:
    with gateway(tmp_path, "http://127.0.0.1:9", {"a": "ok"}, "[server]\nmax_body_bytes = 1000") as url:
        answer = httpx.post(f"{url}/v1/chat/completions", json={**ASK, "padding": "x" * 2000})
        assert answer.status_code == 413
        assert httpx.post(f"{url}/v1/outcomes", json={"padding": "x" * 2000}).status_code == 413


def test_a_request_that_does_not_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cit_core.server.app.BODY_S", 0.2)

    def slow() -> Iterator[bytes]:
        yield b'{"model": '
        time.sleep(0.6)
        yield b'"cit"}'

    with gateway(tmp_path, "http://127.0.0.1:9", {"a": "ok"}) as url:
        assert httpx.post(f"{url}/v1/chat/completions", content=slow()).status_code == 408


class SlowProvider:
    """Streams a word at a time, for ever or so many; counts the streams that are open."""

    def __init__(self, words: int | None = None) -> None:
        self.words, self.open, self.left, self.most = words, 0, 0, 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        name = json.loads(await reader.readexactly(length))["messages"][0]["content"]
        self.open += 1
        self.most = max(self.most, self.open)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        try:
            word = 0
            while self.words is None or word < self.words:
                event = {"choices": [{"index": 0, "delta": {"content": f"{name}-{word} "}}]}
                writer.write(f"data: {json.dumps(event)}\n\n".encode())
                await writer.drain()
                await asyncio.sleep(0.02)
                word += 1
            writer.write(b"data: [DONE]\n\n")
            await writer.drain()
        except ConnectionError:
            self.left += 1
        finally:
            self.open -= 1
            writer.close()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0) as server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_the_provider_is_left_when_the_caller_leaves(tmp_path: Path) -> None:
    provider = SlowProvider()
    async with provider.serving() as upstream:
        with gateway(tmp_path, upstream, {"a": "ok"}) as url:
            async with (
                httpx.AsyncClient() as client,
                client.stream("POST", f"{url}/v1/chat/completions", json={**ASK, "stream": True}) as answer,
            ):
                async for _ in answer.aiter_lines():
                    break
            for _ in range(200):
                if provider.left:
                    break
                await asyncio.sleep(0.05)
    assert (provider.open, provider.left) == (0, 1)


async def test_an_answer_that_is_left_is_paid_for_and_one_that_has_ended_is_not_left(tmp_path: Path) -> None:
    begun = sse(*anthropic_events("seven times eight " * 1_000)[:3], names=True)
    ended = sse(*anthropic_events("56")[1:], names=True)

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        data = b"".join(begun if len(heads) < 2 else begun + ended)
        heads.append(data)
        writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        with contextlib.suppress(ConnectionError):
            while await reader.read(1_000):  # it keeps the connection
                pass
        writer.close()

    heads: list[bytes] = []
    async with await asyncio.start_server(slow, "127.0.0.1", 0) as server:
        upstream = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        more = '[router]\nlog = "log.jsonl"'
        body = {"model": "cit", "max_tokens": 9, "stream": True, "messages": ASK["messages"]}
        with gateway(tmp_path, upstream, {"a": "anthropic/ok"}, more) as url:
            async with httpx.AsyncClient(timeout=20) as client:
                for end in ("content_block_delta", "content_block_delta", "message_stop"):
                    async with client.stream("POST", f"{url}/v1/messages", json=body) as answer:
                        assert answer.headers["x-accel-buffering"] == "no"
                        async for line in answer.aiter_lines():
                            if line == f"event: {end}":
                                assert "cit_active_requests 1.0" in (await client.get(f"{url}/metrics")).text
                                break
                await until(client, url, 'cit_requests_total{protocol="messages",status="200"} 3.0')
                whole = await client.post(f"{url}/v1/messages", json=body)  # ends, though the connection does not
            assert whole.content == b"".join(begun + ended)
    records = list(read_log(tmp_path / "log.jsonl"))
    assert [record["signal"] for record in records if record["kind"] == "signal"] == ["aborted", "aborted"]
    left, _, ended_left, _ = [record["cost_usd"] for record in records if record["kind"] == "usage"]
    assert left > 3_000 * 4e-6  # words
    assert ended_left == pytest.approx(1e-6 + 2 * 4e-6)  # as counted


async def test_a_caller_who_leaves_before_anything_came_has_aborted(tmp_path: Path) -> None:
    more = '[router]\nlog = "log.jsonl"'
    with ScriptedProvider() as provider, gateway(tmp_path, provider.url, {"a": "stall"}, more) as url:
        async with httpx.AsyncClient(timeout=0.5) as client:
            with pytest.raises(httpx.ReadTimeout):
                await client.post(f"{url}/v1/chat/completions", json={**ASK, "stream": True})
            await until(client, url, 'cit_requests_total{protocol="chat",status="499"} 1.0')
    assert [record["kind"] for record in read_log(tmp_path / "log.jsonl")] == ["decision", "signal"]


@pytest.mark.parametrize(("upto", "counts"), [(5, 0), (4, 0), (3, 1)])
async def test_a_connection_that_breaks_after_the_answer_breaks_nothing(tmp_path: Path, upto: int, counts: int) -> None:
    events = STREAMS["ok"][1][:upto]  # type: ignore[index]

    async def breaking(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        data = b"".join(events)
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(data), data))
        writer.close()

    async with await asyncio.start_server(breaking, "127.0.0.1", 0) as server:
        with gateway(tmp_path, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", {"a": "ok"}) as url:
            async with httpx.AsyncClient(timeout=20) as client:
                answer = await client.post(f"{url}/v1/chat/completions", json={**ASK, "stream": True})
                metrics = (await client.get(f"{url}/metrics")).text
    assert ('"upstream_error"' in answer.text, metrics.count("cit_failures_total{")) == (bool(counts), counts)


async def test_the_provider_is_left_when_the_caller_leaves_before_anything_came(tmp_path: Path) -> None:
    left = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        while await reader.read(1000):
            pass
        left.set()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        with gateway(tmp_path, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", {"a": "ok"}) as url:
            async with httpx.AsyncClient(timeout=0.5) as client:
                with pytest.raises(httpx.ReadTimeout):
                    await client.post(f"{url}/v1/chat/completions", json=ASK)
            await asyncio.wait_for(left.wait(), 20)


async def test_a_provider_that_half_closes_a_connection_costs_no_request(tmp_path: Path) -> None:
    connections = 0

    async def half_closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(
            next(int(x[15:]) for x in head.lower().split(b"\r\n") if x.startswith(b"content-length:"))
        )
        body = json.dumps(openai_answer(ANSWER)).encode()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        writer.write_eof()  # it says nothing more, and still listens
        await reader.read()
        writer.close()

    async with await asyncio.start_server(half_closing, "127.0.0.1", 0) as server:
        with gateway(tmp_path, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", {"a": "ok"}) as url:
            async with httpx.AsyncClient(timeout=20) as client:
                statuses = [(await client.post(f"{url}/v1/chat/completions", json=ASK)).status_code for _ in range(3)]
    assert (statuses, connections) == ([200, 200, 200], 3)


def held() -> int:
    """Count what the gateway holds of its streams."""
    gc.collect()
    return sum(type(one) in (Passage, Answer) for one in gc.get_objects())


async def test_many_streams_at_once_do_not_mix(tmp_path: Path) -> None:
    provider, streams = SlowProvider(words=3), 60

    async def one(client: httpx.AsyncClient, url: str, name: str) -> str:
        body = {"model": "cit", "stream": True, "messages": [{"role": "user", "content": name}]}
        async with client.stream("POST", f"{url}/v1/chat/completions", json=body) as answer:
            events = [line[6:] async for line in answer.aiter_lines() if line.startswith("data: {")]
        return "".join(json.loads(event)["choices"][0]["delta"]["content"] for event in events)

    async with provider.serving() as upstream:
        with gateway(tmp_path, upstream, {"a": "ok"}) as url:
            async with httpx.AsyncClient(timeout=60) as client:
                said = await asyncio.gather(*[one(client, url, f"q{place}") for place in range(streams)])
            end = time.monotonic() + 20
            while held() and time.monotonic() < end:
                await asyncio.sleep(0.05)
            assert held() == 0  # nothing of a stream stays
    assert said == [f"q{place}-0 q{place}-1 q{place}-2 " for place in range(streams)]
    assert provider.most > 1


async def test_a_new_configuration_is_taken_up_without_dropping_a_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cit_core.server.app.Router.from_config", fake_router)
    monkeypatch.setattr("cit_core.server.gateway.Router.from_config", fake_router)
    provider = SlowProvider(words=150)
    more = "[server]\nreload_s = 1"
    async with provider.serving() as upstream:
        path = settings_file(tmp_path, upstream, {"old": "ok"}, more)
        with serving(create_app(read_settings(path, {}), ENVIRONMENT)) as url:
            async with httpx.AsyncClient(timeout=60) as client:
                body = {**ASK, "stream": True}
                async with client.stream("POST", f"{url}/v1/chat/completions", json=body) as answer:
                    path.write_text("[[models]]\nid = 3")  # cannot be used: nothing changes
                    await until(client, url, 'cit_reloads_total{outcome="refused"} 1.0')
                    settings_file(tmp_path, upstream, {"new": "ok"}, more)
                    await until(client, url, 'cit_reloads_total{outcome="taken"} 1.0')
                    assert 'cit_breaker{model="old"' not in (await client.get(f"{url}/metrics")).text
                    listed = (await client.get(f"{url}/v1/models")).json()["data"]
                    lines = [line async for line in answer.aiter_lines() if line.startswith("data: ")]
    assert [entry["id"] for entry in listed] == ["cit", "new"]
    assert lines[-1] == "data: [DONE]"
    assert len(lines) == 151


async def test_a_configuration_that_opens_the_gateway_to_everybody_is_not_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cit_core.server.app.Router.from_config", fake_router)
    key, digest = new_key()
    table = f'[server]\nreload_s = 1\n[[server.keys]]\nname = "team"\nsha256 = "{digest}"'
    path = settings_file(tmp_path, "http://127.0.0.1:9", {"old": "ok"}, table)
    settings = read_settings(path, {})
    everywhere = settings.server.model_copy(update={"host": "0.0.0.0"})  # as by `cit serve --host`
    with serving(create_app(settings.model_copy(update={"server": everywhere}), ENVIRONMENT)) as url:
        async with httpx.AsyncClient(headers={"x-api-key": key}) as client:
            settings_file(tmp_path, "http://127.0.0.1:9", {"new": "ok"})
            await until(client, url, 'cit_reloads_total{outcome="refused"} 1.0')
            assert httpx.get(f"{url}/v1/models").status_code == 401


async def test_a_store_that_fails_meanwhile_keeps_no_configuration_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = ["at opening", "at a look for what is new"]

    def failing(*_: object) -> bool:
        if fails:
            raise StoreError(fails.pop())
        return False

    def opened(settings: Settings) -> Router:
        failing()
        return fake_router(settings)

    more = "[server]\nreload_s = 1"
    settings = read_settings(settings_file(tmp_path, "http://127.0.0.1:9", {"old": "ok"}, more), {})
    app = create_app(settings, ENVIRONMENT, fake_router(settings))
    monkeypatch.setattr("cit_core.server.app.STORE_EVERY", 1)
    monkeypatch.setattr("cit_core.server.app._has_grown", failing)
    monkeypatch.setattr("cit_core.server.app.Router.from_config", opened)
    watch = asyncio.create_task(_watch(app.state.gateway))
    settings_file(tmp_path, "http://127.0.0.1:9", {"new": "ok"}, more)
    end = time.monotonic() + 20
    while "new" not in app.state.gateway.zoo.upstreams:
        assert time.monotonic() < end
        assert not watch.done()
        await asyncio.sleep(0.05)
    watch.cancel()
    assert not fails


async def test_feedback_that_the_store_cannot_take_now_may_be_given_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object, **__: object) -> None:
        raise StoreError("gone")

    monkeypatch.setattr("cit_core.router.Router.feedback", gone)
    with gateway(tmp_path, "http://127.0.0.1:9", {"a": "ok"}) as url:
        id_ = httpx.post(f"{url}/v1/route", json={"input": "What is 7 times 8?"}).json()["id"]
        refused = httpx.post(f"{url}/v1/outcomes", json={"decision": id_, "correct": 1})
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
    assert refused.json()["error"]["type"] == "api_error"


async def test_a_store_that_has_grown_is_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cit_core.server.app.STORE_EVERY", 1)
    url_of_store = f"sqlite:///{tmp_path / 'zoo.db'}"
    with CapabilityStore(url_of_store) as store:
        store.add_candidates([Candidate(id="a")])
        more = f'[router]\nstore = "{url_of_store}"\n[server]\nreload_s = 1'
        settings = read_settings(settings_file(tmp_path, "http://127.0.0.1:9", {"a": "ok"}, more), {})
        with serving(create_app(settings, ENVIRONMENT)) as url:
            async with httpx.AsyncClient(timeout=60) as client:
                with store.transaction() as writer:
                    writer.add_tasks([Task(id="algebra", keywords=("equations",))])
                    writer.add_items([Item(id="i", task="algebra", instruction="What is x?", answer="1")])
                    writer.add_outcomes([Outcome(candidate="a", item="i", correct=1.0, source="test")])
                await until(client, url, 'cit_reloads_total{outcome="taken"} 1.0')


async def until(client: httpx.AsyncClient, url: str, line: str) -> None:
    """Wait for a line in the metrics."""
    end = time.monotonic() + 30
    while line not in (await client.get(f"{url}/metrics")).text:
        assert time.monotonic() < end, line
        await asyncio.sleep(0.1)


def test_a_response_goes_on_with_the_candidate_that_began_it(tmp_path: Path) -> None:
    with ScriptedProvider() as provider, gateway(tmp_path, provider.url, {"a": "down", "b": "response"}) as url:
        first = httpx.post(f"{url}/v1/responses", json={"model": "cit", "input": "What is 7 times 8?"})
        assert (first.status_code, first.headers["x-cit-model"]) == (200, "b")
        body = {"model": "cit", "input": "And times 9?", "previous_response_id": first.json()["id"]}
        second = httpx.post(f"{url}/v1/responses", json=body)
    assert (second.headers["x-cit-model"], second.headers["x-cit-reason"]) == ("b", "asked for")
    assert ANSWER in first.text


def test_nothing_secret_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    models = {"a": "unauthorized", "b": "ok"}
    with (
        caplog.at_level("DEBUG"),
        ScriptedProvider() as provider,
        gateway(tmp_path, provider.url, models) as url,
    ):
        httpx.post(f"{url}/v1/chat/completions", json=ASK, headers={"authorization": "Bearer caller-key"})
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("cit"))
    assert "a failed" in ours
    for secret in (ENVIRONMENT["UPSTREAM_KEY"], "caller-key", "7 times 8", "SECRET"):
        assert secret not in ours
