"""`cit calibrate`: fit on a store's outcomes how much evidence counts."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cit_core.cli import _output
from cit_core.cli._options import CheckpointOption, JsonOption, StoreOption, open_store

if TYPE_CHECKING:
    from cit_core.router.evidence_fit import Calibrated

__all__ = ["calibrate"]


def calibrate(
    store: StoreOption = None,
    checkpoint: CheckpointOption = "mini",
    questions: Annotated[
        int, typer.Option(metavar="N", min=50, help="Questions drawn at random and left out in turn.")
    ] = 1000,
    seed: Annotated[int, typer.Option(metavar="N", help="Random seed of the draw.")] = 0,
    evidence: Annotated[  # noqa: ARG001 - scripts written when it was required still pass it
        bool, typer.Option("--evidence", hidden=True, help="Fit the evidence: the default, and all there is to fit.")
    ] = True,
    json_: JsonOption = False,
) -> None:
    """Fit on a store's outcomes how much evidence counts, and keep it there for every router made from the store.

    Items without a vector get one first. Where evidence does not help, routers of the store go without it.
    """
    from cit_core.router.evidence_fit import calibrate_evidence
    from cit_core.router.loading import open_scorer

    with open_store(store) as opened, _output.counting() as progress:
        done = calibrate_evidence(opened, open_scorer(checkpoint), questions=questions, seed=seed, progress=progress)
        url = opened.url
    if json_:
        _output.as_json(_record(done, url))
    else:
        _say(done, url)


def _record(done: Calibrated, url: str) -> dict[str, Any]:
    saved, error = done.fit.gain
    return {
        "helps": done.fit.helps,
        "settings": asdict(done.fit.settings) if done.fit.helps else None,
        "questions": len(done.fit.asked_N),
        "saved_log_loss": saved,
        "standard_error": error,
        "routed": done.routed,
        "routed_network": done.routed_network,
        "version": done.version,
        "store": url,
    }


def _say(done: Calibrated, url: str) -> None:
    saved, error = done.fit.gain
    _output.say(
        f"{len(done.fit.asked_N):,} questions, each left out in turn: evidence saves {saved:.4f} ± {error:.4f} nats of "
        "log-loss"
    )
    _output.say(f"the best pick is right on {done.routed:.1%} of them, on {done.routed_network:.1%} without evidence")
    if done.fit.helps:
        chosen = asdict(done.fit.settings).items()
        found = ", ".join(f"{name} {value if isinstance(value, str) else f'{value:g}'}" for name, value in chosen)
        _output.say(f"kept with version {done.version} of {url}: {found}")
    else:
        _output.say(f"not clearly better than the network alone: routers of {url} go without evidence")
