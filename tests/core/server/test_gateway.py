"""The gateway as its callers meet it: real SDKs, real HTTP on loopback, providers that misbehave."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gateway_process import ENVIRONMENT, KEY, gateway, settings_file
from scripted_provider import ANSWER, ScriptedProvider

from cit_core.server.app import create_app
from cit_core.settings import read_settings

anthropic = pytest.importorskip("anthropic", reason="uv pip install --group test")
openai = pytest.importorskip("openai", reason="pip install 'cit-router[openai]'")

ASK = [{"role": "user", "content": "What is 7 times 8?"}]


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as serving:
        yield serving


def client(url: str, key: str = "unused") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=20)


def test_openai_sdk(provider: ScriptedProvider, tmp_path: Path) -> None:
    with gateway(tmp_path, provider.url, {"big": "ok", "small": "ok"}) as url, client(url) as sdk:
        raw = sdk.chat.completions.with_raw_response.create(model="cit", messages=ASK)
        assert raw.parse().choices[0].message.content == ANSWER
        assert raw.headers["x-cit-model"] == "big"
        assert raw.headers["x-cit-probability"] == "0.9000"
        assert raw.headers["x-cit-reason"] == "policy best"
        assert float(raw.headers["x-cit-expected-cost"]) > 0
        chunks = list(sdk.chat.completions.create(model="cit", messages=ASK, stream=True))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == ANSWER
        assert [model.id for model in sdk.models.list()] == ["cit", "big", "small"]
        assert sdk.models.retrieve("small").id == "small"
        assert len(httpx.get(f"{url}/v1/models/").json()["data"]) == 3
        with pytest.raises(openai.NotFoundError, match="the closest are 'big'"):
            sdk.models.retrieve("bigg")
        with pytest.raises(openai.NotFoundError, match="nothing answers POST '/v1/embeddings'; POST /v1/chat"):
            sdk.embeddings.create(model="cit", input="x")
    assert json.loads(provider.bodies[0])["model"] == "big-upstream"
    assert {headers["authorization"] for headers in provider.headers} == {f"Bearer {KEY}"}


def test_anthropic_sdk(provider: ScriptedProvider, tmp_path: Path) -> None:
    models = {"gpt": "ok", "claude": "anthropic/ok"}
    with (
        gateway(tmp_path, provider.url, models) as url,
        anthropic.Anthropic(base_url=url, api_key="unused", max_retries=0) as sdk,
    ):
        raw = sdk.messages.with_raw_response.create(model="cit", max_tokens=9, messages=ASK)
        assert raw.parse().content[0].text == ANSWER
        assert raw.headers["x-cit-model"] == "claude"  # the other's server speaks another protocol
        with sdk.messages.stream(model="cit", max_tokens=9, messages=ASK) as stream:
            assert "".join(stream.text_stream) == ANSWER
    assert {headers["x-api-key"] for headers in provider.headers} == {KEY}


async def test_async_sdks(provider: ScriptedProvider, tmp_path: Path) -> None:
    with gateway(tmp_path, provider.url, {"gpt": "ok", "claude": "anthropic/ok"}) as url:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as sdk:
            stream = await sdk.chat.completions.create(model="cit", messages=ASK, stream=True)
            said = [chunk.choices[0].delta.content or "" async for chunk in stream]
            assert "".join(said) == ANSWER
        async with anthropic.AsyncAnthropic(base_url=url, api_key="x", max_retries=0) as sdk:
            answer = await sdk.messages.create(model="cit", max_tokens=9, messages=ASK)
            assert answer.content[0].text == ANSWER


def test_every_byte_but_the_model_is_passed_on(provider: ScriptedProvider, tmp_path: Path) -> None:
    body = (
        b'{ "x" : [1.0, 1e400, "\\u00e9", {"model": "inner"}],\n\t"model":"cit" , '
        b'"messages": [{"role":"user","content":"'
        + ("wie gross? ü\U0001f642".encode() + b'"}], "unknown": null , "n":10000000000000000000000}\n')
    )
    with gateway(tmp_path, provider.url, {"a": "ok"}) as url:
        assert httpx.post(f"{url}/v1/chat/completions", content=body).status_code == 200
    assert provider.bodies == [body.replace(b'"cit"', b'"a-upstream"')]


def test_arms_of_a_model_are_asked_for_in_other_ways(provider: ScriptedProvider, tmp_path: Path) -> None:
    models = {"m@low": "ok", "m@high,max_tokens=500": "ok", "m": "ok"}
    with gateway(tmp_path, provider.url, models) as url:
        for name in models:
            httpx.post(f"{url}/v1/chat/completions", json={"model": name, "messages": ASK})
    asked = [json.loads(body) for body in provider.bodies]
    assert [(one.get("reasoning_effort"), one.get("max_tokens")) for one in asked] == [
        ("low", None),
        ("high", 500),
        (None, None),
    ]


@pytest.mark.parametrize(
    ("name", "model"),
    [("cit", "a"), ("cit:best", "a"), ("cit:threshold-0.75", "a"), ("b", "b"), ("second", "b"), ("cit:cost-0.5", "a")],
)
def test_names(provider: ScriptedProvider, tmp_path: Path, name: str, model: str) -> None:
    more = '[virtual.second]\nmodels = ["b"]'
    with gateway(tmp_path, provider.url, {"a": "ok", "b": "ok"}, more) as url:
        answer = httpx.post(f"{url}/v1/chat/completions", json={"model": name, "messages": ASK})
    assert (answer.status_code, answer.headers["x-cit-model"]) == (200, model)


def test_an_unknown_name(provider: ScriptedProvider, tmp_path: Path) -> None:
    with gateway(tmp_path, provider.url, {"a-model": "ok"}) as url, client(url) as sdk:
        with pytest.raises(openai.NotFoundError, match="the closest are 'a-model'"):
            sdk.chat.completions.create(model="a-mode", messages=ASK)
        with pytest.raises(openai.BadRequestError, match="policy"):
            sdk.chat.completions.create(model="cit:fastest", messages=ASK)
    assert not provider.hits


@pytest.mark.parametrize(
    "behaviour",
    [
        "unauthorized",
        "retired",
        "too-long",
        "filtered",
        "rate-limit",
        "down",
        "page",
        "moved",
        "cut",
        "error-in-200",
        "no-choices",
        "error-in-a-choice",
        "no-answer",
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_the_next_answers_where_one_fails(
    provider: ScriptedProvider, tmp_path: Path, behaviour: str, stream: bool
) -> None:
    with gateway(tmp_path, provider.url, {"a": behaviour, "b": "ok"}) as url:
        body = {"model": "cit", "messages": ASK, "stream": stream}
        answer = httpx.post(f"{url}/v1/chat/completions", json=body)
        assert (answer.status_code, answer.headers["x-cit-model"]) == (200, "b")
        assert answer.headers["x-cit-reason"].startswith("policy best; a failed: ")
        assert 'cit_failures_total{model="a"' in httpx.get(f"{url}/metrics").text
    assert ANSWER.split()[1] in answer.text
    assert "SECRET" not in answer.text


@pytest.mark.parametrize(
    "behaviour",
    [
        "server-error",
        "stream-rate-limit",
        "code-as-text",
        "after-an-empty-chunk",
        "empty",
        "empty-chunk-alone",
        "cut-after-an-empty-chunk",
    ],
)
def test_the_next_answers_before_the_first_token(provider: ScriptedProvider, tmp_path: Path, behaviour: str) -> None:
    with gateway(tmp_path, provider.url, {"a": behaviour, "b": "ok"}) as url, client(url) as sdk:
        chunks = list(sdk.chat.completions.create(model="cit", messages=ASK, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == ANSWER
    assert provider.hits == {behaviour: 1, "ok": 1}


@pytest.mark.parametrize(
    "kind", ["overloaded_error", "rate_limit_error", "api_error-after-the-beginning", "status-401"]
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_the_next_claude_answers(provider: ScriptedProvider, tmp_path: Path, kind: str, stream: bool) -> None:
    with gateway(tmp_path, provider.url, {"a": f"anthropic/{kind}", "b": "anthropic/ok"}) as url:
        body = {"model": "cit", "max_tokens": 9, "messages": ASK, "stream": stream}
        answer = httpx.post(f"{url}/v1/messages", json=body)
    assert (answer.status_code, answer.headers["x-cit-model"]) == (200, "b")


@pytest.mark.parametrize(
    ("path", "behaviour", "good"),
    [
        ("chat/completions", "no-protocol", "ok"),
        ("responses", "no-protocol", "response"),
        ("responses", "cancelled", "response"),
        ("messages", "anthropic/no-protocol", "anthropic/ok"),
        ("messages", "anthropic/no-answer", "anthropic/ok"),
    ],
)
def test_the_next_answers_where_200_holds_no_answer(
    provider: ScriptedProvider, tmp_path: Path, path: str, behaviour: str, good: str
) -> None:
    body = {"model": "cit", "max_tokens": 9, "messages": ASK, "input": "What is 7 times 8?"}
    with gateway(tmp_path, provider.url, {"a": behaviour, "b": good}) as url:
        assert httpx.post(f"{url}/v1/{path}", json=body).headers["x-cit-model"] == "b"


def test_a_silent_candidate_is_left(provider: ScriptedProvider, tmp_path: Path) -> None:
    more = "[server]\nfirst_token_timeout_s = 1"
    with (
        gateway(tmp_path, provider.url, {"a": "stall-after-an-empty-chunk", "b": "ok"}, more) as url,
        client(url) as sdk,
    ):
        chunks = list(sdk.chat.completions.create(model="cit", messages=ASK, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == ANSWER


def test_a_silent_candidate_is_left_where_no_stream_was_asked_for(provider: ScriptedProvider, tmp_path: Path) -> None:
    more = "[server]\nattempt_timeout_s = 1"
    with gateway(tmp_path, provider.url, {"a": "silent", "b": "ok"}, more) as url:
        answer = httpx.post(f"{url}/v1/chat/completions", json={"model": "cit", "messages": ASK}, timeout=20)
    assert (answer.status_code, answer.headers["x-cit-model"]) == (200, "b")


@pytest.mark.parametrize(
    ("behaviour", "told"),
    [
        ("breaks-later", "broken"),
        ("cut-later", "broke off in the middle"),
        ("cut-in-a-line", "broke off in the middle"),
        ("cut-in-one-of-two", "broke off in the middle"),
        ("error-in-a-late-choice", "broke off in the middle"),
        ("error-without-a-blank-line", "broke off in the middle"),
    ],
)
def test_a_stream_that_breaks_later_ends_with_an_error_and_counts(
    provider: ScriptedProvider, tmp_path: Path, behaviour: str, told: str
) -> None:
    with gateway(tmp_path, provider.url, {"a": behaviour, "b": "ok"}) as url, client(url) as sdk:
        for _ in range(3):
            said = []
            with pytest.raises(openai.APIError, match=told):
                said.extend(sdk.chat.completions.create(model="cit", messages=ASK, stream=True))
        answer = httpx.post(f"{url}/v1/chat/completions", json={"model": "cit", "messages": ASK})
        assert answer.headers["x-cit-model"] == "b"  # its breaker is open


def test_an_anthropic_stream_that_breaks_off_ends_with_an_error(provider: ScriptedProvider, tmp_path: Path) -> None:
    with (
        gateway(tmp_path, provider.url, {"a": "anthropic/cut-later"}) as url,
        anthropic.Anthropic(base_url=url, api_key="unused", max_retries=0) as sdk,
        pytest.raises(anthropic.APIError, match="broke off in the middle"),
        sdk.messages.stream(model="cit", max_tokens=9, messages=ASK) as stream,
    ):
        stream.until_done()


def test_a_stream_of_responses_that_breaks_off_ends_with_an_event_of_its_protocol(
    provider: ScriptedProvider, tmp_path: Path
) -> None:
    with gateway(tmp_path, provider.url, {"a": "response-cut-in-a-line"}) as url, client(url) as sdk:
        body = {"model": "cit", "input": "hi", "stream": True}
        *_, last, end = httpx.post(f"{url}/v1/responses", json=body).text.split("\n\n")
        assert (last.splitlines()[0], end) == ("event: error", "")
        with pytest.raises(openai.APIError, match="broke off in the middle"):
            list(sdk.responses.create(**body))


@pytest.mark.parametrize("behaviour", ["end-with-the-last-text", "end-without-a-blank-line"])
def test_an_answer_that_has_ended_is_whole(provider: ScriptedProvider, tmp_path: Path, behaviour: str) -> None:
    with gateway(tmp_path, provider.url, {"a": behaviour}) as url, client(url) as sdk:
        chunks = list(sdk.chat.completions.create(model="cit", messages=ASK, stream=True))
        assert "cit_failures_total{" not in httpx.get(f"{url}/metrics").text
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == ANSWER


@pytest.mark.parametrize("behaviour", ["empty", "empty-and-open"])
def test_an_empty_stream_that_no_other_betters_is_passed_on(
    provider: ScriptedProvider, tmp_path: Path, behaviour: str
) -> None:
    with gateway(tmp_path, provider.url, {"a": behaviour}) as url, client(url) as sdk:
        assert list(sdk.chat.completions.create(model="cit", messages=ASK, stream=True)) == []


def test_a_choice_that_never_began_is_missed(provider: ScriptedProvider, tmp_path: Path) -> None:
    with (
        gateway(tmp_path, provider.url, {"a": "end-with-the-last-text"}) as url,
        client(url) as sdk,
        pytest.raises(openai.APIError, match="broke off in the middle"),
    ):
        list(sdk.chat.completions.create(model="cit", messages=ASK, stream=True, n=2))


def test_a_long_event_holds_the_end_of_an_answer(
    provider: ScriptedProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cit_core.server.protocols.LONGEST_EVENT", 100)
    with gateway(tmp_path, provider.url, {"a": "response"}) as url, client(url) as sdk:
        events = list(sdk.responses.create(model="cit", input="hi", stream=True))
    assert events[-1].type == "response.completed"


def test_a_stream_that_is_neither_true_nor_false_is_the_callers_fault(
    provider: ScriptedProvider, tmp_path: Path
) -> None:
    with gateway(tmp_path, provider.url, {"a": "ok"}) as url:
        answer = httpx.post(f"{url}/v1/messages", json={"model": "cit", "messages": ASK, "stream": "true"})
    assert (answer.status_code, answer.json()["type"]) == (400, "error")
    assert "must be true or false" in answer.json()["error"]["message"]
    assert not provider.hits


def test_the_last_error_is_passed_on(provider: ScriptedProvider, tmp_path: Path) -> None:
    with gateway(tmp_path, provider.url, {"a": "unauthorized", "b": "rate-limit"}) as url, client(url) as sdk:
        with pytest.raises(openai.RateLimitError):
            sdk.chat.completions.create(model="cit", messages=ASK)
        with pytest.raises(openai.APIStatusError) as refused:
            sdk.chat.completions.create(model="a", messages=ASK)
        assert refused.value.status_code == 401
        metrics = httpx.get(f"{url}/metrics").text
    for line in ('model="a",reason="key refused, HTTP 401"} 2.0', 'model="b",reason="rate limit, HTTP 429"} 1.0'):
        assert f"cit_failures_total{{{line}" in metrics
    assert provider.hits["rate-limit"] == 1


@pytest.mark.parametrize(
    ("behaviour", "status"), [("rate-limit", 429), ("down", 503), ("busy-page", 429), ("down-page", 503)]
)
def test_the_last_error_keeps_its_status_and_when_to_try_again(tmp_path: Path, behaviour: str, status: int) -> None:
    with ScriptedProvider("17") as provider, gateway(tmp_path, provider.url, {"a": behaviour}) as url:
        answer = httpx.post(f"{url}/v1/chat/completions", json={"model": "cit", "messages": ASK})
    assert (answer.status_code, answer.headers["retry-after"]) == (status, "17")
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("behaviour", "status"),
    [("anthropic/no-protocol", 502), ("anthropic/not-streamed", 200), ("anthropic/a-page", 502)],
)
def test_json_in_place_of_a_stream(provider: ScriptedProvider, tmp_path: Path, behaviour: str, status: int) -> None:
    body = {"model": "cit", "max_tokens": 9, "messages": ASK, "stream": True}
    with gateway(tmp_path, provider.url, {"a": behaviour}) as url:
        answer = httpx.post(f"{url}/v1/messages", json=body)
    assert (answer.status_code, isinstance(answer.json(), dict)) == (status, True)


def test_an_invalid_request_is_the_callers(provider: ScriptedProvider, tmp_path: Path) -> None:
    with (
        gateway(tmp_path, provider.url, {"a": "bad-request", "b": "ok"}) as url,
        client(url) as sdk,
        pytest.raises(openai.BadRequestError, match="temperature"),
    ):
        sdk.chat.completions.create(model="cit", messages=ASK)
    assert provider.hits == {"bad-request": 1}


def test_nobody_is_there(tmp_path: Path) -> None:
    with gateway(tmp_path, "http://127.0.0.1:9", {"a": "ok", "b": "ok"}) as url:
        answer = httpx.post(f"{url}/v1/chat/completions", json={"model": "cit", "messages": ASK})
    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "upstream_error"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "no JSON object"),
        (b"[1]", "no JSON object"),
        (b'{"messages": []}', "needs a model"),
        (b'{"model": 3}', "needs a model"),
        (b'{"model": "cit", "x": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"model": "cit", "x": ' + b"1" * 5_000 + b"}", "a number is too long"),
        (b'{"model": "\xff"}', "not UTF-8"),
    ],
)
def test_bodies_that_cannot_be_read(tmp_path: Path, content: bytes, said: str) -> None:
    with gateway(tmp_path, "http://127.0.0.1:9", {"a": "ok"}) as url:
        answer = httpx.post(f"{url}/v1/chat/completions", content=content)
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]


def test_a_picture_alone_goes_to_the_default_route(provider: ScriptedProvider, tmp_path: Path) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    body = {"model": "cit", "messages": [{"role": "user", "content": [picture]}]}
    with gateway(tmp_path, provider.url, {"a": "ok", "b": "ok"}) as url:
        answer = httpx.post(f"{url}/v1/chat/completions", json=body)
    assert (answer.status_code, answer.headers["x-cit-reason"]) == (200, "default route")


def test_a_preview_and_its_outcome_ask_nobody(provider: ScriptedProvider, tmp_path: Path) -> None:
    with gateway(tmp_path, provider.url, {"a": "ok", "b": "ok"}) as url:
        decision = httpx.post(f"{url}/v1/route", json={"input": "What is 7 times 8?"}).json()
        assert (decision["model"], [one["model"] for one in decision["ranking"]]) == ("a", ["a", "b"])
        inner = httpx.post(f"{url}/v1/route", json={"input": "Which?", "metadata": {"model": "x"}})
        assert inner.json()["model"] == "a"
        chat = httpx.post(f"{url}/v1/route", json={"model": "cit:best", "messages": ASK}).json()
        assert chat["policy"] == "best"
        outcome = httpx.post(f"{url}/v1/outcomes", json={"decision": decision["id"], "correct": 1})
        assert outcome.status_code == 400
        assert "of no store" in outcome.json()["error"]["message"]  # this one's router has none
        unknown = httpx.post(f"{url}/v1/outcomes", json={"decision": "x", "correct": 1})
        assert "pass the whole decision" in unknown.json()["error"]["message"]
    assert not provider.hits


def test_a_budget_that_no_store_keeps_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = '[virtual.paced]\npolicy = "budget:0.432/day/key"'
    forgotten = ["budget:0.432/day/tenant is kept in memory alone"]
    for store, told in (("catalogue", forgotten), ("sqlite:///zoo.db", [])):
        more = f'[router]\nstore = "{store}"\n{table}'
        settings = read_settings(settings_file(tmp_path, "http://127.0.0.1:9", {"openai:gpt-5-mini": "ok"}, more), {})
        caplog.clear()
        create_app(settings, ENVIRONMENT)
        said = [record.message for record in caplog.records if record.name == "cit_core.server"]
        assert [one.partition(",")[0] for one in said] == told


def test_a_conversation_keeps_its_candidate(provider: ScriptedProvider, tmp_path: Path) -> None:
    with gateway(tmp_path, provider.url, {"a": "ok", "b": "ok"}) as url:
        headers = {"x-cit-conversation": "c1"}
        one = httpx.post(f"{url}/v1/chat/completions", json={"model": "cit", "messages": ASK}, headers=headers)
        two = httpx.post(f"{url}/v1/chat/completions", json={"model": "cit", "messages": ASK}, headers=headers)
    assert (one.headers["x-cit-model"], two.headers["x-cit-model"]) == ("a", "a")
    assert two.headers["x-cit-reason"] in ("policy best", "kept in its conversation")
