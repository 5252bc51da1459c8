"""`cit train`: make the network from outcomes."""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cit_core.cli import _output
from cit_core.cli._options import JsonOption, StoreOption
from cit_core.errors import InvalidInput

if TYPE_CHECKING:
    from cit_core.paper.dataset import TrainingData
    from cit_core.paper.recipe import Recipe

__all__ = ["require_mini", "train", "train_paper"]


def train(
    *,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="FOLDER", help="Holds items-NAME.parquet and outcomes-NAME.parquet."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Of the run; its checkpoint/ is what it exports.")
    ],
    preset: Annotated[Literal["mini", "paper"], typer.Option(help="Which network and recipe.")] = "mini",
    recipe: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="A recipe in YAML; implies --preset paper.")
    ] = None,
    store: StoreOption = None,
    name: Annotated[str, typer.Option(help="Of the Parquet pair.")] = "mmlu-pro",
    encoder: Annotated[str | None, typer.Option(metavar="ID", help="Capability encoder: hub id or folder.")] = None,
    lm: Annotated[str | None, typer.Option(metavar="ID", help="Language model: hub id or folder.")] = None,
    objective: Annotated[
        Literal["group", "calibrated", "listwise", "distillation"] | None, typer.Option(help="What is minimised.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Training steps (of each stage); the recipe's own if not given.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    only_export: Annotated[bool, typer.Option("--only-export", help="Export a finished run again.")] = False,
    json_: JsonOption = False,
) -> None:
    """Train a network on outcomes: `mini`, exported as int8, or the paper's around any encoder and language model."""
    from dataclasses import asdict

    from cit_core.cli.train import require_mini, train_paper

    of_paper = {"encoder": encoder, "lm": lm, "objective": objective}
    if preset == "paper" or recipe is not None:
        if only_export:
            raise InvalidInput("--only-export is for `mini`: a paper-size network has no export, `PaperScorer` runs it")
        train_paper(data, name, store, out, recipe, {**of_paper, "steps": steps}, resume=resume, json_=json_)
        return
    require_mini({f"--{option}": value for option, value in {**of_paper, "store": store, "resume": resume}.items()})
    if data is None:
        raise InvalidInput("`cit train` needs --data FOLDER with items-mmlu-pro.parquet and outcomes-mmlu-pro.parquet")

    from cit_core.mini.release import release
    from cit_core.mini.trainer import TrainConfig, fit
    from cit_core.mini.weights import load_network
    from cit_core.outcomes import read_outcomes

    if not only_export and (out / "model.safetensors").exists():
        raise InvalidInput(
            f"{out} holds a finished run already; give another --out, or --only-export to export it again"
        )
    config = TrainConfig() if steps is None else TrainConfig(steps=steps)
    table = read_outcomes(data, name)
    if not only_export:
        fit(table, out, config, progress=sys.stderr.isatty())
    network, tokenizer = load_network(out)
    agreement = release(network, tokenizer, table, out / "checkpoint", "mini", config.split)
    if json_:
        _output.as_json({"checkpoint": str(out / "checkpoint"), **asdict(agreement)})
        return
    _output.say(
        f"{out / 'checkpoint'}: on {agreement.queries:,} queries, {agreement.decisions:.1%} of the decisions in "
        f"{agreement.zoos} zoos of similar strength and {agreement.pairs:.1%} of all pairs of {agreement.candidates} "
        f"candidates as in torch; log-odds differ by {agreement.exact:.1e} at most before quantisation and by "
        f"{agreement.quantised:.3f} on average after it"
    )


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

    with _output.counting() as count, redirect_stdout(sys.stderr):  # where reporters may print what they like
        from cit_core.paper.run import train

        metrics = train(_outcomes(data, name, store), out, recipe, resume=resume, progress=count)
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


def _recipe(file: Path | None, resumed: Path | None, overrides: dict[str, Any]) -> Recipe:
    """What the file says, or the run that is gone on with, or the defaults; then the options."""
    from cit_core.paper.recipe import Recipe, read_recipe

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
    from cit_core.cli._options import open_store
    from cit_core.paper.dataset import from_matrix, from_tables

    if data is not None:
        return from_tables(data, name)
    with open_store(store) as opened:
        return from_matrix(opened.outcome_matrix(texts=True), opened.tasks(), opened.candidates())
