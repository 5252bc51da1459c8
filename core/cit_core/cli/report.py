"""`cit report`: shares, spend, quality and drift of a log, and what to do next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cit_core.cli import _output
from cit_core.cli._options import JsonOption, LogOption, open_log

__all__ = ["report"]


def report(
    log: LogOption = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write one HTML page with pictures too.")
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Show what a log says: who answered, what it cost beside always the best, how good it was, what has changed."""
    from cit_core.evaluate.report import report_on
    from cit_core.evaluate.tables import as_rich

    found = report_on(open_log(log))
    if html is not None:
        from cit_core.cli._whole_file import write_whole
        from cit_core.evaluate.page import html_report

        write_whole(html, html_report(found.title, found.tables, found.figures, found.advice))
    if json_:
        _output.as_json(found.numbers)
        return
    _output.say(found.title)
    for table in found.tables:
        _output.show(as_rich(table))
    for line in found.advice:
        _output.say(f"next: {line}")
    if html is not None:
        _output.say(f"page in {html}")
