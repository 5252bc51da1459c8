"""Disks, folders and files that fail under any verb: one clear error, and nothing half-written."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from disk import full_disk

URL = "sqlite:///zoo.db"
ROWS = ["item_id,model,correct,task", *(f"q{n},m{m},{n * m % 2},t{n % 3}" for n in range(60) for m in range(4))]
DROP = "--bounding-set=-dac_override,-dac_read_search"


@pytest.fixture(autouse=True)
def _files(_own_home: None) -> None:
    Path("results.csv").write_text("\n".join(ROWS))
    Path("queries.jsonl").write_text(
        "".join(json.dumps({"id": n, "instruction": f"What is {n}?"}) + "\n" for n in range(200))
    )


def here() -> set[str]:
    """The files of the working folder, but for what a queue of writers leaves beside a store."""
    return {str(path) for path in Path().rglob("*") if not path.name.endswith("-queue")}


def one_error(result: Any) -> None:
    assert result.exit_code in (1, 2), result.output
    assert result.stdout == ""
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.stderr


# -- a full disk ------------------------------------------------------------------------------------------------------


def test_decisions_on_a_full_disk_are_whole_lines_and_the_next_run_goes_on(cit: Callable[..., Any]) -> None:
    files = ["route", "--input", "queries.jsonl", "--output", "decisions.jsonl"]
    with full_disk(20_000):
        one_error(cit(*files))
    kept = Path("decisions.jsonl").read_bytes()
    assert kept.endswith(b"\n")
    assert [json.loads(line)["id"] for line in kept.splitlines()] == list(range(kept.count(b"\n")))
    assert 0 < kept.count(b"\n") < 200
    assert cit(*files).exit_code == 0
    assert [json.loads(line)["id"] for line in Path("decisions.jsonl").read_bytes().splitlines()] == list(range(200))


@pytest.mark.parametrize(
    "arguments",
    [
        ["models", "add", "a", "--store", URL],
        ["import", "table", "results.csv", "--store", URL, "--no-vectors"],
        ["aptitude", "build", "results.csv", "--name", "mine", "--out", "mine.json", "--tasks", "2", "--shots", "4"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_a_full_disk_leaves_nothing_behind(cit: Callable[..., Any], arguments: list[str]) -> None:
    before = here()
    with full_disk(2_000):
        one_error(cit(*arguments))
    assert here() - before <= {"zoo.db"}
    assert not Path("zoo.db").exists() or cit("models", "list", "--store", URL).stdout == ""


def test_a_store_on_a_full_disk_stays_as_it_was(cit: Callable[..., Any]) -> None:
    assert cit("models", "add", "a", "--store", URL).exit_code == 0
    before = cit("models", "list", "--store", URL, "--json").stdout
    with full_disk(40_000):
        one_error(cit("import", "table", "results.csv", "--store", URL, "--no-vectors"))
    assert cit("models", "list", "--store", URL, "--json").stdout == before


# -- verbs that read --------------------------------------------------------------------------------------------------


def foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bills (id INTEGER)")
        connection.commit()


MAKE: dict[str, Callable[[Path], object]] = {
    "absent": lambda path: None,
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("not a database\n" * 100),
    "foreign": foreign,
    "folder": lambda path: path.mkdir(),
}
READ = [
    ["models", "list"],
    ["models", "show", "a"],
    ["route", "What is 7 times 8?"],
    ["aptitude", "estimate", "python:os:getcwd", "--as", "a"],
    ["aptitude", "build", "--name", "mine", "--out", "mine.json"],
    ["bench"],
    ["calibrate"],
    ["doctor"],
    ["store", "export", "archive"],
    ["store", "upgrade"],
]


@pytest.mark.parametrize("kind", MAKE)
@pytest.mark.parametrize("verb", READ, ids=lambda verb: " ".join(verb[:2]))
def test_a_verb_that_reads_writes_nothing(cit: Callable[..., Any], verb: list[str], kind: str) -> None:
    path = Path("zoo.db")
    MAKE[kind](path)
    content, before = path.read_bytes() if path.is_file() else None, here()
    result = cit(*verb, "--store", URL, open_router=None)
    assert (path.read_bytes() if path.is_file() else None) == content
    assert here() == before
    if verb == ["doctor"]:
        assert result.exit_code == 1
    elif "estimate" not in verb or kind not in {"absent", "empty"}:
        one_error(result)


# -- folders that cannot be written -----------------------------------------------------------------------------------

WITHOUT_WRITING = """
import json, sys
from typer.testing import CliRunner
from cit_core.cli import app
for arguments in json.loads(sys.argv[1]):
    done = CliRunner().invoke(app, arguments)
    wrong = None if isinstance(done.exception, (SystemExit, type(None))) else repr(done.exception)
    print(json.dumps([arguments, done.exit_code, done.stdout, done.stderr, wrong]))
"""
IN_A_LOCKED_FOLDER = [
    ["models", "add", "a", "--store", "sqlite:///locked/new.db"],
    ["models", "add", "b", "--store", "sqlite:///locked/zoo.db"],
    ["models", "remove", "a", "--store", "sqlite:///locked/zoo.db"],
    ["import", "table", "results.csv", "--store", "sqlite:///locked/new.db", "--no-vectors"],
    ["import", "table", "locked/secret.csv", "--store", URL],
    ["route", "--input", "queries.jsonl", "--output", "locked/decisions.jsonl", "--models", "Yi-6B"],
    ["route", "--input", "locked/secret.csv", "--models", "Yi-6B"],
    ["aptitude", "build", "results.csv", "--name", "mine", "--out", "locked/mine.json", "--tasks", "2", "--shots", "4"],
    ["store", "export", "locked/archive", "--store", "sqlite:///locked/zoo.db"],
]


def test_a_folder_that_cannot_be_written_is_one_clear_error(cit: Callable[..., Any]) -> None:
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("root may write everywhere, and there is no setpriv to give that up")
    Path("locked").mkdir()
    assert cit("models", "add", "a", "--store", "sqlite:///locked/zoo.db").exit_code == 0
    Path("locked/secret.csv").write_text("\n".join(ROWS))
    Path("locked/secret.csv").chmod(0o000)
    Path("locked/zoo.db").chmod(0o444)
    Path("locked").chmod(0o555)
    before = here()
    give_up = ["setpriv", DROP, DROP.replace("bounding-set", "inh-caps")] if os.geteuid() == 0 else []
    command = [*give_up, sys.executable, "-c", WITHOUT_WRITING, json.dumps(IN_A_LOCKED_FOLDER)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)
    Path("locked").chmod(0o755)
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(reports) == len(IN_A_LOCKED_FOLDER), done.stderr
    for arguments, code, stdout, stderr, wrong in reports:
        assert wrong is None, (arguments, wrong)
        assert code in (1, 2), (arguments, stdout)
        assert "rror" in stderr, arguments
        assert "Traceback" not in stderr
    assert here() - before <= {"zoo.db"}


def test_without_a_home_the_default_store_is_refused(cit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    import platformdirs

    monkeypatch.setattr(platformdirs, "user_data_path", lambda *_, **__: Path("~/.local/share/cit-router"))
    for verb in (["models", "add", "a"], ["models", "list", "--store", "default"], ["doctor"]):
        result = cit(*verb)
        assert result.exit_code in (1, 2)
        assert "HOME" in result.output
    assert not Path("~").exists()
