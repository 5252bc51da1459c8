"""The benchmark as a whole, on small tables and a network that costs nothing: what runs, is kept, and is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_tables import MODELS, StubBaseline, StubNetwork, core_table, few_baselines, log_table

from cit_core.catalogue import core_suite
from cit_core.errors import InvalidInput
from cit_core.evaluate import EXPERIMENTS, Bench, Result
from cit_core.evaluate.comparison import SINGLE_BEST
from cit_core.evaluate.experiments import OF_THE_CATALOGUE
from cit_core.evaluate.predictions import EVIDENCE, NETWORK
from cit_core.evaluate.results import ORDER, read_results, write_result
from cit_core.outcomes import OutcomeMatrix, Split
from cit_core.records import Candidate, Capability, Usage

CATALOGUE = core_table(core=150, others=150)
LOG = log_table(models=(*MODELS[:3], "stranger"), items=120)


def bench(
    catalogue: OutcomeMatrix | None = CATALOGUE, logs: Sequence[OutcomeMatrix] = (LOG,), **given: Any
) -> tuple[Bench, StubNetwork]:
    network = given.pop("network", None) or StubNetwork()
    chosen = given.pop("chosen", None) or few_baselines()
    return Bench(catalogue, logs, network, "cit bench", chosen=chosen, quick=True, **given), network


@pytest.fixture(scope="module")
def results() -> dict[str, Result]:
    return {result.experiment: result for result in bench()[0].run()}


def test_everything_runs_in_the_order_of_the_page(results: dict[str, Result]) -> None:
    assert list(results) == [name for name in EXPERIMENTS if name not in ("few", "current", "newer", "pictures")], (
        "none of their tables is here"
    )
    assert list(results) == [name for name in ORDER if name in results]
    for name, result in results.items():
        assert (result.title, result.question) == (EXPERIMENTS[name].title, EXPERIMENTS[name].question)
        assert result.tables
        assert all(table.rows for table in result.tables)


def test_results_survive_their_files(results: dict[str, Result], tmp_path: Path) -> None:
    for result in results.values():
        write_result(result, tmp_path)
    assert read_results(tmp_path) == list(results.values())


def test_a_result_says_what_it_stands_on(results: dict[str, Result]) -> None:
    new = Split().models(CATALOGUE.candidates)["test"]
    for name, result in results.items():
        log = {} if name == "halves" else {"log": LOG.digest()}
        assert result.facts.data == {"mmlu-pro": CATALOGUE.digest(), **log}
        assert result.facts.checkpoint == "stub@1"
        assert result.facts.command == "cit bench"
        assert result.facts.seed == Split().seed
        assert result.facts.split is not None
        assert result.facts.split["test_items"] == Split().test_items
        assert result.held_out == f"Questions by a seeded hash of their ids; as new models {', '.join(new)}."


def test_baselines_are_compared_in_every_setting(results: dict[str, Result]) -> None:
    titles = [
        table.title.rpartition(" (")[0].rpartition(" (")[0] or table.title for table in results["baselines"].tables
    ]
    begins = [
        "Models that were in no training run",
        "Models of the training run",
        "All models",
        "Held-out datasets: from mmlu-pro to log",
        "Models that were in no training run on categories that are held out",
        "Models with a log: log",
        "Held-out datasets: log",
    ]
    assert len(titles) == len(begins)
    assert all(title.startswith(begin) for title, begin in zip(titles, begins, strict=True))
    zoos = [table.note for table in results["zoos"].tables]
    assert len(zoos) == 6, "accuracy and two gains, on all items and on categories that are held out"


def test_of_a_log_that_the_network_has_learnt_from_questions_alone_are_held_out() -> None:
    (whole,) = bench()[0].run(["baselines"])
    (result,) = bench(learnt=("log",))[0].run(["baselines"])
    kept = [table for table in whole.tables if not table.title.startswith("Held-out datasets")]
    assert len(kept) == len(whole.tables) - 2
    assert [table.title for table in result.tables] == [table.title for table in kept]
    assert [table.rows for table in result.tables] == [table.rows for table in kept]
    said = [next(table.note for table in of.tables if "with a log" in table.title) for of in (whole, result)]
    assert "the network knows none of it" in said[0]
    assert "the network has learnt from it too" in said[1]


def test_a_table_that_the_network_has_learnt_from_is_no_new_one() -> None:
    tables = [log_table(name) for name in ("zeroeval", "korbench")]
    known, _ = bench(more=tables, learnt=("zeroeval",))
    assert [table.name for table in known._unseen(("zeroeval", "korbench"))] == ["korbench"]
    everything, _ = bench(more=tables, learnt=("zeroeval", "korbench"))
    assert "current" not in everything._possible
    with pytest.raises(
        InvalidInput, match="'current' needs a table that stub@1 has not learnt from: `--unseen FOLDER`"
    ):
        list(everything.run(["current"]))


def test_a_handful_of_questions_routes_a_log_that_is_asked_for() -> None:
    (result,) = bench(logs=(log_table(items=240),))[0].run(["few"])
    (table,), (figure,) = result.tables, result.figures
    assert table.title.startswith("log: 4 models, ")
    assert [column.name for column in table.columns[1:]] == ["8 known", "32 known"]
    assert {"best by the mean", "k nearest neighbours", "ridge", "multidimensional IRT", "evidence"} <= {
        row[0] for row in table.rows
    }
    assert result.facts.data.keys() == {"log"}
    assert {series.name for series in figure.series} == {row[0] for row in table.rows}


def test_halves_say_what_the_content_blind_control_is_worth(results: dict[str, Result]) -> None:
    whole, others = results["halves"].tables
    assert [row[0] for row in whole.rows] == ["mmlu-pro", "mean"]
    headings = [column.name for column in whole.columns]
    level, blind, ours = (headings.index(name) for name in ("level, %", "content-blind, %", "evidence, %"))
    assert all(0.0 < whole.rows[0][at] < 100.0 for at in (level, blind, ours))
    assert whole.rows[1][ours] == whole.rows[0][ours], "the mean of one table"
    assert {"best by the mean", "content-blind", "ridge"} <= {row[0] for row in others.rows}


def test_onboarding_asks_little_and_much_and_is_the_same_where_both_are_all(results: dict[str, Result]) -> None:
    questions, answers = results["onboarding"].tables
    others = len(CATALOGUE.item_ids) - len(Split().items(CATALOGUE.item_ids)["test"])
    others -= len({*core_suite().item_ids} & {*CATALOGUE.item_ids})
    routers = list(dict.fromkeys(row[1] for row in questions.rows))
    assert set(routers) >= {SINGLE_BEST, NETWORK, EVIDENCE}
    assert [row[:2] for row in questions.rows] == [(number, router) for number in (50, 1000) for router in routers]
    assert [row[:2] for row in answers.rows] == [(number, router) for number in (0, others) for router in routers]
    little, much = questions.rows[: len(routers)], questions.rows[len(routers) :]
    assert [row[1:] for row in much] == [row[1:] for row in answers.rows[: len(routers)]]
    assert [row[2] for row in little] != [row[2] for row in much]


def test_a_seed_gives_the_same_numbers_again(results: dict[str, Result]) -> None:
    timed = {"overhead"}
    again = bench()[0].run([name for name in results if name not in timed])
    for result in again:
        assert result.tables == results[result.experiment].tables
        assert result.figures == results[result.experiment].figures


def test_other_seeds_hold_out_others() -> None:
    found = [next(iter(bench(split=Split(seed=seed))[0].run(["coverage"]))) for seed in ("one", "two")]
    assert found[0].tables != found[1].tables
    assert found[0].held_out != found[1].held_out
    assert [result.facts.seed for result in found] == ["one", "two"]


# ---- what is kept


def test_a_run_goes_on_where_another_one_stopped(tmp_path: Path, results: dict[str, Result]) -> None:
    class Tired(StubBaseline):
        def fit(self, *given: Any) -> Any:
            raise KeyboardInterrupt

    aptitude = few_baselines()[0]
    stopped, network = bench(folder=tmp_path, chosen=[aptitude, Tired()])
    with pytest.raises(KeyboardInterrupt):
        list(stopped.run(["zoos"]))
    assert sorted({*network.encoded}) == sorted({*CATALOGUE.instructions, *LOG.instructions})
    again, network = bench(folder=tmp_path)
    (result,) = again.run(["zoos"])
    assert not network.encoded, "every vector was kept"
    assert network.scored
    assert result.tables == results["zoos"].tables
    third, network = bench(folder=tmp_path)
    (result,) = third.run(["zoos"])
    assert not network.scored, "every score was kept"
    assert result.tables == results["zoos"].tables
    assert not list(tmp_path.glob("*.part"))


def test_without_a_folder_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    list(bench()[0].run(["coverage", "releases"]))
    assert not list(tmp_path.iterdir())


def test_vectors_of_another_encoder_or_other_outcomes_are_not_read(tmp_path: Path) -> None:
    list(bench(logs=(), folder=tmp_path)[0].run(["coverage"]))
    for change in (
        {"network": StubNetwork(encoder="another")},
        {"catalogue": core_table(core=150, others=150, seed=1)},
    ):
        changed, network = bench(logs=(), folder=tmp_path, **change)
        list(changed.run(["coverage"]))
        assert len(network.encoded) == 300


def test_vectors_of_other_texts_are_not_read(tmp_path: Path) -> None:
    list(bench(logs=(), folder=tmp_path)[0].run(["coverage"]))
    corrected = replace(CATALOGUE, instructions=tuple(f"Corrected: {text}" for text in CATALOGUE.instructions))
    again, network = bench(corrected, logs=(), folder=tmp_path)
    list(again.run(["coverage"]))
    assert len(network.encoded) == 300


def test_a_baseline_is_fitted_once_for_all_zoos_of_what_is_known() -> None:
    baseline = StubBaseline()
    aptitude = few_baselines()[0]
    run, _ = bench(logs=(), chosen=[aptitude, baseline])
    list(run.run(["zoos", "baselines", "releases"]))
    assert len(baseline.fits) == 2, "with every category, and without those that are hidden"


def test_it_says_what_it_is_doing() -> None:
    told: list[str] = []
    list(bench(logs=(), tell=told.append)[0].run(["coverage", "releases"]))
    assert told[0] == "coverage"
    assert "mmlu-pro: 64 of 300 questions encoded" in told
    assert "mmlu-pro: 300 of 300 questions encoded" in told
    assert f"mmlu-pro: {NETWORK}" in told
    assert told.index("releases") < told.index(f"mmlu-pro: {NETWORK}")


# ---- what these tables allow


def test_logs_alone_allow_what_needs_no_catalogue() -> None:
    run, _ = bench(None)
    assert [result.experiment for result in run.run()] == ["baselines", "overhead", "paper", "robustness"]


def test_prices_that_are_told_of_a_log_allow_cost() -> None:
    told = {
        model: Capability(candidate=Candidate(id=model, price_in=1.0, price_out=place + 1.0), usage=Usage())
        for place, model in enumerate(LOG.candidates)
    }
    run, _ = bench(None, told=told)
    assert [result.experiment for result in run.run()] == ["baselines", "cost", "overhead", "paper", "robustness"]
    del told[LOG.candidates[0]]
    with pytest.raises(InvalidInput, match="cost needs prices, costs or sizes"):
        list(bench(None, told=told)[0].run(["cost"]))


@pytest.mark.parametrize("name", OF_THE_CATALOGUE)
def test_what_needs_the_catalogue_is_refused_without_it(name: str) -> None:
    with pytest.raises(InvalidInput, match=f"'{name}' needs outcomes of the catalogue's models: `--data FOLDER`"):
        list(bench(None)[0].run(["baselines", name]))


def test_a_name_that_is_no_experiment_is_refused_before_anything_runs() -> None:
    run, network = bench()
    with pytest.raises(
        InvalidInput, match="no experiment 'speed'; there are baselines, halves, few, zoos, releases, coverage,"
    ):
        list(run.run(["coverage", "speed"]))
    assert not network.encoded


@pytest.mark.parametrize("names", [[], ["baselines"], ["cost"], ["robustness"]])
def test_no_outcomes_at_all_are_refused(names: list[str]) -> None:
    with pytest.raises(InvalidInput, match="there are no outcomes to compare routers on: `--data FOLDER` or `--store"):
        list(bench(None, logs=())[0].run(names))


def test_a_log_of_one_task_has_no_task_to_hold_out() -> None:
    run, _ = bench(None, (log_table(items=120, tasks=1),))
    (result,) = run.run(["baselines"])
    assert [table.title.partition(" (")[0] for table in result.tables] == ["Models with a log: log"]


def test_a_log_with_gaps_is_compared_on_what_everyone_was_measured_on() -> None:
    gaps = log_table(items=200)
    gaps.correct_IK[100:, 0] = np.nan
    run, _ = bench(None, (gaps,))
    whole = run._of_logs[0].setting
    assert set(whole.candidates) == {"b", "c", "d"}, "600 outcomes of three are more than 400 of four"
    np.testing.assert_array_equal(whole.known.vectors_ID, StubNetwork().encode(whole.known_instructions))
