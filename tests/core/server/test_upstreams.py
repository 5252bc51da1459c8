"""The candidates' servers: only those of the settings, with keys from the environment."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time

import httpx
import pytest
from scripted_provider import ScriptedProvider

from cit_core.errors import InvalidInput
from cit_core.server import upstreams
from cit_core.server.bodies import read_body
from cit_core.server.protocols import CHAT
from cit_core.server.upstreams import Upstream, UpstreamError, new_client, returned
from cit_core.settings import ModelSettings


async def asked(model: ModelSettings, handler: httpx.MockTransport, **environment: str) -> httpx.Response:
    async with (
        httpx.AsyncClient(transport=handler, follow_redirects=new_client().follow_redirects) as client,
        Upstream(model, environment, client).ask(CHAT, b"{}", {"openai-beta": "b", "cookie": "c"}) as answer,
    ):
        await answer.aread()
        return answer


async def test_what_is_sent() -> None:
    sent: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json={})

    model = ModelSettings(id="openai:gpt-5-mini@low", upstream="https://api.example/v1", api_key_env="K")
    await asked(model, httpx.MockTransport(handler), K="secret")
    (request,) = sent
    assert str(request.url) == "https://api.example/v1/chat/completions"
    assert (request.headers["authorization"], request.headers["openai-beta"]) == ("Bearer secret", "b")
    assert "cookie" not in request.headers


async def test_headers_that_are_not_ascii_are_passed_on_as_they_came() -> None:
    sent: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json={})

    async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as client:
        upstream = Upstream(ModelSettings(id="m", upstream="https://x/v1"), {}, client)
        given = {"openai-organization": "Müller".encode().decode("latin-1"), "accept": "é"}
        async with upstream.ask(CHAT, b"{}", given):
            pass
    assert dict(sent[0].headers.raw)[b"openai-organization"] == "Müller".encode()


def test_headers_that_a_caller_gets() -> None:
    safe = {
        "Content-Type": "application/json",
        "retry-after": "1",
        "x-request-id": "r",
        "x-ratelimit-limit-tokens": "9",
    }
    unsafe = {
        "access-control-allow-origin": "*",
        "set-cookie": "a=b",
        "content-length": "3",
        "www-authenticate": "Basic",
        "openai-model": "模型",
    }
    assert returned({**safe, **unsafe}) == safe


async def test_a_redirect_is_an_error_and_is_not_followed() -> None:
    hosts: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        hosts.append(request.url.host)
        return httpx.Response(307, headers={"location": "http://169.254.169.254/latest"})

    model = ModelSettings(id="m", upstream="https://api.example/v1")
    with pytest.raises(UpstreamError):
        await asked(model, httpx.MockTransport(handler))
    assert hosts == ["api.example"]


async def test_no_cookie_of_a_server_is_kept() -> None:
    cookies: list[str | None] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        cookies.append("cookie" if b"cookie:" in head.lower() else None)
        writer.write(b"HTTP/1.1 200 OK\r\nset-cookie: node=1; Path=/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server, new_client() as client:
        for _ in range(2):
            await client.get(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    assert cookies == [None, None]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (ModelSettings(id="m@samples=5", upstream="https://x/v1"), "samples out of its id"),
        (ModelSettings(id="m"), 'upstream = "https://api.openai.com/v1"'),
        (ModelSettings(id="m", upstream="https://x/v1", api_key_env="NO_SUCH_KEY"), "NO_SUCH_KEY is not set"),
        (ModelSettings(id="m", upstream="https://x/v1", api_key_env="BROKEN"), "BROKEN holds what no key has"),
    ],
)
def test_settings_that_cannot_be_used(model: ModelSettings, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        Upstream(model, {"BROKEN": "“sk-1”\n"}, new_client())


@pytest.mark.parametrize(
    ("id_", "upstream", "name", "api"),
    [
        ("openai:gpt-5-mini@low", "https://api.openai.com/v1", "gpt-5-mini", "openai"),
        ("anthropic:claude-sonnet-4-5", "https://api.anthropic.com/v1", "claude-sonnet-4-5", "anthropic"),
        ("meta-llama/Llama-3-8B", "http://127.0.0.1:8000/v1", "meta-llama/Llama-3-8B", "openai"),
        ("gpt-oss:20b", "http://127.0.0.1:8000/v1", "gpt-oss:20b", "openai"),
        ("ollama:gpt-oss:20b@max_tokens=9", "http://127.0.0.1:8000/v1", "gpt-oss:20b", "openai"),
        ("azure:gpt-4o", "https://x/v1", "gpt-4o", "openai"),
        ("gemini:gemini-2.5-pro", "https://x/v1", "gemini-2.5-pro", "openai"),
        ("mistral:mistral-large-latest", "https://x/v1", "mistral-large-latest", "openai"),
        ("mistral:open-mixtral-8x22b", "https://x/v1", "open-mixtral-8x22b", "openai"),
        ("mistral:7b", "http://127.0.0.1:8000/v1", "mistral:7b", "openai"),
        ("moonshot:kimi-k2", "https://x/v1", "kimi-k2", "openai"),
        ("vertexai:gemini-2.5-pro", "https://x/v1", "gemini-2.5-pro", "openai"),
        ("vllm:Qwen/Qwen3", "https://x/v1", "Qwen/Qwen3", "openai"),
        ("deepseek/deepseek-chat-v3.1:free", "https://x/v1", "deepseek/deepseek-chat-v3.1:free", "openai"),
        (
            "google_anthropic_vertex:claude-sonnet-4-5@20250929",
            "https://x/v1",
            "claude-sonnet-4-5@20250929",
            "openai",
        ),
    ],
)
def test_names_and_protocols(id_: str, upstream: str, name: str, api: str) -> None:
    found = Upstream(ModelSettings(id=id_, upstream=upstream), {}, new_client())
    assert (found.name, found.api) == (name, api)


def test_a_prefix_that_is_no_known_providers_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    named = ModelSettings(id="local:named", model="local:named", upstream="https://x/v1")
    ids = ("local:qwen3@low", "local:qwen3@low", "gpt-oss:20b", "phi:latest", "ft:gpt-4o:org", "openai:ft:gpt-4o:org")
    for model in (named, *(ModelSettings(id=id_, upstream="https://x/v1") for id_ in ids)):
        Upstream(model, {}, new_client())
    (told,) = caplog.messages
    assert told == (
        "model 'local:qwen3@low': its server is asked for 'local:qwen3'; if it does not call it so, add to the model: "
        "model = 'qwen3'"
    )


@pytest.mark.parametrize(
    ("upstream", "limit"), [("https://api.openai.com/v1", "max_completion_tokens"), ("https://x/v1", "max_tokens")]
)
def test_an_arm_is_asked_for_as_its_id_says(upstream: str, limit: str) -> None:
    model = ModelSettings(id="fast@max_tokens=500", model="gpt-5-mini", effort="low", upstream=upstream)
    content = Upstream(model, {}, new_client()).content(CHAT, read_body(b'{"model":"cit"}'))
    assert json.loads(content) == {"model": "gpt-5-mini", limit: 500, "reasoning_effort": "low"}


def test_a_name_at_another_gateway_may_be_an_arms() -> None:
    model = ModelSettings(id="far", model="openai:gpt-5-mini@low", upstream="http://gateway/v1")
    content = Upstream(model, {}, new_client()).content(CHAT, read_body(b'{"model":"cit"}'))
    assert json.loads(content) == {"model": "openai:gpt-5-mini@low"}


async def test_a_server_that_does_not_answer_a_call_to_connect_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstreams, "CONNECT_STEPS", 2)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, contextlib.ExitStack() as filled:
        for _ in range(2):  # the kernel accepts these, and no more
            one = filled.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(server.getsockname())
        model = ModelSettings(id="m", upstream=f"http://127.0.0.1:{server.getsockname()[1]}/v1")
        async with new_client() as client:
            with pytest.raises(httpx.ConnectTimeout):
                async with Upstream(model, {}, client).ask(CHAT, b"{}", {}):
                    pass


async def test_a_loop_that_is_late_is_no_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstreams, "CONNECT_STEPS", 8)
    monkeypatch.setattr(upstreams, "STEP_S", 0.01)

    def late() -> None:
        time.sleep(0.03)  # nobody would connect in 0.08 s
        asyncio.get_running_loop().call_soon(late)

    with ScriptedProvider() as provider:
        model = ModelSettings(id="m", upstream=f"{provider.url}/ok/v1")
        async with new_client() as client:
            asyncio.get_running_loop().call_soon(late)
            async with Upstream(model, {}, client).ask(CHAT, b"{}", {}) as answer:
                assert answer.status_code == 200
