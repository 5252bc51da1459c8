"""`cit aptitude` against a scripted server: it finds out what a model knows, whatever goes wrong, and pays once."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import scripted_llm
from scripted_llm import Request, ScriptedLLM, Trouble, body, by_prompt, cut_off, hang, no_text, reset, status
from small_suite import number_of, skilled, suite_of, task_of

from cit_core import CapabilityStore
from cit_core.aptitude.runner import retry as asking
from cit_core.aptitude.suites import save_suite

URL = "sqlite:///zoo.db"
SUITE, ITEMS = suite_of()
SKILL = {"sums": 8, "letters": 5, "words": 3}
RIGHT = {"sums": 0.8, "letters": 0.5, "words": 0.3}
SCRIPTED = Path(scripted_llm.__file__)


@pytest.fixture(autouse=True)
def _suite_here(_own_home: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite and its texts lie in the working directory; nobody waits long before asking again."""
    save_suite(SUITE, Path("small.json"))
    Path("texts.jsonl").write_text(
        "".join(
            item.model_dump_json(exclude={"id"}).replace("{", f'{{"item_id": "{item.id}", ', 1) + "\n" for item in ITEMS
        )
    )
    monkeypatch.setattr(asking, "FIRST_BACKOFF_S", 0.01)
    monkeypatch.setattr(asking, "LONGEST_BACKOFF_S", 0.05)


def arguments(llm: str, *more: str, verb: str = "run") -> list[str]:
    suite = ["--suite", "small.json", "--texts", "texts.jsonl", "--store", URL]
    return ["aptitude", verb, "openai:sly-1", "--base-url", llm, *suite, *more]


def accuracies(candidate: str = "sly-1") -> dict[str, float]:
    with CapabilityStore(URL) as store:
        return {result.task.id: result.accuracy for result in store.capability(candidate).results}


def billed_items(requests: list[Request]) -> Counter[str]:
    return Counter(f"{task_of(request.prompt)}/{number_of(request.prompt)}" for request in requests)


# -- a run ------------------------------------------------------------------------------------------------------------


def test_a_run_finds_out_what_a_model_knows_and_makes_it_routable(cit: Callable[..., Any]) -> None:
    with ScriptedLLM(skilled(SKILL)) as llm:
        result = cit(*arguments(llm.base_url, "--price-in", "1", "--price-out", "10"))
    assert result.exit_code == 0, result.stderr
    assert result.stdout == "sly-1: 53.3% right in 30 of 30 questions, 3 tasks, $0.00243 spent\n"
    assert result.stderr == f"Next: cit route 'What is 7 times 8?' --store {URL}\n"
    assert accuracies() == RIGHT
    routed = cit("route", "What is 7 times 8?", "--store", URL, "--json", open_router=None)
    assert json.loads(routed.stdout)["model"] == "sly-1"


def test_an_adaptive_run_says_that_it_estimates(cit: Callable[..., Any]) -> None:
    with ScriptedLLM(skilled(SKILL)) as llm:
        result = cit(*arguments(llm.base_url, "--adaptive", "--most", "12"))
        again = cit(*arguments(llm.base_url, "--adaptive", "--most", "12"))
        assert len(llm.requests) == 12
    assert result.exit_code == 0, result.stderr
    assert re.fullmatch(r"sly-1: [\d.]+% right, estimated from 12 of 12 questions, 3 tasks, ± [\d.]+%\n", result.stdout)
    assert "nothing to do: 'sly-1' has answered 12 questions, which tell enough" in again.stderr


def test_my_model_on_my_questions_as_the_settings_name_it(cit: Callable[..., Any], monkeypatch: Any) -> None:
    """`cit.toml` says where the model is; the questions are a table of question and answer."""
    monkeypatch.setenv("MY_KEY", "sk-secret")
    rows = [f'"sums {n}: what is {n} + 1?",{n + 1}' for n in range(10)]
    Path("our tickets.csv").write_text("question,answer\n" + "\n".join(rows))
    with ScriptedLLM(skilled(SKILL)) as llm:
        upstream = f'upstream = "{llm.base_url}"\napi_key_env = "MY_KEY"\nprice_in = 1\nprice_out = 10'
        models = f'[[models]]\nid = "mine"\nmodel = "my-finetune"\n{upstream}'
        Path("cit.toml").write_text(f'[router]\nstore = "{URL}"\n{models}')
        result = cit("aptitude", "run", "mine", "--questions", "our tickets.csv", "--effort", "low")
        assert result.exit_code == 0, result.stderr
        assert result.stdout.startswith("mine: 80.0% right in 10 of 10 questions, 1 tasks, $")
        asked = [(r.body["model"], r.body["reasoning_effort"], r.headers["authorization"]) for r in llm.requests]
        assert set(asked) == {("my-finetune", "low", "Bearer sk-secret")}
        assert (
            "0 questions left, 10 answered"
            in cit("aptitude", "estimate", "mine", "--questions", "our tickets.csv").stdout
        )
    routed = json.loads(cit("route", "sums 5: what is 5 + 1?", "--json", open_router=None).stdout)
    assert routed["scores"].keys() == {"mine"}
    refused = cit("aptitude", "run", "mine", "--questions", "our tickets.csv", "--texts", "texts.jsonl")
    assert (refused.exit_code, "questions have their own texts" in refused.stderr) == (2, True)


def test_effort_is_part_of_the_candidate(cit: Callable[..., Any]) -> None:
    with ScriptedLLM(skilled(SKILL), troubles=lambda _: status(401)) as llm:
        assert cit(*arguments(llm.base_url, "--effort", "high")).stdout.startswith("sly-1@high: none of 30")
        limited = ["openai:sly-1@max_tokens=50" if part == "openai:sly-1" else part for part in arguments(llm.base_url)]
        assert cit(*limited, "--effort", "high").stdout.startswith("sly-1@high,max_tokens=50: none of 30")


@pytest.mark.parametrize(
    ("run", "sent"),
    [
        ("@low", {"reasoning_effort": "low"}),
        ("@high,max_tokens=500", {"reasoning_effort": "high", "max_tokens": 500}),
        ("@max_tokens=50", {"max_tokens": 50}),
    ],
)
@pytest.mark.parametrize("named", [True, False])
def test_an_arm_is_tested_as_it_runs(cit: Callable[..., Any], run: str, sent: dict[str, Any], named: bool) -> None:
    with ScriptedLLM(skilled(SKILL)) as llm:
        if named:
            Path("cit.toml").write_text(f'[[models]]\nid = "openai:sly-1{run}"\nupstream = "{llm.base_url}"')
        address = [] if named else ["--base-url", llm.base_url]
        suite = ["--suite", "small.json", "--texts", "texts.jsonl", "--store", URL]
        result = cit("aptitude", "run", f"openai:sly-1{run}", *address, *suite)
        assert result.exit_code == 0, result.stderr
        bodies = [request.body for request in llm.requests]
    assert {body["model"] for body in bodies} == {"sly-1"}
    assert all(sent.items() <= body.items() for body in bodies)
    assert result.stdout.startswith(f"openai:sly-1{run}: " if named else f"sly-1{run}: ")


@pytest.mark.parametrize(
    ("name", "says"), [("openai:m@samples=3", "asks for samples"), ("openai:m@low", "effort='high'; say it once")]
)
def test_an_arm_that_cannot_be_tested(cit: Callable[..., Any], name: str, says: str) -> None:
    refused = cit("aptitude", "run", name, "--effort", "high", "--base-url", "http://127.0.0.1:1/v1", "--store", URL)
    assert (refused.exit_code, says in refused.stderr) == (2, True)


def test_a_run_survives_everything_that_servers_do(cit: Callable[..., Any]) -> None:
    troubles: list[Trouble] = [
        status(429, retry_after="0.1"), status(429), status(500), status(503, retry_after="0.05"), hang(),
        body("<html>busy</html>"), body('{"choices": ['), cut_off(), reset(), no_text(),
    ]  # fmt: skip
    with ScriptedLLM(skilled(SKILL), troubles=by_prompt(troubles, 0.8, times=3)) as llm:
        result = cit(*arguments(llm.base_url, "--timeout", "0.3", "--json"))
        assert result.exit_code == 0, result.stderr
        assert billed_items(llm.billed) == dict.fromkeys(SUITE.item_ids, 1)
        assert len(llm.requests) > 60
        keys = {(request.prompt, request.key) for request in llm.requests}
        assert len(keys) == 30, "an item has one key, however often it is asked"
    report = json.loads(result.stdout)
    assert report["tasks"] == RIGHT == accuracies()
    assert report["retries"] >= len(llm.requests) - 30, "on a busy machine some time out before the server reads them"


def test_a_finished_test_leaves_nothing_to_do(cit: Callable[..., Any]) -> None:
    with ScriptedLLM(skilled(SKILL)) as llm:
        cit(*arguments(llm.base_url))
        result = cit(*arguments(llm.base_url))
        assert len(llm.requests) == 30
    assert result.exit_code == 0
    assert "nothing to do: 'sly-1' has answered all 30 questions" in result.stderr
    assert "53.3% right" in result.stdout


def test_too_many_failures_are_told_and_nothing_is_published(cit: Callable[..., Any]) -> None:
    def broken(request: Request) -> Trouble | None:
        return {3: status(400), 4: status(503)}.get(number_of(request.prompt))

    with ScriptedLLM(skilled(SKILL), troubles=broken) as llm:
        result = cit(*arguments(llm.base_url, "--attempts", "2"))
        assert result.exit_code == 1
        assert "questions failed, and 5% may: the test cannot be published any more. Most frequent (" in result.stderr
        assert "not published: " in result.stderr
        again = f"cit aptitude run openai:sly-1 --as sly-1 --suite small.json --texts texts.jsonl --store {URL}"
        assert f"Go on with the same command and options: {again}" in result.stderr
        assert accuracies() == {}
        assert cit(*arguments(llm.base_url, "--attempts", "1", "--max-failed", "0.2")).exit_code == 0
        assert len(accuracies()) == 3
    with ScriptedLLM(skilled(SKILL)) as llm:
        assert cit(*arguments(llm.base_url)).exit_code == 0
        assert billed_items(llm.billed).keys() == {f"{task}/{n}" for task in SKILL for n in (3, 4)}
    assert accuracies() == RIGHT


def test_a_wrong_key_stops_the_run_at_once_and_is_shown_nowhere(
    cit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret")
    with ScriptedLLM(skilled(SKILL), troubles=lambda _: status(401)) as llm:
        result = cit(*arguments(llm.base_url, "--api-key-env", "MY_KEY", "--concurrency", "2"))
        assert len(llm.requests) == 2
        assert llm.requests[0].headers["authorization"] == "Bearer sk-secret"
    assert result.exit_code == 1
    assert "stopped: HTTP 401 Unauthorized: is the key right?" in result.stderr
    assert "sly-1: none of 30 questions answered" in result.stdout
    assert "sk-secret" not in result.output


def test_a_cost_limit_stops_the_run_and_a_higher_one_goes_on(cit: Callable[..., Any]) -> None:
    prices = ["--price-in", "0", "--price-out", "1000"]
    with ScriptedLLM(skilled(SKILL), usage=(10, 100)) as llm:  # an answer costs $0.10
        result = cit(*arguments(llm.base_url, *prices, "--max-cost-usd", "1.05", "--concurrency", "1"))
        assert result.exit_code == 1
        assert "stopped: the next question may cost $0.1; $1 of $1.05 are spent" in result.stderr
        assert "not published: 20 questions have no answer; what was answered is kept" in result.stderr
        assert len(llm.billed) == 10
        assert cit(*arguments(llm.base_url, "--max-cost-usd", "5")).exit_code == 0, "prices are in the store by now"
        assert len(llm.billed) == 30


def test_what_is_sent_is_what_was_asked_for(cit: Callable[..., Any]) -> None:
    given = [
        "--temperature",
        "0.5",
        "--max-tokens",
        "99",
        "--system",
        "Be brief.",
        "--as",
        "sly",
        "--per-minute",
        "9999",
    ]
    with ScriptedLLM(skilled(SKILL)) as llm:
        assert cit(*arguments(llm.base_url, *given)).exit_code == 0
        sent = llm.requests[0].body
    assert (sent["model"], sent["temperature"], sent["max_tokens"]) == ("sly-1", 0.5, 99)
    assert sent["messages"][0] == {"role": "system", "content": "Be brief."}
    assert accuracies("sly") == RIGHT


def test_in_a_circle(cit: Callable[..., Any]) -> None:
    with ScriptedLLM(lambda prompt: "Answer: A" if task_of(prompt) == "letters" else skilled(SKILL)(prompt)) as llm:
        assert cit(*arguments(llm.base_url, "--circle", "2")).exit_code == 0
    assert accuracies() == {"sums": 0.8, "letters": 0.0, "words": 0.3}


def test_any_python_function_and_the_suite_that_comes_along(cit: Callable[..., Any]) -> None:
    Path("my_llm.py").write_text("def answer(prompt):\n    return 'Answer: A'\n")
    result = cit("aptitude", "run", "python:my_llm:answer", "--as", "mine", "--store", URL, "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert (report["candidate"], report["source"]) == ("mine", "aptitude:cit-basics@1:mine")
    assert report["published"] is True
    assert 0 < report["accuracy"] < 0.5


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--max-cost-usd", "1"], "the prices of 'sly-1' are not known"),
        (["--concurrency", "0"], "concurrency is 0; it must be 1 or more"),
        (["--suite", "nothing"], "no suite 'nothing'"),
        (["--texts", "nothing.csv"], "nothing.csv"),
    ],
)
def test_bad_input_is_refused_before_anything_is_asked(cit: Callable[..., Any], wrong: list[str], message: str) -> None:
    with ScriptedLLM(skilled(SKILL)) as llm:
        result = cit(*arguments(llm.base_url, *wrong))
        assert llm.requests == []
    assert result.exit_code == 2
    assert message in result.stderr


# -- a run that is killed ---------------------------------------------------------------------------------------------


@contextmanager
def server(*options: str) -> Iterator[tuple[str, Path]]:
    """A scripted server that outlives who asks it; yields its address and the log of what it billed."""
    Path("skills.py").write_text(f"from small_suite import skilled\nanswer = skilled({SKILL})\n")
    files = [Path("url"), Path("billed.jsonl")]
    command = [sys.executable, str(SCRIPTED), "--url-file", "url", "--log", "billed.jsonl", "--answer", "skills:answer"]
    path = os.pathsep.join([".", *sys.path])
    process = subprocess.Popen([*command, *options], env={**os.environ, "PYTHONPATH": path})
    try:
        until(files[0].exists)
        files[1].touch()
        yield files[0].read_text(), files[1]
    finally:
        process.terminate()
        assert process.wait(timeout=20) == 0


def until(happened: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")]


@pytest.mark.parametrize(("circle", "bill", "kills"), [(0, 30, (0.3, 0.7)), (3, 20 + 5 * 3 + 5, (0.5,))])
def test_a_killed_run_goes_on_and_no_question_is_paid_twice(
    start: Callable[..., subprocess.Popen[bytes]], circle: int, bill: int, kills: tuple[float, ...]
) -> None:
    with server("--delay", "0.05", "--trouble-share", "0.15") as (url, log):
        command = arguments(url, "--circle", str(circle), "--concurrency", "3", "--json")
        for share in kills:
            running = start(*command)
            until(lambda share=share: len(lines(log)) >= share * bill)
            running.send_signal(signal.SIGKILL)
            assert running.wait() == -signal.SIGKILL
            running.communicate()
            assert accuracies() == {}, "what is not complete is not published"
        last = start(*command)
        told, complaint = last.communicate(timeout=60)
        assert last.returncode == 0, complaint.decode()
        billed = lines(log)
    assert len({line["prompt"] for line in billed}) == len({line["key"] for line in billed}) == len(billed) == bill
    report = json.loads(told)
    assert 0 < report["known"] < 30
    assert report["tasks"] == RIGHT == accuracies()
    assert complaint == b""


def test_without_idempotency_only_what_was_under_way_at_the_kill_is_paid_again(
    start: Callable[..., subprocess.Popen[bytes]],
) -> None:
    with server("--delay", "0.05", "--no-replay") as (url, log):
        command = arguments(url, "--concurrency", "3")
        running = start(*command)
        until(lambda: len(lines(log)) >= 10)
        running.kill()
        running.communicate()
        last = start(*command)
        last.communicate(timeout=60)
        assert last.returncode == 0
        times = Counter(line["prompt"] for line in lines(log))
    assert len(times) == 30
    assert sum(times.values()) <= 30 + 3
    assert max(times.values()) <= 2


def test_ctrl_c_keeps_everything_and_says_so_in_one_line(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    with server("--delay", "0.2") as (url, log):
        heard = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}  # a shell's & ignores it
        running = start(*arguments(url, "--concurrency", "2"), **heard)
        until(lambda: len(lines(log)) >= 4)
        running.send_signal(signal.SIGINT)
        told, complaint = running.communicate(timeout=20)
        assert running.returncode == 130
        assert told == b""
        assert complaint.decode() == (
            f"stopped; every answer so far is in sqlite:///{Path('zoo.db').absolute()}; "
            "the same command asks the remaining questions\n"
        )
        with CapabilityStore(URL) as store:
            kept = store.outcome_count()
            assert 2 <= kept <= len(lines(log))
        rest = start(*arguments(url, "--json"))
        told, _ = rest.communicate(timeout=60)
        assert json.loads(told)["known"] == kept
        assert len(lines(log)) == 30


# -- an estimate ------------------------------------------------------------------------------------------------------


def test_an_estimate_asks_nobody_and_writes_nothing(cit: Callable[..., Any]) -> None:
    with ScriptedLLM(skilled(SKILL)) as llm:
        result = cit(*arguments(llm.base_url, "--price-in", "1", "--price-out", "10", "--circle", "2", verb="estimate"))
        assert llm.requests == []
    assert result.exit_code == 0, result.stderr
    told = result.stdout.splitlines()
    assert told[0] == "sly-1: 30 questions left, 0 answered"
    assert told[1].split() == ["calls", "40", "at", "most"]
    assert f"{256 * 40:,} out (length assumed)" in told[2]
    assert "about $0.10" in told[3]
    assert "not known" in told[4]
    assert not Path("zoo.db").exists()


def test_an_estimate_knows_what_a_run_has_measured(cit: Callable[..., Any]) -> None:
    def broken(request: Request) -> Trouble | None:
        return status(400) if task_of(request.prompt) == "sums" else None

    with ScriptedLLM(skilled(SKILL), usage=(20, 50), troubles=broken) as llm:
        assert cit(*arguments(llm.base_url, "--max-failed", "0.9")).exit_code == 0
        more = ["--json", "--per-minute", "4"]
        result = cit("aptitude", "estimate", "unused", "--as", "sly-1", *arguments(llm.base_url, *more)[5:])
    found = json.loads(result.stdout)
    assert (found["items"], found["known"], found["calls"], found["completion_tokens"]) == (10, 20, 10, 500)
    assert found["measured"] is True
    assert found["cost_usd"] is None
    assert found["minutes"] == 2.5
