"""Who may call the gateway: keys, names, and what it listens to."""

from __future__ import annotations

import hashlib
import socket
import time
from pathlib import Path

import httpx
import pytest
from gateway_process import gateway
from scripted_provider import ScriptedProvider

from cit_core.errors import InvalidInput
from cit_core.policy import Goal, pacer_of, parse_policy
from cit_core.router.decision_log import read_log
from cit_core.server.access import check_exposure, new_key
from cit_core.settings import ServerSettings

ASK = {"model": "cit", "messages": [{"role": "user", "content": "What is 7 times 8?"}]}


def keys(*names: str) -> tuple[str, dict[str, str]]:
    """Tables for the settings, and the key of each name."""
    made = {name: new_key() for name in names}
    tables = [f'[[server.keys]]\nname = "{name}"\nsha256 = "{digest}"' for name, (_, digest) in made.items()]
    return "\n".join(tables), {name: key for name, (key, _) in made.items()}


def test_keys(tmp_path: Path) -> None:
    tables, key = keys("team-a", "team-b")
    with ScriptedProvider() as provider, gateway(tmp_path, provider.url, {"a": "ok"}, tables) as url:

        def post(headers: dict[str, str]) -> httpx.Response:
            return httpx.post(f"{url}/v1/chat/completions", json=ASK, headers=headers)

        assert post({"authorization": f"Bearer {key['team-a']}"}).status_code == 200
        assert post({"x-api-key": key["team-b"]}).status_code == 200
        for stranger in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {key['team-a']}"}):
            refused = post(stranger)
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert provider.hits == {"ok": 2}
        assert httpx.get(f"{url}/metrics").status_code == 401
        assert httpx.get(f"{url}/healthz").status_code == 200
        metrics = httpx.get(f"{url}/metrics", headers={"x-api-key": key["team-b"]}).text
    # one answer of 1 + 2 tokens at 1 and 4 USD per million
    assert 'cit_spend_usd_total{key="team-a",model="a"} 9e-06' in metrics
    assert 'cit_requests_total{protocol="chat",status="200"} 2.0' in metrics


def test_every_key_has_a_budget_and_bills_are_counted_and_logged(tmp_path: Path) -> None:
    tables, key = keys("rich", "new")
    more = f'{tables}\n[virtual.paced]\npolicy = "budget:0.321/day/key"\n[router]\nlog = "log.jsonl"'
    with ScriptedProvider() as provider, gateway(tmp_path, provider.url, {"a": "ok"}, more) as url:
        for _ in range(3):
            headers = {"x-api-key": key["rich"]}
            answer = httpx.post(f"{url}/v1/chat/completions", json={**ASK, "model": "paced"}, headers=headers)
            assert answer.status_code == 200
        refused = httpx.post(f"{url}/v1/chat/completions", json={**ASK, "model": "cit:budget-9/day"}, headers=headers)
        assert refused.status_code == 404
        deadline = time.monotonic() + 20
        while not (tmp_path / "log.jsonl").exists() or len(list(read_log(tmp_path / "log.jsonl"))) < 6:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    goal = parse_policy("budget:0.321/day/tenant")
    assert isinstance(goal, Goal)
    assert pacer_of(goal).spent("rich") == pytest.approx(3 * 9e-06), "what was used, not what was expected"
    assert pacer_of(goal).spent("new") == 0.0
    records = list(read_log(tmp_path / "log.jsonl"))
    assert {record["tenant"] for record in records if record["kind"] == "decision"} == {"rich"}
    assert [record["cost_usd"] for record in records if record["kind"] == "usage"] == [pytest.approx(9e-06)] * 3


def test_a_preview_is_neither_paid_nor_logged(tmp_path: Path) -> None:
    more = '[router]\nlog = "log.jsonl"\n[virtual.paced]\npolicy = "budget:0.654/day"'
    with ScriptedProvider() as provider, gateway(tmp_path, provider.url, {"a": "ok"}, more) as url:
        for _ in range(3):
            assert httpx.post(f"{url}/v1/route", json={"model": "paced", "input": "hi"}).json()["model"] == "a"
        httpx.post(f"{url}/v1/chat/completions", json={**ASK, "model": "paced"})
    goal = parse_policy("budget:0.654/day")
    assert isinstance(goal, Goal)
    assert pacer_of(goal).spent() == pytest.approx(9e-06)
    assert [record["kind"] for record in read_log(tmp_path / "log.jsonl")] == ["decision", "usage"]


def test_an_outage_costs_nothing(tmp_path: Path) -> None:
    more = '[virtual.paced]\npolicy = "budget:0.987/day"'
    with ScriptedProvider() as provider, gateway(tmp_path, provider.url, {"a": "down", "b": "down"}, more) as url:
        for _ in range(3):
            answer = httpx.post(f"{url}/v1/chat/completions", json={**ASK, "model": "paced"})
            assert answer.status_code == 503
    goal = parse_policy("budget:0.987/day")
    assert isinstance(goal, Goal)
    assert pacer_of(goal).spent() == pytest.approx(0.0)


def test_a_conversation_is_of_its_key(tmp_path: Path) -> None:
    tables, key = keys("one", "two")
    more = f'{tables}\n[virtual.second]\nmodels = ["b"]'
    with ScriptedProvider() as provider, gateway(tmp_path, provider.url, {"a": "ok", "b": "ok"}, more) as url:

        def post(name: str, model: str) -> str:
            headers = {"x-api-key": key[name], "x-cit-conversation": "c1"}
            answer = httpx.post(f"{url}/v1/chat/completions", json={**ASK, "model": model}, headers=headers)
            return answer.headers["x-cit-model"]

        assert [post("one", "second"), post("one", "cit"), post("two", "cit")] == ["b", "b", "a"]


def test_a_stream_that_its_caller_leaves_is_logged_as_aborted(tmp_path: Path) -> None:
    more = '[router]\nlog = "log.jsonl"'
    with ScriptedProvider() as provider, gateway(tmp_path, provider.url, {"a": "stalls-later"}, more) as url:
        body = {**ASK, "stream": True}
        with httpx.stream("POST", f"{url}/v1/chat/completions", json=body, timeout=20) as answer:
            next(answer.iter_bytes())
        deadline, kinds = time.monotonic() + 20, set()
        while "signal" not in kinds:
            assert time.monotonic() < deadline
            time.sleep(0.05)
            records = list(read_log(tmp_path / "log.jsonl")) if (tmp_path / "log.jsonl").exists() else []
            kinds = {record["kind"] for record in records}
    assert [record["signal"] for record in records if record["kind"] == "signal"] == ["aborted"]


def test_a_key_is_kept_as_its_hash() -> None:
    key, digest = new_key()
    assert hashlib.sha256(key.encode()).hexdigest() == digest
    assert len(key) > 40


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "gateway.example"])
def test_nobody_listens_to_the_world_without_a_key(host: str) -> None:
    with pytest.raises(InvalidInput, match="cit serve --new-key NAME"):
        check_exposure(host, ServerSettings())
    check_exposure("127.0.0.1", ServerSettings())


def test_a_probe_of_http_1_0_names_no_host(tmp_path: Path) -> None:
    with gateway(tmp_path, "http://127.0.0.1:9", {"a": "ok"}) as url:
        address = httpx.URL(url)
        with socket.create_connection((address.host, address.port or 80)) as probe:
            probe.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
            assert b" 200 OK" in probe.recv(1_000)


@pytest.mark.parametrize(("host", "status"), [("evil.example", 421), ("gateway.example", 200), ("127.0.0.1:1", 200)])
def test_a_page_elsewhere_cannot_call(tmp_path: Path, host: str, status: int) -> None:
    more = '[server]\nallowed_hosts = ["gateway.example"]'
    with gateway(tmp_path, "http://127.0.0.1:9", {"a": "ok"}, more) as url:
        answer = httpx.get(f"{url}/v1/models", headers={"host": host})
    assert answer.status_code == status
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in answer.headers
