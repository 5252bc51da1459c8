"""`cit serve`: the HTTP gateway."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from cit_core.cli import _output
from cit_core.cli._options import JsonOption
from cit_core.errors import InvalidInput, MissingExtra
from cit_core.messages import shown

if TYPE_CHECKING:
    from cit_core.settings import Settings

__all__ = ["serve"]

STOP_S = 30
"""Longest time for running answers after the gateway is told to stop [s]."""
KEEP_ALIVE_S = 75
"""Time for which an idle connection of a caller is kept [s]: longer than balancers keep theirs, 60 s as a rule, or one
of these would send a request into a connection that is being closed."""


def serve(
    host: Annotated[
        str | None,
        typer.Option("--host", metavar="ADDRESS", help="Address to listen on. Default: the settings', 127.0.0.1."),
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65_535, metavar="N", help="Port. Default: the settings', 8484.")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--new-key", metavar="NAME", help="Make a key for a caller, show it once, and exit.")
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Serve OpenAI's and Anthropic's protocols over HTTP, routed among the models of `cit.toml`."""
    if key is not None:
        _show_key(key, json_=json_)
        return
    try:
        import uvicorn

        from cit_core.server.app import create_app
    except ImportError as error:
        raise MissingExtra("the HTTP gateway", "server") from error
    from cit_core.cli._options import settings
    from cit_core.server.access import check_exposure

    found = _listening(settings(), host, port)
    check_exposure(found.server.host, found.server)
    app = create_app(found, os.environ)
    zoo = app.state.gateway.zoo
    zoo.router.scorer.score(["Is it ready?"], zoo.router.capabilities)  # the first caller does not wait for the loading
    config = uvicorn.Config(
        app,
        host=found.server.host,
        port=found.server.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_S,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    server = uvicorn.Server(config)
    listening = _socket(found.server.host, found.server.port, config.backlog)  # who reads the address may call at once
    address, bound = listening.getsockname()[:2]
    url = f"http://{f'[{address}]' if ':' in address else address}:{bound}"
    if json_:
        _output.as_json({"url": url, "models": zoo.names})
    else:
        _output.say(f"serving {len(zoo.upstreams)} models at {url}/v1 (policy {zoo.router.policy.name}); ctrl-c stops")
    _allow_files()
    server.run(sockets=[listening])


def _allow_files() -> None:
    """Allow as many open files as the system lets this process: a stream takes two, and 1,024 are usual."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    with suppress(OSError, ValueError):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _socket(host: str, port: int, backlog: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        InvalidInput: If the address is no one's here, or is taken.
    """
    is_6 = ":" in host
    family, dual = socket.AF_INET6 if is_6 else socket.AF_INET, is_6 and socket.has_dualstack_ipv6()
    try:
        return socket.create_server((host, port), family=family, backlog=backlog, dualstack_ipv6=dual)
    except OSError as error:
        raise InvalidInput(
            f"cannot listen on {shown(host)}, port {port}: {error.strerror}; `cit serve --port 0` takes a free port"
        ) from None


def _listening(found: Settings, host: str | None, port: int | None) -> Settings:
    """Return the settings with the address of the command line."""
    if not found.models:
        raise InvalidInput(
            "no model to serve: cit.toml needs a table [[models]] with an id and an upstream for each; "
            "`cit --config FILE serve` names another file"
        )
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    return found.model_copy(update={"server": found.server.model_copy(update=given)})


def _show_key(name: str, *, json_: bool) -> None:
    from cit_core.server.access import new_key

    key, digest = new_key()
    if json_:
        _output.as_json({"name": name, "key": key, "sha256": digest})
        return
    _output.say(f"the key, shown this once: {key}")
    quoted = json.dumps(name, ensure_ascii=False)  # TOML reads no halves of a character
    _output.say(f'its hash, for cit.toml:\n\n[[server.keys]]\nname = {quoted}\nsha256 = "{digest}"')
