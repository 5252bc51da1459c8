"""`cit aptitude build`: the same suite from the same outcomes wherever they are, and how well its ranking holds."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import numpy as np
import pytest

from cit_core import CapabilityStore, Item, Task
from cit_core.aptitude.suites import find_suite, read_suite
from cit_core.aptitude.suites.sources import texts
from cit_core.records import Suite

URL = "sqlite:///zoo.db"
TASKS = {"sums": "add the numbers", "law": "the court ruled on a lease", "biology": "a gene of the cell"}
WORDS = {"sums": ["Sum"], "law": ["Court"], "biology": ["Gene"]}
PER_TASK, MODELS = 30, 12
SIZE = ("--tasks", "2", "--shots", "5")
NAMED = ("--name", "mine", "--out", "mine.json")


def rows() -> list[list[object]]:
    """item_id, model, correct, task: models that know more and more."""
    chance = np.random.default_rng(0)
    return [
        [f"{task}/{number:02}", f"m{model:02}", int(chance.random() < (model + 1) / (MODELS + 1)), task]
        for task in TASKS
        for number in range(PER_TASK)
        for model in range(MODELS)
    ]


def write(name: str, table: list[list[object]]) -> str:
    lines = ["item_id,model,correct,task", *(",".join(map(str, row)) for row in table)]
    Path(name).write_text("\n".join(lines) + "\n")
    return name


@pytest.fixture(autouse=True)
def _files(_own_home: None) -> None:
    write("results.csv", rows())
    Path("words.json").write_text(json.dumps(WORDS))
    with Path("items.jsonl").open("w") as file:
        for task, text in TASKS.items():
            for number in range(PER_TASK):
                facts = {"item_id": f"{task}/{number:02}", "question": f"{text} {number}?", "answer": str(number)}
                file.write(json.dumps(facts) + "\n")


BUILD = ("aptitude", "build", "results.csv", "--keywords", "words.json", *NAMED, *SIZE)


def test_it_builds_a_suite_and_says_how_well_it_ranks(cit):
    result = cit(*BUILD)
    assert result.exit_code == 0, result.output
    first, second = result.stdout.splitlines()
    assert first == (
        "mine.json: suite 'mine' version 1 with 10 items of 2 tasks, sampled from 90 items that 12 models answered"
    )
    assert second.startswith("its ranking of models against the full table's: Spearman 0.")
    assert "(95 % interval " in second
    assert second.endswith(" over items), for 4 models held out of the sampling, 10 items against 80 others")
    suite = read_suite(Path("mine.json"))
    assert suite == find_suite("mine.json")
    assert [len(items) for items in suite.items.values()] == [5, 5]
    assert all(item.startswith(f"{task}/") for task, items in suite.items.items() for item in items)
    assert [list(task.keywords) for task in suite.tasks] == [WORDS[task.id] for task in suite.tasks]
    assert "no content hashes" in result.stderr


def test_json(cit):
    record = json.loads(cit(*BUILD, "--json", "--seed", "3").stdout)
    agreement = record.pop("agreement")
    assert record == {
        "suite": "mine",
        "version": 1,
        "out": "mine.json",
        "tasks": 2,
        "items": 10,
        "hashes": False,
        "sampled_from": {"items": 90, "models": 12},
        "no_agreement": None,
    }
    assert agreement["low"] <= agreement["rho"] <= agreement["high"]
    assert agreement["rho"] > 0.5, "models that know more and more"
    assert (len(agreement["models"]), agreement["short"], agreement["others"]) == (4, 10, 80)


def test_the_same_outcomes_and_seed_give_the_same_bytes_in_any_order_and_another_seed_does_not(cit):
    first = cit(*BUILD).stdout
    made = Path("mine.json").read_bytes()
    Path("mine.json").unlink()
    write("results.csv", random.Random(5).sample(rows(), len(rows())))
    assert cit(*BUILD).stdout == first
    assert Path("mine.json").read_bytes() == made
    cit(*BUILD, "--seed", "1", "--out", "other.json")
    assert read_suite(Path("other.json")).item_ids != read_suite(Path("mine.json")).item_ids


def test_items_bring_hashes_and_then_the_texts_are_checked(cit):
    assert "no content hashes" not in cit(*BUILD, "--items", "items.jsonl").stderr
    suite = read_suite(Path("mine.json"))
    items = texts(suite, "items.jsonl")
    assert {item.id: item.digest for item in items} == suite.hashes
    assert [item.task for item in items] == [task.id for task in suite.tasks for _ in range(5)]


def test_items_bring_tasks_and_words_where_the_outcomes_have_none(cit):
    pytest.importorskip("sklearn", reason="TF-IDF needs scikit-learn: pip install 'cit-router[bench]'")
    write("results.csv", [[*row[:3], ""] for row in rows()])
    lines = [json.loads(line) for line in Path("items.jsonl").read_text().splitlines()]
    with Path("items.jsonl").open("w") as file:
        for line in lines:
            file.write(json.dumps({**line, "task": line["item_id"].partition("/")[0]}) + "\n")
    command = ("aptitude", "build", "results.csv", *NAMED, "--tasks", "3", "--shots", "5")
    assert cit(*command, "--items", "items.jsonl").exit_code == 0
    found = {task.id: task.keywords for task in read_suite(Path("mine.json")).tasks}
    assert set(found["law"]) == {"Court Ruled", "Lease"}
    assert found["biology"] == ("Gene Cell",)


def test_outcomes_without_a_task_are_left_out_and_counted(cit):
    lost = [[f"x{number}", f"m{model:02}", 1, ""] for number in range(3) for model in range(MODELS)]
    write("results.csv", [*rows(), *lost])
    result = cit(*BUILD)
    assert "3 items have no task and were left out" in result.stderr
    assert "sampled from 90 items" in result.stdout


# -- from a store -----------------------------------------------------------------------------------------------------


def test_a_store_gives_the_suite_that_its_tables_give_and_stays_as_it_was(cit):
    cit(*BUILD)
    cit("import", "table", "results.csv", "--store", URL)
    with CapabilityStore(URL) as store:
        before = store.version, store.tasks(), store.items()
    result = cit(
        "aptitude", "build", "--store", URL, "--keywords", "words.json", "--name", "mine", "--out", "s.json", *SIZE
    )
    assert result.exit_code == 0
    assert read_suite(Path("s.json")) == read_suite(Path("mine.json"))
    with CapabilityStore(URL) as store:
        assert (store.version, store.tasks(), store.items()) == before


def test_keywords_that_a_store_holds_are_kept(cit):
    with CapabilityStore(URL) as store:
        store.add_tasks([Task(id=task, keywords=(f"Said of {task}",)) for task in TASKS])
    cit("import", "table", "results.csv", "--store", URL)
    cit("aptitude", "build", "--store", URL, *NAMED, *SIZE)
    assert all(task.keywords == (f"Said of {task.id}",) for task in read_suite(Path("mine.json")).tasks)


def test_outcomes_that_are_held_do_not_count(cit):
    cit("import", "table", "results.csv", "--store", URL, "--source", "good")
    others = [[row[0], "cheat", 1, row[3]] for row in rows()]
    cit("import", "table", write("others.csv", others[::MODELS]), "--store", URL, "--source", "under way")
    with CapabilityStore(URL) as store:
        store.hold("under way")
    build = ("aptitude", "build", "--store", URL, "--keywords", "words.json", *NAMED, *SIZE, "--json")
    assert json.loads(cit(*build).stdout)["sampled_from"]["models"] == MODELS
    with CapabilityStore(URL) as store:
        store.release("under way")
    assert json.loads(cit(*build).stdout)["sampled_from"]["models"] == MODELS + 1


def test_texts_of_a_store_give_hashes(cit):
    cit("import", "table", "results.csv", "--store", URL)
    with CapabilityStore(URL) as store:
        store.add_items(
            Item(id=f"{task}/{number:02}", task=task, instruction=f"{task} {number}?", answer="x")
            for task in TASKS
            for number in range(PER_TASK)
        )
    cit("aptitude", "build", "--store", URL, "--keywords", "words.json", *NAMED, *SIZE)
    assert len(read_suite(Path("mine.json")).hashes) == 10


# -- building it again ------------------------------------------------------------------------------------------------


def test_a_suite_that_changes_gets_the_next_version(cit):
    for seed, version in (("0", 1), ("0", 1), ("1", 2), ("1", 2), ("0", 3)):
        assert f"version {version} " in cit(*BUILD, "--seed", seed).stdout
        assert read_suite(Path("mine.json")).version == version


@pytest.mark.parametrize(
    ("there", "says"),
    [
        (Suite(name="theirs", tasks=(), items={}).model_dump_json(), "holds suite 'theirs'; give another --out"),
        ("my notes", "holds no suite"),
    ],
)
def test_what_is_not_an_earlier_state_of_the_suite_is_not_written_over(cit, there, says):
    Path("mine.json").write_text(there)
    result = cit(*BUILD)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr
    assert Path("mine.json").read_text() == there


@pytest.mark.parametrize("name", ["mmlu-pro-core", "cit-basics", "cit-basics:9"])
def test_the_name_of_a_shipped_suite_is_taken(cit, name):
    result = cit(*BUILD, "--name", name)
    assert result.exit_code == 2
    assert f"--name '{name}' is the name of a shipped suite" in result.stderr


# -- where there is no number, and no suite ---------------------------------------------------------------------------


def clear_cut() -> list[list[object]]:
    """Half of the models get everything right: each item tells models apart as well as can be."""
    return [[item, model, int(str(model) < "m06"), task] for item, model, _, task in rows()]


@pytest.mark.parametrize(
    ("table", "options", "says"),
    [
        (rows(), ("--held-out", "0"), "0 of 12 models are held out; a ranking needs 3"),
        (rows(), ("--held-out", "1"), "only 0 tasks have 5 items that tell models apart"),
        (clear_cut(), ("--tasks", "3", "--shots", "30"), "the suite takes every item"),
    ],
)
def test_without_an_agreement_it_says_why_and_builds_all_the_same(cit, table, options, says):
    write("results.csv", table)
    result = cit(*BUILD, *options)
    assert result.exit_code == 0, result.stderr
    assert find_suite("mine.json").name == "mine"
    record = json.loads(cit(*BUILD, *options, "--json").stdout)
    assert record["agreement"] is None
    assert says in record["no_agreement"]
    assert f"how well it ranks models is not known: {record['no_agreement']}" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "give tables of outcomes or --store URL, one of the two"),
        (("results.csv", "--store", URL), "one of the two"),
        (("no.csv",), "no file 'no.csv'"),
        (("results.csv", "--items", "no.csv"), "no file 'no.csv'"),
        (("results.csv", "--keywords", "no.json"), "no.json cannot be read"),
        (("results.csv", "--keywords", "items.jsonl"), "items.jsonl is not JSON"),
        (("results.csv", "--keywords", "list.json"), "must hold a JSON object of tasks, each with a list of words"),
        (("results.csv", "--keywords", "text.json"), "must hold a JSON object of tasks, each with a list of words"),
        (("results.csv", "--keywords", "slip.json"), "keywords are given for task 'smus', and there is none"),
        (("results.csv", "--keywords", "words.json", "--tasks", "4"), "only 3 tasks have 5 items"),
        (("bad.csv", "--keywords", "words.json"), "error: bad.csv:3: "),
        (("results.csv", "--keywords", "words.json", "--shots", "0"), "--shots"),
        (("results.csv", "--keywords", "words.json", "--seed", "-1"), "--seed"),
    ],
)
def test_bad_input_is_exit_code_2_and_leaves_no_file(cit, arguments, says):
    Path("list.json").write_text("[1]")
    Path("text.json").write_text('{"sums": "Sum"}')
    Path("slip.json").write_text('{"smus": ["Sum"]}')
    write("bad.csv", [["a", "m", 1, "t"], ["b", "m", "maybe", "t"]])
    result = cit("aptitude", "build", *NAMED, *SIZE, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr
    assert not Path("mine.json").exists()


def test_a_store_that_is_not_there_is_not_made(cit):
    assert cit("aptitude", "build", "--store", URL, *NAMED).exit_code == 1
    assert not Path("zoo.db").exists()


def test_bad_rows_can_be_left_out_and_are_named(cit):
    write("results.csv", [*rows(), ["x", "m01", "maybe", "sums"]])
    result = cit(*BUILD, "--skip-bad")
    assert result.exit_code == 0
    assert "left out: results.csv:1082: " in result.stderr


def test_without_scikit_learn_the_way_out_is_named(cit, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.feature_extraction.text", None)
    build = ("aptitude", "build", "results.csv", *NAMED, *SIZE)
    result = cit(*build, "--items", "items.jsonl")
    assert result.exit_code == 1
    assert "scikit-learn, which finds keywords, is not installed" in result.stderr
    assert not Path("mine.json").exists()
    assert cit(*build).exit_code == 0, "without texts there is nothing to search: ids speak for the tasks"
