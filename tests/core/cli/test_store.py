"""`cit store`: archives go out and come in as a whole, and what fails leaves nothing behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ONE, TWO = "sqlite:///one.db", "sqlite:///two.db"


def filled(cit: Any) -> None:
    rows = [
        "item_id,model,correct,task,instruction",
        "1,a,1,sums,What is 7 times 8?",
        "1,b,0.5,sums,What is 7 times 8?",
    ]
    Path("results.csv").write_text("\n".join(rows))
    assert cit("import", "table", "results.csv", "--store", ONE, "--no-vectors").exit_code == 0


def test_a_round_trip_is_the_same_store(cit: Any) -> None:
    filled(cit)
    assert cit("store", "export", "archive", "--store", ONE).exit_code == 0
    assert cit("store", "import", "archive", "--store", TWO).exit_code == 0
    assert cit("store", "export", "again", "--store", TWO).exit_code == 0
    files = sorted(path.name for path in Path("archive").iterdir())
    assert files
    for name in files:
        assert (Path("archive") / name).read_bytes() == (Path("again") / name).read_bytes(), name


def test_merging_adds_what_is_missing_once(cit: Any) -> None:
    filled(cit)
    cit("store", "export", "archive", "--store", ONE)
    first = cit("store", "merge", "archive", "--store", TWO, "--json")
    assert json.loads(first.stdout)["new"] == 2
    second = cit("store", "merge", "archive", "--store", TWO, "--json")
    assert (json.loads(second.stdout)["new"], json.loads(second.stdout)["known"]) == (0, 2)


def test_a_damaged_archive_leaves_no_store_and_no_other_change(cit: Any) -> None:
    filled(cit)
    cit("store", "export", "archive", "--store", ONE)
    largest = max(Path("archive").glob("*.jsonl"), key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes() + b"{}\n")
    for verb in ("import", "merge"):
        done = cit("store", verb, "archive", "--store", TWO)
        assert done.exit_code in (1, 2)
        assert done.stderr.startswith("error: ")
        assert not Path("two.db").exists()


def test_a_folder_that_is_there_and_a_store_that_is_not(cit: Any) -> None:
    filled(cit)
    Path("archive").mkdir()
    (Path("archive") / "mine.txt").write_text("mine")
    done = cit("store", "export", "archive", "--store", ONE)
    assert done.exit_code in (1, 2)
    assert [path.name for path in Path("archive").iterdir()] == ["mine.txt"]
    for verb in (["export", "new"], ["upgrade"]):
        done = cit("store", *verb, "--store", TWO)
        assert done.exit_code == 1
        assert "no store at" in done.stderr
        assert not Path("two.db").exists()
        assert not Path("new").exists()


def test_upgrade_of_a_store_that_is_up_to_date_changes_nothing(cit: Any) -> None:
    filled(cit)
    assert cit("store", "upgrade", "--store", ONE).stdout.startswith("up to date: ")
