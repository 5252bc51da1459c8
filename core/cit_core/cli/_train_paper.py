"""`cit train --preset paper`: train the paper's network around any encoder and language model."""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from cit_core.cli import _output
from cit_core.cli._options import open_store
from cit_core.paper.dataset import TrainingData, from_matrix, from_tables
from cit_core.paper.recipe import Recipe, read_recipe

__all__ = ["train_paper"]


def train_paper(
    data: Path | None,
    name: str,
    out: Path,
    recipe_file: Path | None,
    options: dict[str, Any],
    *,
    resume: bool,
    json_: bool,
) -> None:
    """Train on a Parquet pair or a store, and report the validation metrics.

    Args:
        data: Folder of the Parquet pair.
        name: Name of the pair.
        out: Folder of the run.
        recipe_file: Recipe in YAML.
        options: `store` (a URL, in place of `data`) and `encoder`, `lm`, `objective`, `steps`, which override the
            recipe; None leaves the recipe as it is.
        resume: Continue the run in `out`.
        json_: Print JSON.
    """
    store = options.pop("store")
    recipe = _recipe(recipe_file, out if resume else None, options)
    outcomes = _stored(store) if data is None else from_tables(data, name)
    with _output.counting() as count, redirect_stdout(sys.stderr):  # reporters such as W&B print
        from cit_core.paper.run import train

        metrics = train(outcomes, out, recipe, resume=resume, progress=count)
    if os.environ.get("RANK", "0") != "0":
        return
    if json_:
        _output.as_json({"run": str(out), **metrics})
        return
    _output.say(
        f"{out}: on validation items the routed model is right on {metrics['routing_accuracy']:.1%}, the best by "
        f"aptitude on {metrics['best_by_aptitude']:.1%} (mean over zoos of similar strength); log-loss "
        f"{metrics['log_loss']:.4f}"
    )


def _recipe(file: Path | None, resumed: Path | None, options: dict[str, Any]) -> Recipe:
    """Read the recipe of the file, of the resumed run or the default one, and apply the options to it."""
    if file is None and resumed is not None and (resumed / "recipe.yaml").exists():
        file = resumed / "recipe.yaml"
    recipe = Recipe() if file is None else read_recipe(file)
    given = {option: value for option, value in options.items() if value is not None}
    network = {option: given.pop(option) for option in ("encoder", "lm") if option in given}
    steps = given.pop("steps", None)
    if steps is not None:
        given["stages"] = [{**stage.model_dump(), "steps": steps} for stage in recipe.stages]
    fields = recipe.model_dump()
    return Recipe.model_validate({**fields, **given, "network": {**fields["network"], **network}})


def _stored(url: str) -> TrainingData:
    with open_store(url) as opened:
        return from_matrix(opened.outcome_matrix(texts=True), opened.tasks(), opened.candidates())
