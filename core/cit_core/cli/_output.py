"""What the verbs print: results on stdout, everything else on stderr, all of it through rich."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from cit_core.records import Decision

__all__ = ["as_json", "complain", "console", "counting", "decision_record", "note", "percent", "say", "table", "usd"]

PIPE_WIDTH = 160
"""Columns of a table that goes into a file or a pipe, which has no width of its own."""


def console(*, stderr: bool = False) -> Console:
    """A console on what stdout or stderr is now; made when needed, so that a redirect is respected."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    fixed = None if stream.isatty() or "COLUMNS" in os.environ else PIPE_WIDTH
    return Console(stderr=stderr, width=fixed, highlight=False, emoji=False)


def say(text: str) -> None:
    """A line of the result, as it is: no markup, no wrapping."""
    _plain(console(), text)


def note(text: str) -> None:
    """A line beside the result, on stderr."""
    _plain(console(stderr=True), text)


def complain(error: BaseException) -> None:
    """What went wrong, on stderr."""
    _plain(console(stderr=True), f"error: {error}")


def _plain(target: Console, text: str) -> None:
    target.print(text, markup=False, soft_wrap=True)


def as_json(record: object) -> None:
    """One line of JSON on stdout."""
    say(json.dumps(record, allow_nan=False))


def decision_record(decision: Decision, id_: str | int | None = None) -> dict[str, Any]:
    """A decision as it stands in a decisions file and in `cit route TEXT --json`."""
    record: dict[str, Any] = {
        "id": id_,
        "model": decision.model,
        "probability": decision.probability,
        "scores": decision.scores,
        "expected_cost_usd": decision.expected_cost_usd,
        "excluded": dict(decision.excluded),
        "latency_ms": round(decision.latency_ms, 3),
    }
    return record | ({"warnings": list(decision.warnings)} if decision.warnings else {})


def table(
    title: str, columns: Mapping[str, str], rows: Iterable[Sequence[str | Text]], *, lines: bool = False
) -> Table:
    """A table whose cells are shown as they are: no markup.

    Args:
        title: Stands above it.
        columns: Heading to how its cells stand: `left`, `right` or `fold` (left, wrapped to what is left of the width).
        rows: One text for each column.
        lines: Draw a rule between rows.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    grid = Table(title=Text(title, style="bold"), title_justify="left", box=box.SIMPLE_HEAD, show_lines=lines)
    for heading, kind in columns.items():
        grid.add_column(
            heading, justify="right" if kind == "right" else "left", no_wrap=kind != "fold", overflow="fold"
        )
    for row in rows:
        grid.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    return grid


@contextmanager
def counting() -> Iterator[Callable[[str, int], None]]:
    """Counts what is done on stderr, where there is a terminal: call it with what is counted and how many there are."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.completed:,} {task.description}"), TimeElapsedColumn())
    stderr = console(stderr=True)
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as bars:
        task = bars.add_task("", total=None)
        yield lambda what, count: bars.update(task, description=what, completed=count)


def percent(value: float | None) -> str:
    """A probability or accuracy for people."""
    return "–" if value is None or math.isnan(value) else f"{value:.1%}"


def usd(value: float | None) -> str:
    """An amount for people: a list price, or what one call costs."""
    return "–" if value is None else f"${value:g}" if value >= 0.01 or value == 0 else f"${value:.5f}"
