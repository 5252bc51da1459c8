"""`cit import table`: what is new, known and refused, the exit code of each, and a store that stays as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cit_core import CapabilityStore

URL = "sqlite:///zoo.db"
STORE = ("--store", URL)
HEADER = "item_id,model,correct\n"


def write(name: str, text: str) -> str:
    Path(name).write_text(text)
    return name


def test_new_then_known(cit):
    table = write("results.csv", HEADER + "1,a,1\n1,b,0\n2,a,0.5\n")
    first = cit("import", "table", table, *STORE)
    assert (first.exit_code, first.stdout, first.stderr) == (0, f"3 new, 0 known, 0 refused in {URL}\n", "")
    second = cit("import", "table", table, *STORE, "--json")
    assert second.exit_code == 0
    assert json.loads(second.stdout) == {"new": 0, "known": 3, "refused_count": 0, "refused": [], "store": URL}
    with CapabilityStore(URL) as store:
        assert store.outcome_count() == 3
        assert [candidate.id for candidate in store.candidates()] == ["a", "b"]


def test_several_files_with_items_and_a_source(cit):
    files = [write(f"{name}.csv", HEADER + f"{name},m,1\n") for name in "xy"]
    items = write("items.jsonl", '{"item_id": "x", "task": "sums", "instruction": "1 + 1?"}\n')
    result = cit("import", "table", *files, *STORE, "--items", items, "--source", "mine")
    assert result.stdout.startswith("2 new")
    with CapabilityStore(URL) as store:
        assert {item.id: (item.task, item.instruction) for item in store.items()}["x"] == ("sums", "1 + 1?")
        assert store.measured("m", source="mine") == {"x", "y"}


def test_only_refused_is_exit_code_1_with_reasons(cit):
    cit("import", "table", write("results.csv", HEADER + "1,a,1\n"), *STORE, "--source", "s")
    again = write("other.csv", HEADER + "1,a,0\n")
    result = cit("import", "table", again, *STORE, "--source", "s")
    assert result.exit_code == 1
    assert result.stdout == f"0 new, 0 known, 1 refused in {URL}\n"
    assert result.stderr.startswith("refused: other.csv:2: ")
    record = json.loads(cit("import", "table", again, *STORE, "--source", "s", "--json").stdout)
    assert record["refused_count"] == 1
    assert record["refused"][0]["where"] == "other.csv:2"


def test_some_refused_is_exit_code_0(cit):
    table = write("results.csv", HEADER + "1,a,1\n1,b,maybe\n2,a,1\n")
    result = cit("import", "table", table, *STORE, "--skip-bad")
    assert result.exit_code == 0
    assert result.stdout.startswith("2 new, 0 known, 1 refused")
    assert "refused: results.csv:3: " in result.stderr


def test_no_more_than_a_hundred_reasons_are_listed(cit):
    table = write("results.csv", HEADER + "1,a,7\n" * 150)
    result = cit("import", "table", table, *STORE, "--skip-bad")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 101
    assert result.stderr.endswith("refused: … and 50 more\n")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("bad.csv", HEADER + "1,a,1\n2,a,maybe\n", "bad.csv:3"),
        ("bad.csv", "item,who\n1,a\n", "no column item_id, model, correct"),
        ("bad.jsonl", "{\n", "bad.jsonl:1: is not JSON"),
        ("bad.xlsx", "", "it must end in .csv, .jsonl, .parquet"),
        ("bad.csv", "", "has no rows"),
    ],
)
def test_bad_input_leaves_the_store_as_it_was(cit, name, text, says):
    cit("import", "table", write("good.csv", HEADER + "1,a,1\n"), *STORE)
    with CapabilityStore(URL) as store:
        before = (store.version, store.outcome_count(), store.items())
    result = cit("import", "table", write(name, text), *STORE)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert says in result.stderr
    with CapabilityStore(URL) as store:
        assert (store.version, store.outcome_count(), store.items()) == before


@pytest.mark.parametrize("arguments", [("no.csv",), ("results.csv", "--items", "no.csv"), (".",)])
def test_a_file_that_is_not_there_makes_no_store(cit, tmp_path, arguments):
    write("results.csv", HEADER + "1,a,1\n")
    assert cit("import", "table", *arguments, *STORE).exit_code == 2
    assert not (tmp_path / "zoo.db").exists()


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("bad.csv", HEADER + "1\n", "leave bad rows out: --skip-bad, or skip_bad=True in Python"),
        ("bad.csv", "item,who\n1,a\n", "no column item_id"),
        ("bad.csv", HEADER, "has no rows"),
        ("bad.jsonl", "{\n", "bad.jsonl:1: is not JSON"),
        ("bad.jsonl", b"\xff\n", "bad.jsonl cannot be read after line 0"),
        ("bad.xlsx", "", "it must end in .csv, .jsonl, .parquet"),
    ],
)
@pytest.mark.parametrize("role", ["first", "second", "items"])
def test_a_file_that_is_no_table_makes_no_store(cit, tmp_path, role, name, text, says):
    good, bad = write("good.csv", HEADER + "1,a,1\n"), name
    Path(bad).write_bytes(text if isinstance(text, bytes) else text.encode())
    arguments = {"first": (bad, good), "second": (good, bad), "items": (good, "--items", bad)}[role]
    result = cit("import", "table", *arguments, *STORE)
    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "zoo.db").exists()


def test_a_first_row_that_is_bad_may_be_left_out(cit):
    table = write("results.csv", HEADER + "1,a,maybe\n2,a,1\n")
    assert cit("import", "table", table, *STORE, "--skip-bad").stdout.startswith("1 new, 0 known, 1 refused")
