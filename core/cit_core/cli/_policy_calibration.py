"""`cit calibrate --quality | --budget | --share`: the knob of a policy, found on one's own queries."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cit_core.cli import _output
from cit_core.cli._whole_file import write_whole
from cit_core.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cit_core.evaluate.frontier import Calibrated, Outlook
    from cit_core.policy import Policy
    from cit_core.router import Router

__all__ = ["calibrate_file", "wanted_policy"]

CHUNK = 256


def wanted_policy(quality: float | None, budget: str | None, share: str | None) -> Policy | None:
    """Return the policy that the options ask for, None if they ask for none.

    Raises:
        InvalidInput: If they ask for more than one.
    """
    from cit_core.policy import parse_policy

    if budget is not None and "/" not in budget:
        budget = f"{budget}/1k"
    if share is not None and not share.endswith("%"):
        share = f"{share}%"
    given = {"quality": quality, "budget": budget, "share": share}
    texts = [f"{kind}:{value}" for kind, value in given.items() if value is not None]
    if len(texts) > 1:
        raise InvalidInput("give one of --quality, --budget and --share; each is a policy of its own")
    return parse_policy(texts[0]) if texts else None


def calibrate_file(
    router: Router, policy: Policy, source: Path, target: Path | None, figure: Path | None, *, json_: bool
) -> None:
    """Calibrate a policy on a file of queries, print what to expect of it, and write the policy file and the curve."""
    from cit_core.evaluate.frontier import calibrate_policy, curve_figure

    if target is not None and target.suffix not in (".json", ".toml"):
        raise InvalidInput(f"--output {target} must end in .json or .toml")
    outlook = _outlook(router, source)
    found = calibrate_policy(outlook, policy)
    told = _told(outlook, found)
    if figure is not None:
        from cit_core.evaluate.figures import draw

        write_whole(figure, draw(curve_figure(outlook, found)))
    if target is not None:
        write_whole(target, _policy_file(target, told))
    if json_:
        _output.as_json(told)
    else:
        _say(outlook, found, target, figure)


def _outlook(router: Router, source: Path) -> Outlook:
    from cit_core.cli._query_file import in_chunks, read_queries
    from cit_core.evaluate.frontier import outlook_of

    decisions, labels = [], []
    unlimited = router.with_options(policy="best")  # nobody is asked
    try:
        with source.open("rb") as lines, _output.counting() as progress:
            for chunk in in_chunks(read_queries(lines, str(source)), CHUNK):
                decisions += unlimited.route_many([query.instruction for query in chunk])
                labels += [query.correct for query in chunk]
                progress("queries", len(decisions))
    except OSError as error:
        raise InvalidInput(f"--input {source} cannot be opened: {error.strerror}") from None
    return outlook_of(decisions, labels)


def _told(outlook: Outlook, found: Calibrated) -> dict[str, Any]:
    return {
        "policy": found.policy.name,
        "knob": {found.knob: found.value},
        "expected": {
            "usd_per_1k": [1e3 * part for part in found.cost_usd],
            "quality": list(found.quality),
            "quality_kept": list(found.kept),
            "cost_of_best": list(found.spent),
        },
        "held_out": {"quality_kept": found.held_out[0], "usd_per_1k": 1e3 * found.held_out[1]},
        "best": {"usd_per_1k": 1e3 * found.best[0], "quality": found.best[1]},
        "mixture_quality": found.mixture_quality,
        "shares": dict(found.shares),
        "queries": len(outlook),
        "labelled": outlook.labelled,
        "when": date.today().isoformat(),
    }


def _policy_file(target: Path, told: Mapping[str, Any]) -> str:
    if target.suffix == ".json":
        return json.dumps(told, indent=2) + "\n"
    lines = []
    for name, value in told.items():
        if isinstance(value, dict):
            inside = ", ".join(f"{json.dumps(key)} = {json.dumps(one)}" for key, one in value.items())
            lines.append(f"{name} = {{ {inside} }}")
        else:
            lines.append(f"{name} = {json.dumps(value)}")
    return "\n".join(lines) + "\n"


def _say(outlook: Outlook, found: Calibrated, target: Path | None, figure: Path | None) -> None:
    cost, best = 1e3 * found.cost_usd.mean, 1e3 * found.best[0]
    _output.say(f"{found.policy.name}: {found.knob} {found.value:.6g}, found on {len(outlook):,} queries")
    basis = f"labels for {outlook.labelled:.0%}, P(correct) for the others" if outlook.labelled else "P(correct) alone"
    rows = [
        (
            "cost of 1,000 queries",
            f"${cost:.4f}",
            _between(found.cost_usd, 1e3, "$"),
            f"${1e3 * found.held_out[1]:.4f}",
        ),
        ("quality", f"{found.quality.mean:.4f}", _between(found.quality), ""),
        ("quality kept of best", f"{found.kept.mean:.1%}", _between(found.kept), f"{found.held_out[0]:.1%}"),
        ("cost relative to best", f"{found.spent.mean:.1%}", _between(found.spent), ""),
        ("quality of single models mixed at this cost", f"{found.mixture_quality:.4f}", "", ""),
    ]
    columns = {"": "left", "expected": "right", "95 % interval": "right", "knob of the other half": "right"}
    _output.show(_output.table(f"beside best at ${best:.4f} and {found.best[1]:.4f} (by {basis})", columns, rows))
    shares = [(id_, f"{share:.1%}") for id_, share in sorted(found.shares.items(), key=lambda one: -one[1]) if share]
    _output.show(_output.table("share of queries", {"model": "left", "share": "right"}, shares))
    if figure is not None:
        _output.say(f"curve in {figure}")
    if target is not None:
        _output.say(f'policy in {target}: use it as policy = "file:{target}"')


def _between(interval: tuple[float, float, float], scale: float = 1.0, sign: str = "") -> str:
    return f"{sign}{scale * interval[1]:.4f} to {sign}{scale * interval[2]:.4f}"
