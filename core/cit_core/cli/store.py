"""`cit store`: export, import, merge and upgrade a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cit_core.cli import _output
from cit_core.cli._import_options import open_to_fill
from cit_core.cli._options import JsonOption, StoreOption, open_store

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Export, import, merge and upgrade stores.")

FolderArgument = Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of the archive.", show_default=False)]


@app.command("export")
def export(folder: FolderArgument, store: StoreOption = None, json_: JsonOption = False) -> None:
    """Write a store into a new folder, as JSON lines with a manifest of hashes."""
    from cit_core.store.store_archive import export_archive

    with open_store(store) as opened:
        counts = export_archive(opened, folder)
    _report("exported", counts, str(folder), json_=json_)


@app.command("import")
def import_(folder: FolderArgument, store: StoreOption = None, json_: JsonOption = False) -> None:
    """Write an archive into a new store: all of it, or nothing."""
    from cit_core.store.store_archive import import_archive

    with open_to_fill(store) as opened:
        counts = import_archive(opened, folder)
        url = opened.url
    _report("imported", counts, url, json_=json_)


@app.command()
def merge(folder: FolderArgument, store: StoreOption = None, json_: JsonOption = False) -> None:
    """Add to a store what it lacks of an archive. What is stored never changes; merging again does nothing."""
    from cit_core.store.store_archive import merge_archive

    with open_to_fill(store) as opened:
        report = merge_archive(opened, folder)
        url = opened.url
    if json_:
        refused = [{"what": what, "reason": reason} for what, reason in report.refused]
        counts = {"new": report.new, "known": report.known, "refused_count": report.refused_count}
        _output.as_json({"done": "merged", **counts, "refused": refused, "store": url})
        return
    for what, reason in report.refused:
        _output.note(f"refused: {what}: {reason}")
    _output.say(f"{report.new:,} new, {report.known:,} known, {report.refused_count:,} refused in {url}")


@app.command()
def upgrade(store: StoreOption = None, json_: JsonOption = False) -> None:
    """Bring a store of an older release up to date."""
    with open_store(store, create=True, only_existing=True) as opened:
        version, url = opened.version, opened.url
    _output.as_json({"done": "up to date", "version": version, "store": url}) if json_ else _output.say(
        f"up to date: {url}"
    )


def _report(done: str, counts: dict[str, int], where: str, *, json_: bool) -> None:
    if json_:
        _output.as_json({"done": done, "rows": counts, "where": where})
    else:
        _output.say(f"{done}: {', '.join(f'{count:,} {name}' for name, count in counts.items())}; {where}")
