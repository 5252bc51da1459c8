"""`cit calibrate`: the knob of a policy on one's own queries; or a store's evidence, fitted again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cit_core.cli import _output
from cit_core.cli._options import CheckpointOption, JsonOption, StoreOption, open_router, open_store, split_ids
from cit_core.cli._policy_calibration import calibrate_file, wanted_policy
from cit_core.errors import InvalidInput

if TYPE_CHECKING:
    from cit_core.evidence import Fitted

__all__ = ["calibrate"]


def calibrate(
    ctx: typer.Context,
    quality: Annotated[
        float | None,
        typer.Option("--quality", metavar="SHARE", help="Find the cheapest that keeps this share of best's quality."),
    ] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", metavar="USD/1k", help="Show what a budget for 1,000 queries brings.")
    ] = None,
    share: Annotated[
        str | None,
        typer.Option("--share", metavar="MODEL=PCT", help="Show what a share of queries for a model brings."),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--input",
            metavar="FILE",
            help="Queries as JSON lines with id and instruction; `correct`, labels by model, where there are any.",
        ),
    ] = None,
    target: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Policy file to write, .json or .toml.")
    ] = None,
    figure: Annotated[
        Path | None, typer.Option("--figure", metavar="FILE", help="Curve of quality against cost to draw, as SVG.")
    ] = None,
    models: Annotated[
        str | None, typer.Option("--models", metavar="ID,ID", help="Choose among these models only. Default: all.")
    ] = None,
    store: StoreOption = None,
    checkpoint: CheckpointOption = "mini",
    questions: Annotated[
        int, typer.Option(min=4, help="Maximum number of questions that the network reads.", metavar="N")
    ] = 300,
    seed: Annotated[int, typer.Option(metavar="N", help="Random seed of the draw.")] = 0,
    evidence: Annotated[  # noqa: ARG001 - scripts written when it was required still pass it
        bool, typer.Option("--evidence", hidden=True, help="Fit the evidence: the default, and all there is to fit.")
    ] = True,
    json_: JsonOption = False,
) -> None:
    """Find the knob of a policy on your own queries; without one, fit a store's evidence again.

    Imports, tests and feedback fit evidence by themselves; this shows what each part of it weighs.
    """
    policy = wanted_policy(quality, budget, share)
    if policy is not None:
        if source is None:
            raise InvalidInput("a policy is calibrated on queries: --input FILE, JSON lines with id and instruction")
        router = (ctx.obj or open_router)(checkpoint, store, split_ids(models), policy)
        calibrate_file(router, policy, source, target, figure, json_=json_)
        return
    if source or target or figure or models:
        raise InvalidInput("--input, --output, --figure and --models go with --quality, --budget or --share")
    from cit_core.aptitude.evidence_fit import fit_store
    from cit_core.router.loading import open_scorer

    with open_store(store) as opened, _output.counting() as progress:
        report = fit_store(
            opened, open_scorer(checkpoint), anew=True, questions=questions, seed=seed, progress=progress
        )
        url = opened.url
    if not report.fitted.questions:
        raise InvalidInput(f"{url} holds no outcome of a question with a text; `cit import` adds some")
    told = _told(report.fitted, report.log.version, url)
    if json_:
        _output.as_json(told)
        return
    mean, error = report.fitted.gain
    _output.say(
        f"{report.fitted.questions:,} questions, each left out in turn: routing is right on {100 * mean:+.1f} "
        f"+- {100 * error:.1f} points more than the best model by its level"
    )
    rows = [
        (name, f"{weight:.2f}", f"{told['weights_of_new_kinds'][name]:.2f}") for name, weight in told["weights"].items()
    ]
    columns: Any = {"part": "left", "weight": "right", "of a new kind": "right"}
    _output.show(_output.table("what each part weighs", columns, rows))
    _output.say(f"kept with version {report.log.version} of {url}")


def _told(fitted: Fitted, version: int, url: str) -> dict[str, Any]:
    from cit_core.evidence.parts import PARTS

    weights = fitted.weights
    network = {"network: difficulty": weights.network[0], "network: way": weights.network[1]}
    return {
        "questions": fitted.questions,
        "gain": fitted.gain[0],
        "standard_error": fitted.gain[1],
        "weights": {**dict(zip(PARTS, weights.known_P.tolist(), strict=True)), **network},
        "weights_of_new_kinds": {**dict(zip(PARTS, weights.new_P.tolist(), strict=True)), **network},
        "version": version,
        "store": url,
    }
