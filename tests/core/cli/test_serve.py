"""`cit serve` as a process: what a user types, and what comes."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import uvicorn
from gateway_process import settings_file
from scripted_provider import ANSWER, ScriptedProvider
from typer.testing import CliRunner

from cit_core.cli import app
from cit_core.router.decision_log import read_log
from cit_core.store import CapabilityStore

COMMAND = [sys.executable, "-c", "from cit_core.cli import main; main()"]


def test_it_serves_until_it_is_told_to_stop_and_keeps_what_was_spent(tmp_path: Path) -> None:
    environment = os.environ | {"UPSTREAM_KEY": "k", "XDG_DATA_HOME": str(tmp_path)}
    table = '[router]\nstore = "sqlite:///zoo.db"\npolicy = "budget:5/day"\nlog = "log.jsonl"'
    with ScriptedProvider() as provider:
        settings_file(tmp_path, provider.url, {"openai:gpt-5-mini": "ok", "anthropic:claude-sonnet-4-5": "ok"}, table)
        process = subprocess.Popen(
            [*COMMAND, "serve", "--port", "0", "--json"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE
        )
        try:
            assert process.stdout is not None
            said = json.loads(process.stdout.readline())
            assert said["models"] == ["cit", "openai:gpt-5-mini", "anthropic:claude-sonnet-4-5"]
            body = {"model": "cit", "messages": [{"role": "user", "content": "What is 7 times 8?"}]}
            answer = httpx.post(f"{said['url']}/v1/chat/completions", json=body, timeout=60)
            assert answer.json()["choices"][0]["message"]["content"] == ANSWER
            assert answer.headers["x-cit-model"] in said["models"][1:]
            for key, correct in (("first reader", 1), ("second reader", 0)):
                told = {"decision": answer.headers["x-cit-decision"], "correct": correct, "key": key}
                assert httpx.post(f"{said['url']}/v1/outcomes", json=told, timeout=60).status_code == 201
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) in (0, -signal.SIGTERM)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
    with CapabilityStore(f"sqlite:///{tmp_path}/zoo.db") as store:
        assert [one.queries for one in store.spend("budget:5/day", [""])] == [1]
    assert [record["kind"] for record in read_log(tmp_path / "log.jsonl")] == [
        *("decision", "usage"),
        *("feedback", "feedback"),
    ]


def test_a_new_key() -> None:
    said = CliRunner().invoke(app, ["serve", "--new-key", 'team "a" 😀']).output
    assert '[[server.keys]]\nname = "team \\"a\\" 😀"\nsha256 = "' in said


def test_balancers_and_many_streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings_file(tmp_path, "http://127.0.0.1:9", {"openai:gpt-5-mini": "ok"})
    run: list[uvicorn.Config] = []
    monkeypatch.setattr("uvicorn.Server.run", lambda self, sockets: (run.append(self.config), sockets[0].close()))
    monkeypatch.setenv("UPSTREAM_KEY", "k")
    monkeypatch.chdir(tmp_path)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[0] - 1, before[1]))
    try:
        assert CliRunner().invoke(app, ["serve", "--port", "0"]).exit_code == 0
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert run[0].timeout_keep_alive > 60, "idle connections of balancers outlive 60 s"


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    settings_file(tmp_path, "http://127.0.0.1:9", {"openai:gpt-5-mini": "ok"})
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [*COMMAND, "serve", "--port", str(taken.getsockname()[1])]
        environment = os.environ | {"UPSTREAM_KEY": "k"}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: cannot listen on '127.0.0.1', port ")


def test_no_model(tmp_path: Path, monkeypatch: object) -> None:
    done = subprocess.run([*COMMAND, "serve"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "needs a table [[models]]" in " ".join(done.stderr.split())


def test_other_machines_need_a_key(tmp_path: Path) -> None:
    settings_file(tmp_path, "http://127.0.0.1:9", {"openai:gpt-5-mini": "ok"})
    command = [*COMMAND, "serve", "--host", "0.0.0.0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--new-key" in done.stderr
