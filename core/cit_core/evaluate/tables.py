"""Results as text: how a cell is written, tables for a terminal and in Markdown, and the page of all benchmarks."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from cit_core.evaluate.metrics import Interval
from cit_core.evaluate.results import Cell, Facts, Kind, Result, Table

if TYPE_CHECKING:
    from rich.table import Table as RichTable

__all__ = ["HOW_TO_READ", "as_markdown", "as_rich", "benchmarks_page", "provenance", "written"]

HOW_TO_READ = (
    "Every experiment says what it asks, what was held out, and which command makes its numbers. Rows in bold are this "
    "router. Brackets hold 95 % intervals. A difference has a sign; where its interval holds 0, the data do not tell "
    "the two apart. – means that a number is not known or has no meaning. A resample is less well calibrated than the "
    "sample, so the interval of an ECE can lie above it."
)
MISSING = "–"
CODE = re.compile(r"(`[^`]+`)")
MARKUP = re.compile(r"[\\*<>$\[\]`~]|(?<!\w)_|_(?!\w)|&(?=[#\w]+;)")
"""Characters that have a meaning in Markdown; an underscore within a word has none."""
BLOCK = re.compile(r"^(\d*)([-+#=.)])")
"""Beginnings of a paragraph that Markdown takes for a list, a heading or a rule."""


def written(cell: Cell, kind: Kind) -> str:
    """Format a cell as text: numbers as their column says, an interval behind its mean."""
    if cell is None:
        return MISSING
    if isinstance(cell, str):
        return cell
    if isinstance(cell, Interval):
        return f"{_number(cell.mean, kind)} [{_number(cell.low, kind)}, {_number(cell.high, kind)}]"
    return _number(cell, kind)


def _number(value: float, kind: Kind) -> str:
    if kind == "text":
        return f"{value:,}" if isinstance(value, int) else f"{value:g}"
    if kind == "count":
        return f"{value:,.0f}"
    if kind == "usd":
        return f"{'-' if value < 0 else ''}${_amount(abs(value))}"
    digits = 3 if kind in {"precise", "signed"} else 2
    rounded = round(value, digits) + 0.0  # -0.0 is 0.0
    return f"{rounded:{'+' if kind in {'points', 'signed'} else ''}.{digits}f}{'x' if kind == 'ratio' else ''}"


def _amount(value: float) -> str:
    """Format USD: from one dollar on with cents, below with three significant digits."""
    if value >= 1 or not value:
        return f"{value:,.2f}"
    return f"{value:.{2 - math.floor(math.log10(value))}f}"


# ---- a terminal


def as_rich(table: Table) -> RichTable:
    """Format a table for a terminal, wrapped where it is narrow; ours in bold, the note below."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    grid = RichTable(
        title=Text(table.title, style="bold"),
        title_justify="left",
        caption=Text(table.note) if table.note else None,
        caption_justify="left",
        box=box.SIMPLE_HEAD,
    )
    for column in table.columns:
        grid.add_column(Text(column.name), justify="left" if column.kind == "text" else "right", overflow="fold")
    for number, row in enumerate(table.rows):
        style = "bold" if number in table.emphasis else ""
        texts = (written(cell, column.kind) for cell, column in zip(row, table.columns, strict=True))
        grid.add_row(*(Text(text, style=style) for text in texts))
    return grid


# ---- Markdown


def as_markdown(table: Table) -> str:
    """Format a table in Markdown: title, rows (ours in bold), note."""
    lines = [
        f"**{_plain(table.title)}**",
        "",
        _line(_in_cell(column.name, "text") for column in table.columns),
        _line("---" if column.kind == "text" else "---:" for column in table.columns),
    ]
    for number, row in enumerate(table.rows):
        cells = [_in_cell(cell, column.kind) for cell, column in zip(row, table.columns, strict=True)]
        lines.append(_line(f"**{cell}**" if cell and number in table.emphasis else cell for cell in cells))
    return "\n".join([*lines, *(["", _plain(table.note)] if table.note else [])]) + "\n"


def benchmarks_page(results: Sequence[Result], figures_folder: str, summary: Table | None = None) -> str:
    """Format the page of all benchmarks in Markdown.

    Args:
        results: Results in the order of the page.
        figures_folder: Folder of the figures of `write_figures`, as seen from the page.
        summary: Table before everything else.
    """
    contents = [f"- [{_plain(result.title)}](#{result.experiment})" for result in results]
    head = [
        "<!-- Made from the files in benchmarks/results: a change here is lost. -->",
        "# Benchmarks",
        HOW_TO_READ,
        "\n".join(contents),
        *([] if summary is None else [as_markdown(summary).rstrip("\n")]),
    ]
    return "\n\n".join([*head, *(_section(result, figures_folder) for result in results)]) + "\n"


def _section(result: Result, figures_folder: str) -> str:
    parts = [
        f'<a id="{result.experiment}"></a>',
        f"## {_plain(result.title)}",
        _plain(result.question),
        f"**Held out.** {_plain(result.held_out)}",
        f"```sh\n{result.facts.command}\n```",
        _plain(provenance(result.facts)),
        *(as_markdown(table).rstrip("\n") for table in result.tables),
    ]
    for figure in result.figures:
        parts.append(f"![{_plain(figure.description)}]({figures_folder}/{figure.name}.svg)")
        parts += [_plain(figure.note)] if figure.note else []
    return "\n\n".join(parts)


def provenance(facts: Facts) -> str:
    """Return the data, versions and machine of a result, in one line."""
    sources = {
        "commit": facts.commit,
        **{f"data {name}": digest for name, digest in facts.data.items()},
        "checkpoint": facts.checkpoint,
        "seed": facts.seed,
    }
    named = [f"{name} `{value}`" for name, value in sources.items() if value is not None]
    versions = [f"{name} {version}" for name, version in facts.versions.items()]
    made = f"{facts.seconds:,.1f} s on {facts.machine}, {facts.when.isoformat()}"
    line = "; ".join([", ".join(named), made, ", ".join(versions)])
    return f"{line[:1].upper()}{line[1:]}."


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _in_cell(cell: Cell, kind: Kind) -> str:
    text = written(cell, kind)
    # Two $ in a line are mathematics on GitHub; there is nothing else in a number to escape.
    return _escaped(text).replace("|", "\\|") if isinstance(cell, str) else text.replace("$", "\\$")


def _plain(text: str) -> str:
    """Format a paragraph that Markdown shows as it is, code in backticks as code."""
    return BLOCK.sub(r"\1\\\2", _escaped(text))


def _escaped(text: str) -> str:
    parts = CODE.split(" ".join(text.split()))
    parts[::2] = [MARKUP.sub(r"\\\g<0>", part) for part in parts[::2]]
    return "".join(parts)
