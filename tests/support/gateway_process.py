"""A gateway on loopback, in front of scripted providers, with a router that prefers as a test says."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from cit_core import FakeScorer, Router
from cit_core.server.app import create_app
from cit_core.settings import Settings, read_settings

KEY = "sk-upstream-key-of-the-owner"
ENVIRONMENT = {"UPSTREAM_KEY": KEY}


def settings_file(
    folder: Path, provider: str, models: Mapping[str, str], more: str = "", prices: Mapping[str, float] | None = None
) -> Path:
    """Write a file of settings: id to the provider's behaviour, best first; `anthropic/...` speaks that protocol."""
    lines = [more]
    for id_, behaviour in models.items():
        api, _, name = behaviour.rpartition("/")
        lines += [
            "[[models]]",
            f'id = "{id_}"',
            f'model = "{id_}-upstream"',
            f'upstream = "{provider}/{name}/v1"',
            f'api = "{api or "openai"}"',
            'api_key_env = "UPSTREAM_KEY"',
            f"price_in = {(prices or {}).get(id_, 1.0)}",
            f"price_out = {4 * (prices or {}).get(id_, 1.0)}",
        ]
    (path := folder / "cit.toml").write_text("\n".join(lines))
    return path


def fake_router(settings: Settings) -> Router:
    """Prefer the models in order of the file."""
    scores = {model.id: 0.9 - 0.1 * place for place, model in enumerate(settings.models)}
    return Router(FakeScorer(scores), [model.candidate for model in settings.models], log=settings.log)


@contextmanager
def serving(app: Starlette) -> Iterator[str]:
    """Serve an application; yields its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="on", timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


@contextmanager
def gateway(
    folder: Path, provider: str, models: Mapping[str, str], more: str = "", prices: Mapping[str, float] | None = None
) -> Iterator[str]:
    """Serve a gateway with a fake scorer; yields its address."""
    settings = read_settings(settings_file(folder, provider, models, more, prices), {})
    with serving(create_app(settings, ENVIRONMENT, fake_router(settings))) as url:
        yield url
