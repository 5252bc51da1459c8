"""Cascades in the gateway: the cheap model is asked first, a caller sees one answer, and all of it is paid for."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gateway_process import gateway
from scripted_provider import ANSWER, ScriptedProvider

from cit_core.router.decision_log import read_log

ASK = {"model": "cit", "messages": [{"role": "user", "content": "What is 7 times 8?"}]}
RATES = "true_positive = 0.95\nfalse_positive = 0.05\nvalue = 1.0\n"
PRICES = {"large": 10.0, "middle": 1.0, "small": 0.1, "judge": 0.1}
JUDGED = 'verify = "judge"\njudge = "judge"'
TOOL = {"type": "function", "function": {"name": "pay", "parameters": {}}}


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as serving:
        yield serving


def cascade(verify: str) -> str:
    return f"[cascade]\n{verify}\n{RATES}"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("pattern", "model", "said"), [("fine", "small", "accepted"), ("nope", "large", "refused")])
def test_a_cheap_answer_is_verified(
    provider: ScriptedProvider, tmp_path: Path, pattern: str, model: str, said: str, stream: bool
) -> None:
    table = cascade(f'verify = "pattern"\npattern = "{pattern}"')
    with gateway(tmp_path, provider.url, {"large": "ok", "small": "ok"}, table, PRICES) as url:
        answer = httpx.post(f"{url}/v1/chat/completions", json={**ASK, "stream": stream})
        metrics = httpx.get(f"{url}/metrics").text
    assert answer.headers["x-cit-model"] == model
    assert answer.headers["x-cit-reason"].startswith(f"cascade, policy best: small {said} (verdict ")
    assert answer.headers["content-type"].startswith("text/event-stream" if stream else "application/json")
    assert answer.text.count("chat.completion") == (4 if stream else 1)  # one answer, not two
    asked = [json.loads(body)["model"] for body in provider.bodies]
    assert asked == ["small-upstream"] if model == "small" else ["small-upstream", "large-upstream"]
    assert f'cit_cascade_steps_total{{model="small",outcome="{said}"}} 1.0' in metrics
    if not stream:  # tokens are counted of both
        assert 'cit_tokens_total{direction="out",model="small"} 2.0' in metrics
        assert ('cit_tokens_total{direction="out",model="large"} 2.0' in metrics) == (model == "large")


@pytest.mark.parametrize(("judge", "model"), [("says-yes", "small"), ("says-no", "large")])
def test_a_judge(provider: ScriptedProvider, tmp_path: Path, judge: str, model: str) -> None:
    models = {"large": "ok", "small": "ok", "judge": judge}
    table = cascade(JUDGED)
    with gateway(tmp_path, provider.url, models, f'{table}\n[virtual.two]\nmodels = ["large", "small"]', PRICES) as url:
        answer = httpx.post(f"{url}/v1/chat/completions", json={**ASK, "model": "two"})
        assert 'cit_tokens_total{direction="out",model="judge"} 2.0' in httpx.get(f"{url}/metrics").text
    assert answer.headers["x-cit-model"] == model
    assert ANSWER in json.loads(provider.bodies[1])["messages"][0]["content"]


def test_a_silent_judge_holds_nobody_up(provider: ScriptedProvider, tmp_path: Path) -> None:
    models = {"large": "ok", "small": "ok", "judge": "silent"}
    table = f"[server]\nattempt_timeout_s = 1\n{cascade(JUDGED)}"
    two = '[virtual.two]\nmodels = ["large", "small"]'
    with gateway(tmp_path, provider.url, models, f"{table}\n{two}", PRICES) as url:
        answer = httpx.post(f"{url}/v1/chat/completions", json={**ASK, "model": "two"}, timeout=20)
    assert (answer.status_code, answer.headers["x-cit-model"]) == (200, "large")
    assert "no verdict" in answer.headers["x-cit-reason"]


def test_a_budget_pays_for_all_steps(provider: ScriptedProvider, tmp_path: Path) -> None:
    table = cascade('verify = "pattern"\npattern = "nope"')
    with gateway(
        tmp_path, provider.url, {"large": "ok", "small": "ok"}, f'[router]\nlog = "log.jsonl"\n{table}', PRICES
    ) as url:
        httpx.post(f"{url}/v1/chat/completions", json=ASK)
        deadline, bills = time.monotonic() + 20, []
        while not bills and time.monotonic() < deadline:
            records = list(read_log(tmp_path / "log.jsonl")) if (tmp_path / "log.jsonl").exists() else []
            bills = [(record["model"], record["cost_usd"]) for record in records if record["kind"] == "usage"]
    one_in_two_out = (1 + 2 * 4) / 1e6
    assert bills == [("large", pytest.approx((10.0 + 0.1) * one_in_two_out))]
    (told,) = [record["steps"] for record in records if record["kind"] == "cascade"]
    assert [(step["model"], step["accepted"]) for step in told] == [("small", False), ("large", True)]


@pytest.mark.parametrize(("pattern", "steps"), [("fine", ["small"]), ("nope", ["small", "large"])])
def test_a_verified_answer_whose_tokens_nobody_counted_is_paid_too(
    provider: ScriptedProvider, tmp_path: Path, pattern: str, steps: list[str]
) -> None:
    table = cascade(f'verify = "pattern"\npattern = "{pattern}"')
    log = '[router]\nlog = "log.jsonl"\n'
    with gateway(tmp_path, provider.url, {"large": "ok", "small": "ok"}, f"{log}{table}", PRICES) as url:
        httpx.post(f"{url}/v1/chat/completions", json={**ASK, "stream": True})
    records = list(read_log(tmp_path / "log.jsonl"))
    expected = {one[0]: one[2] for record in records if record["kind"] == "decision" for one in record["ranking"]}
    (bill,) = [record["cost_usd"] for record in records if record["kind"] == "usage"]
    assert bill == pytest.approx(sum(expected[step] for step in steps))


@pytest.mark.parametrize(
    ("models", "paid", "left"),
    [
        ({"large": "silent", "small": "ok"}, "small", "large"),
        ({"large": "ok", "middle": "ok", "small": "silent"}, "middle", "small"),
    ],
)
def test_a_later_step_that_is_left_is_paid_as_expected(
    provider: ScriptedProvider, tmp_path: Path, models: dict[str, str], paid: str, left: str
) -> None:
    table = cascade('verify = "pattern"\npattern = "nope"\nmax_steps = 3')
    log = '[router]\nlog = "log.jsonl"\n'
    with gateway(tmp_path, provider.url, models, f"{log}{table}", PRICES) as url:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{url}/v1/chat/completions", json=ASK, timeout=0.5)
        deadline = time.monotonic() + 20
        while 'status="499"' not in httpx.get(f"{url}/metrics").text:
            assert time.monotonic() < deadline
    records = list(read_log(tmp_path / "log.jsonl"))
    expected = {one[0]: one[2] for record in records if record["kind"] == "decision" for one in record["ranking"]}
    (bill,) = [record["cost_usd"] for record in records if record["kind"] == "usage"]
    assert bill == pytest.approx(expected[left] + PRICES[paid] * 9 / 1e6)


def test_agreement_asks_the_same_model_again(provider: ScriptedProvider, tmp_path: Path) -> None:
    table = cascade('verify = "agreement"\nsamples = 3')
    with gateway(tmp_path, provider.url, {"large": "ok", "small": "ok"}, table, PRICES) as url:
        answer = httpx.post(f"{url}/v1/chat/completions", json={**ASK, "tools": [TOOL]})
    assert "small accepted (verdict 1)" in answer.headers["x-cit-reason"]
    assert [json.loads(body)["model"] for body in provider.bodies] == ["small-upstream"] * 3


@pytest.mark.parametrize(
    "fields",
    [{"tools": [{"type": "mcp", "server_url": "http://x"}]}, {"n": 2}, {"background": True}, {"model": "large"}],
    ids=["provider's tool", "choices", "background", "named"],
)
def test_what_may_do_more_than_answer_is_asked_once(
    provider: ScriptedProvider, tmp_path: Path, fields: dict[str, object]
) -> None:
    table = cascade('verify = "pattern"\npattern = "nope"')
    with gateway(tmp_path, provider.url, {"large": "ok", "small": "ok"}, table, PRICES) as url:
        answer = httpx.post(f"{url}/v1/chat/completions", json={**ASK, **fields})
    assert (answer.headers["x-cit-model"], len(provider.bodies)) == ("large", 1)


def test_a_verified_step_that_breaks_off_falls_back_and_a_failing_last_step_keeps_the_first(
    provider: ScriptedProvider, tmp_path: Path
) -> None:
    table = cascade('verify = "pattern"\npattern = "fine"')
    body = {**ASK, "stream": True}
    with gateway(tmp_path, provider.url, {"large": "ok", "small": "breaks-later"}, table, PRICES) as url:
        answer = httpx.post(f"{url}/v1/chat/completions", json=body)
        assert answer.headers["x-cit-model"] == "large"
        assert "half" not in answer.text
    table = table.replace("fine", "nope")
    with gateway(tmp_path, provider.url, {"large": "down", "small": "ok"}, table, PRICES) as url:
        kept = httpx.post(f"{url}/v1/chat/completions", json=body)
    assert (kept.status_code, kept.headers["x-cit-model"]) == (200, "small")
    assert kept.headers["x-cit-reason"].endswith("large failed")
