"""Tables of results: read row by row, imported as a whole or not at all, and importing again adds nothing."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cit_core.aptitude.importers import base
from cit_core.aptitude.importers.table import check_tables, import_table
from cit_core.errors import InvalidInput, MissingExtra
from cit_core.records import Candidate, Item, Task
from cit_core.store import CapabilityStore

Rows = Sequence[Mapping[str, Any]]
ROWS: Rows = [
    {"item_id": "q1", "model": "small", "correct": 1, "task": "high_school-math", "instruction": "1+1?"},
    {"item_id": "q2", "model": "small", "correct": 0.5, "task": "law", "instruction": "May I, or\n\"may\" I not?"},
    {"item_id": "q1", "model": "big", "correct": 1, "task": "high_school-math", "instruction": "1+1?"},
]  # fmt: skip


def write_csv(path: Path, rows: Rows) -> Path:
    import csv

    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_jsonl(path: Path, rows: Rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_parquet(path: Path, rows: Rows) -> Path:
    arrow = pytest.importorskip("pyarrow", reason="pip install 'cit-router[data]'")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.Table.from_pylist([dict(row) for row in rows]), path)
    return path


WRITERS: dict[str, Callable[[Path, Rows], Path]] = {"csv": write_csv, "jsonl": write_jsonl, "parquet": write_parquet}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_table_becomes_candidates_tasks_items_and_outcomes(store: CapabilityStore, tmp_path: Path, kind: str) -> None:
    path = WRITERS[kind](tmp_path / f"results.{kind}", ROWS)
    report = import_table([path], store)
    assert (report.new, report.known, report.refused_count, report.refused) == (3, 0, 0, ())
    assert store.candidates() == (Candidate(id="small"), Candidate(id="big"))
    assert store.tasks() == (
        Task(id="high_school-math", keywords=("high", "school", "math")),
        Task(id="law", keywords=("law",)),
    )
    assert store.items()[1] == Item(id="q2", task="law", instruction='May I, or\n"may" I not?')
    assert store.measured("small", f"table:results.{kind}") == {"q1", "q2"}
    assert [r.accuracy for r in store.capability("small").results] == [1.0, 0.5]
    assert store.version == 1, "one transaction"


@pytest.mark.parametrize("kind", WRITERS)
def test_spaces_around_a_name_make_no_other(store: CapabilityStore, tmp_path: Path, kind: str) -> None:
    padded = [{**ROWS[0], "item_id": " q1 ", "model": "small\t", "task": " law"}, {**ROWS[1], "model": " small"}]
    import_table([WRITERS[kind](tmp_path / f"results.{kind}", padded)], store)
    assert store.candidates() == (Candidate(id="small"),)
    assert [(item.id, item.task) for item in store.items()] == [("q1", "law"), ("q2", "law")]


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("name", ["item_id", "model"])
def test_a_word_for_a_missing_cell_is_no_name(store: CapabilityStore, tmp_path: Path, kind: str, name: str) -> None:
    path = WRITERS[kind](tmp_path / f"results.{kind}", [{**ROWS[0], name: "nan"}])
    with pytest.raises(InvalidInput, match=f"{name} is 'nan', a word for a missing one"):
        import_table([path], store)


@pytest.mark.parametrize(
    ("spelt", "correct"),
    [
        ("TRUE", 1.0),
        ("F", 0.0),
        ("Yes", 1.0),
        ("no", 0.0),
        ("pass", 1.0),
        ("Failed", 0.0),
        ("85%", 0.85),
        ("2,5 %", 0.025),
    ],
)
def test_a_verdict_may_be_a_word_or_a_percentage(
    store: CapabilityStore, tmp_path: Path, spelt: str, correct: float
) -> None:
    import_table([write_csv(tmp_path / "results.csv", [{**ROWS[0], "correct": spelt}])], store)
    assert [outcome.correct for outcome in store.outcomes()] == [correct]


@pytest.mark.parametrize("kind", WRITERS)
def test_words_of_a_picture_are_kept_below_the_question(store: CapabilityStore, tmp_path: Path, kind: str) -> None:
    rows = [{**row, "caption": "A pie chart", "ocr": "" if row["model"] == "big" else "40 %"} for row in ROWS[:2]]
    import_table([WRITERS[kind](tmp_path / f"results.{kind}", rows)], store)
    kept = {item.id: item.instruction for item in store.items()}
    assert kept["q1"] == "1+1?\n\n[picture: pie chart, few words]\nA pie chart\n40 %"


@pytest.mark.parametrize("kind", WRITERS)
def test_importing_again_adds_nothing(store: CapabilityStore, tmp_path: Path, kind: str) -> None:
    path = WRITERS[kind](tmp_path / f"results.{kind}", ROWS)
    import_table([path], store)
    report = import_table([path, path], store)
    assert (report.new, report.known, store.version) == (0, 6, 1)


def test_numbers_and_names_of_every_kind(store: CapabilityStore, tmp_path: Path) -> None:
    """Whole-number ids, booleans, empty cells, a byte order mark and a column that nobody knows."""
    table = tmp_path / "r.csv"
    text = "item_id,model,correct,cost_usd,latency_s,prompt_tokens,completion_tokens,mood,task\n"
    text += "1,m,True,0.001,,12,7,good,t\n\n2,m,false,,2.5,,,bad,t\n"
    table.write_text("\ufeff" + text, encoding="utf-8")
    lines = write_jsonl(
        tmp_path / "r.jsonl",
        [
            {"item_id": 3, "model": "m", "correct": True, "task": "t"},
            {"item_id": "4", "model": "m", "correct": 0, "task": "t", "cost_usd": None},
        ],
    )
    report = import_table([table, lines], store, source="pilot")
    assert report.new == 4
    assert store.measured("m", "pilot") == {"1", "2", "3", "4"}
    assert [(r.task.id, r.accuracy, r.count) for r in store.capability("m").results] == [("t", 0.5, 4)]


def test_items_may_come_from_a_second_file(store: CapabilityStore, tmp_path: Path) -> None:
    results = write_csv(tmp_path / "r.csv", [{k: row[k] for k in ("item_id", "model", "correct")} for row in ROWS])
    items = write_jsonl(
        tmp_path / "items.jsonl",
        [{"item_id": "q1", "task": "math", "instruction": "1+1?"}, {"item_id": "q2", "instruction": "May I?"}],
    )
    import_table([results], store, items=items)
    assert store.items() == (
        Item(id="q1", task="math", instruction="1+1?"),
        Item(id="q2", task="unassigned", instruction="May I?"),
    )


def test_what_was_not_known_about_an_item_may_come_later(store: CapabilityStore, tmp_path: Path) -> None:
    bare = write_csv(tmp_path / "bare.csv", [{k: row[k] for k in ("item_id", "model", "correct")} for row in ROWS])
    import_table([bare], store)
    assert {item.task for item in store.items()} == {"unassigned"}
    import_table([write_csv(tmp_path / "full.csv", ROWS)], store)
    import_table([bare], store)
    assert [item.task for item in store.items()] == ["high_school-math", "law"]
    assert store.items(["q1"])[0].instruction == "1+1?"


def test_a_candidate_that_is_known_keeps_its_facts(store: CapabilityStore, tmp_path: Path) -> None:
    store.add_candidates([Candidate(id="big", price_in=3.0, notes="ours")])
    store.add_tasks([Task(id="law", keywords=("contracts", "torts"))])
    import_table([write_csv(tmp_path / "r.csv", ROWS)], store)
    assert store.candidate("big").price_in == 3.0
    assert store.tasks()[0].keywords == ("contracts", "torts")


def test_a_result_that_conflicts_with_the_store_is_refused_and_reported(store: CapabilityStore, tmp_path: Path) -> None:
    import_table([write_csv(tmp_path / "r.csv", ROWS)], store)
    changed = [{**ROWS[0], "correct": 0}, *ROWS[1:], {**ROWS[0], "model": "new"}]
    report = import_table([write_csv(tmp_path / "r.csv", changed)], store)
    assert (report.new, report.known, report.refused_count) == (1, 2, 1)
    ((where, reason),) = report.refused
    assert where == f"{tmp_path / 'r.csv'}:2"
    assert "correct=0 came and 1 is stored" in reason


@pytest.mark.parametrize("word", ["NA", "NULL", "None", "<NA>", "N/A", "\\N"])
@pytest.mark.parametrize("kind", WRITERS)
def test_a_word_for_a_missing_cell_is_no_task(store: CapabilityStore, tmp_path: Path, kind: str, word: str) -> None:
    texts = {"item_id": "q1", "model": "m", "correct": 1, "task": word, "instruction": word}
    costs = {} if kind == "parquet" else {"cost_usd": word, "prompt_tokens": word}
    import_table([WRITERS[kind](tmp_path / f"r.{kind}", [{**texts, **costs}])], store)
    assert [(item.task, item.instruction) for item in store.items()] == [("unassigned", None)]
    assert [outcome.cost_usd for outcome in store.outcomes()] == [None]


def test_numbers_with_a_decimal_comma(store: CapabilityStore, tmp_path: Path) -> None:
    head = "item_id;model;correct;cost_usd;latency_s"
    (path := tmp_path / "r.csv").write_text(f"{head}\nq1;m;0,5;0,0021;12,5\n")
    import_table([path], store)
    (outcome,) = store.outcomes()
    assert (outcome.correct, outcome.cost_usd, outcome.latency_s) == (0.5, 0.0021, 12.5)
    path.write_text(f"{head}\nq2;m;1,000;0;0\n")
    import_table([path], store, source="three decimals")
    assert [outcome.correct for outcome in store.outcomes()] == [0.5, 1.0]
    path.write_text(f"{head}\nq1;m;1;1,234;1\n")
    with pytest.raises(InvalidInput, match="cost_usd"):  # a thousand, or a little more than one?
        import_table([path], store)


def test_parquet_of_databases(store: CapabilityStore, tmp_path: Path) -> None:
    """Spark and DuckDB write DECIMAL, ClickHouse and Impala texts without saying that they are."""
    rows = [{"item_id": b"q1", "model": b"m", "correct": Decimal("1.0"), "cost_usd": Decimal("0.0123")}]
    import_table([write_parquet(tmp_path / "r.parquet", rows)], store)
    (outcome,) = store.outcomes()
    assert (outcome.item, outcome.candidate, outcome.correct, outcome.cost_usd) == ("q1", "m", 1.0, 0.0123)


BAD_LINES = [
    ("r.csv", "q3,small", "has 2 fields and the header 3"),
    ("r.csv", "q3,small,1,1", "has 4 fields and the header 3"),
    ("r.csv", ",small,1", "has no item_id"),
    ("r.csv", "q3, ,1", "has no model"),
    ("r.csv", "q3,small,", "has no correct"),
    ("r.csv", "q3,small,2", "correct: input should be less than or equal to 1 (got 2)"),
    ("r.csv", "q3,small,-0.1", "greater than or equal to 0"),
    ("r.csv", "q3,small,nan", "correct: input should be a finite number"),
    ("r.csv", "q3,small,perhaps", "correct: input should be a valid number"),
    ("r.csv", f"{'q' * 600},small,1", "item: string should have at most 512 characters"),
    ("r.csv", "q1,small,0", "correct=0, but an earlier row says 1"),
    ("r.csv", '"q3"x,small,1', "',' expected after"),
    ("r.jsonl", '{"item_id": "q3", "model": "small"', "is not JSON"),
    ("r.jsonl", "[" * 100_000, "is not JSON"),
    ("r.jsonl", '["q3", "small", 1]', "is list in JSON; it must be an object"),
    ("r.jsonl", '{"item_id": "q3", "model": "small"}', "has no correct"),
    ("r.jsonl", '{"item_id": 0.5, "model": "small", "correct": 1}', "item_id is 0.5; it must be a text or a whole"),
    ("r.jsonl", '{"item_id": "q3", "model": "small", "correct": NaN}', "has no correct"),
    ("r.jsonl", '{"item_id": "q3", "model": "small", "correct": 1, "cost_usd": -1}', "cost_usd"),
    ("r.jsonl", '{"item_id": "q3", "model": "small", "correct": 1, "prompt_tokens": 1.5}', "prompt_tokens"),
    ("r.jsonl", '{"item_id": "q1", "model": "x", "correct": 1, "task": "a"}', "has task 'a' here and 't' before"),
    ("r.jsonl", '{"item_id": "q1", "model": "x", "correct": 1, "instruction": "b"}', "has another instruction here"),
]


def bad_table(path: Path, line: str) -> Path:
    """A good row, a bad one on line 3 and a good one."""
    if path.suffix == ".csv":
        path.write_text(f"item_id,model,correct\nq1,small,1\n{line}\nq2,small,0\n")
    else:
        row = '{{"item_id": "{}", "model": "small", "correct": 1, "task": "t", "instruction": "a"}}\n'
        path.write_text(f"{row.format('q1')}\n{line}\n{row.format('q2')}")
    return path


@pytest.mark.parametrize(("name", "line", "reason"), BAD_LINES)
def test_a_bad_row_is_named_and_nothing_is_imported(
    store: CapabilityStore, tmp_path: Path, name: str, line: str, reason: str
) -> None:
    path = bad_table(tmp_path / name, line)
    with pytest.raises(InvalidInput, match="nothing was imported") as caught:
        import_table([path], store)
    assert str(caught.value).startswith(f"{path}:3: ")
    assert reason in str(caught.value)
    assert (store.version, store.candidates(), store.items()) == (0, (), ())


@pytest.mark.parametrize(("name", "line", "reason"), BAD_LINES)
def test_a_bad_row_can_be_left_out_and_is_reported(
    store: CapabilityStore, tmp_path: Path, name: str, line: str, reason: str
) -> None:
    path = bad_table(tmp_path / name, line)
    report = import_table([path], store, skip_bad=True)
    assert (report.new, report.refused_count) == (2, 1)
    assert report.refused[0][0] == f"{path}:3"
    assert reason in report.refused[0][1]
    assert store.measured("small") == {"q1", "q2"}
    assert [candidate.id for candidate in store.candidates()] == ["small"], "nothing comes from a row left out"


def test_a_bad_first_row_is_found_before_there_is_a_store(tmp_path: Path) -> None:
    """The message helps whoever calls: the command line, or Python."""
    good, bad = write_csv(tmp_path / "good.csv", ROWS), tmp_path / "bad.csv"
    bad.write_text("item_id,model,correct\nq,m,maybe\n", encoding="utf-8")
    check_tables([good], items=good)
    check_tables([good, bad], items=good, skip_bad=True)
    for tables in ([bad, good], [good, bad]):
        with pytest.raises(InvalidInput, match=r"bad\.csv:2: .*leave bad rows out: --skip-bad, or skip_bad=True in"):
            check_tables(tables)


def test_conflicting_rows_are_found_across_batches_and_files(
    store: CapabilityStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "BATCH", 2)
    one = write_csv(tmp_path / "one.csv", [{"item_id": f"q{n}", "model": "m", "correct": 1} for n in range(5)])
    two = write_csv(tmp_path / "two.csv", [{"item_id": "q0", "model": "m", "correct": 0}])
    seen: list[int] = []
    with pytest.raises(InvalidInput, match=r"two\.csv:2: .*an earlier row says 1; nothing was imported"):
        import_table([one, two], store, source="same", progress=seen.append)
    assert (seen, store.version) == ([2, 4], 0)
    assert import_table([one, two], store).new == 6, "by default every file is a source of its own"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("r.txt", b"x", r"must end in \.csv, \.tsv, \.jsonl, \.json, \.parquet"),
        ("r.csv", b"", "has no rows; it needs the columns item_id, model, correct"),
        ("r.csv", b"item_id,model,correct\n", "has no rows"),
        ("r.jsonl", b"\n\n", "has no rows"),
        ("r.csv", b"item_id,model\nq,m\n", r"r\.csv:1: no column correct among item_id, model"),
        ("r.csv", b"item_id,model,correct,model\nq,m,1,m\n", "column model occurs twice"),
        ("r.csv", "item_id,model,correct\nq,m,1\n".encode("utf-16") + b"\x00", "cannot be read after line .*utf-16"),
        ("r.csv.gz", b"\x1f\x8b no gzip", "cannot be read: Unknown compression method"),
        (
            "r.csv.gz",
            gzip.compress(b"item_id,model,correct\nq,m,1\n", mtime=0)[:-9],
            "cannot be read: Compressed file ended",
        ),
        ("r.parquet.gz", b"PAR1", "cannot be imported by its name"),
        ("r.json", b'{"item_id": 1}', r"r\.json holds an object in JSON; it must be a list"),
        ("r.json", b'[{"item_id": 1}', r"r\.json is not JSON: the end of the text where '\]' is needed"),
        ("r.parquet", b"not Parquet at all", "is not a Parquet file that can be read"),
    ],
)
@pytest.mark.parametrize("skip_bad", [False, True])
def test_a_file_that_cannot_be_read_at_all(
    sqlite_url: str, tmp_path: Path, name: str, content: bytes, message: str, skip_bad: bool
) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow", reason="pip install 'cit-router[data]'")
    path = tmp_path / name
    path.write_bytes(content)
    with CapabilityStore(sqlite_url) as store:
        with pytest.raises(InvalidInput, match=message):
            import_table([path], store, skip_bad=skip_bad)
        assert store.version == 0


def test_no_file_and_a_file_that_is_not_there(sqlite_url: str, tmp_path: Path) -> None:
    good = write_csv(tmp_path / "r.csv", ROWS)
    with CapabilityStore(sqlite_url) as store:
        with pytest.raises(InvalidInput, match="no file to import"):
            import_table([], store)
        for paths, items in (
            ([good, tmp_path / "gone.csv"], None),
            ([good], tmp_path / "gone.csv"),
            ([tmp_path], None),
        ):
            with pytest.raises(InvalidInput, match="no file '"):
                import_table(paths, store, items=items)
        assert store.version == 0


def test_parquet_needs_its_extra(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "r.parquet"
    path.write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with CapabilityStore(sqlite_url) as store, pytest.raises(MissingExtra, match=r"pip install 'cit-router\[data\]'"):
        import_table([path], store)


KILLED = """
import os, signal, sys
from pathlib import Path
from cit_core.aptitude.importers.table import import_table
from cit_core.store import CapabilityStore

def kill(read):
    if read >= 20_000:
        os.kill(os.getpid(), signal.SIGKILL)

import_table([Path(sys.argv[2])], CapabilityStore(sys.argv[1]), progress=kill)
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is POSIX")
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_an_import_that_is_killed_leaves_nothing_and_can_be_repeated(store_url: str, tmp_path: Path, kind: str) -> None:
    path = WRITERS[kind](
        tmp_path / f"r.{kind}",
        [{"item_id": f"q{n % 5000}", "model": f"m{n // 5000}", "correct": 1} for n in range(25_000)],
    )
    done = subprocess.run([sys.executable, "-c", KILLED, store_url, str(path)], check=False)
    assert done.returncode == -9
    with CapabilityStore(store_url) as store:
        assert (store.version, store.outcome_count(), store.candidates()) == (0, 0, ())
        assert import_table([path], store).new == 25_000
        assert len(store.measured("m4")) == 5_000
