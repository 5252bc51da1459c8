"""`cit calibrate`: fit on a store's own outcomes how much they are believed."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from cit_core.cli import _output
from cit_core.cli._options import CheckpointOption, JsonOption, StoreOption, open_store
from cit_core.errors import InvalidInput

__all__ = ["calibrate"]


def calibrate(
    evidence: Annotated[
        bool, typer.Option("--evidence", help="How far outcomes on similar questions reach, and what they weigh.")
    ] = False,
    store: StoreOption = None,
    checkpoint: CheckpointOption = "mini",
    questions: Annotated[int, typer.Option(min=50, help="Questions left out in turn, drawn at random.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    json_: JsonOption = False,
) -> None:
    """Fit on a store's outcomes how much evidence is believed, and keep it there for every router made from then on.

    Items without a vector get one first. Where evidence does not help, routers go without it, and this says so.
    """
    from cit_core.router.evidence_fit import calibrate_evidence
    from cit_core.router.loading import open_scorer

    if not evidence:
        raise InvalidInput("say what to calibrate: --evidence")
    with open_store(store) as opened, _output.counting() as progress:
        done = calibrate_evidence(opened, open_scorer(checkpoint), questions=questions, seed=seed, progress=progress)
        url = opened.url
    saved, error = done.fit.gain
    asked = len(done.fit.asked_N)
    if json_:
        _output.as_json(
            {
                "helps": done.fit.helps,
                "settings": asdict(done.fit.settings) if done.fit.helps else None,
                "questions": asked,
                "saved_log_loss": saved,
                "standard_error": error,
                "routed": done.routed,
                "routed_network": done.routed_network,
                "version": done.version,
                "store": url,
            }
        )
        return
    chosen = asdict(done.fit.settings)
    found = ", ".join(f"{name} {value if isinstance(value, str) else f'{value:g}'}" for name, value in chosen.items())
    _output.say(
        f"{asked:,} questions, each left out in turn: evidence saves {saved:.4f} +- {error:.4f} nats of log-loss"
    )
    _output.say(f"the best pick is right on {done.routed:.1%} of them, on {done.routed_network:.1%} without evidence")
    if done.fit.helps:
        _output.say(f"kept with version {done.version} of {url}: {found}")
    else:
        _output.say(f"that is not clearly better than the network alone: routers of {url} go without evidence")
