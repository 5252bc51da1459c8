"""Who may call the gateway: keys, names, and what it listens to."""

from __future__ import annotations

import hashlib
from pathlib import Path

import httpx
import pytest
from gateway_process import gateway
from scripted_provider import ScriptedProvider

from cit_core.errors import InvalidInput
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


def test_a_key_is_kept_as_its_hash() -> None:
    key, digest = new_key()
    assert hashlib.sha256(key.encode()).hexdigest() == digest
    assert len(key) > 40


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "gateway.example"])
def test_nobody_listens_to_the_world_without_a_key(host: str) -> None:
    with pytest.raises(InvalidInput, match="cit serve --new-key NAME"):
        check_exposure(host, ServerSettings())
    check_exposure("127.0.0.1", ServerSettings())


@pytest.mark.parametrize(("host", "status"), [("evil.example", 421), ("gateway.example", 200), ("127.0.0.1:1", 200)])
def test_a_page_elsewhere_cannot_call(tmp_path: Path, host: str, status: int) -> None:
    more = '[server]\nallowed_hosts = ["gateway.example"]'
    with gateway(tmp_path, "http://127.0.0.1:9", {"a": "ok"}, more) as url:
        answer = httpx.get(f"{url}/v1/models", headers={"host": host})
    assert answer.status_code == status
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in answer.headers
