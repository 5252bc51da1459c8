"""`cit train --preset paper`: the paper's network on outcome tables or on a store, stage by stage."""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cit_core.cli import output
from cit_core.errors import InvalidInput

if TYPE_CHECKING:
    from cit_core.train.recipe import Recipe
    from cit_core.train.training_data import TrainingData

__all__ = ["require_mini", "train_paper"]


def require_mini(paper_only: dict[str, Any]) -> None:
    """Refuse options that the `mini` recipe has no use for.

    Args:
        paper_only: Option to what was given.
    """
    given = [option for option, value in paper_only.items() if value]
    if given:
        raise InvalidInput(f"{', '.join(given)} belong to --preset paper; `mini` has one recipe, on --data")


def train_paper(
    data: Path | None,
    name: str,
    store: str | None,
    out: Path,
    recipe_file: Path | None,
    overrides: dict[str, Any],
    *,
    resume: bool,
    json_: bool,
) -> None:
    """Train, and say what came of it.

    Args:
        data: Folder of a Parquet pair.
        name: Of the pair.
        store: URL of a store in its place.
        out: Folder of the run.
        recipe_file: YAML.
        overrides: `encoder`, `lm`, `objective`, `steps`; None leaves the recipe's own.
        resume: Go on with the run in `out`.
        json_: Print JSON.
    """
    if (data is None) == (store is None):
        raise InvalidInput("--preset paper learns from --data FOLDER or from --store URL: give one of them")
    recipe = _recipe(recipe_file, out if resume else None, overrides)

    with output.counting() as count, redirect_stdout(sys.stderr):  # where reporters may print what they like
        from cit_core.train.run import train

        metrics = train(_outcomes(data, name, store), out, recipe, resume=resume, progress=count)
    if os.environ.get("RANK", "0") != "0":
        return
    if json_:
        output.as_json({"run": str(out), **metrics})
        return
    output.say(
        f"{out}: on validation items the routed model is right on {metrics['routing_accuracy']:.1%}, the best by "
        f"aptitude on {metrics['best_by_aptitude']:.1%} (mean over zoos of similar strength); log-loss "
        f"{metrics['log_loss']:.4f}"
    )


def _recipe(file: Path | None, resumed: Path | None, overrides: dict[str, Any]) -> Recipe:
    """What the file says, or the run that is gone on with, or the defaults; then the options."""
    from cit_core.train.recipe import Recipe, read_recipe

    before = None if resumed is None else resumed / "recipe.yaml"
    if file is None and before is not None and before.exists():
        file = before
    recipe = Recipe() if file is None else read_recipe(file)
    given = {option: value for option, value in overrides.items() if value is not None}
    network = {option: given.pop(option) for option in ("encoder", "lm") if option in given}
    steps = given.pop("steps", None)
    if steps is not None:
        given["stages"] = [{**stage.model_dump(), "steps": steps} for stage in recipe.stages]
    fields = recipe.model_dump()
    return Recipe.model_validate({**fields, **given, "network": {**fields["network"], **network}})


def _outcomes(data: Path | None, name: str, store: str | None) -> TrainingData:
    from cit_core.cli.options import open_store
    from cit_core.train.training_data import from_store, from_tables

    if data is not None:
        return from_tables(data, name)
    with open_store(store) as opened:
        return from_store(opened)
