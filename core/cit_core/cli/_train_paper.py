"""`cit train --preset paper`: train the paper's network around any encoder and language model."""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from cit_core.cli import _output
from cit_core.cli._options import open_store
from cit_core.errors import InvalidInput
from cit_core.paper.capit import is_capit, read_capit, write_capit
from cit_core.paper.dataset import TrainingData, from_matrix, from_tables
from cit_core.paper.recipe import AUTHORS, Recipe, read_recipe

__all__ = ["export_capit", "train_paper"]


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
        options: `store` (a URL, in place of `data`), `authors` (their recipe is the default), and `encoder`, `lm`,
            `objective`, `steps`, which override the recipe; None leaves the recipe as it is.
        resume: Continue the run in `out`.
        json_: Print JSON.
    """
    store = options.pop("store")
    recipe = _recipe(recipe_file, out if resume else None, options)
    outcomes = _outcomes(data, name, store)
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


def export_capit(
    data: Path | None,
    name: str,
    out: Path,
    recipe_file: Path | None,
    options: dict[str, Any],
    number: int,
    *,
    json_: bool,
) -> None:
    """Write what a run would learn from in the authors' format; arguments as of `train_paper`.

    Raises:
        InvalidInput: If the folder holds something already, or there is too little to learn from.
    """
    from cit_core.paper.run import training_groups

    if out.exists() and any(out.iterdir()):
        raise InvalidInput(f"{out} is not empty; capit_1.0 is written to a folder of its own: --out FOLDER")
    store = options.pop("store")
    recipe = _recipe(recipe_file, None, options)
    learnt, capabilities, groups = training_groups(_outcomes(data, name, store), recipe, number)
    written = write_capit(learnt, out, capabilities, groups)
    counts = {"groups": written, "models": len(capabilities), "questions": len(learnt.table)}
    if json_:
        _output.as_json({"capit": str(out), **counts})
        return
    _output.say(f"{out}: {', '.join(f'{count:,} {what}' for what, count in counts.items())}, as capit_1.0")


def _outcomes(data: Path | None, name: str, store: str | None) -> TrainingData:
    if data is None:
        return _stored(str(store))
    return read_capit(data) if is_capit(data) else from_tables(data, name)


def _recipe(file: Path | None, resumed: Path | None, options: dict[str, Any]) -> Recipe:
    """Read the recipe of the file, of the resumed run or the default one, and apply the options to it."""
    if file is None and resumed is not None and (resumed / "recipe.yaml").exists():
        file = resumed / "recipe.yaml"
    default = AUTHORS if options.pop("authors", False) else Recipe()
    recipe = default if file is None else read_recipe(file)
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
