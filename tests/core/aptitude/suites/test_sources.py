"""Texts of a suite come from where its user keeps them, are the ones the suite was made of, or are refused by name."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cit_core.aptitude.basics import basics
from cit_core.aptitude.grading import with_options
from cit_core.aptitude.suites import find_suite, with_hashes
from cit_core.aptitude.suites.sources import by_id, own_questions, read_items, texts
from cit_core.errors import InvalidInput, MissingExtra
from cit_core.records import Item, Suite, Task

CAPITAL = {
    "item_id": "capital",
    "task": "geography",
    "instruction": "Capital of Peru?\n(A) Lima\n(B) Quito",
    "options": ["Lima", "Quito"],
    "answer": "A",
}
SUM = {"item_id": 7, "question": "What is 7 + 8?", "answer": "15", "grader": "number", "category": "is ignored"}
ITEMS = [
    Item(id="capital", task="geography", instruction=CAPITAL["instruction"], options=("Lima", "Quito"), answer="A"),
    Item(id="7", task="unassigned", instruction="What is 7 + 8?", answer="15", grader="number"),
]


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """The rows in the format that the name says."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
    else:
        whole = [{name: row.get(name) for name in columns} for row in rows]
        pq.write_table(pa.Table.from_pylist([{**row, **as_text(row, "item_id")} for row in whole]), path)
    return path


def as_text(row: Mapping[str, Any], name: str) -> dict[str, str]:
    return {name: str(row[name])} if row.get(name) is not None else {}


def suite_of(*ids: str, hashes: Mapping[str, str] | None = None, task: str = "t") -> Suite:
    return Suite(name="s", tasks=[Task(id=task, keywords=("k",))], items={task: ids}, hashes=hashes or {})


# -- local tables -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_table_of_any_kind_gives_the_same_items(tmp_path: Path, kind: str) -> None:
    assert list(read_items(write(tmp_path / f"items.{kind}", [CAPITAL, SUM]))) == ITEMS


def test_an_instruction_is_made_of_question_and_options_where_it_is_not_there(tmp_path: Path) -> None:
    rows = [{"item_id": "a", "question": "Q?", "options": ["x", "y"]}, {"item_id": "b", "question": "R?"}]
    assert [item.instruction for item in read_items(write(tmp_path / "i.jsonl", rows))] == ["Q?\n(A) x\n(B) y", "R?"]


def test_an_item_may_be_known_by_name_alone(tmp_path: Path) -> None:
    assert list(read_items(write(tmp_path / "i.csv", [{"item_id": "a", "task": "t"}]))) == [Item(id="a", task="t")]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"question": "who am I?"}, "has question; it needs item_id"),
        ({"item_id": "", "question": "?"}, "has no item_id"),
        ({"item_id": 1.5}, "item_id is 1.5; it must be a text or a whole number"),
        ({"item_id": "a", "options": "Lima, Quito"}, "options is 'Lima, Quito'; it must be a list of texts"),
        ({"item_id": "a", "options": {"A": "Lima"}}, "must be a list of texts"),
        ({"item_id": "a", "choices": {"text": ["Lima"]}}, "choices is a dict; it must be a list of texts"),
        ({"item_id": "a", "grader": "teacher"}, "Item 'a' is not valid: grader"),
        ({"question_id": 1, "question": "?", "options": ["x"]}, "has no answer_index"),
        ({"question_id": 1, "question": "?", "options": ["x"], "answer_index": 1}, "the right option is 1 of 1"),
        ({"question_id": 1, "question": "?", "options": ["x"], "answer_index": "A"}, "the right option is 'A' of 1"),
        ({"subject": "law", "question": "?", "choices": ["x"], "answer": 0}, "named by their split; give the folder"),
        ([1], "is list in JSON"),
    ],
)
def test_a_row_that_is_wrong_is_named_with_file_and_line(tmp_path: Path, row: Any, says: str) -> None:
    path = write(tmp_path / "items.jsonl", [CAPITAL, row] if isinstance(row, dict) else [CAPITAL])
    if not isinstance(row, dict):
        path.write_text(path.read_text() + json.dumps(row) + "\n")
    with pytest.raises(InvalidInput) as caught:
        texts(suite_of("capital"), path)
    assert str(caught.value).startswith(f"{path}:2: ")
    assert says in str(caught.value)


def test_a_file_that_is_not_there_or_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no file"):
        texts(suite_of("a"), tmp_path / "no.parquet")
    (tmp_path / "items.txt").write_text("a")
    with pytest.raises(InvalidInput, match=r"must end in \.csv, \.tsv, \.jsonl, \.json, \.parquet"):
        texts(suite_of("a"), str(tmp_path / "items.txt"))


# -- a suite's texts --------------------------------------------------------------------------------------------------


def test_items_come_in_the_suites_order_under_the_suites_tasks(tmp_path: Path) -> None:
    path = write(tmp_path / "items.jsonl", [SUM, {"item_id": "else", "question": "?"}, CAPITAL])
    tasks = [Task(id="two", keywords=("k",)), Task(id="one", keywords=("k",))]
    suite = Suite(name="s", tasks=tasks, items={"one": ["7"], "two": ["capital"]})
    found = texts(suite, str(path))
    assert [(item.id, item.task) for item in found] == [("capital", "two"), ("7", "one")]
    assert [item.model_copy(update={"task": own.task}) for item, own in zip(found, ITEMS, strict=True)] == ITEMS


def test_items_that_are_not_there_are_counted_and_the_first_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "items.jsonl", [CAPITAL])
    with pytest.raises(InvalidInput, match=r"4 of 5 items \('a', 'b', 'c', …\) are not there"):
        texts(suite_of("a", "b", "capital", "c", "d"), path)


@pytest.mark.parametrize("lost", ["instruction", "answer"])
def test_an_item_without_text_or_answer_is_no_question(tmp_path: Path, lost: str) -> None:
    path = write(tmp_path / "items.jsonl", [{name: value for name, value in CAPITAL.items() if name != lost}])
    with pytest.raises(InvalidInput, match=r"1 of 1 items \('capital'\) have no text or no answer"):
        texts(suite_of("capital"), path)


def test_an_item_that_stands_twice_must_be_the_same(tmp_path: Path) -> None:
    twice = write(tmp_path / "same.jsonl", [CAPITAL, CAPITAL])
    assert len(texts(suite_of("capital"), twice)) == 1
    other = write(tmp_path / "other.jsonl", [CAPITAL, {**CAPITAL, "answer": "B"}])
    with pytest.raises(InvalidInput, match="'capital' occurs twice"):
        texts(suite_of("capital"), other)
    with pytest.raises(InvalidInput, match="'capital' occurs twice"):
        by_id(read_items(other))


@given(st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1)), min_size=1, max_size=5), st.data())
def test_a_suite_with_hashes_takes_its_own_texts_and_no_others(
    tmp_path_factory: pytest.TempPathFactory, facts: list[tuple[str, str]], data: st.DataObject
) -> None:
    """Whatever the texts are: as they were they are taken; with a single one changed they are not."""
    rows = [
        {"item_id": f"i{number}", "question": f"{question}?", "answer": f"={answer}"}
        for number, (question, answer) in enumerate(facts)
    ]
    path = write(tmp_path_factory.mktemp("texts") / "items.jsonl", rows)
    suite = with_hashes(suite_of(*(row["item_id"] for row in rows)), by_id(read_items(path)))
    assert [item.digest for item in texts(suite, path)] == list(suite.hashes.values())
    changed = data.draw(st.sampled_from(rows))
    changed[data.draw(st.sampled_from(["question", "answer"]))] += "."
    write(path, rows)
    with pytest.raises(InvalidInput, match=f"1 of {len(rows)} items \\('{changed['item_id']}'\\) are not as they were"):
        texts(suite, path)


# -- cit-basics -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "seed"), [("cit-basics", 0), ("cit-basics:5", 5)])
def test_the_built_in_suite_makes_its_own_texts(name: str, seed: int) -> None:
    assert texts(find_suite(name)) == basics(seed)[1]


@pytest.mark.parametrize("shots", [3, 21])
def test_a_built_in_suite_of_another_length_makes_texts_of_its_own(shots: int) -> None:
    suite, items = basics(2, shots)
    assert texts(suite) == items


def test_any_other_suite_says_what_to_give() -> None:
    with pytest.raises(InvalidInput, match=r"suite 'mmlu-pro-core' holds no texts.*--texts FILE\|ID"):
        texts(find_suite("mmlu-pro-core"))


# -- the hub's schemata, with the real library ------------------------------------------------------------------------

PRO = {
    "question_id": [70, 71],
    "question": ["Which is a noble gas?", "Which is prime?"],
    "options": [["Helium", "Iron", "N/A", "N/A"], ["N/A", "8", "7"]],
    "answer": ["A", "C"],
    "answer_index": [0, 2],
    "cot_content": ["", ""],
    "category": ["chemistry", "math"],
    "src": ["ori_mmlu-college_chemistry", "stemez-Math"],
}
PRO_ITEMS = [
    Item(
        id="mmlu-pro/70",
        task="ori_mmlu-college_chemistry",
        instruction=with_options("Which is a noble gas?", ["Helium", "Iron"]),
        options=("Helium", "Iron"),
        answer="A",
    ),
    Item(
        id="mmlu-pro/71",
        task="stemez-Math",
        instruction=with_options("Which is prime?", ["8", "7"]),
        options=("8", "7"),
        answer="B",
    ),
]
MMLU = {
    "question": ["law one?", "art one?", "law two?"],
    "subject": ["law", "art", "law"],
    "choices": [["a", "b", "c", "d"]] * 3,
    "answer": [3, 0, 1],
}
LOADS = """
import sys
from cit_core.aptitude.suites.sources import texts
from cit_core.errors import InvalidInput
from cit_core.records import Suite
suite = Suite.model_validate_json(sys.argv[2])
try:
    for item in texts(suite, sys.argv[1]):
        print(item.model_dump_json())
except InvalidInput as error:
    print("refused:", error)
"""


def load(source: str | Path, suite: Suite, home: Path) -> list[str]:
    """Lines that a process of its own prints: it takes the hub for unreachable, and a warning for an error."""
    pytest.importorskip("datasets", reason="the real library is what is tested: pip install 'cit-router[data]'")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "error", "-c", LOADS, str(source), suite.model_dump_json()]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def dataset(folder: Path, **splits: Mapping[str, Any]) -> Path:
    """A folder as a dataset of the hub has it."""
    (folder / "data").mkdir(parents=True)
    for split, columns in splits.items():
        pq.write_table(pa.table(dict(columns)), folder / "data" / f"{split}-00000-of-00001.parquet")
    return folder


def test_mmlu_pro_is_loaded_as_the_hub_holds_it(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "pro", test=PRO, validation={**PRO, "question_id": [1, 2]})
    hashes = {item.id: item.digest for item in PRO_ITEMS}
    suite = suite_of("mmlu-pro/71", "mmlu-pro/70", hashes=hashes)
    lines = load(folder, suite, tmp_path / "home")
    expected = [item.model_copy(update={"task": "t"}) for item in reversed(PRO_ITEMS)]
    assert [Item.model_validate_json(line) for line in lines] == expected


def test_mmlu_is_loaded_and_its_items_are_named_by_subject_split_and_row(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "mmlu", test=MMLU, dev={**MMLU, "question": ["x?", "y?", "z?"]})
    wanted = ["mmlu/law/test/1", "mmlu/law/test/0", "mmlu/art/dev/0"]
    found = [Item.model_validate_json(line) for line in load(folder, suite_of(*wanted), tmp_path / "home")]
    assert [(item.id, item.instruction) for item in found] == [
        ("mmlu/law/test/1", "law two?\n(A) a\n(B) b\n(C) c\n(D) d"),
        ("mmlu/law/test/0", "law one?\n(A) a\n(B) b\n(C) c\n(D) d"),
        ("mmlu/art/dev/0", "y?\n(A) a\n(B) b\n(C) c\n(D) d"),
    ]
    assert [item.answer for item in found] == ["B", "D", "A"]


def test_a_dataset_that_cannot_be_reached_says_what_else_to_give(tmp_path: Path) -> None:
    (line,) = load("TIGER-Lab/MMLU-Pro@main", suite_of("mmlu-pro/70"), tmp_path / "home")
    assert line.startswith("refused: 'TIGER-Lab/MMLU-Pro@main' is not a file, and datasets cannot load it: ")
    assert "Give a .csv, .jsonl or .parquet file" in line


def test_the_hub_is_asked_for_the_right_part_in_the_right_state(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets", reason="its function is replaced: pip install 'cit-router[data]'")
    asked = []

    def load_dataset(id_: str, name: str | None, revision: str | None) -> dict[str, list[dict[str, Any]]]:
        asked.append((id_, name, revision))
        return {"test": [{"subject": "law", "question": "?", "choices": ["a", "b"], "answer": 1}]}

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    for source in ("cais/mmlu", "cais/mmlu@abc", "some/copy"):
        assert texts(suite_of("mmlu/law/test/0"), source)[0].answer == "B"
    assert asked == [("cais/mmlu", "all", None), ("cais/mmlu", "all", "abc"), ("some/copy", None, None)]


def test_the_hubs_schema_is_read_from_a_local_file_too(tmp_path: Path) -> None:
    rows = [dict(zip(PRO, row, strict=True)) for row in zip(*PRO.values(), strict=True)]
    assert list(read_items(write(tmp_path / "pro.jsonl", rows))) == PRO_ITEMS


def test_without_datasets_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtra, match=r"datasets, which loads 'cais/mmlu', is not installed.*cit-router\[data\]"):
        texts(suite_of("a"), "cais/mmlu")


def test_a_file_of_questions_and_answers_is_a_test(tmp_path: Path) -> None:
    path = tmp_path / "our_tickets.csv"
    path.write_text(
        "question,answer,options,task\nWhat is 7 + 8?,15,,\nCapital of Peru?,B,\"['Quito', 'Lima']\",places\n"
        "Who?,Nobody,,\n"
    )
    suite, items = own_questions(path)
    assert (suite.name, [task.keywords for task in suite.tasks]) == ("our_tickets", [("our", "tickets"), ("places",)])
    assert [(item.task, item.answer, item.grader) for item in items] == [
        ("our_tickets", "15", "number"),
        ("our_tickets", "Nobody", None),
        ("places", "B", None),
    ]
    assert items[2].options == ("Quito", "Lima")
    path.write_text("question,answer\nWho?,Nobody\nWhat is 7 + 8?,15\n")
    assert {item.id for item in own_questions(path)[1]} == {items[0].id, items[1].id}, "a question keeps its id"


@pytest.mark.parametrize(
    "row",
    [
        {"options": ["Quito", "Lima"]},
        {"choices": ["Quito", "Lima"]},
        {"A": "Quito", "B": "Lima", "C": None, "D": None},
    ],
)
def test_options_come_in_one_column_or_in_one_for_each_letter(tmp_path: Path, row: dict[str, Any]) -> None:
    path = write(tmp_path / "mine.jsonl", [{"question": "Capital of Peru?", **row, "answer": "B"}])
    assert own_questions(path)[1][0].options == ("Quito", "Lima")
    (item,) = read_items(write(tmp_path / "items.jsonl", [{"item_id": "a", "question": "?", **row}]))
    assert (item.instruction, item.options) == ("?\n(A) Quito\n(B) Lima", ("Quito", "Lima"))


@pytest.mark.parametrize(
    ("given", "answer", "grader"),
    [
        (3.5, "3.5", "number"),
        (35.0, "35", "number"),
        ("35 %", "35 %", "number"),
        ("3/4", "3/4", "number"),
        ("1,2,3", "1,2,3", None),
        ("3 + 4 = <<3+4=7>>7\n#### 7", "7", "number"),
    ],
)
def test_an_answer_that_is_a_number_is_compared_as_one(tmp_path: Path, given: Any, answer: str, grader: str) -> None:
    (item,) = own_questions(write(tmp_path / "mine.jsonl", [{"question": "How many?", "answer": given}]))[1]
    assert (item.answer, item.grader) == (answer, grader)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "question,answer\nWho?,\n",
            "mine.csv:2: has no answer; a row needs question and answer, and has question, answer",
        ),
        ("a,b\n1,2\n", "has no question and no answer"),
        ("instruction,question,answer\nBe brief.,Who?,Nobody\n", "has a question and another instruction"),
        ("question,answer\n", "has no rows"),
    ],
)
def test_a_question_without_its_answer_is_named(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "mine.csv").write_text(text)
    with pytest.raises(InvalidInput, match=says):
        own_questions(tmp_path / "mine.csv")
