"""`cit bench` prints, writes and draws what the experiments find, on files and on a store, and says what it lacks.

The network is a stub but in the last run, which is of the one that ships.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_tables import MODELS, StubNetwork, core_table, few_baselines, log_table
from outcome_tables import write_table

from cit_core.evaluate import EXPERIMENTS, Bench
from cit_core.evaluate.baselines import baselines, quick_baselines, relatives
from cit_core.evaluate.predictions import with_evidence
from cit_core.evaluate.results import read_result
from cit_core.evaluate.samples import QUICK, thin
from cit_core.outcomes import Split, read_outcomes
from cit_core.records import Candidate, Item, Outcome, Task
from cit_core.router import Router
from cit_core.runtime import load_scorer
from cit_core.store import CapabilityStore

Cit = Callable[..., Any]
TABLE = core_table(core=300, others=600)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(TABLE, tmp_path_factory.mktemp("data"))


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> StubNetwork:
    """Takes the place of every checkpoint; baselines are two."""
    stub = StubNetwork()
    monkeypatch.setattr("cit_core.runtime.load_scorer", lambda _checkpoint: stub)
    monkeypatch.setattr("cit_core.evaluate.baselines.quick_baselines", few_baselines)
    monkeypatch.setattr("cit_core.evaluate.baselines.baselines", few_baselines)
    return stub


@pytest.fixture
def results(cit: Cit, data: Path, network: StubNetwork, tmp_path: Path) -> Path:
    """Of two experiments, without figures of anything else."""
    done = cit("bench", "--data", str(data), "--quick", "--only", "coverage", "--only", "releases", "--output", "found")
    assert done.exit_code == 0, done.stderr
    return tmp_path / "found"


# ---- what it prints and writes


def test_it_prints_what_was_asked_and_what_was_held_out(cit: Cit, data: Path, network: StubNetwork) -> None:
    done = cit("bench", "--data", str(data), "--quick", "--only", "coverage")
    assert done.exit_code == 0, done.stderr
    for part in (
        f"{EXPERIMENTS['coverage'].title}. {EXPERIMENTS['coverage'].question}",
        "Held out: Questions by a seeded hash of their ids; as new models ",
        "Small models (under 10B) against",
        "of what the best answers, %",
        "stub@1",
    ):
        assert part in done.stdout
    assert EXPERIMENTS["releases"].title not in done.stdout
    assert not list(Path().glob("**/*.json")), "nothing is written unasked"


def test_json_is_a_list_of_results_and_nothing_else(
    cit: Cit, data: Path, network: StubNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["bench", "--data", str(data), "--quick", "--only", "releases", "--only", "coverage", "--json"]
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/cit", *arguments, "--work", "with space"])
    done = cit(*arguments)
    found = json.loads(done.stdout)
    assert [record["experiment"] for record in found] == ["releases", "coverage"], "in the order that was asked for"
    told = found[0]["facts"]
    assert (
        told["command"] == f"cit bench --data {data} --quick --only releases --only coverage --json --work 'with space'"
    )
    assert told["data"] == {"mmlu-pro": thin(read_outcomes(data, "mmlu-pro"), Split()).digest()}
    assert (told["checkpoint"], told["seed"]) == ("stub@1", Split().seed)


def test_results_are_files_as_soon_as_they_are_there(
    cit: Cit, data: Path, network: StubNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("cit_core.evaluate.bench.releases", interrupted)
    try:
        done = cit(
            "bench",
            "--data",
            str(data),
            "--quick",
            "--only",
            "coverage",
            "--only",
            "releases",
            "--output",
            "a/b",
            "--json",
        )
        assert done.exit_code != 0
    except KeyboardInterrupt:
        pass
    assert [path.name for path in Path("a/b").iterdir()] == ["coverage.json"]
    assert read_result(Path("a/b/coverage.json")).experiment == "coverage"


def test_the_same_is_printed_and_written(cit: Cit, data: Path, network: StubNetwork) -> None:
    done = cit("bench", "--data", str(data), "--quick", "--only", "coverage", "--output", "found", "--json")
    assert json.loads(done.stdout) == [json.loads(Path("found/coverage.json").read_text())]


# ---- pages


def test_pages_show_the_results_of_the_folder(cit: Cit, results: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in results.iterdir()}
    done = cit("bench", "--output", str(results), "--docs", "docs", "--html", "out/page.html")
    assert done.exit_code == 0, done.stderr
    page = (tmp_path / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    drawn = {path.name for path in (tmp_path / "docs" / "figures").iterdir()}
    assert drawn == {"coverage.svg", "releases.svg"}
    assert set(re.findall(r"figures/([\w-]+\.svg)", page)) == drawn
    html = (tmp_path / "out" / "page.html").read_text(encoding="utf-8")
    for name in ("coverage", "releases"):
        assert EXPERIMENTS[name].title in page
        assert EXPERIMENTS[name].title in html
    assert page.index(EXPERIMENTS["releases"].title) < page.index(EXPERIMENTS["coverage"].title), "the page's order"
    assert {path.name: path.read_bytes() for path in results.iterdir()} == before


def test_pages_from_results_alone_run_nothing(cit: Cit, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bench, "run", None)
    monkeypatch.setattr("cit_core.runtime.load_scorer", None)
    done = cit("bench", "--output", str(results), "--html", "page.html", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout) == []
    assert Path("page.html").exists()


def test_new_results_join_those_that_are_there(cit: Cit, data: Path, results: Path) -> None:
    kept = (results / "releases.json").read_bytes()
    arguments = ["--only", "coverage", "--output", str(results), "--docs", "docs"]
    done = cit("bench", "--data", str(data), *arguments)
    assert done.exit_code == 0, done.stderr
    assert (results / "releases.json").read_bytes() == kept
    page = Path("docs/benchmarks.md").read_text(encoding="utf-8")
    assert all(EXPERIMENTS[name].title in page for name in ("coverage", "releases"))
    assert read_result(results / "coverage.json").facts.data["mmlu-pro"] == TABLE.digest(), (
        "the newer one, of all items"
    )


def test_a_page_without_a_folder_shows_this_run(cit: Cit, data: Path, network: StubNetwork) -> None:
    done = cit("bench", "--data", str(data), "--quick", "--only", "coverage", "--html", "page.html")
    assert done.exit_code == 0, done.stderr
    assert EXPERIMENTS["coverage"].title in Path("page.html").read_text(encoding="utf-8")


# ---- what it is run on


def test_tables_beside_mmlu_pro_are_logs(cit: Cit, tmp_path: Path, network: StubNetwork, opened: list[Bench]) -> None:
    write_table(TABLE, tmp_path)
    for name in ("zz", "gsm"):
        write_table(log_table(name), tmp_path, name)
    assert cit("bench", "--data", str(tmp_path), "--checkpoint", "mine").exit_code == 0
    (bench,) = opened
    assert bench.catalogue is not None
    assert bench.catalogue.digest() == TABLE.digest()
    assert [log.name for log in bench.logs] == ["gsm", "zz"]
    assert bench.logs[0].digest() == log_table("gsm").digest()
    assert (bench.quick, bench.folder, bench.told, bench.split) == (False, None, {}, Split())
    assert bench.scorer is network


def test_quick_is_on_fewer_questions_and_with_fewer_choices(cit: Cit, tmp_path: Path, opened: list[Bench]) -> None:
    write_table(TABLE, tmp_path)
    write_table(log_table("gsm", items=400), tmp_path, "gsm")
    for arguments in ([], ["--quick", "--work", "kept"]):
        assert cit("bench", "--data", str(tmp_path), *arguments).exit_code == 0
    full, quick = opened
    assert quick.quick
    assert quick.folder == Path("kept")
    assert quick.catalogue is not None
    assert quick.catalogue.digest() == thin(TABLE, Split(), QUICK).digest()
    assert 20 < len(quick.logs[0].item_ids) < 80
    assert [vars(one) for one in full.chosen or ()] == [vars(one) for one in baselines()]
    assert [vars(one) for one in quick.chosen or ()] == [vars(one) for one in quick_baselines()]


def test_relatives_join_the_baselines_where_they_are_asked_for(cit: Cit, data: Path, opened: list[Bench]) -> None:
    assert cit("bench", "--data", str(data), "--relatives").exit_code == 0
    names = [one.name for one in opened[0].chosen or ()]
    assert names == [one.name for one in (*baselines(), *relatives())]


def test_each_checkpoint_is_the_one_that_was_asked_for(cit: Cit, data: Path, opened: list[Bench]) -> None:
    cit("bench", "--data", str(data))
    assert opened[0].scorer.name == load_scorer("mini").name


def test_work_that_was_done_is_not_done_again(cit: Cit, data: Path, network: StubNetwork) -> None:
    arguments = ["bench", "--data", str(data), "--quick", "--only", "releases", "--work", "kept", "--json"]
    first = json.loads(cit(*arguments).stdout)
    kept = {path.name: path.stat().st_mtime_ns for path in Path("kept").iterdir()}
    assert network.encoded
    network.encoded.clear()
    network.scored.clear()
    again = json.loads(cit(*arguments).stdout)
    assert not network.encoded
    assert not network.scored
    assert {path.name: path.stat().st_mtime_ns for path in Path("kept").iterdir()} == kept
    assert [record["tables"] for record in again] == [record["tables"] for record in first]


# ---- a store


@pytest.fixture
def filled(sqlite_url: str) -> str:
    """A log of four models with prices, and a rumour that does not count."""
    log = log_table(items=160)
    with CapabilityStore(sqlite_url) as store:
        store.add_candidates(
            [Candidate(id=id_, price_in=place + 1.0, price_out=2.0) for place, id_ in enumerate(log.candidates)]
        )
        store.add_tasks([Task(id=task, keywords=(task,)) for task in sorted(set(log.tasks))])
        texts = zip(log.item_ids, log.tasks, log.instructions, strict=True)
        store.add_items([Item(id=id_, task=task, instruction=text) for id_, task, text in texts])
        store.add_outcomes(
            Outcome(candidate=model, item=id_, correct=correct, source="log")
            for id_, row in zip(log.item_ids, log.correct_IK, strict=True)
            for model, correct in zip(log.candidates, row, strict=True)
        )
        store.add_outcomes([Outcome(candidate="a", item=log.item_ids[0], correct=0.5, source="rumour")])
        store.hold("rumour")
    return sqlite_url


def test_a_store_is_a_log_with_prices(cit: Cit, filled: str, opened: list[Bench], network: StubNetwork) -> None:
    assert cit("bench", "--store", filled).exit_code == 0
    (bench,) = opened
    (log,) = bench.logs
    expected = log_table(items=160)
    assert bench.catalogue is None
    assert (log.name, log.candidates, set(log.item_ids)) == ("store", expected.candidates, set(expected.item_ids))
    rows = [expected.item_ids.index(id_) for id_ in log.item_ids]
    assert log.correct_IK.tolist() == expected.correct_IK[rows].tolist()
    assert {id_: told.candidate.price_in for id_, told in bench.told.items()} == {
        "a": 1.0,
        "b": 2.0,
        "c": 3.0,
        "d": 4.0,
    }


def test_a_store_is_judged_by_the_router_that_it_gives(
    cit: Cit, filled: str, opened: list[Bench], network: StubNetwork, tmp_path: Path
) -> None:
    """The same store without the held-out questions: `Router.from_store` takes the decisions that the bench counts."""
    assert cit("bench", "--store", filled).exit_code == 0
    for compared in opened[0]._of_logs:
        setting = compared.setting
        assert setting.log is not None
        scores = with_evidence(setting, network).score(setting.instructions, setting.capabilities)
        without = f"sqlite:///{tmp_path}/without-{setting.name}.db"
        known = set(setting.known_instructions)
        with CapabilityStore(filled) as whole, CapabilityStore(without) as store:
            items = [item for item in whole.items() if item.instruction in known]
            store.add_candidates(whole.candidates())
            store.add_tasks(whole.tasks())
            store.add_items([Item(id=i.id, task=i.task, instruction=i.instruction) for i in items])
            ids = {item.id for item in items}
            store.add_outcomes(o for o in whole.outcomes() if o.item in ids and o.source == "log")
            router = Router.from_store(store, scorer=network)
            chosen = [decision.model for decision in router.route_many(list(setting.instructions))]
        assert [setting.candidates[best] for best in scores.argmax(axis=1)] == chosen


def test_a_store_runs_all_that_it_allows(cit: Cit, filled: str, network: StubNetwork) -> None:
    done = cit("bench", "--store", filled, "--json")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert [record["experiment"] for record in found] == ["baselines", "cost", "overhead", "paper", "robustness"]
    assert list(found[0]["facts"]["data"]) == ["store"]


def test_a_store_stands_beside_the_files(
    cit: Cit, data: Path, filled: str, opened: list[Bench], network: StubNetwork
) -> None:
    assert cit("bench", "--data", str(data), "--store", filled).exit_code == 0
    assert opened[0].catalogue is not None
    assert [log.name for log in opened[0].logs] == ["store"]


# ---- what it refuses


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give outcomes, as --data FOLDER or --store URL"),
        (["--output", "found"], "--output FOLDER with --docs FOLDER or --html FILE"),
        (["--docs", "docs"], "give outcomes"),
        (["--data", "data", "--docs", "docs"], "--docs needs --output FOLDER"),
        (["--output", "empty", "--html", "page.html"], "no result in 'empty'; `cit bench` makes them"),
        (["--data", "data"], "needs items-mmlu-pro.parquet (item_id, task, category, instruction)"),
    ],
)
def test_what_cannot_be_done_is_refused_and_leaves_nothing(cit: Cit, arguments: list[str], message: str) -> None:
    done = cit("bench", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert not list(Path().iterdir())


def test_an_experiment_that_there_is_not_is_refused_before_anything_runs(
    cit: Cit, data: Path, network: StubNetwork
) -> None:
    done = cit("bench", "--data", str(data), "--only", "coverage", "--only", "speed", "--output", "found")
    assert done.exit_code == 2
    assert (
        "no experiment 'speed'; there are baselines, halves, few, zoos, releases, coverage, current, newer, cost, "
        "onboarding," in done.stderr
    )
    assert not network.encoded
    assert not Path("found").exists()


def test_what_the_store_does_not_allow_is_refused(cit: Cit, filled: str, network: StubNetwork) -> None:
    done = cit("bench", "--store", filled, "--only", "zoos")
    assert done.exit_code == 2
    assert "'zoos' needs outcomes of the catalogue's models: `--data FOLDER`" in done.stderr


def test_a_store_that_is_not_there_is_not_made(cit: Cit, network: StubNetwork, tmp_path: Path) -> None:
    done = cit("bench", "--store", f"sqlite:///{tmp_path}/slip.db")
    assert done.exit_code == 1
    assert "no store at" in done.stderr
    assert not (tmp_path / "slip.db").exists()


def test_a_store_without_outcomes_is_refused(cit: Cit, network: StubNetwork, sqlite_url: str) -> None:
    CapabilityStore(sqlite_url).close()
    done = cit("bench", "--store", sqlite_url)
    assert done.exit_code == 2
    assert "holds no outcome of a question with a known text; `cit import` adds some" in done.stderr


def test_a_checkpoint_that_is_not_there_is_refused(cit: Cit, data: Path) -> None:
    done = cit("bench", "--data", str(data), "--checkpoint", "maxi")
    assert done.exit_code == 1
    assert "'maxi' is not a checkpoint" in done.stderr


# ---- the network that ships


def test_a_quick_run_of_everything(cit: Cit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cit_core.evaluate.experiments.overhead.SIZES", (2, 8))  # 128 candidates take their time
    monkeypatch.setattr("cit_core.evaluate.experiments.overhead.LENGTHS", (16, 64))
    write_table(core_table(core=100, others=300), tmp_path / "data")
    write_table(log_table("math_l5", MODELS[:4], items=200), tmp_path / "data", "math_l5")
    done = cit(
        *("bench", "--data", "data", "--quick", "--work", "kept"),
        *("--output", "found", "--docs", "docs", "--html", "page.html"),
    )
    assert done.exit_code == 0, done.stderr
    assert {path.stem for path in Path("found").iterdir()} == set(EXPERIMENTS) - {
        "few",
        "current",
        "newer",
        "pictures",
    }, "none of their tables is here"
    name = load_scorer("mini").name
    assert all(read_result(path).facts.checkpoint == name for path in Path("found").iterdir())
    for part in ("random forest", "matrix factorisation", "mini + evidence", "oracle", "reliability-math-l5"):
        assert part in done.stdout + Path("docs/benchmarks.md").read_text(encoding="utf-8")
    assert Path("page.html").stat().st_size > 10_000


def test_table_one_from_logs_of_the_harness(cit: Cit, tmp_path: Path) -> None:
    """Seven tasks, five sizes of models, as `lm_eval --log_samples` lays them out; and table 2's learners."""
    from tiny_paper import save_parts

    draw = np.random.default_rng(0)
    tasks = ("mmlu_law", "winogrande", "arc_challenge", "truthfulqa_mc2", "boolq", "mrpc", "mnli")
    for model, skill in (("tiny-1b", 0.3), ("small-7b", 0.5), ("other-8b", 0.6), ("mid-14b", 0.6), ("big-70b", 0.8)):
        (tmp_path / "logs" / f"org__{model}").mkdir(parents=True)
        for task in tasks:
            lines = [
                {
                    "doc_id": number, "doc": {"question": f"Why is {task} number {number} so?"}, "target": "0",
                    "arguments": [[f"Why is {task} number {number} so?", " yes"]], "filtered_resps": [[-1.0, True]],
                    "doc_hash": f"{task}{number}", "acc": float(draw.random() < skill),
                }
                for number in range(100)
            ]  # fmt: skip
            name = f"samples_{task}_2024-06-16T18-51-46.123456.jsonl"
            text = "".join(json.dumps(line) + "\n" for line in lines)
            (tmp_path / "logs" / f"org__{model}" / name).write_text(text, encoding="utf-8")
    files = sorted(str(path) for path in (tmp_path / "logs").rglob("*.jsonl"))
    imported = cit("import", "lm-eval", *files, "--store", "sqlite:///mine.db")
    assert imported.exit_code == 0, imported.stderr
    encoder = save_parts(tmp_path / "models")[1]
    done = cit("bench", "--store", "sqlite:///mine.db", "--paper", "--encoder", encoder, "--quick", "--json")
    assert done.exit_code == 0, done.stderr
    (result,) = json.loads(done.stdout)
    assert result["experiment"] == "paper"
    everyone = result["tables"][-1]
    heads = [column["name"] for column in everyone["columns"]]
    assert heads[1:8] == ["MMLU", "WinoGrande", "ARC-C", "TruthfulQA", "BoolQ", "MRPC", "MNLI"]
    rows = {row[0]: row for row in everyone["rows"]}
    assert {"psi + k nearest neighbours", "psi + MLP", "psi + random forest", "text only", "mini + evidence"} <= set(
        rows
    )
    assert len(result["tables"]) > 2, "zoos by size"
    assert rows["oracle"][8] != rows["random"][8]
