"""`cit train --preset mini`: train, export and check the network that ships."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

from cit_core.cli import _output
from cit_core.errors import InvalidInput
from cit_core.mini.release import release
from cit_core.mini.trainer import TrainConfig, fit
from cit_core.mini.weights import load_network
from cit_core.outcomes import read_outcomes

__all__ = ["train_mini"]


def train_mini(data: Path, name: str, out: Path, steps: int | None, *, only_export: bool, json_: bool) -> None:
    """Train on a Parquet pair, export to `out/checkpoint`, and report how far the export is from torch.

    Raises:
        InvalidInput: If `out` holds a finished run and nothing asks to export it again.
    """
    if not only_export and (out / "model.safetensors").exists():
        raise InvalidInput(f"{out} holds a finished run; give another --out, or --only-export to export it again")
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
