"""`cit route`: one text, a file of queries, and what is refused with which exit code."""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import fake_cit
import pytest

from cit_core import CapabilityStore, FakeScorer, Router
from cit_core.catalogue import catalogue_candidates
from cit_core.catalogue.default_zoo import DEFAULT_ZOO

URL = "sqlite:///zoo.db"
CONSOLE_SCRIPT = Path(sys.executable).with_name("cit")
KEYS = ["id", "model", "probability", "scores", "expected_cost_usd", "excluded", "latency_ms"]


def write_queries(path: Path, count: int) -> Path:
    path.write_text(
        "".join(json.dumps({"id": f"q{n}", "instruction": f"What is {n} + {n}?"}) + "\n" for n in range(count))
    )
    return path


def read_decisions(path: Path) -> list[dict]:
    return [{k: v for k, v in json.loads(line).items() if k != "latency_ms"} for line in path.read_text().splitlines()]


def test_text_is_explained(cit):
    result = cit("route", "What is 7 times 8?")
    best = max(fake_cit.ZOO, key=lambda c: fake_cit.probability("What is 7 times 8?", c.id))
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{best.id}: ")
    assert "(policy best, fake)" in result.stdout
    assert "free [beta]" in result.stdout, "brackets in an id are not markup"
    assert result.stderr == ""


def test_text_as_json_is_one_line_in_the_format_of_the_decisions_file(cit):
    result = cit("route", "What is 7 times 8?", "--json")
    assert result.stdout.count("\n") == 1
    record = json.loads(result.stdout)
    assert list(record) == KEYS
    assert record["id"] is None
    assert record["scores"] == {c.id: fake_cit.probability("What is 7 times 8?", c.id) for c in fake_cit.ZOO}
    assert record["probability"] == max(record["scores"].values())
    assert list(record["scores"].values()) == sorted(record["scores"].values(), reverse=True)


def test_models_and_policy_reach_the_router(cit):
    record = json.loads(cit("route", "Hello?", "--models", "small, large", "--policy", "cost:0.02", "--json").stdout)
    assert set(record["scores"]) == {"small", "large"}
    assert record["expected_cost_usd"] > 0
    record = json.loads(cit("route", "Hello?", "--policy", "threshold:0", "--json").stdout)
    assert record["model"] == "small"
    assert "no price is known" in record["excluded"]["free [beta]"]


def test_warnings_stand_in_the_record_only_if_there_are_any(cit):
    assert "warnings" not in json.loads(cit("route", "short", "--json").stdout)
    assert (
        "20,000 characters that ask were read"
        in json.loads(cit("route", "long " * 5000, "--json").stdout)["warnings"][0]
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "give either one TEXT or --input FILE"),
        (["Hello?", "--input", "q.jsonl"], "give either one TEXT or --input FILE"),
        (["Hello?", "--output", "d.jsonl"], "--output d.jsonl needs --input FILE"),
        (["Hello?", "--engine", "ray"], "--engine ray needs --input FILE"),
        (["  "], "the query is empty"),
        (["half a character \udcff"], "not valid Unicode"),
        (["Hello?", "--models", ""], "--models '' names no model"),
        (["Hello?", "--models", " , "], "--models ' , ' names no model"),
        (["Hello?", "--policy", "worst"], "no policy 'worst'"),
        (["Hello?", "--policy", "threshold:7"], "threshold needs a probability"),
        (["--input", "nowhere.jsonl"], "--input nowhere.jsonl cannot be opened: No such file"),
        (["--input", "."], "--input . cannot be opened: Is a directory"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(cit, arguments, says):
    result = cit("route", *arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert says in result.stderr
    assert result.stdout == ""


def test_limits_narrow_the_choice(cit):
    """Prices, abilities and ids, above those of the settings; what is not known never excludes a model."""
    excluded = lambda *more: json.loads(cit("route", "Hello?", *more, "--json").stdout)["excluded"]  # noqa: E731
    assert excluded("--max-price-out", "1", "--deny", "small") == {
        "large": "price_out 30.0 is above 1.0 USD per 1M tokens",
        "small": "denied",
    }
    assert excluded("--needs", "tools", "--needs", "image", "--max-latency", "1", "--max-price-in", "99") == {}
    refused = cit("route", "Hello?", "--needs", "smell")
    assert (refused.exit_code, "there are tools, structured-output, image" in refused.stderr) == (2, True)
    assert "no candidate 'smal'" in cit("route", "Hello?", "--deny", "smal").stderr


def test_nobody_left_is_refused_with_reasons_and_exit_code_1(cit):
    result = cit("route", "Hello?", "--models", "free [beta]", "--deny", "free [beta]")
    assert result.exit_code == 1
    assert "error: all 1 candidates are excluded:\n  free [beta]: denied" in result.stderr


def test_a_file_is_decided_line_by_line(cit):
    queries = write_queries(Path("q.jsonl"), 150)
    result = cit("route", "--input", "q.jsonl", "--output", "d.jsonl")
    assert result.exit_code == 0
    assert result.stderr == "150 queries decided\n"
    assert result.stdout == ""
    decisions = [json.loads(line) for line in Path("d.jsonl").read_text().splitlines()]
    assert [list(decision) for decision in decisions] == [KEYS] * 150
    assert [d["id"] for d in decisions] == [json.loads(line)["id"] for line in queries.read_text().splitlines()]
    alone = json.loads(cit("route", "What is 3 + 3?", "--json").stdout)
    assert {**alone, "id": "q3", "latency_ms": 0} == {**decisions[3], "latency_ms": 0}


def test_pipes(cit):
    lines = b'\xef\xbb\xbf{"id": 7, "instruction": "a"}\r\n\n{"id": "7", "instruction": "b\\u2028", "more": 1}'
    result = cit("route", "--input", "-", "--json", stdin=lines)
    assert result.exit_code == 0
    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == [7, "7"]
    assert result.stderr == "2 queries decided\n"


def test_summary_as_json(cit):
    write_queries(Path("q.jsonl"), 3)
    for expected in ({"decided": 3, "resumed": 0}, {"decided": 0, "resumed": 3}):
        result = cit("route", "--input", "q.jsonl", "--output", "d.jsonl", "--json")
        assert json.loads(result.stdout) == {**expected, "output": "d.jsonl"}


def test_a_finished_run_has_nothing_to_do(cit):
    write_queries(Path("q.jsonl"), 70)
    cit("route", "--input", "q.jsonl", "--output", "d.jsonl")
    before = Path("d.jsonl").read_bytes()
    result = cit("route", "--input", "q.jsonl", "--output", "d.jsonl")
    assert result.exit_code == 0
    assert result.stderr == "nothing to do: 0 queries decided, 70 were decided before\n"
    assert Path("d.jsonl").read_bytes() == before


def test_an_input_that_has_grown_is_continued(cit):
    write_queries(Path("q.jsonl"), 100)
    cit("route", "--input", "q.jsonl", "--output", "d.jsonl")
    before = Path("d.jsonl").read_bytes()
    write_queries(Path("q.jsonl"), 130)
    assert (
        "30 queries decided, 100 were decided before"
        in cit("route", "--input", "q.jsonl", "--output", "d.jsonl").stderr
    )
    assert Path("d.jsonl").read_bytes().startswith(before)
    assert len(read_decisions(Path("d.jsonl"))) == 130


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"{", "not JSON"),
        (b'{"id": "x", "instruction": "\xff"}', "not JSON ('utf-8' codec"),
        (b"[" * 100_000, "not JSON (nested too deeply)"),
        (b'["x"]', "got list; each line must be a JSON object"),
        (b'{"id": "x"}', "no instruction"),
        (b'{"instruction": "x"}', "no id"),
        (b'{"id": null, "instruction": "x"}', "id is NoneType, it must be a text or a whole number"),
        (b'{"id": true, "instruction": "x"}', "id is bool"),
        (b'{"id": "x", "instruction": ["x"]}', "instruction is list, it must be a text"),
        (b'{"id": "x", "instruction": " "}', "the instruction is empty"),
        (b'{"id": "x", "instruction": "\\ud800"}', "the instruction is not valid Unicode"),
        (b'{"id": "q1", "instruction": "x"}', "id 'q1' is on line 2 already"),
    ],
)
def test_a_bad_line_is_named_and_what_came_before_it_stays(cit, line, says):
    queries = write_queries(Path("q.jsonl"), 70)
    with queries.open("ab") as stream:
        stream.write(line + b"\n")
    result = cit("route", "--input", "q.jsonl", "--output", "d.jsonl")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: q.jsonl line 71: {says}")
    assert result.stderr.count("\n") == 1
    assert len(read_decisions(Path("d.jsonl"))) == 70


def test_a_chunk_is_scored_whole_again_after_a_cut(cit):
    """Scores may depend a little on what is in the batch, so a resumed run must form the same batches."""
    calls = []

    def open_router(*settings):
        router = fake_cit.open_router(*settings)
        calls.append(router.scorer.calls)
        return router

    write_queries(Path("q.jsonl"), 200)
    cit("route", "--input", "q.jsonl", "--output", "d.jsonl", open_router=open_router)
    lines = Path("d.jsonl").read_bytes().splitlines(keepends=True)
    Path("d.jsonl").write_bytes(b"".join(lines[:100]) + lines[100][:20])
    cit("route", "--input", "q.jsonl", "--output", "d.jsonl", open_router=open_router)
    assert [len(call) for call in calls[0]] == [64, 64, 64, 8]
    assert calls[1] == calls[0], "the first chunk to see that the router agrees, the second to complete it"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("notes of mine", "ends with a line that is not the decision of 'q0'"),
        ("notes of mine\n", "line 1: not JSON"),
        ('{"id": "other"', "ends with a line that is not the decision of 'q0'"),
        ('{"id": "other"}\n', "line 1 has id 'other' where the input has 'q0'"),
        ('{"id": "q0"}\n', "line 1 was decided among other candidates"),
        ('{"id": "q0", "scores": 1, "excluded": [[]]}\n', "line 1 was decided among other candidates"),
    ],
)
def test_an_output_that_belongs_to_something_else_is_left_as_it_is(cit, text, says):
    write_queries(Path("q.jsonl"), 3)
    Path("d.jsonl").write_text(text)
    result = cit("route", "--input", "q.jsonl", "--output", "d.jsonl")
    assert result.exit_code == 2
    assert says in result.stderr
    assert Path("d.jsonl").read_text() == text


def test_an_output_with_more_lines_than_the_input_is_left_as_it_is(cit):
    write_queries(Path("q.jsonl"), 70)
    cit("route", "--input", "q.jsonl", "--output", "d.jsonl")
    before = Path("d.jsonl").read_bytes()
    write_queries(Path("q.jsonl"), 64)
    result = cit("route", "--input", "q.jsonl", "--output", "d.jsonl")
    assert (result.exit_code, Path("d.jsonl").read_bytes()) == (2, before)
    assert "goes on after line 64, where the input ends" in result.stderr


def test_decisions_among_other_models_are_not_mixed(cit):
    write_queries(Path("q.jsonl"), 70)
    cit("route", "--input", "q.jsonl", "--output", "d.jsonl", "--models", "small,large")
    before = Path("d.jsonl").read_bytes()
    result = cit("route", "--input", "q.jsonl", "--output", "d.jsonl")
    assert (result.exit_code, Path("d.jsonl").read_bytes()) == (2, before)
    assert "among other candidates (different: 'free [beta]')" in result.stderr


@pytest.mark.parametrize(
    "settings", [("--policy", "threshold:0.1"), ("--policy", "cost:0.001"), ("--policy", "cost:9")]
)
@pytest.mark.parametrize("left", [1, 64, 65, 70])
def test_decisions_of_another_policy_are_not_mixed(cit, settings, left):
    """One decision alone may be the same under both: the chunk before it is looked at too."""
    write_queries(Path("q.jsonl"), 70)
    run = ("route", "--input", "q.jsonl", "--output", "d.jsonl")
    cit(*run)
    before = b"".join(Path("d.jsonl").read_bytes().splitlines(keepends=True)[:left])
    Path("d.jsonl").write_bytes(before)
    result = cit(*run, *settings)
    assert (result.exit_code, Path("d.jsonl").read_bytes()) == (2, before)
    assert "error: d.jsonl was made with another policy, checkpoint, store or other texts" in result.stderr
    assert "give another --output" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(("shift", "code"), [(0.009, 0), (-0.009, 0), (0.02, 2)])
def test_decisions_of_another_checkpoint_are_not_mixed(cit, shift, code):
    """A zoo where the best stays the best: the probabilities tell."""

    def open_router(*settings, by=0.0):
        return Router(FakeScorer({"small": 0.4 + by, "large": 0.8}), fake_cit.ZOO[:2], policy=settings[3])

    write_queries(Path("q.jsonl"), 70)
    run = ("route", "--input", "q.jsonl", "--output", "d.jsonl")
    cit(*run, open_router=open_router)
    Path("d.jsonl").write_bytes(b"".join(Path("d.jsonl").read_bytes().splitlines(keepends=True)[:66]))
    before = Path("d.jsonl").read_bytes()
    result = cit(*run, open_router=functools.partial(open_router, by=shift))
    assert result.exit_code == code
    assert (Path("d.jsonl").read_bytes() == before) == (code == 2)
    if code:
        assert "('q0' had probability 0.4 with 'small' and would have 0.42" in result.stderr


@pytest.mark.parametrize("left", [70, 66])
@pytest.mark.parametrize("changed", [65, 10])
def test_decisions_of_other_texts_are_not_mixed(cit, left, changed):
    queries = write_queries(Path("q.jsonl"), 70)
    run = ("route", "--input", "q.jsonl", "--output", "d.jsonl")
    cit(*run)
    before = b"".join(Path("d.jsonl").read_bytes().splitlines(keepends=True)[:left])
    Path("d.jsonl").write_bytes(before)
    queries.write_text(queries.read_text().replace(f"What is {changed} + {changed}?", "Why?"))
    result = cit(*run)
    assert (result.exit_code, Path("d.jsonl").read_bytes()) == (2, before)
    assert f"or other texts ('q{changed}' " in result.stderr


@pytest.mark.parametrize("value", ["7", "null", '"0.5"', "NaN", "1e999", "1" + "0" * 400])
def test_a_probability_that_is_none_is_refused(cit, value):
    write_queries(Path("q.jsonl"), 3)
    cit("route", "--input", "q.jsonl", "--output", "d.jsonl")
    text = re.sub(r'("small": )[\d.e-]+', rf"\g<1>{value}", Path("d.jsonl").read_text())
    Path("d.jsonl").write_text(text)
    result = cit("route", "--input", "q.jsonl", "--output", "d.jsonl")
    assert (result.exit_code, Path("d.jsonl").read_text()) == (2, text)
    assert result.stderr.count("\n") == 1


def test_a_second_run_on_the_same_output_is_refused(start, cit):
    write_queries(Path("q.jsonl"), 1000)
    run = ("route", "--input", "q.jsonl", "--output", "d.jsonl")
    first = start(*run, pause=0.2)
    while not (Path("d.jsonl").exists() and Path("d.jsonl").stat().st_size):
        assert first.poll() is None
        time.sleep(0.01)
    second = start(*run)
    out, err = second.communicate(timeout=60)
    assert first.poll() is None, "the first one was at work all the while"
    assert (second.returncode, out) == (1, b"")
    assert err == b"error: another run is writing to d.jsonl; wait for it or choose another --output\n"
    _, err = first.communicate(timeout=60)
    assert (first.returncode, err) == (0, b"1,000 queries decided\n")
    cit(*run[:-1], "whole.jsonl")
    assert read_decisions(Path("d.jsonl")) == read_decisions(Path("whole.jsonl"))


@pytest.mark.parametrize("link", [os.symlink, os.link, None])
def test_the_input_is_never_the_output(cit, link):
    queries = write_queries(Path("q.jsonl"), 3)
    before = queries.read_bytes()
    target = "q.jsonl"
    if link is not None:
        link("q.jsonl", "same.jsonl")
        target = "same.jsonl"
    result = cit("route", "--input", "q.jsonl", "--output", target)
    assert result.exit_code == 2
    assert "is the input file" in result.stderr
    assert queries.read_bytes() == before


def test_an_output_that_cannot_be_opened(cit):
    write_queries(Path("q.jsonl"), 3)
    result = cit("route", "--input", "q.jsonl", "--output", "no/such/d.jsonl")
    assert result.exit_code == 2
    assert "--output no/such/d.jsonl cannot be opened: No such file" in result.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line_and_exit_code_1(cit):
    write_queries(Path("q.jsonl"), 3)
    result = cit("route", "--input", "q.jsonl", "--output", "/dev/full")
    assert result.exit_code == 1
    assert result.stderr == "error: No space left on device\n"


def kill_until_done(begin: Callable[[], subprocess.Popen[bytes]], output: Path, step: int) -> int:
    """Start a run and kill it whenever its output has grown by so many bytes; returns how often that took."""
    output.touch()
    killed = 0
    while True:
        process = begin()
        enough = output.stat().st_size + step
        while process.poll() is None and output.stat().st_size < enough:
            time.sleep(0.005)
        process.kill()
        _, stderr = process.communicate()
        if process.returncode == 0:
            assert b"were decided before" in stderr
            return killed
        assert process.returncode == -signal.SIGKILL, stderr
        killed += 1


def test_ten_thousand_lines_killed_again_and_again_are_the_same_file(start, cit):
    """SIGKILL: the file ends as one uninterrupted run writes it, latencies aside."""
    write_queries(Path("q.jsonl"), 10_000)
    run = ("route", "--input", "q.jsonl", "--output", "d.jsonl")
    assert kill_until_done(lambda: start(*run, pause=0.01), Path("d.jsonl"), 600_000) >= 3
    cit("route", "--input", "q.jsonl", "--output", "whole.jsonl")
    assert read_decisions(Path("d.jsonl")) == read_decisions(Path("whole.jsonl"))
    assert len(read_decisions(Path("d.jsonl"))) == 10_000


@pytest.mark.timeout(1800)
def test_the_console_script_with_the_shipped_checkpoint_is_continued_too():
    """As above, nothing faked: the installed `cit` over the catalogue. CIT_TEST_QUERIES=10000 takes minutes."""
    count = int(os.environ.get("CIT_TEST_QUERIES", "300"))
    write_queries(Path("q.jsonl"), count)
    run = [str(CONSOLE_SCRIPT), "route", "--input", "q.jsonl", "--output"]
    subprocess.run([*run, "whole.jsonl"], check=True, capture_output=True)
    step = Path("whole.jsonl").stat().st_size // 3

    def begin() -> subprocess.Popen[bytes]:
        return subprocess.Popen([*run, "d.jsonl"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    assert kill_until_done(begin, Path("d.jsonl"), step) >= 1
    assert read_decisions(Path("d.jsonl")) == read_decisions(Path("whole.jsonl"))
    assert len(read_decisions(Path("d.jsonl"))) == count


def test_a_reader_that_leaves_ends_the_run_quietly(start):
    write_queries(Path("q.jsonl"), 1500)
    process = start("route", "--input", "q.jsonl")
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) == 1
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()


def test_bad_input_has_no_traceback_in_a_real_process(start):
    process = start("route", "--input", "nowhere.jsonl")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert err == b"error: --input nowhere.jsonl cannot be opened: No such file or directory\n"
    assert out == b""


def test_progress_is_drawn_on_a_terminal_and_never_among_the_decisions(start):
    pty = pytest.importorskip("pty", reason="needs a pseudo-terminal")
    write_queries(Path("q.jsonl"), 200)
    terminal, inside = pty.openpty()
    process = start("route", "--input", "q.jsonl", stderr=inside, env={"TERM": "xterm", "NO_COLOR": ""}, pause=0.1)
    out, _ = process.communicate(timeout=60)
    os.close(inside)
    shown = os.read(terminal, 100_000).decode()
    os.close(terminal)
    assert process.returncode == 0
    assert "q.jsonl" in shown
    assert "100%" in shown
    assert "200 queries decided" in shown
    assert [json.loads(line)["id"] for line in out.splitlines()] == [f"q{n}" for n in range(200)]


def test_a_terminal_that_cannot_show_a_character_gets_a_question_mark(start):
    process = start("route", "--input", "no-é.jsonl", env={"PYTHONIOENCODING": "ascii"})
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert err.startswith(b"error: --input no-?.jsonl cannot be opened")


# -- the router that is opened where no test brings its own ----------------------------------------------------------


def test_without_settings_todays_models_and_the_shipped_checkpoint_decide(cit, monkeypatch):
    result = cit("route", "Why is the sky blue?", "--json", open_router=None)
    record = json.loads(result.stdout)
    assert set(record["scores"]) == set(DEFAULT_ZOO)
    assert result.stderr == (
        f"no models are named: routed among {len(DEFAULT_ZOO)} that people call today; name yours with --models, "
        "CIT_MODELS or [[models]] in cit.toml\n"
    )
    explained = cit("route", "Why is the sky blue?", open_router=None).stdout
    assert explained.startswith(f"{record['model']}: ")
    assert "(policy best, mini@" in explained
    monkeypatch.setenv("COLUMNS", "80")
    lines = cit("route", "Why is the sky blue?", "--policy", "cost:0.01", open_router=None).stdout.splitlines()
    assert len(lines) < 12, "reasons of one kind are folded"
    assert all(len(line) <= 80 or "`cit " in line for line in lines)
    monkeypatch.setenv("MISTRAL_API_KEY", "secret-key")
    result = cit("route", "Why is the sky blue?", "--json", open_router=None)
    assert {name.partition(":")[0] for name in json.loads(result.stdout)["scores"]} == {"mistralai"}
    assert "routed among 2 for which there is MISTRAL_API_KEY;" in " ".join(result.stderr.split())
    assert "secret-key" not in result.output
    result = cit("route", "Why is the sky blue?", "--models", "gpt-5-mini", open_router=None)
    assert "no models are named" not in result.stderr


def test_a_model_of_the_store_has_several_names(cit):
    cit("models", "add", "openai:gpt-5-mini", "--store", URL)
    cit("models", "add", "vllm:ours", "--store", URL, "--price-in", "0.1", "--price-out", "0.2")
    result = cit("route", "Why?", "--store", URL, "--models", "gpt-5-mini,ours", "--json", open_router=None)
    assert set(json.loads(result.stdout)["scores"]) == {"gpt-5-mini", "ours"}, result.stderr
    assert json.loads(cit("models", "show", "ours", "--store", URL, "--json").stdout)["id"] == "vllm:ours"


def test_with_a_store_its_candidates_are_chosen_among(cit):
    models = [candidate.id for candidate in catalogue_candidates()[:2]]
    for id_ in models:
        cit("models", "add", id_, "--store", URL, "--from-catalogue")
    cit(
        "route", "Why is the sky blue?", "--store", URL, open_router=None
    )  # the first router fits evidence and keeps it
    before = Path("zoo.db").read_bytes()
    stored = json.loads(cit("route", "Why is the sky blue?", "--store", URL, "--json", open_router=None).stdout)
    shipped = json.loads(
        cit("route", "Why is the sky blue?", "--models", ",".join(models), "--json", open_router=None).stdout
    )
    # the store has no texts, from which the catalogue's evidence learnt how hard a question is
    assert stored["scores"] == pytest.approx(shipped["scores"], abs=0.15)
    assert list(stored["scores"]) == list(shipped["scores"])
    assert Path("zoo.db").read_bytes() == before, "routing writes nothing"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--models", "nobody"), 2, "no candidate 'nobody' among the"),
        (("--checkpoint", "nowhere"), 1, "'nowhere' is not a checkpoint"),
        (("--store", URL), 1, "no store at "),
        (("--store", "zoo.db"), 2, "'zoo.db' is not a store URL"),
    ],
)
def test_what_cannot_be_opened(cit, tmp_path, arguments, code, says):
    result = cit("route", "Why is the sky blue?", *arguments, open_router=None)
    assert result.exit_code == code
    assert result.stderr.startswith("error: ")
    assert says in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_empty_store_has_nobody_to_choose(cit):
    CapabilityStore(URL).close()
    result = cit("route", "Why is the sky blue?", "--store", URL, open_router=None)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: the zoo is empty")


def test_a_warning_is_printed_with_its_decision_and_not_logged_beside_it(caplog: pytest.LogCaptureFixture) -> None:
    from typer.testing import CliRunner

    from cit_core.cli import app as real

    done = CliRunner().invoke(real, ["route", "Wie viel Geld verdient ein Bauer, der die Hälfte der Eier verkauft?"])
    assert done.exit_code == 0
    assert done.output.count("does not read this language well") == 1
    assert not [record for record in caplog.records if "language" in record.getMessage()]


def test_ray_needs_a_folder_and_is_an_extra(cit, tmp_path, monkeypatch):
    queries = str(write_queries(tmp_path / "queries.jsonl", 2))
    refused = cit("route", "--engine", "ray", "--input", queries)
    assert refused.exit_code == 2
    assert "--output FOLDER" in refused.stderr
    monkeypatch.setitem(sys.modules, "ray", None)
    missing = cit("route", "--engine", "ray", "--input", queries, "--output", str(tmp_path / "out"))
    assert missing.exit_code != 0
    assert "cit-router[ray]" in " ".join(missing.stderr.split())
