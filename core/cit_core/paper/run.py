"""A paper-style run: stage by stage on transformers.Trainer, on one process or many, resumable from any checkpoint.

FOLDER/recipe.yaml       everything that was decided; `cit train --config` takes it again
FOLDER/run.json          data and its hash, models of each part, versions, processes
FOLDER/metrics.jsonl     what the Trainer logged, stage by stage
FOLDER/stage-1/ ...      the Trainer's checkpoints: weights (safetensors), optimiser, scheduler, random states
FOLDER/model.json, model.safetensors, calibration.json      the network: `PaperScorer.from_run`
"""

from __future__ import annotations

import atexit
import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cit_core.calibration import Calibration, fit_calibration
from cit_core.errors import InvalidInput
from cit_core.outcomes import OutcomeMatrix
from cit_core.paper.dataset import TrainingData
from cit_core.paper.grids import Collator, Grids, Pool
from cit_core.paper.network import PaperNetwork
from cit_core.paper.recipe import Recipe, Stage, read_recipe, write_recipe
from cit_core.paper.teacher import smoothed
from cit_core.paper.trainer import Progress, leave_processes, processes_joined, run_stage, stage_trainer
from cit_core.paper.validation import Validation, validation_of
from cit_core.paper.vision import Patches
from cit_core.paper.weights import Parts, new_paper, save_paper
from cit_core.records import Capability, Suite
from cit_core.runtime import load_scorer

__all__ = ["train", "training_groups"]

logger = logging.getLogger(__name__)

Encode = Callable[[Sequence[str]], NDArray[np.floating]]


def train(
    data: TrainingData,
    folder: Path,
    recipe: Recipe | None = None,
    *,
    parts: Parts | None = None,
    resume: bool = False,
    encode: Encode | None = None,
    progress: Callable[[str, int], None] | None = None,
) -> dict[str, float]:
    """Train a network and write the run's folder. Under `torchrun` every process calls it.

    Args:
        data: Outcomes; test items and test models are never looked at.
        folder: Folder of the run.
        recipe: Settings of the run.
        parts: The language model and the encoder, where they are loaded already.
        resume: Go on from the last checkpoint in the folder; with none there, begin.
        encode: Unit vectors of texts, for hard negatives and distillation; by the shipped `mini` if not given.
        progress: Called with a description of the count, and the count.

    Returns:
        The last validation: `routing_accuracy`, `best_by_aptitude`, `log_loss`.

    Raises:
        InvalidInput: If there is too little to learn from, the folder holds another run, or training diverges.
        MissingExtra: If accelerate, peft or a reporting package is asked for and not installed.
        CheckpointError: If a model or a checkpoint cannot be loaded.
    """
    recipe = recipe or Recipe()
    first = os.environ.get("RANK", "0") == "0"  # as torchrun and accelerate launch number processes
    if first:
        _require_own(folder, recipe, resume=resume)
    suite = data.suite(recipe.split, recipe.tasks, recipe.questions)
    models = recipe.split.models(data.table.candidates)
    seen = models["validation"] + models["train"]
    capabilities = data.capabilities(suite, seen)
    validation = validation_of(data.table, recipe.split, seen, capabilities, recipe.validation_items)
    pool = _pool(data, recipe, suite, capabilities[len(models["validation"]) :], encode)
    stages = [Grids(pool, recipe, stage) for stage in range(len(recipe.stages))]  # refused before a model is loaded
    torch.manual_seed(recipe.seed)
    joined = processes_joined()
    network, reader = new_paper(recipe.network, parts)
    if network.tower is not None:
        pool = replace(pool, patches_I=_patches(data, network, pool.item_ids, progress))
        validation = replace(validation, patches_N=_patches(data, network, validation.item_ids, progress))
    if first:
        _begin(data, folder, recipe, suite)
    for stage, grids in enumerate(stages):
        trainer = stage_trainer(network, reader, grids, Collator(pool, reader), validation, folder, recipe, stage)
        if processes_joined() and not joined:
            joined = True
            atexit.register(leave_processes)  # not before: a second run in this process trains in the same group
        if progress is not None:
            trainer.add_callback(Progress(progress, stage + 1))
        run_stage(trainer, resume=resume)
    odds_NK = trainer.validation_odds()
    if first:
        save_paper(network, folder)
        calibration = _calibration(odds_NK, validation)
        (folder / "calibration.json").write_text(json.dumps(asdict(calibration)) + "\n")
    trainer.accelerator.wait_for_everyone()
    return validation.metrics(odds_NK)


def training_groups(
    data: TrainingData, recipe: Recipe, number: int, encode: Encode | None = None
) -> tuple[TrainingData, tuple[Capability, ...], list[dict[str, Any]]]:
    """Draw the paper's groups without training: what `write_capit` writes.

    Args:
        data: Outcomes; of these, training items outside the aptitude test and training models are used.
        recipe: Settings of the draws.
        number: Number of groups.
        encode: Unit vectors of texts, for hard negatives; by the shipped `mini` if not given.

    Returns:
        The outcomes that may be learnt from, the capability of each of their models, and the groups.

    Raises:
        InvalidInput: If there is too little to learn from.
    """
    recipe = recipe.model_copy(update={"objective": "group", "stages": (Stage(steps=number),), "batch": 1})
    suite, models = data.suite(recipe.split, recipe.tasks, recipe.questions), recipe.split.models(data.table.candidates)
    capabilities = data.capabilities(suite, models["train"])
    grids = Grids(_pool(data, recipe, suite, capabilities, encode), recipe, 0)
    learnt = _learnt(data, recipe, suite)
    groups = []
    for grid in map(grids.__getitem__, range(number)):
        texts = [learnt.instructions[row] for row in grid.rows_N]
        asked = {"pos": texts[:1], "neg": texts[1:]}
        groups.append({"model_repr": capabilities[int(grid.columns_K[0])].text, "data_repr": asked})
    return replace(data, table=learnt), capabilities, groups


def _learnt(data: TrainingData, recipe: Recipe, suite: Suite) -> OutcomeMatrix:
    """Return training items outside the aptitude test, with training models."""
    table = data.table.split(recipe.split)["train"].of_models(recipe.split.models(data.table.candidates)["train"])
    asked = set(suite.item_ids)
    return table.rows([row for row, id_ in enumerate(table.item_ids) if id_ not in asked])


def _pool(
    data: TrainingData, recipe: Recipe, suite: Suite, capabilities: Sequence[Capability], encode: Encode | None
) -> Pool:
    """Return the pool to draw from."""
    pool, tasks = _learnt(data, recipe, suite), {task.id for task in suite.tasks}
    vectors_ID = teacher_IM = None
    if recipe.objective == "distillation" or (recipe.objective == "group" and recipe.hard_negatives > 0.0):
        vectors_ID = (encode or load_scorer("mini").encode)(pool.instructions)
    if recipe.objective == "distillation" and vectors_ID is not None:
        told = replace(pool, correct_IK=pool.labels_IK, circle_IK=None, vectors_ID=vectors_ID)
        teacher_IM = smoothed(told, seed=recipe.seed)
    in_domain_I = np.array([not tasks or task in tasks for task in pool.tasks], bool)
    texts, ids = list(pool.instructions), pool.item_ids
    return Pool(texts, pool.labels_IK, in_domain_I, capabilities, vectors_ID, teacher_IM, item_ids=ids)


def _patches(
    data: TrainingData, network: PaperNetwork, items: Sequence[str], progress: Callable[[str, int], None] | None
) -> list[Patches]:
    """Return features of the items' pictures: the tower stays as it is, so it reads each of them once."""
    tower, vision = network.tower, network.settings.vision
    assert tower is not None
    assert vision is not None
    if not any(data.pictures.get(id_) for id_ in items):
        raise InvalidInput(
            f"the recipe has a vision tower, and none of {len(items):,} items of {data.table.name!r} has a picture; "
            "items-NAME.parquet holds them in a column image, or leave vision out of the recipe"
        )
    found = []
    for number, id_ in enumerate(items, start=1):
        found.append(tower.patches_of(data.pictures.get(id_, ()), vision.pictures))
        if progress is not None:
            progress(f"of {len(items):,} items looked at", number)
    return found


def _require_own(folder: Path, recipe: Recipe, *, resume: bool) -> None:
    """Refuse a folder with a run, unless it has the same recipe and is to be resumed."""
    if not (folder / "recipe.yaml").exists():
        return
    if not resume:
        raise InvalidInput(f"{folder} holds a run already; give another folder, or --resume to go on with it")
    before = read_recipe(folder / "recipe.yaml")
    differs = [name for name in Recipe.model_fields if getattr(before, name) != getattr(recipe, name)]
    if differs:
        raise InvalidInput(
            f"{folder} holds a run with another recipe ({', '.join(differs)}); go on with --config "
            f"{folder / 'recipe.yaml'}, or give another folder"
        )


def _begin(data: TrainingData, folder: Path, recipe: Recipe, suite: Suite) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_recipe(recipe, folder / "recipe.yaml")
    facts = {
        "data": data.table.name,
        "digest": data.table.digest(),
        "models": recipe.split.models(data.table.candidates),
        "aptitude_test": {task.id: suite.items[task.id] for task in suite.tasks},
        "versions": {name: version(name) for name in ("torch", "transformers", "accelerate")},
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
    }
    (folder / "run.json").write_text(json.dumps(facts, indent=1) + "\n")
    parts = recipe.split.items(data.table.item_ids)
    seen = [data.table.item_ids[row] for part in ("train", "validation") for row in parts[part]]
    (folder / "items.json").write_text(json.dumps(seen) + "\n")


def _calibration(odds_NK: NDArray[np.float64], validation: Validation) -> Calibration:
    try:
        return fit_calibration(odds_NK, validation.correct_NK)
    except InvalidInput as error:  # a network that has learnt next to nothing is kept, and said to be that
        logger.warning("the network stays uncalibrated: %s", error)
        return Calibration()
