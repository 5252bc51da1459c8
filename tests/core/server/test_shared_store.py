"""Four gateway processes on one PostgreSQL store: no outcome is lost or doubled, and a budget is one for all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from gateway_process import settings_file
from scripted_provider import ScriptedProvider

from cit_core.store import CapabilityStore

PROCESSES, REQUESTS = 4, 3
SCRIPT = f"""
import os, sys
import uvicorn, cit_core.server.app, cit_core.store.capability_store, cit_core.runtime  # once for all
from cit_core.cli import main
sys.argv = ["cit", "serve", "--port", "0", "--json"]
for _ in range({PROCESSES}):
    if not os.fork():
        main()
for _ in range({PROCESSES}):
    os.wait()
"""


@contextmanager
def serving(folder: Path) -> Iterator[list[str]]:
    """Run `cit serve` in processes of one group; yields their addresses."""
    environment = os.environ | {"UPSTREAM_KEY": "k", "XDG_DATA_HOME": str(folder)}
    command = [sys.executable, "-c", SCRIPT]
    group = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, start_new_session=True)
    assert group.stdout is not None
    try:
        yield [json.loads(group.stdout.readline())["url"] for _ in range(PROCESSES)]
    finally:
        os.killpg(group.pid, signal.SIGTERM)
        group.wait(30)
        group.stdout.close()


def ask(url: str, number: int) -> None:
    """Get an answer, and say how good it was."""
    body = {"model": "cit", "messages": [{"role": "user", "content": f"What is {number} times 8?"}]}
    answer = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60)
    assert answer.status_code == 200
    told = {"decision": answer.headers["x-cit-decision"], "correct": number % 2}
    assert httpx.post(f"{url}/v1/outcomes", json=told, timeout=60).status_code == 201


@pytest.mark.skipif(not hasattr(os, "fork"), reason="it forks")
def test_four_processes(tmp_path: Path, postgres_url: str) -> None:
    CapabilityStore(postgres_url).close()
    table = f'[router]\nstore = "{postgres_url}"\npolicy = "budget:5/day"'
    models = {"openai:gpt-5-mini": "ok", "anthropic:claude-sonnet-4-5": "ok"}
    with ScriptedProvider() as provider:
        settings_file(tmp_path, provider.url, models, table)
        with serving(tmp_path) as urls, ThreadPoolExecutor(PROCESSES) as pool:
            assert len(set(urls)) == PROCESSES
            list(pool.map(ask, urls * REQUESTS, range(PROCESSES * REQUESTS)))
            time.sleep(2.6)  # what was spent is exchanged within two seconds
    asked = PROCESSES * REQUESTS
    with CapabilityStore(postgres_url) as store:
        outcomes = list(store.outcomes())
        spent = sum(one.queries for one in store.spend("budget:5/day", [""]))
    assert len({outcome.item for outcome in outcomes}) == len(outcomes) == asked
    assert spent == asked
