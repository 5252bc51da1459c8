"""`cit import`: outcomes that were measured elsewhere become facts in a store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cit_core.cli import output
from cit_core.cli.group import REFUSED
from cit_core.cli.options import JsonOption, StoreOption, open_store

if TYPE_CHECKING:
    from cit_core.aptitude.importers import ImportReport

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Import outcomes that were measured elsewhere into a store.")


@app.callback()
def import_() -> None:
    """Import outcomes that were measured elsewhere into a store."""


@app.command()
def table(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="CSV, JSONL or Parquet.", exists=True, dir_okay=False)
    ],
    store: StoreOption = None,
    items: Annotated[
        Path | None,
        typer.Option(
            "--items",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="A second table with instruction and task per item_id.",
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--source", metavar="NAME", help="Where the outcomes come from; table:FILE if not given."),
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave bad rows out; without it one stops the import.")
    ] = False,
    json_: JsonOption = False,
) -> None:
    """Import tables with item_id, model and correct: who answered which question, and how well."""
    from cit_core.aptitude.importers.table import check_tables, import_table

    check_tables(files, items=items, skip_bad=skip_bad)  # refused before a store is made for them
    with open_store(store, create=True) as opened, _rows_read() as progress:
        report = import_table(files, opened, items=items, source=source, skip_bad=skip_bad, progress=progress)
        url = opened.url
    _report(report, url, json_=json_)
    if not report.new and report.refused_count:
        raise typer.Exit(REFUSED)


@contextmanager
def _rows_read() -> Iterator[Callable[[int], None]]:
    """Counts rows on stderr while they are read, where there is a terminal."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.completed:,} rows"), TimeElapsedColumn())
    console = output.console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None)
        yield lambda read: progress.update(task, completed=read)


def _report(report: ImportReport, url: str, *, json_: bool) -> None:
    if json_:
        refused = [{"where": where, "reason": reason} for where, reason in report.refused]
        counts = {"new": report.new, "known": report.known, "refused_count": report.refused_count}
        output.as_json({**counts, "refused": refused, "store": url})
        return
    for where, reason in report.refused:
        output.note(f"refused: {where}: {reason}")
    if report.refused_count > len(report.refused):
        output.note(f"refused: … and {report.refused_count - len(report.refused):,} more")
    output.say(f"{report.new:,} new, {report.known:,} known, {report.refused_count:,} refused in {url}")
