"""Printing: results on stdout, everything else on stderr, all of it through rich, control characters escaped."""

from __future__ import annotations

import json
import math
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

    from cit_core.records import Decision

__all__ = [
    "as_json",
    "complain",
    "console",
    "counting",
    "decision_record",
    "escaped",
    "folded",
    "note",
    "percent",
    "say",
    "show",
    "table",
    "usd",
]

PIPE_WIDTH = 160
"""Columns of a table in a file or a pipe, which has no width of its own."""
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that act on a terminal or reorder a line; tab and newline are layout and stay."""


WIDEST_FOLDED = 120
"""Columns up to which text is folded; a wider terminal may break lines itself."""
COMMAND = re.compile(r"`[^`\n]*`|(?<=: )cit .*")
"""A suggested command: in backticks, or the rest of a line."""
HARD_SPACE = "\ue000"
"""Takes the place of a space that must not be broken, while a text is folded; of private use, so in no text of ours."""


def escaped(text: str) -> str:
    r"""Return a text that a terminal shows and does not obey: an ESC becomes `\x1b`.

    Ids of models, names of files and messages of providers come from elsewhere; a control character in them could clear
    the screen, set the title or write to the clipboard.
    """
    return CONTROL.sub(lambda match: ascii(match[0])[1:-1], text)


def console(*, stderr: bool = False) -> Console:
    """Return a console on the current stdout or stderr that escapes control characters in everything it prints."""
    stream = sys.stderr if stderr else sys.stdout
    fixed = None if stream.isatty() or "COLUMNS" in os.environ else PIPE_WIDTH
    return _console_class()(stderr=stderr, width=fixed, highlight=False, emoji=False)


@cache
def _console_class() -> type[Console]:
    from rich.console import Console
    from rich.segment import Segment

    class EscapingConsole(Console):
        """A rich console that writes no control codes but its own colours and cursor movements."""

        def render(self, *arguments: Any, **options: Any) -> Iterator[Segment]:
            for segment in super().render(*arguments, **options):
                yield segment if segment.control else Segment(escaped(segment.text), segment.style)

    return EscapingConsole


def show(renderable: RenderableType) -> None:
    """Print a table of the result."""
    console().print(renderable)


def say(text: str) -> None:
    """Print a line of the result, without markup and wrapping."""
    _plain(console(), text)


def note(text: str) -> None:
    """Print a line on stderr."""
    _plain(console(stderr=True), text)


def complain(error: BaseException) -> None:
    """Print an error on stderr: that of a file as its name and the reason."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, (str, bytes)) else ""
        note(f"error: {where}{error.strerror}")
    else:
        note(f"error: {error}")


def _plain(target: Console, text: str) -> None:
    stream = target.file
    narrow = target.width <= WIDEST_FOLDED and (stream.isatty() or "COLUMNS" in os.environ)
    target.print(folded(escaped(text), target.width) if narrow else escaped(text), markup=False, soft_wrap=True)


def folded(text: str, width: int) -> str:
    """Return a text with long lines folded between words, never inside a `command`, which must work when pasted."""
    return "\n".join(_folded(line, width) for line in text.split("\n"))


def _folded(line: str, width: int) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    whole = COMMAND.sub(lambda match: match[0].replace(" ", HARD_SPACE), line)
    lines = textwrap.wrap(
        whole, width, subsequent_indent=f"{indent}    ", break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(lines).replace(HARD_SPACE, " ") if len(line) > width else line


def as_json(record: object) -> None:
    """Print one line of JSON on stdout."""
    console().print(json.dumps(record, allow_nan=False), markup=False, soft_wrap=True)


def decision_record(decision: Decision, id_: str | int | None = None) -> dict[str, Any]:
    """Return a decision as a record of a decisions file and of `cit route TEXT --json`."""
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
    """Return a table with cells without markup.

    Args:
        title: The line above it.
        columns: Heading to layout: `left`, `right` or `fold` (left, wrapped to the width that remains).
        rows: One text for each column.
        lines: Draw a rule between rows.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    grid = Table(title=Text(escaped(title), style="bold"), title_justify="left", box=box.SIMPLE_HEAD, show_lines=lines)
    for heading, kind in columns.items():
        grid.add_column(
            heading, justify="right" if kind == "right" else "left", no_wrap=kind != "fold", overflow="fold"
        )
    for row in rows:
        grid.add_row(*(Text(escaped(cell)) if isinstance(cell, str) else cell for cell in row))
    return grid


@contextmanager
def counting() -> Iterator[Callable[[str, int], None]]:
    """Show a counter on stderr if that is a terminal.

    Yields:
        A function of what is counted and how many there are so far.
    """
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.completed:,} {task.description}"), TimeElapsedColumn())
    stderr = console(stderr=True)
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as bars:
        task = bars.add_task("", total=None)
        yield lambda what, count: bars.update(task, description=what, completed=count)


def percent(value: float | None) -> str:
    """Format a probability or an accuracy."""
    return "–" if value is None or math.isnan(value) else f"{value:.1%}"


def usd(value: float | None) -> str:
    """Format an amount: a list price, or the cost of one call."""
    return "–" if value is None else f"${value:g}" if value >= 0.01 or value == 0 else f"${value:.5f}"
