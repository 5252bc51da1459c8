"""Measure what the gateway adds: side by side with a bare reverse proxy of the same stack, in one run, all on loopback.

    python benchmarks/gateway.py [--requests 200] [--streams 500] [--waves 4] [--candidates 16] [--deciding 16]

Three processes: a provider that answers at once, a bare proxy (starlette, httpx, uvicorn; it reads nothing) and
`cit serve` with the shipped router. Requests go to the provider, the proxy and the gateway in turn, each with a text of
its own; the time of each decision, which the gateway tells, is taken off. Then many streams at once: each must get its
own words back, and the gateway's memory must not grow from wave to wave. `--deciding` is `[server] max_deciding`, and
`--requests 0` leaves the first part out.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from cit_core.catalogue import catalogue_capabilities
from cit_core.server.app import create_app
from cit_core.settings import ServerSettings, read_settings

WORDS, WORD_S = 20, 0.05
"""Pieces of a stream of the second part, and the time between them [s]."""
USAGE = {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}
TOPICS = ("primes", "rivers", "contracts", "enzymes", "sorting", "sonnets", "vectors", "tariffs", "orbits", "verbs")
LISTED = 40
"""Requests between two looks at the gateway's last decisions, of which it lists 50."""


def provider() -> Starlette:
    """A provider that repeats the last message: at once, or one word after the other for a text that says so."""

    async def answer(request: Request) -> Response:
        fields = await request.json()
        said = fields["messages"][-1]["content"]
        if fields.get("stream"):
            return StreamingResponse(words(said.split()[0], said.endswith("slowly")), media_type="text/event-stream")
        message = {"role": "assistant", "content": said}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return JSONResponse({"id": "1", "object": "chat.completion", "choices": [choice], "usage": USAGE})

    async def words(name: str, slowly: bool) -> AsyncIterator[bytes]:
        for place in range(WORDS):
            choice = {"index": 0, "delta": {"content": f"{name}-{place} "}}
            yield f"data: {json.dumps({'choices': [choice]})}\n\n".encode()
            if slowly:
                await asyncio.sleep(WORD_S)
        yield b"data: [DONE]\n\n"

    return Starlette(routes=[Route("/v1/chat/completions", answer, methods=["POST"])])


def proxy(upstream: str) -> Starlette:
    """A reverse proxy that reads nothing."""
    client = httpx.AsyncClient(timeout=None, limits=httpx.Limits(max_connections=None, max_keepalive_connections=100))  # noqa: S113

    async def passed_on(request: Request) -> Response:
        headers = {"content-type": "application/json", "accept-encoding": "identity"}
        asked = client.build_request(
            "POST", f"{upstream}{request.url.path}", content=await request.body(), headers=headers
        )
        answer = await client.send(asked, stream=True)
        kind = {"content-type": answer.headers["content-type"]}
        return StreamingResponse(closing(answer), answer.status_code, kind)

    async def closing(answer: httpx.Response) -> AsyncIterator[bytes]:
        try:
            async for piece in answer.aiter_bytes():
                yield piece
        finally:
            await answer.aclose()

    return Starlette(routes=[Route("/v1/chat/completions", passed_on, methods=["POST"])])


def settings_file(folder: Path, upstream: str, candidates: int, deciding: int) -> Path:
    """Write a configuration: models of the catalogue, all of them at one provider."""
    known = [capability.candidate for capability in catalogue_capabilities()]
    ids = [candidate.id for candidate in known if candidate.price_in is not None][:candidates]
    models = "\n".join(f'[[models]]\nid = "{id_}"\nupstream = "{upstream}/v1"\napi = "openai"\n' for id_ in ids)
    server = f"[server]\nmax_deciding = {deciding}\n"
    (path := folder / "cit.toml").write_text(f'[router]\nstore = "catalogue"\npolicy = "cost:0.02"\n{server}{models}')
    return path


@contextlib.contextmanager
def process(role: str, behind: str = "") -> Iterator[tuple[str, int]]:
    """Run a part in a process of its own; yields its address and process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = subprocess.Popen([sys.executable, __file__, "--role", role, "--behind", behind, "--port", str(port)])
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            with contextlib.suppress(httpx.TransportError):
                httpx.get(url)
                break
            time.sleep(0.1)
        yield url, started.pid
    finally:
        started.terminate()
        started.wait(30)


def serve(role: str, behind: str, port: int) -> None:
    """Be one of the parts."""
    if role == "gateway":
        app = create_app(read_settings(behind, {}), os.environ)
    else:
        app = provider() if role == "provider" else proxy(behind)
    uvicorn.run(app, port=port, log_level="warning", access_log=False, server_header=False)


def latencies(urls: dict[str, str], requests: int, stream: bool) -> dict[str, list[float]]:
    """Return for each way the times to a complete answer or a stream's first piece [ms], and the decisions'."""
    found: dict[str, list[float]] = {name: [] for name in (*urls, "decision")}
    draw, pending = random.Random(0), {}  # noqa: S311
    with httpx.Client(timeout=60) as client:
        for turn in range(requests + 10):
            text = f"q{turn} Explain {draw.choice(TOPICS)} and {draw.choice(TOPICS)} in {draw.randint(2, 99)} lines."
            body = {"model": "cit", "stream": stream, "messages": [{"role": "user", "content": text}]}
            for name, url in urls.items():
                began = time.perf_counter()
                with client.stream("POST", f"{url}/v1/chat/completions", json=body) as answer:
                    pieces = answer.iter_raw()
                    next(pieces)
                    took = 1e3 * (time.perf_counter() - began)
                    for _ in pieces:
                        pass
                    took = took if stream else 1e3 * (time.perf_counter() - began)
                assert answer.status_code == 200, answer.status_code
                if turn >= 10:
                    found[name].append(took)
                    pending |= {answer.headers["x-cit-decision"]: None} if name == "gateway" else {}
            if turn % LISTED == LISTED - 1 or turn == requests + 9:
                listed = client.get(f"{urls['gateway']}/v1/status").json()["traffic"]["decisions"]
                pending |= {one["id"]: one["decision_ms"] for one in listed if one["id"] in pending}
    found["decision"] = list(pending.values())
    return found


class Wave(NamedTuple):
    """Streams that were opened at once."""

    right: int
    mixed: int
    """Streams with another's word."""
    first_s: list[float]
    """Times to the first piece."""
    took_s: float


async def wave(url: str, streams: int) -> Wave:
    """Open streams at once."""
    right = mixed = 0
    first_s: list[float] = []

    async def one(client: httpx.AsyncClient, place: int) -> str:
        text = f"q{place}w Explain {TOPICS[place % 10]} {place} times, slowly"
        body = {"model": "cit", "stream": True, "messages": [{"role": "user", "content": text}]}
        async with client.stream("POST", f"{url}/v1/chat/completions", json=body) as answer:
            events = []
            async for line in answer.aiter_lines():
                if line.startswith("data: {"):
                    first_s.extend([] if events else [time.perf_counter() - began])
                    events.append(line[6:])
        return "".join(json.loads(event)["choices"][0]["delta"]["content"] for event in events)

    began = time.perf_counter()
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(timeout=120, limits=limits) as client:
        said = await asyncio.gather(*[one(client, place) for place in range(streams)], return_exceptions=True)
    for place, text in enumerate(said):
        if isinstance(text, BaseException):
            continue
        right += text == "".join(f"q{place}w-{word} " for word in range(WORDS))
        mixed += any(not word.startswith(f"q{place}w-") for word in text.split())
    return Wave(right, mixed, first_s, time.perf_counter() - began)


def failures(url: str) -> float:
    """Return how many times a model was taken to have failed; none ever does."""
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("cit_failures_total"))


def memory_mb(process_id: int) -> float:
    """Return the resident memory of a process [MB]."""
    lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1e3


def cpu_s(process_id: int) -> float:
    """Return the processor time that a process has taken [s]."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def interval(numbers: list[float]) -> str:
    """Return a median with its 95 % interval by the bootstrap."""
    draw = random.Random(0)  # noqa: S311
    again = sorted(statistics.median(draw.choices(numbers, k=len(numbers))) for _ in range(1000))
    return f"{statistics.median(numbers):6.2f} [{again[25]:.2f}, {again[974]:.2f}]"


def main() -> None:
    """Run all of it and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--waves", type=int, default=4)
    parser.add_argument("--candidates", type=int, default=16)
    parser.add_argument("--deciding", type=int, default=ServerSettings().max_deciding)
    for hidden in ("--role", "--behind", "--port"):
        parser.add_argument(hidden, default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        serve(options.role, options.behind, int(options.port))
        return
    with (
        TemporaryDirectory() as folder,
        process("provider") as (upstream, _),
        process("proxy", upstream) as (bare, bare_id),
    ):
        path = settings_file(Path(folder), upstream, options.candidates, options.deciding)
        with process("gateway", str(path)) as (url, process_id):
            for stream in (False, True) if options.requests else ():
                took = {"proxy": -cpu_s(bare_id), "gateway": -cpu_s(process_id)}
                found = latencies({"provider": upstream, "proxy": bare, "gateway": url}, options.requests, stream)
                rows = zip(found["gateway"], found["decision"], found["proxy"], strict=True)
                own = [gateway - decision - proxy for gateway, decision, proxy in rows]
                print(
                    f"{'first piece of a stream' if stream else 'complete answer'}, median of {options.requests} [ms]"
                )
                for name, numbers in {**found, "gateway - decision - proxy": own}.items():
                    print(f"  {name:<28}{interval(numbers)}")
                for name, id_ in (("proxy", bare_id), ("gateway", process_id)):
                    took[name] += cpu_s(id_)
                    print(f"  processor time of the {name:<12}{1e3 * took[name] / (options.requests + 10):6.2f}")
            before = memory_mb(process_id)
            for turn in range(options.waves):
                began = cpu_s(process_id)
                opened = asyncio.run(wave(url, options.streams))
                cpu_ms = 1e3 * (cpu_s(process_id) - began) / options.streams
                first = statistics.median(opened.first_s), max(opened.first_s)
                print(
                    f"wave {turn + 1}: {opened.right} of {options.streams} streams right, {opened.mixed} mixed up, "
                    f"{failures(url):.0f} failed attempts; {opened.took_s:.1f} s, first piece {first[0]:.1f} s in the "
                    f"median, {first[1]:.1f} s at most; {cpu_ms:.1f} ms of processor time a stream; "
                    f"gateway {memory_mb(process_id):.0f} MB (before {before:.0f} MB)",
                    flush=True,
                )


if __name__ == "__main__":
    main()
