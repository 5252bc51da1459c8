"""`cit import`: what is new, known and refused, the exit code of each, and a store that stays as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_cit import absolute

from cit_core import CapabilityStore
from cit_core.aptitude.importers import table as tables
from cit_core.errors import InvalidInput
from cit_core.records import Candidate
from cit_core.router import FakeScorer, Router
from cit_core.store import UNASSIGNED

URL = "sqlite:///zoo.db"
STORE = ("--store", URL)
HEADER = "item_id,model,correct\n"


def write(name: str, text: str) -> str:
    Path(name).write_text(text)
    return name


def test_new_then_known(cit):
    table = write("results.csv", HEADER + "1,a,1\n1,b,0\n2,a,0.5\n")
    first = cit("import", "table", table, "--task", "sums", *STORE)
    assert (first.exit_code, first.stdout, first.stderr) == (0, f"3 new, 0 known, 0 refused in {absolute(URL)}\n", "")
    second = cit("import", "table", table, *STORE, "--json")
    assert second.exit_code == 0
    assert json.loads(second.stdout) == {
        "new": 0,
        "known": 3,
        "refused_count": 0,
        "refused": [],
        "encoded": 0,
        "assigned": 0,
        "store": absolute(URL),
    }
    with CapabilityStore(URL) as store:
        assert store.outcome_count() == 3
        assert [candidate.id for candidate in store.candidates()] == ["a", "b"]


def test_questions_that_cannot_count_are_told_with_the_way_to_make_them_count(cit):
    table = write("results.csv", HEADER + "1,a,1\n2,a,0\n")
    other = write("items.csv", "item_id,task\n1.0,sums\n2.0,sums\n")
    told = cit("import", "table", table, "--items", other, *STORE).stderr
    assert told.startswith("2 questions have neither a task nor a text, so their outcomes count for nothing;")
    again = cit("import", "table", table, "--task", "sums", *STORE)
    assert (again.stdout.partition(" in ")[0], again.stderr) == ("0 new, 2 known, 0 refused", "")
    with CapabilityStore(URL) as store:
        assert [(result.task.id, result.count) for result in store.capability("a").results] == [("sums", 2)]


def test_what_was_learned_from_a_corrected_file_is_learned_anew(cit):
    def table(turned: int) -> str:
        rows = [
            f"{n},{m},{(n + turned + i) % 2},What is {n} of {'law' if n % 2 else 'logic'}?\n"
            for n in range(20)
            for i, m in enumerate("ab")
        ]
        return write("results.csv", "item_id,model,correct,instruction\n" + "".join(rows))

    kept = []
    for turned in (0, 1):  # every verdict changes, and no model's number of right ones
        cit("import", "table", table(turned), *STORE, "--replace")
        with CapabilityStore(URL) as store:
            kept.append(store.setting("evidence:mini"))
    assert kept[0]["made_of"] == kept[1]["made_of"]
    assert kept[0]["coefficients"] != kept[1]["coefficients"]


def test_a_model_with_two_names_is_told(cit):
    table = write("results.csv", HEADER + "1,gpt-5-mini,1\n1,openai/gpt-5-mini,0\n")
    told = cit("import", "table", table, "--task", "sums", *STORE).stderr
    assert told.startswith("gpt-5-mini and openai/gpt-5-mini are names of one model and count as two; to count them")


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
    assert result.stdout == f"0 new, 0 known, 1 refused in {absolute(URL)}\n"
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
        ("bad.xlsx", "", "it must end in .csv, .tsv, .jsonl, .json, .parquet"),
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
        ("bad.jsonl", b"\xff\n", "bad.jsonl:1: holds the byte 0xff, which is not valid UTF-8"),
        ("bad.xlsx", "", "it must end in .csv, .tsv, .jsonl, .json, .parquet"),
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


@pytest.mark.parametrize("arguments", [("no.csv",), ("good.csv", "no.csv"), ("good.csv", "--items", "no.csv"), (".",)])
def test_a_file_that_is_not_there_is_one_clear_line(cit, arguments):
    write("good.csv", HEADER + "1,a,1\n")
    result = cit("import", "table", *arguments, *STORE)
    missing = next(name for name in arguments[::-1] if not name.startswith("--") and name != "good.csv")
    assert result.exit_code == 2
    assert result.stderr == f"error: no file {missing!r}; pass .csv, .tsv, .jsonl, .json or .parquet files that exist\n"


@pytest.mark.parametrize(
    ("text", "options", "code"),
    [
        (HEADER + "1,a,1\n2,a,maybe\n", (), 2),
        (HEADER + "1,a,1\n1,a,0\n", (), 2),
        (HEADER + "1,a,maybe\n2,a\n", ("--skip-bad",), 1),
    ],
)
def test_a_refused_import_leaves_no_store_behind(cit, tmp_path, text, options, code):
    """Whichever row it is that is bad."""
    result = cit("import", "table", write("bad.csv", text), *STORE, *options)
    assert result.exit_code == code
    assert [path.name for path in tmp_path.iterdir()] == ["bad.csv"]
    assert cit("import", "table", write("good.csv", HEADER + "1,a,1\n"), *STORE).exit_code == 0


def test_a_refused_import_leaves_a_store_that_was_there(cit, tmp_path):
    CapabilityStore(URL).close()
    assert cit("import", "table", write("bad.csv", HEADER + "1,a,1\n2,a,maybe\n"), *STORE).exit_code == 2
    assert (tmp_path / "zoo.db").exists()


@pytest.mark.parametrize("writes", [False, True], ids=["is open elsewhere", "has been written by another"])
def test_a_refused_import_leaves_a_new_store_that_others_use(cit, tmp_path, monkeypatch, writes):
    others = []

    def refused(*_, **__):
        others.append(CapabilityStore(URL))
        if writes:
            others[0].add_candidates([Candidate(id="theirs")])
            others[0].close()
        raise InvalidInput("refused")

    monkeypatch.setattr(tables, "import_table", refused)
    assert cit("import", "table", write("good.csv", HEADER + "1,a,1\n"), *STORE).exit_code == 2
    others[0].add_candidates([Candidate(id="theirs")])
    others[0].close()
    with CapabilityStore(URL) as store:
        assert [candidate.id for candidate in store.candidates()] == ["theirs"]


SAMPLE = {"doc_id": 1, "doc": {"question": "1+1?"}, "filter": "strict", "acc": 1.0, "f1": 0.5}
LOG = {
    "eval": {"task": "sums", "model": "by-log"},
    "samples": [{"id": 1, "epoch": 1, "input": "1+1?", "scores": {"a": {"value": "C"}, "b": {"value": "I"}}}],
}
ANSWER = {"question_id": 1, "question": "1+1?", "options": ["1", "2"], "answer": "B", "pred": "B", "src": "sums"}
WIDE = "sample_id,prompt,eval_name,m,m|total_cost\n1,1+1?,sums,1,0.5\n"
FILES = {
    "lm-eval": ("samples_sums.jsonl", json.dumps(SAMPLE), ["--model", "m"], "lm-eval:samples_sums.jsonl"),
    "inspect": ("log.json", json.dumps(LOG), ["--model", "m", "--scorer", "a"], "inspect:log.json"),
    "mmlu-pro": ("answers.json", json.dumps([ANSWER]), ["--model", "m"], "mmlu-pro:answers.json"),
    "routerbench": ("wide.csv", WIDE, [], "routerbench:wide.csv"),
    "embedllm": ("train.csv", "prompt_id,model_name,label,prompt\n1,m,1,1+1?\n", [], "embedllm:train.csv"),
}


@pytest.mark.parametrize("verb", FILES)
def test_every_importer(cit, tmp_path, verb):
    """New, then known; under a name of one's own new again; and a file that is not there is one line."""
    name, text, options, source = FILES[verb]
    file = write(name, text)
    said, and_then = cit("import", verb, file, *options, *STORE).stdout.splitlines()
    assert said == f"1 new, 0 known, 0 refused in {absolute(URL)}"
    assert and_then.startswith("new vectors: 1; ")
    again = cit("import", verb, file, *options, *STORE, "--json")
    assert (again.exit_code, json.loads(again.stdout)["known"]) == (0, 1)
    assert cit("import", verb, file, *options, *STORE, "--source", "mine").stdout.startswith("1 new")
    with CapabilityStore(URL) as store:
        assert len(store.measured("m", source)) == len(store.measured("m", "mine")) == 1
        assert store.items()[0].instruction.startswith("1+1?")
    missing = cit("import", verb, f"no-{name}", *options, "--store", "sqlite:///other.db")
    assert (missing.exit_code, missing.stderr.count("\n")) == (2, 1)
    assert missing.stderr.startswith(f"error: no file 'no-{name}'; pass ")
    assert not (tmp_path / "other.db").exists()


@pytest.mark.parametrize("verb", FILES)
def test_every_importer_leaves_bad_rows_out(cit, tmp_path, verb):
    name, text, options, _ = FILES[verb]
    worse = {
        "lm-eval": text + '\n{"filter": "strict"}',
        "inspect": json.dumps(LOG | {"samples": [*LOG["samples"], {"id": 2}]}),
        "mmlu-pro": json.dumps([ANSWER, {}]),
        "routerbench": text + "2,1+1?,sums,7,0.5\n",
        "embedllm": text + "2,m,7,2+2?\n",
    }[verb]
    file = write(name, worse)
    refused = cit("import", verb, file, *options, *STORE)
    assert refused.exit_code == 2
    assert "nothing was imported" in refused.stderr
    assert not (tmp_path / "zoo.db").exists()
    left = cit("import", verb, file, *options, *STORE, "--skip-bad")
    assert left.stdout.startswith("1 new, 0 known, 1 refused")


def test_the_options_of_lm_eval_and_embedllm(cit):
    folder = Path("org__model")
    folder.mkdir()
    samples = write(
        str(folder / "samples_sums.jsonl"), json.dumps(SAMPLE) + "\n" + json.dumps(SAMPLE | {"filter": "x"})
    )
    assert cit("import", "lm-eval", samples, *STORE, "--metric", "f1", "--filter", "x").stdout.startswith("1 new")
    questions = write("question_order.csv", "prompt_id,prompt\n1,Why?\n")
    table = write("val.csv", "prompt_id,model_name,label\n1,m,1\n")
    assert cit("import", "embedllm", table, *STORE, "--questions", questions).stdout.startswith("1 new")
    with CapabilityStore(URL) as store:
        assert store.capability("org/model").results[0].accuracy == 0.5
        assert store.items(["embedllm/1"])[0].instruction == "Why?"


# what an import leaves open


def test_items_without_a_task_get_the_nearest_one_and_are_evidence_at_once(cit):
    questions = {
        "law": "Is a contract signed under duress void or voidable?",
        "sum": "Solve x squared minus 4 = 0 for x.",
    }
    rows = "".join(f'{id_},m,1,"{text}"\n' for id_, text in questions.items())
    file = write("loose.csv", "item_id,model,correct,instruction\n" + rows)
    done = json.loads(cit("import", "table", file, *STORE, "--json").stdout)
    assert (done["encoded"], done["assigned"]) == (2, 2)
    with CapabilityStore(URL) as store:
        tasks = {item.id: (item.task, item.assigned) for item in store.items()}
        assert "law" in tasks["law"][0]
        assert "math" in tasks["sum"][0] or "algebra" in tasks["sum"][0]
        assert {result.task.id for result in store.capability("m").results} == {task for task, _ in tasks.values()}
    routed = cit("route", "When is a contract void?", *STORE, "--json", open_router=None)
    assert json.loads(routed.stdout)["model"] == "m"


def test_no_vectors_imports_and_nothing_else(cit):
    file = write("loose.csv", "item_id,model,correct,instruction\n1,m,1,What is 7 times 8?\n")
    done = cit("import", "table", file, *STORE, "--no-vectors")
    assert done.stdout == f"1 new, 0 known, 0 refused in {absolute(URL)}\n"
    with CapabilityStore(URL) as store:
        assert store.items()[0].task == UNASSIGNED
    assert json.loads(cit("import", "table", file, *STORE, "--json").stdout)["assigned"] == 1, "the next import does it"


def test_new_tasks_are_named_and_described(cit):
    rows = "".join(f"{n},m,1,How many moles of acid neutralise {n} grams of base?\n" for n in range(4))
    rows += "".join(f"x{n},m,0,Which emperor ruled the eastern empire in {n}?\n" for n in range(4))
    file = write("private.csv", "item_id,model,correct,instruction\n" + rows)
    assert cit("import", "table", file, *STORE, "--task", "our-tickets", "--keywords", "tfidf").exit_code == 0
    with CapabilityStore(URL) as store:
        (task,) = store.tasks()
        assert (task.id, len(task.keywords)) == ("our-tickets", 5)
        assert {"Acid", "Emperor"} & {word for keyword in task.keywords for word in keyword.split()}
    words = write("words.json", json.dumps({"our-tickets": ["Chemistry", "Byzantium"]}))
    assert cit("import", "table", file, *STORE, "--keywords", words).exit_code == 0
    with CapabilityStore(URL) as store:
        assert store.tasks()[0].keywords == ("Chemistry", "Byzantium")
    wrong = write("wrong.json", json.dumps({"tickets": ["Chemistry"]}))
    refused = cit("import", "table", file, *STORE, "--keywords", wrong)
    assert refused.exit_code == 2
    assert "keywords are given for task 'tickets', and the store has only our-tickets" in refused.stderr


def test_a_suite_that_is_not_there_is_refused_before_anything_is_imported(cit, tmp_path):
    file = write("loose.csv", "item_id,model,correct,instruction\n1,m,1,What is 7 times 8?\n")
    assert cit("import", "table", file, *STORE, "--suite", "no-such-suite").exit_code == 2
    assert not (tmp_path / "zoo.db").exists()


@pytest.mark.parametrize("text", ["half a \\ud800 pair", "a NUL \\u0000 inside"])
def test_a_text_that_no_database_keeps_is_a_bad_row(cit, tmp_path, text):
    lines = [f'{{"item_id": "1", "model": "m", "correct": 1, "instruction": "{text}"}}']
    lines.append('{"item_id": "2", "model": "m", "correct": 1, "instruction": "fine"}')
    file = write("texts.jsonl", "\n".join(lines))
    refused = cit("import", "table", file, *STORE)
    assert refused.exit_code == 2
    assert "texts.jsonl:1: a text holds" in refused.stderr
    assert not (tmp_path / "zoo.db").exists()
    assert cit("import", "table", file, *STORE, "--skip-bad").stdout.startswith("1 new, 0 known, 1 refused")


def test_an_import_leaves_what_only_feedback_knows_alone(cit):
    with CapabilityStore(URL) as store:
        store.add_candidates([Candidate(id="m")])
        router = Router.from_store(store, FakeScorer({"m": 0.5}))
        router.feedback(router.route("My printer does not print."), "m", 0.0)
    file = write("other.csv", "item_id,model,correct,instruction\n1,m,1,What is 7 times 8?\n")
    assert json.loads(cit("import", "table", file, *STORE, "--json").stdout)["assigned"] == 1
    with CapabilityStore(URL) as store:
        assert [result.count for result in store.capability("m").results] == [1]
