"""A model in words and tables: what `cit models` shows of a capability."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cit_core.cli._output import percent, table, usd

if TYPE_CHECKING:
    from rich.table import Table

    from cit_core.records import Candidate, Capability

__all__ = ["by_accuracy", "facts_table", "models_table", "summary", "task_table"]

PRICE = "USD per 1M tokens"


def by_accuracy(capability: Capability) -> tuple[float, str]:
    """A sort key: the most accurate first, who was never measured last, equals in order of id."""
    mean = capability.mean_accuracy
    return math.inf if math.isnan(mean) else -mean, capability.candidate.id


def summary(capability: Capability) -> dict[str, Any]:
    """A model as a JSON object: its facts, its mean accuracy and what that stands on."""
    mean = capability.mean_accuracy
    return {
        **capability.candidate.model_dump(mode="json"),
        "mean_accuracy": None if math.isnan(mean) else mean,
        "tasks": len(capability.results),
        "questions": sum(result.count for result in capability.results),
    }


def models_table(title: str, capabilities: Sequence[Capability]) -> Table:
    """One line a model."""
    columns = {"model": "fold", "accuracy": "right", "tasks": "right", "size": "right"}
    columns |= {"released": "left", "context": "right", "$/1M in": "right", "$/1M out": "right"}
    return table(title, columns, [_line(capability) for capability in capabilities])


def _line(capability: Capability) -> list[str]:
    candidate = capability.candidate
    return [
        candidate.id,
        percent(capability.mean_accuracy),
        str(len(capability.results)),
        "–" if candidate.params_b is None else f"{candidate.params_b:g}B",
        "–" if candidate.released is None else candidate.released.isoformat(),
        "–" if candidate.context_window is None else f"{candidate.context_window:,}",
        usd(candidate.price_in),
        usd(candidate.price_out),
    ]


def facts_table(candidate: Candidate, provenance: Mapping[str, Any] | None = None) -> Table:
    """Every fact with its unit, and where the facts come from if that is known."""
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
    """How the model did, the best task first."""
    rows = [
        (result.task.id, percent(result.accuracy), str(result.count), result.task.description)
        for result in sorted(capability.results, key=lambda result: (-result.accuracy, result.task.id))
    ]
    title = f"{percent(capability.mean_accuracy)} over {len(rows)} tasks" if rows else "never measured"
    return table(title, {"task": "left", "accuracy": "right", "questions": "right", "about": "fold"}, rows)
