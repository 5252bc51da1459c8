"""`cit calibrate`: fit a store's evidence again, and show its gain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cit_core.cli import _output
from cit_core.cli._options import CheckpointOption, JsonOption, StoreOption, open_store
from cit_core.errors import InvalidInput

if TYPE_CHECKING:
    from cit_core.evidence import Fitted

__all__ = ["calibrate"]


def calibrate(
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
    """Fit a store's evidence again and show what each part of it weighs.

    Imports, tests and feedback fit it by themselves; this shows the result.
    """
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
