"""The application: paths, keys, limits, and taking up a new configuration without dropping a request."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from cit_core.errors import CITError, InvalidInput, StoreError
from cit_core.messages import shown
from cit_core.router import Router
from cit_core.router.concurrency import aside
from cit_core.server.access import ANY_CALLER, HEADERS, PAGE_POLICY, allows_host, check_exposure, key_name
from cit_core.server.gateway import Gateway
from cit_core.server.protocols import CHAT, MESSAGES, RESPONSES, Protocol
from cit_core.server.replies import Passage, refusal
from cit_core.settings import Settings, read_settings

__all__ = ["create_app"]

logger = logging.getLogger("cit_core.server")

STORE_EVERY = 30
"""Looks at the file of settings for one at the store, which a router takes longer to read."""
BODY_S = 60.0
"""Time that a caller has to send a request [s]."""
PAGES = {
    "/": ("index.html", "text/html"),
    "/dashboard.css": ("dashboard.css", "text/css"),
    "/dashboard.js": ("dashboard.js", "text/javascript"),
}
OPEN_TO_ALL = ("/healthz", "/readyz", *PAGES)
"""Paths without a key; the pages hold no numbers, and ask for the key themselves."""


def create_app(settings: Settings, environment: Mapping[str, str], router: Router | None = None) -> Starlette:
    """Return the gateway as an ASGI application.

    Args:
        settings: The configuration; its file is looked at for changes.
        environment: Variables with the providers' keys.
        router: In place of the one that the settings describe; then nothing is looked at for changes.

    Raises:
        CITError: If the configuration cannot be used.
    """
    gateway = Gateway(settings, environment, router)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        watch = asyncio.create_task(_watch(gateway)) if router is None else None
        try:
            yield
        finally:
            if watch is not None:
                watch.cancel()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(gateway.zoo.close(), 5.0)
            await aside("feedback", gateway.zoo.keep)

    routes = [Route(f"/v1{one.path}", _answers(gateway, one), methods=["POST"]) for one in (CHAT, RESPONSES, MESSAGES)]
    routes += [
        Route("/v1/models", _plain(gateway.models)),
        Route("/v1/models/{name:path}", _named(gateway)),
        Route("/v1/route", _posted(gateway, gateway.preview), methods=["POST"]),
        Route("/v1/outcomes", _posted(gateway, _read(gateway.outcome)), methods=["POST"]),
        Route("/healthz", _plain(lambda: JSONResponse({"status": "ok"}))),
        Route("/readyz", _plain(lambda: JSONResponse({"status": "ready", "models": len(gateway.zoo.upstreams)}))),
        Route("/metrics", _plain(gateway.metrics)),
        Route("/v1/status", _plain(gateway.status)),
        *(Route(path, _page(name, kind)) for path, (name, kind) in PAGES.items()),
    ]
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={404: _unanswered, 405: _unanswered})
    app.add_middleware(_Door, gateway=gateway)
    app.state.gateway = gateway
    return app


class _Door:
    """Refuses strangers before anything is read, and puts the security headers on every response."""

    def __init__(self, app: ASGIApp, gateway: Gateway) -> None:
        self._app = app
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                names = {name for name, _ in message["headers"]}
                added = [(n.encode(), v.encode()) for n, v in HEADERS.items() if n.encode() not in names]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        refusal = self._refusal(Request(scope))
        await (self._app(scope, receive, sending) if refusal is None else refusal(scope, receive, sending))

    def _refusal(self, request: Request) -> Response | None:
        server = self._gateway.zoo.settings.server
        protocol = _protocol_of(request)
        if not allows_host(server, server.host, request.headers.get("host", "")):
            message = "this name is not the gateway's; [server] allowed_hosts lists further ones"
            return JSONResponse(protocol.error("invalid_request_error", message), status_code=421)
        name = ANY_CALLER if request.url.path in OPEN_TO_ALL else key_name(server, request.headers)
        if name is None:
            body = protocol.error("authentication_error", "the gateway's key is missing or wrong")
            return JSONResponse(body, status_code=401, headers={"www-authenticate": "Bearer"})
        request.state.key = name
        return None


def _answers(gateway: Gateway, protocol: Protocol) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        gateway.meters.began()
        status, response = 499, None  # the caller has left
        try:
            raw = await _body(request, protocol, gateway)
            if isinstance(raw, Response):
                response = raw
            else:
                work = gateway.answer(protocol, request, raw, request.state.key)
                response = await _while_connected(request, work)
            status = response.status_code
            return response
        except ClientDisconnect:
            return Response(status_code=status)
        finally:
            if not isinstance(response, Passage):  # which tells its end itself
                gateway.meters.ended(protocol.name, status)

    return endpoint


def _protocol_of(request: Request) -> Protocol:
    return MESSAGES if MESSAGES.path in request.url.path else CHAT


async def _unanswered(request: Request, error: Exception) -> Response:
    """Say what the gateway answers, in place of what it does not."""
    assert isinstance(error, HTTPException)
    message = (
        f"nothing answers {request.method} {shown(request.url.path)}; POST /v1/chat/completions, /v1/responses and "
        "/v1/messages do, and GET /v1/models"
    )
    body = _protocol_of(request).error("not_found_error", message)
    return JSONResponse(body, status_code=error.status_code, headers=error.headers)


def _named(gateway: Gateway) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        name = request.path_params["name"]
        try:
            return gateway.model(name) if name else gateway.models()
        except CITError as error:
            return refusal(_protocol_of(request), error)

    return endpoint


def _plain(work: Callable[[], Response]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(_: Request) -> Response:
        return work()

    return endpoint


def _page(name: str, kind: str) -> Callable[[Request], Awaitable[Response]]:
    content = resources.files("cit_core.server").joinpath("dashboard", name).read_bytes()
    return _plain(lambda: Response(content, media_type=kind, headers={"content-security-policy": PAGE_POLICY}))


def _read(work: Callable[[Mapping[str, Any]], Awaitable[Response]]) -> Callable[[bytes, str], Awaitable[Response]]:
    async def reading(raw: bytes, _: str) -> Response:
        try:
            fields = json.loads(raw)
        except (ValueError, RecursionError):
            fields = None
        if not isinstance(fields, dict):
            raise InvalidInput("the body is no JSON object")
        return await work(fields)

    return reading


def _posted(
    gateway: Gateway, work: Callable[[bytes, str], Awaitable[Response]]
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        raw = await _body(request, CHAT, gateway)
        if isinstance(raw, Response):
            return raw
        try:
            return await work(raw, request.state.key)
        except CITError as error:
            return refusal(CHAT, error)

    return endpoint


async def _body(request: Request, protocol: Protocol, gateway: Gateway) -> bytes | Response:
    """Return the body; an error if it is longer than is read, or does not come in time."""
    held, most = bytearray(), gateway.zoo.settings.server.max_body_bytes

    async def read() -> bool:
        async for piece in request.stream():
            held.extend(piece)
            if len(held) > most:
                return False
        return True

    try:
        if await asyncio.wait_for(read(), BODY_S):
            return bytes(held)
    except asyncio.TimeoutError:
        body = protocol.error("request_timeout", f"the body did not come within {BODY_S:.0f} s")
        return JSONResponse(body, status_code=408, headers={"connection": "close"})
    body = protocol.error("request_too_large", "the body is longer than [server] max_body_bytes allows")
    return JSONResponse(body, status_code=413)


async def _while_connected(request: Request, work: Coroutine[Any, Any, Response]) -> Response:
    """Return what a coroutine returns; it is cancelled when the caller leaves.

    Raises:
        ClientDisconnect: If the caller has left.
    """
    answering = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            return await answering
        raise ClientDisconnect
    finally:
        for task in (answering, leaving):
            task.cancel()
        await asyncio.gather(answering, leaving, return_exceptions=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _watch(gateway: Gateway) -> None:
    """Take up a configuration when its file or its store has changed; one that cannot be used changes nothing."""
    settings = gateway.zoo.settings
    seen, turn, waits = _stamp(settings.path), 0, False
    while True:
        await asyncio.sleep(gateway.zoo.settings.server.reload_s)
        turn += 1
        now = _stamp(settings.path)
        try:
            looks = turn % STORE_EVERY == 0
            grown = looks and (waits or await aside("decisions", _has_grown, gateway.zoo.router))
            if now == seen and not grown:
                continue
            seen = now
            zoo = gateway.open(*await aside("decisions", _opened, settings))
        except CITError as error:
            waits = isinstance(error, StoreError)  # it may be back at the next look, with no file changed
            logger.warning("the new configuration cannot be used, the old one stays: %s", error)
            gateway.meters.reloaded("refused")
        else:
            waits = False
            gateway.meters.reloaded("taken")
            logger.info("took up a new configuration: %d models", len(zoo.upstreams))
            asyncio.ensure_future(gateway.take(zoo))  # noqa: RUF006  # it ends with the last request of before


def _opened(began: Settings) -> tuple[Settings, Router]:
    """Return the configuration as it is now, at the address that the gateway has listened on since it began."""
    settings = read_settings(began.path)
    address = {name: getattr(began.server, name) for name in ("host", "port")}
    settings = settings.model_copy(update={"server": settings.server.model_copy(update=address)})
    check_exposure(settings.server.host, settings.server)
    return settings, Router.from_config(settings)


def _stamp(path: Path | None) -> tuple[int, int] | None:
    try:
        found = None if path is None else path.stat()
    except OSError:
        return None
    return None if found is None else (found.st_mtime_ns, found.st_size)


def _has_grown(router: Router) -> bool:
    """Return whether the router's store holds something new."""
    return router.is_stale()
