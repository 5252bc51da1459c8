"""The servers that answer for the candidates: OpenAI- and Anthropic-compatible, from the configuration alone."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Literal

import httpx

from cit_core.arms import Arm
from cit_core.errors import InvalidInput
from cit_core.messages import shown
from cit_core.router.time_limits import acall_within
from cit_core.server.arm_fields import ANTHROPIC_HOST, arm_fields, check_arm
from cit_core.server.bodies import Body
from cit_core.server.protocols import Protocol
from cit_core.settings import ModelSettings

__all__ = ["Upstream", "UpstreamError", "new_client"]

logger = logging.getLogger("cit_core.server")

CONNECT_STEPS, STEP_S = 40, 0.25
"""Limit for opening a connection: steps, and the time of one [s]. A step ends when the event loop comes to it, so that
a loop which is late does not count as a server that is not there. Answers have the limits of the gateway's fallback."""
LONGEST_ERROR = 1_000_000
"""Bytes of an error's body that are read and passed on."""
CONNECTIONS = httpx.Limits(max_connections=None, max_keepalive_connections=100)
ANTHROPIC = "anthropic"
NEWER_LIMIT = ("openai.com", "azure.com")
"""Hosts with models that take a limit as `max_completion_tokens` alone; others know `max_tokens`."""
PROVIDER = re.compile(
    r"^(anthropic(_bedrock)?|azure(_ai|_openai)?|baseten|bedrock(_converse)?|cohere|deepseek|fireworks|gemini|"
    r"google(_anthropic_vertex|_genai|_vertexai)?|groq|huggingface|ibm|litellm|meta|mistral(?=:\S*tral)|mistralai|"
    r"moonshot|nvidia|ollama|openai|openrouter|perplexity|together|upstage|vertex_?ai|vllm|xai):(?=.)",
    re.IGNORECASE,
)
"""What is before the name of a model in both frameworks; another colon is the name's own, as in `gpt-oss:20b`, or in
Ollama's `mistral:7b`."""
UNKNOWN_PROVIDER = re.compile(r"(?!ft:)[a-z_]+:(?!v?\d|chat$|code$|free$|instruct$|latest$|text$)(?P<name>.+)", re.I)
"""A word that may be a provider; behind a name are a size, a version or a kind, and OpenAI's `ft:` belongs to it."""
FORWARDED = ("anthropic-beta", "anthropic-version", "openai-beta", "openai-organization", "openai-project")
"""Headers of a request that are passed on; never the caller's key, which is the gateway's."""
VERSION = "2023-06-01"
"""`anthropic-version` for a caller that sends none."""
RETURNED = re.compile(
    r"content-type|retry-after(-ms)?|(x-)?request-id|x-should-retry|(x-)?ratelimit-.+|(anthropic|openai)-.+",
    re.IGNORECASE,
)
"""Headers of a response that the caller gets too. Others are about the connection to the provider, set cookies, or let
web pages elsewhere read what the gateway answers."""


class UpstreamError(Exception):
    """A server gave no answer, or an error for one; `cit_core.provider_errors` classifies it.

    Attributes:
        status_code: The HTTP status; 200 for an error inside a stream or a body.
        body: The parsed body; None if it is not JSON.
        raw: The raw body: the caller gets it if no other candidate answers.
        headers: Headers of the response.
    """

    def __init__(self, status_code: int, raw: bytes, headers: Mapping[str, str]) -> None:
        super().__init__(f"HTTP {status_code}")
        self.status_code = status_code
        self.raw = raw
        self.headers = headers
        self.body = _json(raw)


class Upstream:
    """One candidate's server.

    Args:
        model: The candidate's settings.
        environment: Variables with the providers' keys.
        client: Sends the requests.

    Raises:
        InvalidInput: If it names no server, a variable without a key in it, or several samples.
    """

    def __init__(self, model: ModelSettings, environment: Mapping[str, str], client: httpx.AsyncClient) -> None:
        if model.upstream is None:
            raise InvalidInput(
                f"model {shown(model.id)} has no upstream; add its server to the file of settings: "
                'upstream = "https://api.openai.com/v1"'
            )
        if model.samples > 1:
            raise InvalidInput(
                f"model {shown(model.id)} asks for {model.samples} answers, and the gateway passes one on; take "
                "samples out of its id, or use ChatCIT or CITLLM"
            )
        if model.api_key_env is not None and not environment.get(model.api_key_env):
            raise InvalidInput(f"model {shown(model.id)}: the environment variable {model.api_key_env} is not set")
        self._key = None if model.api_key_env is None else environment[model.api_key_env]
        if self._key is not None and not (self._key.isascii() and self._key.isprintable()):
            raise InvalidInput(
                f"model {shown(model.id)}: the environment variable {model.api_key_env} holds what no key has, such as "
                "a line break; set it to the key alone"
            )
        arm = Arm.of(model.id)
        self.name = model.model or PROVIDER.sub("", arm.model)
        """What the server calls the model."""
        if model.model is None:
            _tell_prefix(model.id, self.name)
        self.api: Literal["openai", "anthropic"] = model.api or _api_of(model)
        self.address = _address(model.upstream)
        """Host and port of the server."""
        self._arm = Arm(Arm.of(self.name).model, arm.effort or model.effort, arm.max_tokens)
        check_arm(self._arm, model, self.api, self.address[0])
        self._url = model.upstream
        self._client = client

    def content(self, protocol: Protocol, body: Body) -> bytes:
        """Return a request's body for this server: its name of the model, and the effort and limit in the id."""
        limit = "max_completion_tokens" if self.address[0].endswith(NEWER_LIMIT) else "max_tokens"
        return body.with_fields({"model": self.name, **arm_fields(self._arm, protocol, body.fields, limit)})

    @asynccontextmanager
    async def ask(
        self, protocol: Protocol, body: bytes, headers: Mapping[str, str], sent: Callable[[], None] | None = None
    ) -> AsyncIterator[httpx.Response]:
        """Send a request, and yield the response when its headers are here; leaving cancels what is still to come.

        Args:
            protocol: Its protocol.
            body: Its body.
            headers: The caller's headers.
            sent: Called when all of it was sent.

        Raises:
            UpstreamError: For a status of 400 and above.
            httpx.TransportError: If the server cannot be reached, or breaks off.
        """
        connecting = _Connecting()

        async def trace(event: str, _: object) -> None:
            connecting.ended = connecting.ended or event.endswith("send_request_headers.started")
            if event.endswith("send_request_body.complete") and sent is not None:
                sent()

        request = self._client.build_request(
            "POST",
            self._url + protocol.path,
            content=body,
            headers=self._headers(headers),
            extensions={"trace": trace},
        )
        try:
            response = await acall_within(connecting, self._client.send(request, stream=True))
        except TimeoutError as error:
            raise httpx.ConnectTimeout("no connection in time", request=request) from error
        try:
            if response.status_code >= 300:
                raise UpstreamError(response.status_code, await _first_bytes(response), response.headers)
            yield response
        finally:
            await response.aclose()

    def _headers(self, given: Mapping[str, str]) -> dict[bytes, bytes]:
        headers = {name: given[name] for name in FORWARDED if name in given}
        headers |= {"content-type": "application/json", "accept": given.get("accept", "*/*")}
        headers |= {"accept-encoding": "identity"}
        if self.api == ANTHROPIC:
            headers.setdefault("anthropic-version", VERSION)
        if self._key is not None:
            headers |= {"x-api-key": self._key} if self.api == ANTHROPIC else {"authorization": f"Bearer {self._key}"}
        return {name.encode(): value.encode("latin-1") for name, value in headers.items()}  # the caller's, as they came


class _Connecting:
    """The time left for opening a connection: a step each time that it is asked."""

    def __init__(self) -> None:
        self.ended = False
        self._steps = CONNECT_STEPS

    def __call__(self) -> float | None:
        self._steps -= 1
        return None if self.ended else STEP_S if self._steps >= 0 else 0.0


def new_client() -> httpx.AsyncClient:
    """Return a client that follows no redirect: a server must not send a key, or a question, elsewhere.

    It keeps no cookie either: one of a balancer would send all callers to one node, and be that of all.
    """
    none = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    return httpx.AsyncClient(timeout=httpx.Timeout(None), limits=CONNECTIONS, follow_redirects=False, cookies=none)


@cache  # once, not each time that a configuration is taken up
def _tell_prefix(id_: str, name: str) -> None:
    if (found := UNKNOWN_PROVIDER.fullmatch(name)) is not None:
        logger.warning(
            "model %s: its server is asked for %s; if it does not call it so, add to the model: model = %s",
            *map(shown, (id_, name, found["name"])),
        )


def returned(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a response that the caller gets too."""
    return {name: value for name, value in headers.items() if RETURNED.fullmatch(name) and value.isascii()}


def _address(url: str) -> tuple[str, int]:
    read = httpx.URL(url)
    return read.host, read.port or (443 if read.scheme == "https" else 80)


def _api_of(model: ModelSettings) -> Literal["openai", "anthropic"]:
    host = httpx.URL(model.upstream or "").host
    return "anthropic" if host.endswith(ANTHROPIC_HOST) else "openai"


async def _first_bytes(response: httpx.Response) -> bytes:
    held = b""
    async for piece in response.aiter_bytes():
        held += piece
        if len(held) > LONGEST_ERROR:
            return held[:LONGEST_ERROR]
    return held


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None
