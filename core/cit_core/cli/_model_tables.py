"""Tables of models and capabilities for `cit models`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cit_core.cli._output import percent, table

if TYPE_CHECKING:
    from rich.table import Table

    from cit_core.catalogue.model_lists import Listed
    from cit_core.records import Candidate, PriceTier
    from cit_core.store import Source

__all__ = ["facts_table", "models_table", "source_summary", "sources_table", "summary", "task_table"]

PRICE = "USD per 1M tokens"
MILLION = 1_000_000
PUBLIC = ("linked", "average")
"""Profiles for which nobody asked questions."""
FEW = 5
"""Tasks shown of the best and of the worst."""
ASKED = ("context window", "price in", "price out", "reads", "tools", "structured output", "released", "license")
"""Facts that matter for routing, of which a table says that they are not known."""


def summary(listed: Listed) -> dict[str, Any]:
    """Return a model as a JSON object: facts, mean accuracy, and the number of tasks and questions behind it."""
    capability = listed.capability
    mean = capability.mean_accuracy
    return {
        **capability.candidate.model_dump(mode="json"),
        "provider": listed.provider,
        "open": listed.open,
        "profile": listed.basis,
        "mean_accuracy": None if math.isnan(mean) else mean,
        "tasks": len(capability.results),
        "questions": None if listed.basis in PUBLIC else sum(result.count for result in capability.results),
    }


def models_table(title: str, models: Sequence[Listed]) -> Table:
    """Build a table with one line per model."""
    columns = {"model": "fold", "accuracy": "right", "profile": "left", "released": "left", "context": "right"}
    columns |= {"$/1M\nin / out": "right"}
    return table(title, columns, [_line(listed) for listed in models])


def _line(listed: Listed) -> list[str]:
    candidate = listed.capability.candidate
    return [
        candidate.id,
        percent(listed.capability.mean_accuracy),
        _profile(listed),
        "–" if candidate.released is None else f"{candidate.released:%Y-%m}",
        _tokens(candidate.context_window),
        _prices(candidate),
    ]


def _profile(listed: Listed) -> str:
    basis = "–" if listed.basis == "none" else listed.basis
    return f"{basis}, ended" if listed.capability.candidate.has_ended() else basis


def _tokens(number: int | None) -> str:
    """Format a window in thousands or millions of tokens."""
    if number is None:
        return "–"
    return f"{number / 1e6:.2g}M" if number >= MILLION else f"{number / 1e3:.3g}k"


def source_summary(source: Source) -> dict[str, Any]:
    """Return a source as a JSON object."""
    dates = {"since": source.since, "until": source.until}
    return {**source._asdict(), **{name: when and when.isoformat() for name, when in dates.items()}}


def sources_table(title: str, sources: Sequence[Source]) -> Table:
    """Build a table with one line per source of outcomes."""
    columns = {"source": "fold", "outcomes": "right", "models": "right", "from": "left", "to": "left", "counts": "left"}
    return table(
        title,
        columns,
        [
            [
                source.id,
                f"{source.outcomes:,}",
                f"{source.candidates:,}",
                *("–" if when is None else f"{when:%Y-%m-%d}" for when in (source.since, source.until)),
                "not yet" if source.held else "yes",
            ]
            for source in sources
        ],
    )


def _prices(candidate: Candidate) -> str:
    if candidate.price_in is None and candidate.price_out is None:
        return "–"
    return " / ".join("–" if price is None else f"{price:g}" for price in (candidate.price_in, candidate.price_out))


def facts_table(listed: Listed, provenance: Mapping[str, Any] | None = None) -> Table:
    """Build a table of the facts that are known with their units and sources, and of the names of the others."""
    candidate = listed.capability.candidate
    facts = {
        "maker": listed.provider,
        "other names": ", ".join(candidate.aliases) or None,
        "context window": _limit(candidate.context_window),
        "longest answer": _limit(candidate.max_output),
        "price in": _price(candidate.price_in),
        "price in, cached": _price(candidate.price_cached),
        "price in, written to a cache": _price(candidate.price_cache_write),
        "price out": _price(candidate.price_out),
        **{f"prompt above {tier.above:,} tokens": _tier(tier) for tier in candidate.price_tiers},
        "reads": ", ".join(candidate.modalities or ()) or None,
        "tools": _yes_no(candidate.tools),
        "structured output": _yes_no(candidate.structured_output),
        "reasoning": _yes_no(candidate.reasoning),
        "effort": candidate.effort,
        "released": None if candidate.released is None else candidate.released.isoformat(),
        "no longer served": None if candidate.deprecated is None else f"from {candidate.deprecated.isoformat()}",
        "successor": candidate.successor,
        "parameters": None if candidate.params_b is None else f"{candidate.params_b:g} billion",
        "weights published": _yes_no(listed.open),
        "license": candidate.license,
        "notes": candidate.notes or None,
        "source": candidate.source,
        "price page": listed.url,
        "profile": listed.because or None,
        **{f"source: {name}": str(value) for name, value in (provenance or {}).items()},
    }
    known = [(name, value) for name, value in facts.items() if value]
    missing = ", ".join(name for name in ASKED if not facts[name])
    return table(
        candidate.id, {"fact": "left", "value": "fold"}, [*known, *([("not known", missing)] if missing else [])]
    )


def _limit(number: int | None) -> str | None:
    return None if number is None else f"{number:,} tokens"


def _price(usd: float | None) -> str | None:
    return None if usd is None else f"{usd:g} {PRICE}"


def _tier(tier: PriceTier) -> str:
    cached = "" if tier.price_cached is None else f", {tier.price_cached:g} cached"
    return f"in {tier.price_in:g}{cached}, out {tier.price_out:g} {PRICE}"


def _yes_no(value: bool | None) -> str | None:
    return None if value is None else "yes" if value else "no"


def task_table(listed: Listed, *, all_: bool = True) -> Table:
    """Build a table of the accuracy on each task, the best first; without `all_`, of the best and the worst few.

    Beside each is its standard error. Nobody asked the questions that a linked profile is worth, so they are not shown.
    """
    capability = listed.capability
    found = sorted(capability.results, key=lambda result: (-result.accuracy, result.task.id))
    title = f"{percent(capability.mean_accuracy)} over {len(found)} tasks" if found else "never measured"
    if not all_ and len(found) > 2 * FEW + 1:
        title += f"; the best and the worst {FEW}, --all shows every one"
        found = [*found[:FEW], *found[-FEW:]]
    is_linked = listed.basis in PUBLIC
    columns = {"task": "fold", "accuracy": "right", "±": "right", "about": "fold"}
    rows = [
        [
            result.task.id,
            percent(result.accuracy),
            f"{100.0 * math.sqrt(result.accuracy * (1.0 - result.accuracy) / result.count):.1f}",
            *([] if is_linked else [str(result.count)]),
            result.task.description,
        ]
        for result in found
    ]
    if not is_linked:
        columns = {"task": "fold", "accuracy": "right", "±": "right", "questions": "right", "about": "fold"}
    return table(title, columns, rows)
