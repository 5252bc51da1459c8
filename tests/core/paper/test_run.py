"""A paper-style run: two stages, the data in an order of its own, gone on with to the last bit, nothing held out seen.

All are real runs of transformers.Trainer, on models of two layers.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from paper_runs import data, metrics, one_hot, recipe
from safetensors.torch import load_file
from tiny_paper import parts

from cit_core.errors import InvalidInput
from cit_core.outcomes import Split
from cit_core.paper.config import LoRA
from cit_core.paper.dataset import TrainingData
from cit_core.paper.grids import Collator
from cit_core.paper.recipe import Recipe, Stage, read_recipe
from cit_core.paper.run import train
from cit_core.paper.scorer import PaperScorer


def run(folder: Path, of: Recipe | None = None, on: TrainingData | None = None, lm: str = "llama", **given: Any) -> Any:
    return train(on or data(), folder, of or recipe(), parts=parts(lm), encode=one_hot, **given)


def same_weights(first: Path, second: Path) -> bool:
    mine, other = (load_file(folder / "model.safetensors") for folder in (first, second))
    return mine.keys() == other.keys() and all(torch.equal(mine[name], other[name]) for name in mine)


class Seen:
    """Which instructions were collated, in order; may be told to pull the plug."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.batches: list[tuple[str, ...]] = []
        self.plug: int | None = None
        plain = Collator.__call__

        def collate(collator: Collator, grids: Any) -> Any:
            if self.plug is not None and len(self.batches) == self.plug:
                raise KeyboardInterrupt
            self.batches.append(tuple(str(grid.rows_N.tolist() + grid.columns_K.tolist()) for grid in grids))
            return plain(collator, grids)

        monkeypatch.setattr(Collator, "__call__", collate)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, float], list[tuple[str, ...]]]:
    """A run from beginning to end: its folder, what it said and the batches it saw."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patch:
        seen = Seen(patch)
        found = run(folder)
    return folder, found, seen.batches


def test_a_run_leaves_all_it_takes_to_use_it_and_to_make_it_again(whole: Any) -> None:
    folder, found, _ = whole
    assert {path.name for path in folder.iterdir()} == {
        "recipe.yaml", "run.json", "items.json", "metrics.jsonl", "model.json", "model.safetensors", "calibration.json",
        "stage-1", "stage-2",
    }  # fmt: skip
    assert read_recipe(folder / "recipe.yaml") == recipe()
    facts = json.loads((folder / "run.json").read_text())
    assert facts["digest"] == data().table.digest()
    assert {part: tuple(models) for part, models in facts["models"].items()} == recipe().split.models(
        data().table.candidates
    )
    seen = [
        data().table.item_ids[row]
        for part in ("train", "validation")
        for row in recipe().split.items(data().table.item_ids)[part]
    ]
    assert json.loads((folder / "items.json").read_text()) == seen
    assert {len(items) for items in facts["aptitude_test"].values()} == {8}
    assert facts["versions"].keys() == {"torch", "transformers", "accelerate"}
    assert found.keys() == {"routing_accuracy", "best_by_aptitude", "log_loss"}
    assert not list(folder.rglob("*.bin")), "nothing of ours is pickled"


def test_both_stages_are_logged_and_validated(whole: Any) -> None:
    folder, found, _ = whole
    losses = metrics(folder, "loss")
    assert [(stage, step) for stage, step, _ in losses] == [(1, 2), (1, 4), (2, 2), (2, 4), (2, 6)]
    assert all(math.isfinite(loss) for *_, loss in losses)
    routed = metrics(folder, "eval_routing_accuracy", "eval_log_loss")
    assert [(stage, step) for stage, step, *_ in routed] == [(1, 2), (1, 4), (2, 2), (2, 4), (2, 6)]
    best = max(accuracy for stage, _, accuracy, _ in routed if stage == 2)
    assert found["routing_accuracy"] == pytest.approx(best), "the weights are those of the best validation"


def test_the_first_stage_moves_the_connector_alone_and_the_second_everything(whole: Any) -> None:
    folder, *_ = whole
    assert set(load_file(folder / "stage-1" / "model.safetensors")) == {"connector.weight", "connector.bias"}
    first, last = load_file(folder / "stage-1" / "model.safetensors"), load_file(folder / "model.safetensors")
    assert not torch.equal(first["connector.weight"], last["connector.weight"])
    start = dict(parts().lm.named_parameters())
    moved = [not torch.equal(start[name.removeprefix("lm.")], w) for name, w in last.items() if name.startswith("lm.")]
    assert moved
    assert all(moved)


def test_the_run_opens_as_a_scorer_that_says_what_validation_said(whole: Any) -> None:
    from cit_core.paper.validation import validation_of

    folder, found, _ = whole
    scorer = PaperScorer.from_run(folder, parts())
    of, on = recipe(), data()
    models = of.split.models(on.table.candidates)
    seen = models["validation"] + models["train"]
    capabilities = on.capabilities(on.suite(of.split, of.tasks, of.questions), seen)
    validation = validation_of(on.table, of.split, seen, capabilities, of.validation_items)
    odds_NK = scorer.log_odds(validation.instructions, capabilities)
    assert validation.metrics(odds_NK) == pytest.approx(found, abs=1e-6)
    calibrated_NK = scorer.score(validation.instructions, capabilities)
    gap = np.nanmean(validation.correct_NK) - calibrated_NK[~np.isnan(validation.correct_NK)].mean()
    assert abs(gap) < 0.01 or json.loads((folder / "calibration.json").read_text())["slope"] == 1.0


# ---- the same data, the same weights, whatever happened in between


def test_the_same_seed_is_the_same_run_and_another_seed_is_not(whole: Any, tmp_path: Path) -> None:
    torch.manual_seed(99)
    run(tmp_path / "again")
    assert same_weights(whole[0], tmp_path / "again")
    run(tmp_path / "other", recipe(seed=1, stages=recipe().stages[:1]))
    assert not same_weights(whole[0] / "stage-1", tmp_path / "other")


def test_the_last_step_is_validated_as_well(tmp_path: Path) -> None:
    run(tmp_path, recipe(stages=(Stage(steps=3),)))
    assert [step for _, step, _ in metrics(tmp_path, "eval_log_loss")] == [2, 3]


@pytest.mark.parametrize("plug", [3, 4, 9])
def test_a_run_that_was_killed_goes_on_to_the_last_bit(
    whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plug: int
) -> None:
    """The plug is pulled at each kind of moment: before a checkpoint, between stages, after one in the second."""
    folder, found, order = whole
    seen = Seen(monkeypatch)
    seen.plug = plug
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path)
    assert seen.batches == order[:plug]
    seen.plug, seen.batches = None, []
    assert run(tmp_path, resume=True) == found
    kept = plug - plug % 2 if plug < 4 else 4 + (plug - 4) // 2 * 2
    assert seen.batches == order[kept:], "from the last checkpoint on, the very same groups"
    assert same_weights(folder, tmp_path)
    names = ("loss", "grad_norm", "learning_rate")
    assert metrics(tmp_path, *names) == metrics(folder, *names)


def test_a_checkpoint_that_was_half_written_is_passed_over(whole: Any, tmp_path: Path) -> None:
    folder, found, _ = whole
    shutil.copytree(folder, tmp_path / "run")
    for name in ("model.safetensors", "stage-2/model.safetensors"):
        (tmp_path / "run" / name).unlink()
    (tmp_path / "run" / "stage-2" / "checkpoint-6" / "trainer_state.json").unlink()
    (tmp_path / "run" / "stage-2" / "checkpoint-6" / "optimizer.pt").write_bytes(b"half")
    assert run(tmp_path / "run", resume=True) == found
    assert same_weights(folder, tmp_path / "run")


def test_a_finished_run_says_again_what_it_found(whole: Any, tmp_path: Path) -> None:
    shutil.copytree(whole[0], tmp_path / "run")
    assert run(tmp_path / "run", resume=True) == pytest.approx(whole[1])


def test_a_folder_with_a_run_is_not_overwritten_and_another_recipe_does_not_go_on_with_it(whole: Any) -> None:
    with pytest.raises(InvalidInput, match=r"holds a run already; .* --resume"):
        run(whole[0])
    with pytest.raises(InvalidInput, match=r"another recipe \(batch, seed\); .*recipe.yaml"):
        run(whole[0], recipe(batch=8, seed=3), resume=True)


def test_accumulated_parts_are_the_whole_batch(whole: Any, tmp_path: Path) -> None:
    run(tmp_path, recipe(accumulate=2))
    for (*_, mine), (*_, other) in zip(metrics(tmp_path, "loss"), metrics(whole[0], "loss"), strict=True):
        assert mine == pytest.approx(other, rel=1e-4)


# ---- what is held out is not seen


@pytest.mark.parametrize("poison", [math.nan, "flipped"])
def test_held_out_outcomes_are_never_read(whole: Any, tmp_path: Path, poison: Any) -> None:
    on, split = data(), recipe().split
    rows = split.items(on.table.item_ids)["test"]
    columns = [on.table.column(model) for model in split.models(on.table.candidates)["test"]]
    poisoned = on.table.correct_IK.copy()
    for part in ((rows, slice(None)), (slice(None), columns)):
        poisoned[part] = 1.0 - on.table.correct_IK[part] if poison == "flipped" else poison
    found = run(tmp_path, on=replace(on, table=replace(on.table, correct_IK=poisoned)))
    assert found == whole[1]
    assert same_weights(whole[0], tmp_path)


def test_no_question_of_the_aptitude_test_is_an_instruction_of_training(
    whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cit_core.paper import run as module

    pools = []
    plain = module._pool
    monkeypatch.setattr(module, "_pool", lambda *given: pools.append(plain(*given)) or pools[-1])
    on = data()
    named = replace(on.table, instructions=on.table.item_ids)
    run(tmp_path, on=replace(on, table=named), of=recipe(stages=(Stage(steps=1),)))
    facts = json.loads((tmp_path / "run.json").read_text())
    asked = {item for items in facts["aptitude_test"].values() for item in items}
    of_training = {on.table.item_ids[row] for row in recipe().split.items(on.table.item_ids)["train"]}
    assert asked < of_training
    assert set(pools[0].instructions) == of_training - asked


# ---- the other ways


@pytest.mark.parametrize("objective", ["calibrated", "listwise", "distillation"])
def test_the_other_objectives_run_behind_one_option(tmp_path: Path, objective: str) -> None:
    found = run(tmp_path, recipe(objective=objective, stages=(Stage(steps=2),), network={"capability": "set"}))
    assert 0.0 <= found["routing_accuracy"] <= 1.0
    assert len(metrics(tmp_path, "loss")) == 1


@pytest.mark.parametrize(
    "given",
    [
        {"bf16": True},
        {"gradient_checkpointing": True},
        {"network": {"lora": LoRA(rank=2)}},
        {"network": {"order": "instruction_first", "head": "regression"}},
    ],
    ids=str,
)
def test_variants_of_network_and_machinery_train_in_both_stages(tmp_path: Path, given: dict[str, Any]) -> None:
    of = recipe(**given, stages=(Stage(learns="connector", in_domain=True, steps=1), Stage(steps=1)))
    run(tmp_path, of)
    kept = load_file(tmp_path / "model.safetensors")
    of_lm = [name for name in kept if name.startswith("lm.")]
    assert of_lm
    assert all(("lora_" in name) == (of.network.lora is not None) for name in of_lm)
    scorer = PaperScorer.from_run(tmp_path, parts())
    assert scorer.network.settings == of.network


def test_checkpointed_activations_and_bfloat16_change_the_loss_by_rounding_alone(whole: Any, tmp_path: Path) -> None:
    plain = metrics(whole[0], "loss")[0][2]
    for name, given, tolerance in (("a", {"gradient_checkpointing": True}, 1e-5), ("b", {"bf16": True}, 0.1)):
        run(tmp_path / name, recipe(**given, stages=recipe().stages[:1]))
        assert metrics(tmp_path / name, "loss")[0][2] == pytest.approx(plain, rel=tolerance), name


def test_text_alone_learns_in_one_stage(tmp_path: Path) -> None:
    run(tmp_path, recipe(network={"capability": "text"}, stages=(Stage(steps=2),)))
    assert not any("encoder" in name or "connector" in name for name in load_file(tmp_path / "model.safetensors"))


def test_learning_rates_are_those_of_the_recipe(tmp_path: Path) -> None:
    """A language model whose rate is next to nothing stays where it was, while the rest moves."""
    run(
        tmp_path,
        recipe(stages=(Stage(steps=4, learning_rate=1e-2, lm_learning_rate=1e-12),), warmup=0.0, weight_decay=0.0),
    )
    start = parts()
    for name, weight in load_file(tmp_path / "model.safetensors").items():
        part, _, own = name.partition(".")
        if part in ("lm", "encoder") and not name.endswith("key.bias"):  # a softmax takes no notice of those
            before = dict(getattr(start, part).named_parameters())[own]
            moved = (weight - before).abs().max().item()
            assert moved < 1e-9 if part == "lm" else moved > 1e-3, name


def proofs_are_hard() -> TrainingData:
    """What asks for a proof is hard for everybody: a group's handled instruction is the one without it."""
    on = data()
    hard_I = np.array(["proof" in text for text in on.table.instructions])
    chance_IM = np.where(hard_I, 0.05, 0.95)[:, None].repeat(len(on.table.candidates), axis=1)
    clear = (np.random.default_rng(0).random(chance_IM.shape) < chance_IM).astype(float)
    return replace(on, table=replace(on.table, correct_IK=clear))


def test_some_steps_learn_what_a_text_alone_says(tmp_path: Path) -> None:
    stages = (Stage(steps=40, learning_rate=2e-3, lm_learning_rate=2e-3),)
    of = recipe(stages=stages, batch=16, evaluate_every=10, questions=2, hard_negatives=0.0, telling=0.0)
    run(tmp_path, of, on=proofs_are_hard())
    losses = [loss for *_, loss in metrics(tmp_path, "loss")]
    assert losses[-1] < 0.8 * losses[0]


def test_a_stage_ends_when_routing_gets_no_better(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cit_core.paper.validation import Validation

    told = iter([0.2, 0.5, 0.4, 0.3, 0.1, 0.0, 0.0, 0.0])
    monkeypatch.setattr(Validation, "metrics", lambda *_: {"routing_accuracy": next(told)})
    run(tmp_path, recipe(stages=(Stage(steps=20),), patience=2))
    assert metrics(tmp_path, "eval_routing_accuracy") == [(1, 2, 0.2), (1, 4, 0.5), (1, 6, 0.4), (1, 8, 0.3)]
    assert same_weights(tmp_path, tmp_path / "stage-1" / "checkpoint-4"), "those of the best are kept"


def test_a_run_that_diverges_says_so(tmp_path: Path) -> None:
    wild = (Stage(steps=20, learning_rate=1e30, lm_learning_rate=1e30),)
    with pytest.raises(InvalidInput, match=r"training diverged: .* lower the learning rates"):
        run(tmp_path, recipe(stages=wild, warmup=0.0))
    assert not (tmp_path / "model.safetensors").exists()


def test_what_cannot_be_trained_on_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(InvalidInput, match=r"holds out all 2 models .*split: {test_models: 0, validation_models: 0}"):
        run(folder, on=data(["a", "b"]))
    with pytest.raises(InvalidInput, match="routing cannot be validated: of 0 validation items"):
        run(folder, recipe(split=Split(validation_items=0.0)))
    with pytest.raises(InvalidInput, match="tell models apart"):
        run(folder, recipe(questions=500))
    with pytest.raises(InvalidInput, match=r"stage 1 \(group\)"):
        run(folder, recipe(shots=500))
    assert not folder.exists()
    with pytest.raises(InvalidInput, match=r"a batch of 4 cannot be shared by 1 processes in 3 parts"):
        run(folder, recipe(accumulate=3))


TWICE = """
import pathlib, sys, torch
from paper_runs import data, one_hot, recipe
from tiny_paper import parts
from cit_core.errors import InvalidInput
from cit_core.paper.recipe import Stage
from cit_core.paper.run import train

folder = pathlib.Path(sys.argv[1])
wild = (Stage(steps=20, learning_rate=1e30, lm_learning_rate=1e30),)
try:
    train(data(), folder / "wild", recipe(stages=wild, warmup=0.0), parts=parts(), encode=one_hot)
except InvalidInput as error:
    print(error)
for name in ("first", "second"):
    train(data(), folder / name, recipe(stages=(Stage(steps=2),)), parts=parts(), encode=one_hot)
    assert (folder / name / "calibration.json").exists(), "a run is whole on every process"
"""
"""A program that trains three times; the first of it diverges."""


def test_a_process_trains_again_beside_the_same_others(tmp_path: Path) -> None:
    (tmp_path / "twice.py").write_text(TWICE)
    command = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *command, str(tmp_path / "twice.py"), str(tmp_path)],
        capture_output=True, text=True, env={**environment, "CUDA_VISIBLE_DEVICES": ""}, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("training diverged") == 2
    assert same_weights(tmp_path / "first", tmp_path / "second")


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[str, int]] = []
    run(tmp_path, progress=lambda what, count: told.append((what, count)))
    assert told[0] == ("of 4 steps of stage 1", 1)
    assert told[-1] == ("of 6 steps of stage 2", 6)
    assert "RANK" not in os.environ, "or this was no process of its own"


def test_the_authors_recipe_learns_by_lora_alone_and_its_loss_falls(tmp_path: Path) -> None:
    """On a tiny Phi-3 with their shape: capability as text before the sample, groups of 4, the logit of 'Yes'."""
    from cit_core.paper.recipe import AUTHORS

    network = AUTHORS.network.model_copy(update={"max_length": 16, "capability_length": 96, "dtype": "float32"})
    small = {"tasks": 4, "questions": 2, "evaluate_every": 40, "validation_items": 8, "bf16": False, "batch": 8}
    stages = (Stage(steps=40, lm_learning_rate=2e-2),)
    of = AUTHORS.model_copy(update={"network": network, "stages": stages, **small})
    assert (AUTHORS.shots, AUTHORS.objective, AUTHORS.network.order) == (4, "group", "capability_first")
    on = proofs_are_hard()
    run(tmp_path, of, on=on, lm="phi3")
    saved = load_file(tmp_path / "model.safetensors")
    assert saved
    assert all("lora_" in name for name in saved)
    assert all(weight.abs().sum() > 0.0 for name, weight in saved.items() if "lora_B" in name), "all got gradients"
    losses = [loss for *_, loss in metrics(tmp_path, "loss")]
    assert losses[-1] < 0.9 * losses[0]
    scorer = PaperScorer.from_run(tmp_path, parts("phi3"))
    capabilities = on.capabilities(on.suite(of.split, 4, 2), on.table.candidates[:3])
    probability_NK = scorer.score(["algebra law", "proof proof"], capabilities)
    assert probability_NK.shape == (2, 3)
    assert probability_NK[0].mean() > probability_NK[1].mean()
