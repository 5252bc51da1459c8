"""Clients ask once; what goes wrong is told apart by whether asking again may help, and quotes nobody.

The OpenAI client is the real library, and it asks a real server on loopback.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import threading
import time
import traceback
from contextlib import aclosing
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import scripted_llm
from scripted_llm import ScriptedLLM, Trouble, body, by_prompt, cut_off, hang, no_text, reset, status

from cit_core.aptitude.clients import Answer, client
from cit_core.aptitude.clients.openai_client import OpenAIClient
from cit_core.errors import InvalidInput, MissingExtra, Refused, Transient

PROMPT = "Which letter is the SECRETQUESTION?"
KEY = "sk-SECRETKEY"


@pytest.fixture(autouse=True)
def _no_keys_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def shout(prompt: str) -> str:
    return prompt.upper()


async def ask(llm: ScriptedLLM | SimpleNamespace, prompt: str = PROMPT, *, key: str = "k1", **options: Any) -> Answer:
    async with aclosing(OpenAIClient("tiny", api_key=KEY, base_url=llm.base_url, **options)) as asked:
        return await asked.ask(prompt, key=key)


async def trouble_with(trouble: Trouble, **options: Any) -> Transient | Refused:
    """What the client raises, having made sure that nothing quotes the prompt or the key."""
    with ScriptedLLM(shout, troubles={0: trouble}) as llm:
        with pytest.raises((Transient, Refused)) as caught:
            await ask(llm, **options)
        assert len(llm.requests) == 1  # the runner tries again, not the library
        assert not llm.billed
    told = "".join(traceback.format_exception(caught.value)) + repr(vars(caught.value))
    assert "SECRET" not in told
    return caught.value


async def test_a_question_goes_out_as_it_is_and_the_answer_comes_with_its_tokens() -> None:
    with ScriptedLLM(shout, usage=(11, 7)) as llm:
        answer = await ask(llm)
        [request] = llm.requests
    assert answer == Answer(PROMPT.upper(), prompt_tokens=11, completion_tokens=7, cost_usd=None)
    assert request.body["messages"] == [{"role": "user", "content": PROMPT}]
    assert request.body["model"] == "tiny"
    assert "temperature" not in request.body
    assert not {"max_tokens", "max_completion_tokens"} & request.body.keys()
    assert request.headers["authorization"] == f"Bearer {KEY}"


async def test_effort_is_sent_and_part_of_the_settings() -> None:
    with ScriptedLLM(shout) as llm:
        await ask(llm, effort="high")
        (request,) = llm.requests
    assert request.body["reasoning_effort"] == "high"
    made = OpenAIClient("tiny", api_key=KEY, base_url="http://127.0.0.1:1/v1", effort="low", system="Be brief.")
    assert made.settings == {"model": "tiny", "system": "Be brief.", "temperature": None, "effort": "low"}


async def test_options_are_sent_when_given() -> None:
    with ScriptedLLM(shout) as llm:
        await ask(llm, temperature=0.0, max_tokens=5, system="Answer with a letter.")
        sent = llm.requests[0].body
    assert sent["temperature"] == 0.0
    assert sent["max_tokens"] == 5
    assert [message["role"] for message in sent["messages"]] == ["system", "user"]


def test_openai_itself_is_told_the_longest_answer_by_the_name_that_its_reasoning_models_know() -> None:
    for base_url, name in ((None, "max_completion_tokens"), ("http://127.0.0.1:1/v1", "max_tokens")):
        asked = OpenAIClient("gpt", api_key="none", base_url=base_url, max_tokens=5)
        assert asked._options == {name: 5}


@pytest.mark.parametrize(
    "usage",
    [
        "null",
        "{}",
        '{"prompt_tokens": true}',
        '{"prompt_tokens": null, "completion_tokens": -1}',
        '{"prompt_tokens": "7"}',
        '"seven"',
        "[1]",
    ],
)
async def test_tokens_that_are_no_counts_are_not_known(usage: str) -> None:
    text = f'{{"choices": [{{"message": {{"content": "A"}}, "finish_reason": "stop"}}], "usage": {usage}}}'
    with ScriptedLLM(shout, troubles={0: body(text)}) as llm:
        assert await ask(llm) == Answer("A")


async def test_an_empty_answer_and_a_declined_one_are_answers() -> None:
    declined = '{"choices": [{"message": {"content": null, "refusal": "I would rather not."}}]}'
    empty = '{"choices": [{"message": {"content": ""}, "finish_reason": "stop"}]}'
    with ScriptedLLM(shout, troubles={0: body(declined), 1: body(empty)}) as llm:
        assert (await ask(llm)).text == "I would rather not."
        assert (await ask(llm)).text == ""


@pytest.mark.parametrize("code", [408, 409, 425, 429, 500, 502, 503, 529])
async def test_statuses_that_another_attempt_may_change(code: int) -> None:
    error = await trouble_with(status(code))
    assert isinstance(error, Transient)
    assert error.status == code
    assert str(code) in str(error)


@pytest.mark.parametrize("code", [400, 401, 402, 403, 404, 413, 422])
async def test_statuses_that_no_attempt_changes(code: int) -> None:
    error = await trouble_with(status(code, error_code="model_not_found"))
    assert isinstance(error, Refused)
    assert error.status == code
    assert error.fatal == (code in (401, 402, 403, 404))
    assert f"HTTP {code}" in str(error)
    assert "(model_not_found)" in str(error)


@pytest.mark.parametrize("code", ["sk-SECRET", "SECRET QUESTION", "secret" * 10])
async def test_a_code_that_is_no_code_is_not_passed_on(code: str) -> None:
    assert code not in str(await trouble_with(status(400, error_code=code)))


async def test_an_account_without_money_is_not_a_rate_limit() -> None:
    error = await trouble_with(status(429, error_code="insufficient_quota", retry_after="1"))
    assert isinstance(error, Refused)
    assert error.fatal


@pytest.mark.parametrize(
    "trouble",
    [
        body('{"choices": ['),
        body("<html>Bad gateway</html>", "text/html"),
        body(f"{PROMPT} {KEY}", "text/plain"),
        body(""),
        body(b"\xff\xfe"),
        body("null"),
        body("[]"),
        body('{"error": {"message": "SECRET", "code": 429}}'),
        body('{"choices": []}'),
        body('{"choices": null}'),
        body('{"choices": {"0": 1}}'),
        body('{"choices": [{"message": null}]}'),
        body('{"choices": [{"message": {"content": null}, "finish_reason": {"SECRET": 1}}]}'),
        body('{"choices": [{"message": {"content": ["SECRET"]}}]}'),
        no_text(),
        cut_off(),
        reset(),
    ],
)
async def test_a_broken_connection_or_body_is_worth_another_attempt(trouble: Trouble) -> None:
    error = await trouble_with(trouble)
    assert isinstance(error, Transient)
    assert error.retry_after_s is None


def _completion(content: Any, reason: str = "stop") -> Trouble:
    message = {"role": "assistant", "content": content}
    usage = {"prompt_tokens": 9, "completion_tokens": 50, "total_tokens": 59}
    return body(json.dumps({"choices": [{"message": message, "finish_reason": reason}], "usage": usage}))


THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "Answer: 3? No."}]}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([THOUGHT, {"type": "text", "text": "Answer: 4"}], "Answer: 4"),
        ([{"type": "text", "text": "Answer"}, {"type": "reasoning", "text": "3"}, {"type": "text", "text": ": 4"}],
         "Answer: 4"),
        ([{"type": "output_text", "text": "4"}, {"type": "reference", "reference_ids": [1]}], "4"),
        ([{"type": "text", "text": {"value": "4"}}], "4"),
        ([THOUGHT], ""),
        ([], ""),
    ],
)  # fmt: skip
async def test_content_in_parts_is_read_without_its_thoughts(content: Any, text: str) -> None:
    with ScriptedLLM(shout, troubles={0: _completion(content)}) as llm:
        assert await ask(llm) == Answer(text, prompt_tokens=9, completion_tokens=50)


@pytest.mark.parametrize("content", ["", "The answer is"])
@pytest.mark.parametrize(
    "ended", [{"finish_reason": "error"}, {"error": {"code": 502, "message": "x"}}, {"finish_reason": "abort"}]
)
async def test_an_answer_that_the_provider_broke_off_is_asked_again(content: str, ended: dict[str, Any]) -> None:
    choice = {"message": {"role": "assistant", "content": content}, "finish_reason": "stop", **ended}
    usage = {"prompt_tokens": 9, "completion_tokens": 5}
    error = await trouble_with(body(json.dumps({"choices": [choice], "usage": usage})))
    assert isinstance(error, Transient)
    assert (error.prompt_tokens, error.completion_tokens) == (9, 5)


@pytest.mark.parametrize("content", [None, "", [THOUGHT]])
async def test_a_thought_that_was_cut_off_says_what_it_was_billed(content: Any) -> None:
    with ScriptedLLM(shout, troubles={0: _completion(content, "length")}) as llm:
        with pytest.raises(Refused, match="max_tokens was used up") as caught:
            await ask(llm)
        assert len(llm.requests) == 1
    assert (caught.value.prompt_tokens, caught.value.completion_tokens) == (9, 50)


@pytest.mark.parametrize(("reason", "says"), [("length", "max_tokens"), ("content_filter", "provider")])
async def test_an_answer_that_would_stay_without_text_is_not_paid_again(reason: str, says: str) -> None:
    error = await trouble_with(no_text(reason))
    assert isinstance(error, Refused)
    assert not error.fatal
    assert says in str(error)


async def test_a_server_that_hangs_or_is_not_there_is_worth_another_attempt() -> None:
    assert isinstance(await trouble_with(hang(), timeout_s=0.2), Transient)
    with ScriptedLLM(shout) as gone:
        pass
    with pytest.raises(Transient):
        await ask(gone)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("2", 2.0), ("0.25", 0.25), ("-3", 0.0), (" 7 ", 7.0), ("soon", None), ("nan", None), ("inf", None), ("", None)],
)
async def test_retry_after_in_seconds(header: str, seconds: float | None) -> None:
    error = await trouble_with(status(429, retry_after=header))
    assert isinstance(error, Transient)
    assert error.retry_after_s == seconds


@pytest.mark.parametrize(("ahead_s", "least", "most"), [(30, 20, 30), (-30, 0, 0)])
async def test_retry_after_as_a_date(ahead_s: float, least: float, most: float) -> None:
    date = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=ahead_s), usegmt=True)
    error = await trouble_with(status(503, retry_after=date))
    assert isinstance(error, Transient)
    assert error.retry_after_s is not None
    assert least <= error.retry_after_s <= most


async def test_many_questions_are_asked_at_once() -> None:
    meet = threading.Barrier(24, timeout=30)  # broken unless all of them are asked at once

    def answer(prompt: str) -> str:
        meet.wait()
        return shout(prompt)

    with ScriptedLLM(answer) as llm:
        async with aclosing(OpenAIClient("tiny", api_key=KEY, base_url=llm.base_url)) as asked:
            answers = await asyncio.gather(*(asked.ask(f"q{n}", key=f"k{n}") for n in range(24)))
        assert llm.most_at_once == 24
    assert [answer.text for answer in answers] == [f"Q{n}" for n in range(24)]


@pytest.mark.parametrize("replay", [True, False])
async def test_a_repeated_key_is_billed_once_where_the_server_honours_it(replay: bool) -> None:
    with ScriptedLLM(shout, replay=replay) as llm:
        texts = [(await ask(llm, "q", key=key)).text for key in ("a", "a", "ü\n b")]
        assert texts == ["Q", "Q", "Q"]
        billed = [request.key for request in llm.billed]
    odd = "%C3%BC%0A%20b"  # a header takes neither the letter nor the line break
    assert billed == (["a", odd] if replay else ["a", "a", odd])


async def test_nothing_that_is_logged_quotes_a_prompt_or_a_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with ScriptedLLM(shout, troubles={0: status(500), 1: reset()}) as llm:
        for _ in range(2):
            with pytest.raises(Transient):
                await ask(llm)
        await ask(llm)
    old = tuple(map(int, version("openai").split(".")[:2])) < (3, 1)  # writes whole prompts to its own log
    said = [record.getMessage() for record in caplog.records if not (old and record.name.startswith("openai"))]
    assert said
    assert "SECRET" not in "".join(said)
    assert KEY not in repr(OpenAIClient("tiny", api_key=KEY))


async def test_trouble_by_prompt_comes_as_often_as_it_is_told_to_and_then_ends() -> None:
    with ScriptedLLM(shout, troubles=by_prompt([status(500), reset()], 0.5, times=2)) as llm:
        failed = dict.fromkeys((f"q{n}" for n in range(20)), 0)
        for prompt in failed:
            for attempt in range(3):
                try:
                    await ask(llm, prompt, key=f"{prompt}-{attempt}")
                    break
                except Transient:
                    failed[prompt] += 1
        assert sorted(request.prompt for request in llm.billed) == sorted(failed)
    assert set(failed.values()) == {0, 2}


def test_the_scripted_server_as_a_process_logs_what_it_bills(tmp_path: Path) -> None:
    (tmp_path / "skills.py").write_text("def answer(prompt):\n    return prompt[::-1]\n")
    url, log = tmp_path / "url", tmp_path / "billed.jsonl"
    command = [sys.executable, scripted_llm.__file__, "--url-file", url, "--log", log, "--answer", "skills:answer"]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    try:
        while not url.exists():
            assert process.poll() is None
            time.sleep(0.01)
        assert asyncio.run(ask(SimpleNamespace(base_url=url.read_text()), "abc", key="k")).text == "cba"
    finally:
        process.terminate()
        assert process.wait(10) == 0
    [line] = log.read_text().splitlines()
    assert json.loads(line)["prompt"] == "abc"
    assert json.loads(line)["key"] == "k"
    assert KEY not in line


async def test_the_openai_client_from_a_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", f" {KEY}\n")
    with ScriptedLLM(shout) as llm:
        options = {"base_url": llm.base_url, "api_key_env": "MY_KEY", "temperature": 0.5}
        async with aclosing(client("openai:org/tiny:free", **options)) as asked:
            assert asked.name == "org/tiny:free"
            await asked.ask("q", key="k")
        async with aclosing(client("openai:tiny", base_url=llm.base_url)) as asked:  # a local server needs no key
            await asked.ask("q", key="k")
        monkeypatch.setenv("OPENAI_BASE_URL", llm.base_url)
        async with aclosing(client("openai:tiny")) as asked:
            await asked.ask("q", key="k")
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        async with aclosing(client("openai:tiny")) as asked:
            await asked.ask("q", key="k")
    given, local, _, ambient = llm.requests
    assert given.headers["authorization"] == ambient.headers["authorization"] == f"Bearer {KEY}"
    assert given.body["temperature"] == 0.5
    assert given.body["model"] == "org/tiny:free"
    assert KEY not in local.headers["authorization"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "OPENAI_API_KEY is not set.*--api-key-env"),
        ({"api_key_env": "MY_KEY"}, "MY_KEY is not set"),
        ({"api_key_env": "MY_KEY", "base_url": "http://127.0.0.1:1/v1"}, "MY_KEY is not set"),
        ({"api_key_env": "BAD_KEY"}, "BAD_KEY is not a key"),
        ({"base_url": "localhost:8000/v1"}, "'localhost:8000/v1' is not an address"),
        ({"base_url": "me:SECRET@localhost/v1"}, "'localhost/v1' is not an address"),
    ],
)
def test_what_the_openai_client_lacks(options: dict[str, str], says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAD_KEY", "sk-SECRET…")
    with pytest.raises(InvalidInput, match=says) as caught:
        client("openai:tiny", **options)  # type: ignore[arg-type]
    assert "SECRET" not in str(caught.value)


def test_without_the_library_the_pip_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingExtra, match=r"pip install 'cit-router\[openai\]'"):
        client("openai:tiny", base_url="http://127.0.0.1:1/v1")
