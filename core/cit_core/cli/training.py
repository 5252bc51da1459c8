"""`cit train`: make the network from outcomes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cit_core.cli import output
from cit_core.cli.options import JsonOption
from cit_core.errors import InvalidInput

__all__ = ["train"]

DataOption = Annotated[
    Path,
    typer.Option("--data", metavar="FOLDER", help="Holds items-mmlu-pro.parquet and outcomes-mmlu-pro.parquet."),
]


def train(
    data: DataOption,
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Of the run; its checkpoint/ is what it exports.")
    ],
    steps: Annotated[int | None, typer.Option(min=1, help="Training steps; the recipe's own if not given.")] = None,
    only_export: Annotated[bool, typer.Option("--only-export", help="Export a finished run again.")] = False,
    json_: JsonOption = False,
) -> None:
    """Train the `mini` network on outcome tables and export it: int8, calibrated, compared with torch."""
    from dataclasses import asdict

    from cit_core.model.persistence import load_network
    from cit_core.train.data import read_outcomes
    from cit_core.train.release import release
    from cit_core.train.trainer import TrainConfig, fit

    if not only_export and (out / "model.safetensors").exists():
        raise InvalidInput(
            f"{out} holds a finished run already; give another --out, or --only-export to export it again"
        )
    config = TrainConfig() if steps is None else TrainConfig(steps=steps)
    table = read_outcomes(data, "mmlu-pro")
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
