"""TensorBoard and W&B are told what metrics.jsonl says, through the Trainer: read back from what they keep on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import wandb
from offline_runs import read_offline_run
from paper_runs import data, metrics, one_hot, recipe
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_paper import parts

from cit_core.errors import InvalidInput
from cit_core.paper.recipe import Stage
from cit_core.paper.run import train

LOGGED = ("loss", "eval_routing_accuracy", "eval_log_loss")
TOLD = ("train/loss", "eval/routing_accuracy", "eval/log_loss")
"""The same, as the Trainer names them to others."""


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where W&B keeps its runs; its helper process ends with the test."""
    places = {f"WANDB_{kind}_DIR": str(tmp_path / kind) for kind in ("CACHE", "CONFIG", "DATA")}
    settings = {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false"}
    for name, value in {"WANDB_DIR": str(tmp_path), **places, **settings}.items():
        monkeypatch.setenv(name, value)
    yield tmp_path / "wandb"
    wandb.teardown()
    assert not [child for child in psutil.Process().children() if "wandb" in child.name()]


def run(folder: Path, report: str, **given: Any) -> None:
    train(data(), folder, recipe(report_to=(report,), **given), parts=parts(), encode=one_hot)


def told(history: list[dict[str, Any]], name: str) -> list[tuple[int, float]]:
    """Step and value."""
    return [(line["train/global_step"], line[name]) for line in history if name in line]


def logged(folder: Path, name: str, stage: int) -> list[tuple[int, float]]:
    """The same of metrics.jsonl."""
    found = [(step, value) for of, step, value in metrics(folder, name) if of == stage]
    assert found
    return found


def test_tensorboard_is_told_of_every_stage_in_its_folder(tmp_path: Path) -> None:
    run(tmp_path, "tensorboard")
    for stage in (1, 2):
        (events,) = (tmp_path / f"stage-{stage}").rglob("events.out.tfevents.*")
        board = EventAccumulator(str(events)).Reload()
        for name, mine in zip(TOLD, LOGGED, strict=True):
            scalars = [(scalar.step, scalar.value) for scalar in board.Scalars(name)]
            assert scalars == [(step, pytest.approx(value)) for step, value in logged(tmp_path, mine, stage)]


def test_wandb_is_told_of_every_stage_in_a_run_of_its_own(offline: Path, tmp_path: Path) -> None:
    run(tmp_path / "mine", "wandb")
    assert wandb.run is None
    runs = {found.name: found for found in map(read_offline_run, offline.glob("offline-run-*"))}
    assert runs.keys() == {"mine-stage-1", "mine-stage-2"}
    for stage in (1, 2):
        found = runs[f"mine-stage-{stage}"]
        assert found.exit_code == 0
        for name, mine in zip(TOLD, LOGGED, strict=True):
            assert told(found.history, name) == logged(tmp_path / "mine", mine, stage)


def test_a_stage_that_failed_has_failed_in_wandb_too(offline: Path, tmp_path: Path) -> None:
    wild = (Stage(steps=20, learning_rate=1e30, lm_learning_rate=1e30),)
    with pytest.raises(InvalidInput, match="training diverged"):
        run(tmp_path / "mine", "wandb", stages=wild, warmup=0.0)
    assert wandb.run is None
    (folder,) = offline.glob("offline-run-*")
    assert read_offline_run(folder).exit_code == 1


def test_a_wandb_run_that_was_open_before_is_left_open(offline: Path, tmp_path: Path) -> None:
    whole = wandb.init(name="whole")
    run(tmp_path / "mine", "wandb", stages=(Stage(steps=2), Stage(steps=4)))
    assert wandb.run is whole
    whole.finish()
    (folder,) = offline.glob("offline-run-*")
    assert [step for step, _ in told(read_offline_run(folder).history, "eval/log_loss")] == [2, 2, 4]


def test_a_report_without_its_package_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InvalidInput, match="report_to 'wandb' needs its package: pip install wandb"):
        run(tmp_path, "wandb")
