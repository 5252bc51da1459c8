"""Comparisons as text: rows for a terminal table, Markdown for a page, JSON for a file."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from cit_core.evaluate.experiments import Comparison, Row
from cit_core.evaluate.metrics import Interval

__all__ = ["COLUMNS", "as_markdown", "as_record", "cells", "summary"]

COLUMNS = ("router", "accuracy %", "above random", "above best by aptitude", "pairs in order %")


def cells(row: Row) -> tuple[str, ...]:
    """One row as text; intervals are 95 %."""
    ranking = "–" if row.ranking is None else _interval(row.ranking)
    return (row.router, _interval(row.accuracy), _signed(row.above_random), _signed(row.above_aptitude), ranking)


def as_markdown(comparisons: Sequence[Comparison]) -> str:
    """The comparisons as Markdown tables, each with what it stands on."""
    parts = []
    for comparison in comparisons:
        zoos = "one zoo" if comparison.zoos == 1 else f"{comparison.zoos} zoos"
        lines = [
            f"**{comparison.title}** ({comparison.items:,} items, {zoos})",
            "",
            "| " + " | ".join(COLUMNS) + " |",
            "|---|" + "---:|" * (len(COLUMNS) - 1),
            *("| " + " | ".join(cells(row)) + " |" for row in comparison.rows),
            "",
            summary(comparison),
        ]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def summary(comparison: Comparison) -> str:
    """The scorer's probabilities and its distance from the shuffled control, in one line."""
    numbers = [f"{name} {_precise(value)}" for name, value in comparison.probabilities.items()]
    above = f"Pairs in order above the shuffled control {_signed(comparison.ranking_above_shuffled)} points"
    return "; ".join([above, *numbers]) + "."


def as_record(comparisons: Sequence[Comparison], **facts: Any) -> str:
    """The comparisons as JSON, with what it takes to get them again."""
    record = {
        "versions": {name: version(name) for name in ("cit-router", "numpy", "onnxruntime")},
        "machine": f"{platform.machine()} {platform.python_implementation()} {platform.python_version()}",
        **facts,
        "comparisons": [asdict(comparison) for comparison in comparisons],
    }
    return json.dumps(record, indent=1)


def _interval(interval: Interval) -> str:
    return f"{interval.mean:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


def _precise(interval: Interval) -> str:
    return f"{interval.mean:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _signed(interval: Interval) -> str:
    return f"{interval.mean:+.2f} [{interval.low:+.2f}, {interval.high:+.2f}]"
