"""`cit replay`: what another policy, or other models, would have cost and scored on a log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cit_core.cli import _output
from cit_core.cli._options import (
    CheckpointOption,
    JsonOption,
    LogOption,
    StoreOption,
    open_log,
    open_router,
    settings,
    split_ids,
)
from cit_core.errors import InvalidInput

if TYPE_CHECKING:
    from cit_core.evaluate.log_records import Logged
    from cit_core.evaluate.replay import Replay
    from cit_core.records import Decision
    from cit_core.router import Router

__all__ = ["replay"]

CHUNK = 256


def replay(
    ctx: typer.Context,
    policy: Annotated[
        str | None, typer.Option("--policy", metavar="POLICY", help="The other policy. Default: the settings' policy.")
    ] = None,
    log: LogOption = None,
    models: Annotated[
        str | None,
        typer.Option("--models", metavar="ID,ID", help="Route anew among these models; the log must hold texts."),
    ] = None,
    store: StoreOption = None,
    checkpoint: CheckpointOption = "mini",
    json_: JsonOption = False,
) -> None:
    """Compare a log with what another policy, or other models, would have chosen; calls no LLM."""
    from cit_core.evaluate.replay import replay as replayed
    from cit_core.policy import parse_policy

    wanted, logged = parse_policy(policy or settings().policy), open_log(log)
    anew = None
    if models is not None or store is not None:
        anew = _anew((ctx.obj or open_router)(checkpoint, store, split_ids(models), wanted), logged)
    found = replayed(logged, wanted, anew)
    if json_:
        _output.as_json(_plain(asdict(found)))
    else:
        _say(found)


def _anew(router: Router, logged: Sequence[Logged]) -> dict[str, Decision]:
    texts = [one for one in logged if one.text is not None]
    if not texts:
        raise InvalidInput(
            "the log holds no texts, so it cannot be routed anew; log with DecisionLog(..., texts=True), or leave out "
            "--models and --store to replay another policy among the logged candidates"
        )
    unlimited = router.with_options(policy="best")  # no limit pays for what is replayed
    found: dict[str, Decision] = {}
    for start in range(0, len(texts), CHUNK):
        part = texts[start : start + CHUNK]
        decided = unlimited.route_many([one.text for one in part])
        found |= {one.id: decision for one, decision in zip(part, decided, strict=True)}
    return found


def _plain(value: Any) -> Any:
    """Return tuples as lists, named ones by their fields."""
    if hasattr(value, "_asdict") and not {"mean", "low", "high"} >= set(value._fields):
        return {name: _plain(one) for name, one in value._asdict().items()}
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _say(found: Replay) -> None:
    from cit_core.evaluate.results import Column, Table
    from cit_core.evaluate.tables import as_rich, written

    estimate = found.off_policy
    rows = [
        ("USD a query, logged", _cell(found.logged_cost_usd, "usd")),
        ("USD a query, replayed", _cell(found.cost_usd, "usd")),
        ("USD saved on a query", _cell(found.saved_usd, "usd")),
        ("mean P(correct), logged", written(found.logged_quality, "precise")),
        ("mean P(correct), replayed", written(found.quality, "precise")),
        ("feedback, logged", _cell(found.rewards, "precise")),
        ("feedback, replayed, inverse propensity", _cell(estimate.inverse_propensity, "precise")),
        ("feedback, replayed, self-normalised", _cell(estimate.self_normalised, "precise")),
        ("feedback, replayed, doubly robust", _cell(estimate.doubly_robust, "precise")),
        ("queries with feedback on the replayed choice", f"{estimate.matched:,}"),
        ("the same choice", f"{found.same:.1%}"),
    ]
    title = f"{found.policy} on {found.queries:,} logged queries"
    _output.show(as_rich(Table(title, (Column("what"), Column("mean and 95 % interval")), tuple(rows))))
    shares = tuple((model, f"{share:.1%}") for model, share in found.shares.items())
    _output.show(as_rich(Table("share of queries", (Column("model"), Column("share")), shares)))


def _cell(value: Any, kind: Any) -> str:
    from cit_core.evaluate.tables import written

    return written(value, kind)
