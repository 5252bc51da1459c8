"""`cit train --preset mini`: train, export and check the network that ships."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from cit_core.catalogue.build import profiles_in_tables
from cit_core.catalogue.resolve import public_profiles
from cit_core.cli import _output
from cit_core.errors import InvalidInput
from cit_core.mini.release import AGREEMENT, release
from cit_core.mini.trainer import TrainConfig, fit, folder_without, learnt_from
from cit_core.mini.training_tables import KnownTable
from cit_core.mini.weights import load_network
from cit_core.outcomes import read_outcomes

__all__ = ["train_mini"]


def train_mini(
    data: Path,
    name: str,
    out: Path,
    steps: int | None,
    without: Sequence[str],
    start: str | None,
    *,
    only_export: bool,
    json_: bool,
) -> None:
    """Train on a Parquet pair and on the others beside it, export to `out/checkpoint`, and report how far that is off.

    Raises:
        InvalidInput: If `out` holds a finished run and nothing asks to export it again.
    """
    if not only_export and (out / "checkpoint" / AGREEMENT).exists():
        raise InvalidInput(f"{out} holds a finished run; give another --out, or --only-export to export it again")
    config = TrainConfig() if steps is None else TrainConfig(steps=steps, mixed_steps=steps)
    table = read_outcomes(data, name)
    unseen = [tuple(filter(None, names.split(","))) for names in without]
    if not only_export:
        others, progress = _others(data, name), sys.stderr.isatty()
        fit(table, out, config, others=others, unseen=unseen, start=start, progress=progress)
    for names in (*unseen, ()):
        folder = folder_without(out, names)
        network, tokenizer = load_network(folder)
        learnt = learnt_from(out, names)
        agreement = release(network, tokenizer, table, folder / "checkpoint", "mini", config.split, learnt)
    if json_:
        _output.as_json({"checkpoint": str(out / "checkpoint"), **asdict(agreement)})
        return
    _output.say(
        f"{out / 'checkpoint'}: on {agreement.queries:,} queries, {agreement.decisions:.1%} of the decisions in "
        f"{agreement.zoos} zoos of similar strength and {agreement.pairs:.1%} of all pairs of {agreement.candidates} "
        f"candidates as in torch; log-odds differ by {agreement.exact:.1e} at most before quantisation and by "
        f"{agreement.quantised:.3f} on average after it"
    )


def _others(data: Path, name: str) -> list[KnownTable]:
    """Read the other pairs of a folder and of its more/, as far as the catalogue or published scores know models."""
    found = {
        path.stem.removeprefix("items-"): path.parent
        for folder in (data, data / "more")
        for path in sorted(folder.glob("items-*.parquet"))
    }
    named = profiles_in_tables(data / "more") if (data / "more" / "model-names.parquet").exists() else {}
    others = []
    for other, folder in found.items():
        if other != name:
            table = read_outcomes(folder, other)
            known = {one.capability.candidate.id: one.capability for one in public_profiles(table.candidates)}
            profiles = {**named.get(other, {}), **known}
            capabilities = [profiles[model] for model in table.candidates if model in profiles]
            others.append(KnownTable(table, capabilities))
    return others
