"""`cit train` makes a checkpoint that routes, and says what is wrong with what it is given.

The training run is a real one on two layers of the real trunk, of two steps on short made-up questions.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from outcome_tables import made_up_table, write_table
from typer.testing import CliRunner

from cit_core.catalogue import catalogue_candidates, catalogue_capabilities
from cit_core.catalogue.default_zoo import DEFAULT_ZOO
from cit_core.cli import _train_mini, app
from cit_core.mini import weights
from cit_core.mini.config import ModelConfig
from cit_core.mini.trainer import TrainConfig
from cit_core.mini.weights import load_trunk
from cit_core.outcomes import OutcomeMatrix, Split
from cit_core.runtime import load_scorer
from cit_core.runtime.checkpoint import FILES

Cit = Callable[..., Any]
MODELS = [candidate.id for candidate in catalogue_candidates()]


def for_training() -> OutcomeMatrix:
    """50 tasks with 20 telling items each is what the core set needs; a few validation items are enough."""
    table = made_up_table(MODELS, tasks=52, items_of_task=36)
    parts = Split().items(table.item_ids)
    return table.rows(np.sort(np.concatenate([parts["train"], parts["validation"][:20]])))


@pytest.fixture(scope="module", autouse=True)
def _two_layers() -> Iterator[None]:
    """Cut the trunk: its six layers cost three times as much, above all to export."""

    def load_two(trunk: str) -> tuple[Any, Any]:
        bert, tokenizer = load_trunk(trunk)
        del bert.encoder.layer[2:]
        bert.config.num_hidden_layers = 2
        return bert, tokenizer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "load_trunk", load_two)
        patch.setattr(_train_mini, "TrainConfig", partial(TrainConfig, network=ModelConfig(join_layer=1)))
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The core set's table, another whose models the catalogue knows, and one whose models nobody knows."""
    folder = write_table(for_training(), tmp_path_factory.mktemp("data"))
    others = made_up_table(MODELS[:4], tasks=1, items_of_task=40, seed=1)
    write_table(replace(others, questions=tuple(map(str, range(40)))), folder, "others")
    write_table(made_up_table(["a", "b", "c"], tasks=1, items_of_task=40), folder / "more", "strangers")
    return folder


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The folder of a run, and what `cit train --json` said."""
    out = tmp_path_factory.mktemp("runs") / "mine"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # short texts: a second thread would only wait
    arguments = ["train", "--data", str(data), "--out", str(out), "--steps", "2", "--without", "others", "--json"]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    torch.set_num_threads(threads)
    return out, done


def test_a_trained_checkpoint_routes(trained: tuple[Path, Any]) -> None:
    out, said = trained
    assert said.exit_code == 0, said.stderr
    network = {"metrics.jsonl", "model.json", "model.safetensors"}
    assert {path.name for path in out.iterdir()} == {*network, "checkpoint", "run.json", "alone", "without-others"}
    assert {path.name for path in (out / "without-others").iterdir()} == {*network, "checkpoint"}
    assert {path.name for path in (out / "checkpoint").iterdir()} == {"config.json", "agreement.json", *FILES}
    assert [json.loads(line)["step"] for line in (out / "alone" / "metrics.jsonl").read_text().splitlines()] == [2]
    answer = json.loads(said.stdout)
    assert answer == {
        "checkpoint": str(out / "checkpoint"),
        **json.loads((out / "checkpoint" / "agreement.json").read_text()),
    }
    assert (answer["queries"], answer["candidates"]) == (20, 22)
    assert answer["exact"] < 1e-4
    assert answer["quantised"] < 0.2
    assert answer["decisions"] > 0.8
    assert answer["pairs"] > 0.9
    found = CliRunner().invoke(app, ["route", "Solve this.", "--checkpoint", str(out / "checkpoint"), "--json"])
    assert json.loads(found.stdout)["model"] in DEFAULT_ZOO, found.stderr


def test_a_network_of_two_steps_answers_much_as_the_candidates_level_alone(trained: tuple[Path, Any]) -> None:
    zoo = catalogue_capabilities()
    scores = load_scorer(trained[0] / "checkpoint").score(["What is 2 + 2?"], zoo)[0]
    assert np.corrcoef(scores, [capability.mean_accuracy for capability in zoo])[0, 1] > 0.95


def test_a_checkpoint_says_which_tables_it_has_learnt_from(trained: tuple[Path, Any]) -> None:
    whole, without = (load_scorer(folder / "checkpoint") for folder in (trained[0], trained[0] / "without-others"))
    assert whole.checkpoint.learnt == ("mmlu-pro", "others"), "of strangers nothing can be learnt"
    assert without.checkpoint.learnt == ("mmlu-pro",)
    assert without.encoder == whole.encoder
    assert without.name != whole.name


def test_a_table_to_leave_out_has_to_be_there(cit: Cit, data: Path) -> None:
    done = cit("train", "--data", str(data), "--out", "run", "--without", "others,nothing")
    assert done.exit_code == 2
    assert "nothing: no such table beside 'mmlu-pro' to leave out" in done.stderr
    assert not Path("run").exists()


def test_a_checkpoint_to_begin_from_has_to_be_there(cit: Cit, data: Path) -> None:
    done = cit("train", "--data", str(data), "--out", "run", "--from", "nowhere")
    assert done.exit_code == 1
    assert "'nowhere' is not a checkpoint: no readable config.json" in done.stderr
    assert not Path("run").exists()


def test_a_finished_run_is_not_overwritten(cit: Cit, data: Path, trained: tuple[Path, Any]) -> None:
    before = (trained[0] / "model.safetensors").read_bytes()
    done = cit("train", "--data", str(data), "--out", str(trained[0]))
    assert done.exit_code == 2
    assert "holds a finished run; give another --out, or --only-export" in done.stderr
    assert (trained[0] / "model.safetensors").read_bytes() == before


def test_a_run_that_was_stopped_while_it_was_exported_goes_on(
    cit: Cit, data: Path, trained: tuple[Path, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cit_core.mini import release

    out = shutil.copytree(trained[0], tmp_path / "stopped")
    (out / "checkpoint" / "agreement.json").unlink()
    found = {name: value for name, value in json.loads(trained[1].stdout).items() if name != "checkpoint"}
    asked: list[Sequence[Any]] = []
    monkeypatch.setattr(_train_mini, "release", lambda *given: asked.append(given) or release.Agreement(**found))
    arguments = ["--data", str(data), "--steps", "2", "--without", "others"]
    done = cit("train", *arguments, "--out", str(out))
    assert done.exit_code == 0, done.stderr
    assert [given[3] for given in asked] == [out / "without-others" / "checkpoint", out / "checkpoint"]
    assert (out / "model.safetensors").read_bytes() == (trained[0] / "model.safetensors").read_bytes()


def test_a_finished_run_is_exported_again_and_says_how_well(
    cit: Cit, data: Path, trained: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from cit_core.mini import release

    found = json.loads(trained[1].stdout)
    found.pop("checkpoint")
    asked: list[Sequence[Any]] = []
    monkeypatch.setattr(_train_mini, "release", lambda *given: asked.append(given) or release.Agreement(**found))
    done = cit("train", "--data", str(data), "--out", str(trained[0]), "--only-export")
    assert done.exit_code == 0, done.stderr
    assert asked[0][3] == trained[0] / "checkpoint"
    assert (
        f"on 20 queries, {found['decisions']:.1%} of the decisions in {found['zoos']} zoos of similar strength and "
        f"{found['pairs']:.1%} of all pairs of 22 candidates as in torch"
    ) in done.stdout


def test_exporting_what_was_never_trained_is_refused(cit: Cit, data: Path, tmp_path: Path) -> None:
    done = cit("train", "--data", str(data), "--out", str(tmp_path / "none"), "--only-export")
    assert done.exit_code == 1
    assert "is not a trained network (model.json, model.safetensors)" in done.stderr


def test_a_folder_without_outcomes_is_refused_with_what_is_needed(cit: Cit, tmp_path: Path) -> None:
    done = cit("train", "--out", "run", "--data", str(tmp_path))
    assert done.exit_code == 2
    assert "needs items-mmlu-pro.parquet (item_id, task, category, instruction)" in done.stderr
    assert not Path("run").exists()


def test_too_few_outcomes_to_train_on_are_refused(cit: Cit, tmp_path: Path) -> None:
    write_table(made_up_table(MODELS, tasks=2, items_of_task=5), tmp_path)
    done = cit("train", "--data", str(tmp_path), "--out", "run")
    assert done.exit_code == 2
    assert (
        "a run needs 32 training items, a validation item and 2 training models; of 10 items and 22 models"
        in done.stderr
    )
    assert not Path("run").exists()
