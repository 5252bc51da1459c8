"""`cit train`: train a network on outcomes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from cit_core.cli._options import JsonOption, StoreOption
from cit_core.errors import InvalidInput

__all__ = ["train"]


def train(
    *,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", metavar="FOLDER", help="Folder of items-NAME.parquet and outcomes-NAME.parquet, or of capit_1.0."
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Folder of the run; `mini` exports to its checkpoint/.")
    ],
    preset: Annotated[
        Literal["mini", "paper", "authors"],
        typer.Option(
            metavar="mini|paper|authors", help="Network and recipe; authors: the paper's as its authors published it."
        ),
    ] = "mini",
    recipe: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="A recipe in YAML; implies --preset paper.")
    ] = None,
    store: StoreOption = None,
    name: Annotated[str, typer.Option(metavar="NAME", help="NAME of the Parquet pair in --data.")] = "mmlu-pro",
    without: Annotated[
        list[str] | None,
        typer.Option(
            "--without",
            metavar="NAMES",
            help="Also train a `mini` that sees none of these other pairs of --data, as a,b: "
            "`cit bench --unseen FOLDER` judges it on them. Repeatable.",
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="NAME|FOLDER",
            help="Begin `mini` with the other pairs, from an exported checkpoint that has learnt from the pair of "
            "--name.",
        ),
    ] = None,
    encoder: Annotated[str | None, typer.Option(metavar="ID", help="Capability encoder: hub id or folder.")] = None,
    lm: Annotated[str | None, typer.Option(metavar="ID", help="Language model: hub id or folder.")] = None,
    objective: Annotated[
        Literal["group", "calibrated", "listwise", "distillation"] | None,
        typer.Option(metavar="NAME", help="Objective: group, calibrated, listwise or distillation."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Training steps (of each stage). Default: the recipe's.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out.")] = False,
    capit: Annotated[
        int | None,
        typer.Option("--write-capit", metavar="N", min=1, help="Train nothing: write N training groups as capit_1.0."),
    ] = None,
    only_export: Annotated[bool, typer.Option("--only-export", help="Export a finished run again.")] = False,
    json_: JsonOption = False,
) -> None:
    """Train a network on outcomes: `mini`, exported as int8, or the paper's around any encoder and language model."""
    paper_only: dict[str, Any] = {"encoder": encoder, "lm": lm, "objective": objective, "store": store}
    mini_only = [f"--{option}" for option, value in {"without": without, "from": start}.items() if value]
    if preset != "mini" or recipe is not None:
        if mini_only:
            raise InvalidInput(f"{', '.join(mini_only)} belong to `mini`; --preset paper learns from one table")
        if only_export:
            raise InvalidInput("--only-export is for `mini`: a paper-size network has no export, `PaperScorer` runs it")
        if (data is None) == (store is None):
            raise InvalidInput(f"--preset {preset} learns from --data FOLDER or from --store URL: give one of them")
        from cit_core.cli._train_paper import export_capit, train_paper

        options = {**paper_only, "steps": steps, "authors": preset == "authors"}
        if capit is not None:
            export_capit(data, name, out, recipe, options, capit, json_=json_)
            return
        train_paper(data, name, out, recipe, options, resume=resume, json_=json_)
        return
    given = [f"--{option}" for option, value in {**paper_only, "resume": resume, "write-capit": capit}.items() if value]
    if given:
        raise InvalidInput(f"{', '.join(given)} belong to --preset paper; `mini` has one recipe, on --data")
    if data is None:
        raise InvalidInput("`cit train` needs --data FOLDER with items-mmlu-pro.parquet and outcomes-mmlu-pro.parquet")
    from cit_core.cli._train_mini import train_mini

    train_mini(data, name, out, steps, without or (), start, only_export=only_export, json_=json_)
