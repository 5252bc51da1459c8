"""`cit train`: make the network from outcomes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from cit_core.cli import output
from cit_core.cli.options import JsonOption, StoreOption
from cit_core.errors import InvalidInput

__all__ = ["train"]


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

    from cit_core.cli.paper_training import require_mini, train_paper

    of_paper = {"encoder": encoder, "lm": lm, "objective": objective}
    if preset == "paper" or recipe is not None:
        if only_export:
            raise InvalidInput("--only-export is for `mini`: a paper-size network has no export, `PaperScorer` runs it")
        train_paper(data, name, store, out, recipe, {**of_paper, "steps": steps}, resume=resume, json_=json_)
        return
    require_mini({f"--{option}": value for option, value in {**of_paper, "store": store, "resume": resume}.items()})
    if data is None:
        raise InvalidInput("`cit train` needs --data FOLDER with items-mmlu-pro.parquet and outcomes-mmlu-pro.parquet")

    from cit_core.model.persistence import load_network
    from cit_core.train.data import read_outcomes
    from cit_core.train.release import release
    from cit_core.train.trainer import TrainConfig, fit

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
        output.as_json({"checkpoint": str(out / "checkpoint"), **asdict(agreement)})
        return
    output.say(
        f"{out / 'checkpoint'}: on {agreement.queries:,} queries, {agreement.decisions:.1%} of the decisions in "
        f"{agreement.zoos} zoos of similar strength and {agreement.pairs:.1%} of all pairs of {agreement.candidates} "
        f"candidates as in torch; log-odds differ by {agreement.exact:.1e} at most before quantisation and by "
        f"{agreement.quantised:.3f} on average after it"
    )
