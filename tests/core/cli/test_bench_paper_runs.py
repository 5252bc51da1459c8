"""What `cit train --preset paper` makes is taken by every `--checkpoint`, and judged on what it has not learnt from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bench_tables import MODELS, core_table, few_baselines, log_table
from outcome_tables import write_table
from tiny_paper import save_parts

from cit_core.catalogue.default_zoo import DEFAULT_ZOO
from cit_core.evaluate.catalogue_settings import catalogue_setting
from cit_core.evaluate.predictions import NETWORK
from cit_core.outcomes import Split
from cit_core.paper.recipe import Recipe, Stage, write_recipe
from cit_core.paper.scorer import PaperScorer
from cit_core.records import Item, Outcome, Task
from cit_core.runtime import load_scorer
from cit_core.store import CapabilityStore

Cit = Callable[..., Any]
TABLE = core_table(core=200, others=200)
LOG = log_table("log", MODELS[:4])


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(LOG, write_table(TABLE, tmp_path_factory.mktemp("data")), LOG.name)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    lm, encoder = save_parts(tmp_path_factory.mktemp("models"))
    network = {"lm": lm, "encoder": encoder, "capability": "set", "order": "capability_last"}
    return Recipe(
        network={**network, "max_length": 16, "capability_length": 32},
        stages=(Stage(steps=4, learning_rate=1e-2, lm_learning_rate=1e-3),), objective="calibrated", batch=4,
        tasks=4, questions=4, candidates=4, evaluate_every=4, validation_items=6,
    )  # fmt: skip


def trained(cit: Cit, recipe: Recipe, out: Path, *outcomes: str) -> Path:
    write_recipe(recipe, out.with_suffix(".yaml"))
    done = cit("train", "--config", str(out.with_suffix(".yaml")), "--out", str(out), *outcomes)
    assert done.exit_code == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def run(data: Path, recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained on the table that the benchmark's models come from."""
    from typer.testing import CliRunner

    from cit_core.cli import app

    out = tmp_path_factory.mktemp("runs") / "mine"
    return trained(
        lambda *given: CliRunner().invoke(app, given, catch_exceptions=False), recipe, out, "--data", str(data)
    )


@pytest.fixture(autouse=True)
def _two_baselines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cit_core.evaluate.baselines.baselines", few_baselines)


def judged(cit: Cit, run: Path, *outcomes: str) -> dict[str, Any]:
    """The tables by their titles' beginnings."""
    done = cit("bench", "--checkpoint", str(run), "--only", "baselines", "--work", "kept", "--json", *outcomes)
    assert done.exit_code == 0, done.stderr
    (result,) = json.loads(done.stdout)
    assert result["facts"]["checkpoint"] == PaperScorer.from_run(run).name
    assert f"rows named `mini` show {result['facts']['checkpoint']}" in done.stderr
    return {table["title"].partition(":")[0].partition(" (")[0]: table for table in result["tables"]}


def test_a_run_is_judged_by_the_benchmarks_own_protocol(cit: Cit, data: Path, run: Path) -> None:
    tables = judged(cit, run, "--data", str(data))
    assert set(tables) >= {"Models that were in no training run", "Models with a log", "Held-out datasets"}
    (kept,) = Path("kept").glob(f"mmlu-pro-{NETWORK}-{'[0-9a-f]' * 12}.npy")
    setting = catalogue_setting(TABLE, np.zeros((len(TABLE.item_ids), 2), np.float32), Split())
    expected_NK = PaperScorer.from_run(run).score(setting.instructions, setting.capabilities)
    assert np.ptp(expected_NK) > 0.0
    np.testing.assert_allclose(np.load(kept), expected_NK, atol=1e-6)
    vectors = list(Path("kept").glob(f"vectors-mmlu-pro-*-{load_scorer('mini').encoder}.npy"))
    assert vectors, "baselines compare questions as they do beside `mini`"
    learnt = json.loads((run / "run.json").read_text())["models"]
    new = Split().models(TABLE.candidates)["test"]
    assert not {*learnt["train"], *learnt["validation"]}.intersection(new)


def test_a_run_that_has_learnt_from_everyone_is_refused(cit: Cit, data: Path, recipe: Recipe, tmp_path: Path) -> None:
    everyone = recipe.model_copy(update={"split": Split(test_models=0)})
    run = trained(cit, everyone, tmp_path / "all", "--data", str(data))
    done = cit("bench", "--data", str(data), "--checkpoint", str(run), "--work", "kept")
    assert done.exit_code == 2
    assert f"has learnt from {', '.join(sorted(Split().models(TABLE.candidates)['test']))}, which" in done.stderr
    assert not Path("kept").exists()


def test_a_run_on_a_store_is_judged_on_the_stores_held_out_questions(
    cit: Cit, recipe: Recipe, sqlite_url: str, tmp_path: Path
) -> None:
    with CapabilityStore(sqlite_url) as store:
        store.add_candidates([*(candidate.candidate for candidate in _profiles())])
        store.add_tasks([Task(id=task, keywords=(task,)) for task in sorted({*LOG.tasks})])
        rows = zip(LOG.item_ids, LOG.tasks, LOG.instructions, strict=True)
        store.add_items([Item(id=id_, task=task, instruction=text) for id_, task, text in rows])
        store.add_outcomes(
            Outcome(candidate=model, item=id_, correct=correct, source="log")
            for id_, marks in zip(LOG.item_ids, LOG.correct_IK, strict=True)
            for model, correct in zip(LOG.candidates, marks, strict=True)
        )
    own = recipe.model_copy(update={"split": Split(test_models=0, validation_models=0)})
    run = trained(cit, own, tmp_path / "own", "--store", sqlite_url)
    tables = judged(cit, run, "--store", sqlite_url)
    assert "Models with a log" in tables
    assert "Held-out datasets" not in tables, "the network has seen questions of every task"
    routed = cit("route", "law 7", "--checkpoint", str(run), "--store", sqlite_url, "--json", open_router=None)
    assert routed.exit_code == 0, routed.stderr
    assert set(json.loads(routed.stdout)["scores"]) == set(LOG.candidates)
    fitted = cit("calibrate", "--evidence", "--store", sqlite_url, "--checkpoint", str(run), "--questions", "60")
    assert fitted.exit_code == 0, fitted.stderr


def test_a_run_routes_and_is_checked(cit: Cit, run: Path) -> None:
    name = PaperScorer.from_run(run).name
    said = json.loads(cit("doctor", "--checkpoint", str(run), "--json").stdout)
    found = {check["what"]: check for check in said}
    assert found["checkpoint"]["found"] == f"{name}, a run of `cit train --preset paper`"
    assert " ms among 22 models" in found["decision"]["found"]
    done = cit("demo", "--checkpoint", str(run), "--json")
    assert done.exit_code == 0, done.stderr
    assert len(json.loads(done.stdout)[0]["scores"]) == len(DEFAULT_ZOO)
    assert name != load_scorer("mini").name


def _profiles() -> list[Any]:
    from cit_core.catalogue import catalogue_profiles

    return catalogue_profiles(LOG.candidates)
