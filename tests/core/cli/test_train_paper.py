"""`cit train --preset paper`: one recipe or one command is one run, on one process or two, from tables or a store."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from outcome_tables import made_up_table, write_table
from safetensors.torch import load_file
from tiny_paper import save_parts

from cit_core.catalogue import catalogue_candidates
from cit_core.outcomes import Split
from cit_core.paper.recipe import Recipe, Stage, read_recipe, write_recipe
from cit_core.records import Candidate, Item, Outcome, Task
from cit_core.store import CapabilityStore

Cit = Callable[..., Any]

LAUNCHERS = {
    "torchrun": "torch.distributed.run --standalone --nproc-per-node 2 --no-python",
    "accelerate": "accelerate.commands.launch --multi_gpu --num_processes 2 --main_process_port 0 --no_python",
}
"""`torchrun` and `accelerate launch`, which begins several processes for `--multi_gpu` alone, GPUs or not."""

SCRIPT = """
import atexit, os, pathlib, torch

def left():
    gone = not torch.distributed.is_initialized()
    pathlib.Path(__file__).with_name(f"left-{os.environ['RANK']}-{gone}").touch()

atexit.register(left)
from cit_core.cli import main

main()
"""
"""`cit` that leaves a file of whether it has left the group of processes."""


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    return save_parts(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    ids = [candidate.id for candidate in catalogue_candidates()][:14]
    return write_table(made_up_table(ids, tasks=4, items_of_task=40), tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def recipe(models: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    lm, encoder = models
    stages = (Stage(learns="connector", steps=2, learning_rate=1e-2), Stage(steps=2, lm_learning_rate=1e-4))
    of = Recipe(
        network={"lm": lm, "encoder": encoder, "max_length": 16, "capability_length": 96, "shuffles": 1},
        stages=stages, tasks=4, questions=6, batch=4, evaluate_every=1, validation_items=6, hard_negatives=0.0,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("recipe") / "recipe.yaml"
    write_recipe(of, path)
    return path


@pytest.fixture(scope="module")
def whole(data: Path, recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The folder of a run on one process, and what the command said."""
    from typer.testing import CliRunner

    from cit_core.cli import app

    out = tmp_path_factory.mktemp("runs") / "whole"
    arguments = ["train", "--data", str(data), "--config", str(recipe), "--out", str(out), "--json"]
    return out, CliRunner().invoke(app, arguments, catch_exceptions=False)


def losses(folder: Path) -> list[float]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def test_one_recipe_is_one_run(whole: tuple[Path, Any], recipe: Path) -> None:
    out, said = whole
    assert said.exit_code == 0, said.stderr
    found = json.loads(said.stdout)
    assert found["run"] == str(out)
    assert 0.0 <= found["routing_accuracy"] <= 1.0
    assert read_recipe(out / "recipe.yaml") == read_recipe(recipe)
    assert len(losses(out)) == 4


@pytest.mark.parametrize("launch", LAUNCHERS.values(), ids=LAUNCHERS)
def test_two_processes_learn_what_one_does(
    whole: tuple[Path, Any], data: Path, recipe: Path, tmp_path: Path, launch: str
) -> None:
    """On gloo: the same groups, the same losses, the same weights up to the order of a sum; one of the two reports."""
    out, paths, told = tmp_path / "two", os.pathsep.join(sys.path), tmp_path / "told.yaml"
    reports = ("wandb",) if launch == LAUNCHERS["torchrun"] else ()  # it takes long to start
    write_recipe(read_recipe(recipe).model_copy(update={"report_to": reports}), told)
    script = tmp_path / "cit.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", *launch.split(), sys.executable, str(script), "train"]
    command += ["--data", str(data), "--config", str(told), "--out", str(out), "--json"]
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    environment |= {"WANDB_MODE": "offline", "WANDB_DIR": str(tmp_path), "WANDB_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    left = [path.name for path in sorted(tmp_path.glob("left-*"))]
    assert left == ["left-0-True", "left-1-True"], "a process that ends in the group can be aborted by a thread of Gloo"
    assert json.loads((out / "run.json").read_text())["processes"] == 2
    assert len(list((tmp_path / "wandb").glob("offline-run-*"))) == 2 * len(reports), "one of each stage"
    assert losses(out) == pytest.approx(losses(whole[0]), rel=1e-4)
    (line,) = done.stdout.strip().splitlines()
    said, expected = json.loads(line), json.loads(whole[1].stdout)
    assert said.pop("run") == str(out)
    assert said == pytest.approx({name: value for name, value in expected.items() if name != "run"}, rel=1e-3)
    one, two = (load_file(folder / "model.safetensors") for folder in (whole[0], out))
    assert one.keys() == two.keys()
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, rtol=1e-3, atol=2e-3, msg=name)


def test_options_stand_above_the_recipe(cit: Cit, data: Path, recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = ["--data", str(data), "--config", str(recipe), "--out", str(out), "--objective", "listwise"]
    done = cit("train", *arguments, "--steps", "1")
    assert done.exit_code == 0, done.stderr
    assert f"{out}: on validation items the routed model is right on " in done.stdout
    found = read_recipe(out / "recipe.yaml")
    assert (found.objective, [stage.steps for stage in found.stages]) == ("listwise", [1, 1])
    again = cit("train", *arguments)
    assert again.exit_code == 2
    assert "holds a run already" in again.stderr
    resumed = cit("train", "--preset", "paper", "--data", str(data), "--out", str(out), "--resume")
    assert resumed.exit_code == 0, resumed.stderr
    assert resumed.stdout == done.stdout


def test_models_are_named_on_the_command_line(cit: Cit, data: Path, recipe: Path, tmp_path: Path) -> None:
    done = cit("train", "--data", str(data), "--config", str(recipe), "--out", "run", "--lm", str(tmp_path / "none"))
    assert done.exit_code == 1
    assert "none cannot be loaded" in done.stderr


def test_a_stores_outcomes_are_learnt_from_with_tasks_of_ones_own(cit: Cit, recipe: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'mine.db'}"
    with CapabilityStore(url) as store:
        store.add_tasks([Task(id=f"t{t}", keywords=(word,)) for t, word in enumerate(("law", "cell", "market"))])
        store.add_candidates([Candidate(id=f"m{m}") for m in range(4)])
        items = [Item(id=f"i{i}", task=f"t{i % 3}", instruction=f"name {i}") for i in range(120)]
        store.add_items(items)
        store.add_outcomes(
            Outcome(candidate=f"m{m}", item=item.id, correct=float((i * 7 + m * i) % 10 < 4 + m), source="mine")
            for i, item in enumerate(items)
            for m in range(4)
        )
    mine = tmp_path / "mine.yaml"
    write_recipe(
        read_recipe(recipe).model_copy(update={"split": Split(test_models=0, validation_models=0), "tasks": 3}), mine
    )
    done = cit("train", "--store", url, "--config", str(mine), "--out", str(tmp_path / "run"), "--steps", "1")
    assert done.exit_code == 0, done.stderr
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["models"]["train"]
    assert set(facts["aptitude_test"]) == {"t0", "t1", "t2"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "paper"], "give one of them"),
        (["--preset", "paper", "--data", ".", "--store", "default"], "give one of them"),
        (["--config", "nowhere.yaml", "--data", "."], "nowhere.yaml cannot be read as YAML"),
        (["--preset", "paper", "--data", "."], "needs items-mmlu-pro.parquet"),
        (["--preset", "paper", "--data", ".", "--name", "other"], "needs items-other.parquet"),
        (["--preset", "paper", "--data", ".", "--only-export"], "--only-export is for `mini`"),
        (["--data", ".", "--lm", "x", "--resume"], "--lm, --resume belong to --preset paper"),
        ([], "`cit train` needs --data FOLDER"),
        (["--preset", "maxi", "--data", "."], "maxi"),
    ],
)
def test_what_cannot_be_done_is_said(cit: Cit, arguments: list[str], message: str) -> None:
    done = cit("train", "--out", "run", *arguments)
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.split())
    assert not Path("run").exists()


def test_groups_are_written_as_capit_and_the_authors_recipe_learns_from_them(
    cit: Cit, data: Path, models: tuple[str, str], tmp_path: Path
) -> None:
    recipe = tmp_path / "keep.yaml"
    recipe.write_text("{hard_negatives: 0, tasks: 4, questions: 6, split: {test_models: 0, validation_models: 0}}")
    told = ["--data", str(data), "--config", str(recipe), "--write-capit", "5", "--json"]
    done = cit("train", *told, "--out", str(tmp_path / "capit"))
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout) == {
        "capit": str(tmp_path / "capit"), "groups": 5, "models": 14, "questions": json.loads(done.stdout)["questions"],
    }  # fmt: skip
    again = cit("train", *told, "--out", str(tmp_path / "capit"))
    assert again.exit_code == 2
    assert "is not empty" in again.stderr
    shutil.copytree(models[0], tmp_path / "lm")
    shape = json.loads((tmp_path / "lm" / "config.json").read_text())
    (tmp_path / "lm" / "config.json").write_text(json.dumps({**shape, "max_position_embeddings": 1024}))
    run = ["--data", str(tmp_path / "capit"), "--out", str(tmp_path / "run"), "--lm", str(tmp_path / "lm")]
    done = cit("train", "--preset", "authors", *run, "--steps", "1", "--json")
    assert done.exit_code == 0, done.stderr
    assert read_recipe(tmp_path / "run" / "recipe.yaml").network.head == "yes_logit"
