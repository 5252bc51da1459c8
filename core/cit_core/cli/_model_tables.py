"""Tables of models and capabilities for `cit models`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cit_core.cli._output import percent, table

if TYPE_CHECKING:
    from rich.table import Table

    from cit_core.records import Candidate, Capability
    from cit_core.store import Source

__all__ = ["by_accuracy", "facts_table", "models_table", "source_summary", "sources_table", "summary", "task_table"]

PRICE = "USD per 1M tokens"


def by_accuracy(capability: Capability) -> tuple[float, str]:
    """Return a sort key: the most accurate first, unmeasured models last, ties by id."""
    mean = capability.mean_accuracy
    return math.inf if math.isnan(mean) else -mean, capability.candidate.id


def summary(capability: Capability) -> dict[str, Any]:
    """Return a model as a JSON object: facts, mean accuracy, and the number of tasks and questions behind it."""
    mean = capability.mean_accuracy
    return {
        **capability.candidate.model_dump(mode="json"),
        "mean_accuracy": None if math.isnan(mean) else mean,
        "tasks": len(capability.results),
        "questions": sum(result.count for result in capability.results),
    }


def models_table(title: str, capabilities: Sequence[Capability]) -> Table:
    """Build a table with one line per model."""
    columns = {"model": "fold", "accuracy": "right", "size": "right", "released": "left", "context": "right"}
    columns |= {"$/1M\nin / out": "right"}
    return table(title, columns, [_line(capability) for capability in capabilities])


def _line(capability: Capability) -> list[str]:
    candidate = capability.candidate
    return [
        candidate.id,
        percent(capability.mean_accuracy),
        "–" if candidate.params_b is None else f"{candidate.params_b:g}B",
        "–" if candidate.released is None else f"{candidate.released:%Y-%m}",
        "–" if candidate.context_window is None else f"{candidate.context_window:,}",
        _prices(candidate),
    ]


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


def facts_table(candidate: Candidate, provenance: Mapping[str, Any] | None = None) -> Table:
    """Build a table of all facts with their units and, where known, their sources."""
    facts = {
        "context window": None if candidate.context_window is None else f"{candidate.context_window:,} tokens",
        "price in": None if candidate.price_in is None else f"{candidate.price_in:g} {PRICE}",
        "price out": None if candidate.price_out is None else f"{candidate.price_out:g} {PRICE}",
        "reads": ", ".join(candidate.modalities or ()) or None,
        "tools": _yes_no(candidate.tools),
        "structured output": _yes_no(candidate.structured_output),
        "released": None if candidate.released is None else candidate.released.isoformat(),
        "parameters": None if candidate.params_b is None else f"{candidate.params_b:g} billion",
        "license": candidate.license,
        "notes": candidate.notes or None,
        **{f"source: {name}": str(value) for name, value in (provenance or {}).items()},
    }
    return table(candidate.id, {"fact": "left", "value": "fold"}, [(k, v or "not known") for k, v in facts.items()])


def _yes_no(value: bool | None) -> str | None:
    return None if value is None else "yes" if value else "no"


def task_table(capability: Capability) -> Table:
    """Build a table of the accuracy on each task, the best first."""
    rows = [
        (result.task.id, percent(result.accuracy), str(result.count), result.task.description)
        for result in sorted(capability.results, key=lambda result: (-result.accuracy, result.task.id))
    ]
    title = f"{percent(capability.mean_accuracy)} over {len(rows)} tasks" if rows else "never measured"
    return table(title, {"task": "fold", "accuracy": "right", "questions": "right", "about": "fold"}, rows)
