"""The options that all import commands share, and what every import does with them."""

from __future__ import annotations

import inspect
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from cit_core.cli import _output
from cit_core.cli._group import REFUSED
from cit_core.cli._keyword_file import read_keywords
from cit_core.cli._options import JsonOption, StoreOption, open_store, sqlite_file

if TYPE_CHECKING:
    from cit_core.aptitude.importers import ImportReport
    from cit_core.aptitude.importers.postprocess import Completed
    from cit_core.records import Candidate
    from cit_core.store import CapabilityStore

__all__ = ["Importer", "SharedOptions", "open_to_fill", "shares_options"]

Importer = Callable[..., Any]
"""(store, source=, skip_bad=, replace=, progress=) to an `ImportReport`."""
TFIDF = "tfidf"
NAMESAKES = 5
"""Pairs of names of one model that are told."""


@dataclass(frozen=True)
class SharedOptions:
    """The options of every import command; the fields become parameters, in this order."""

    store: StoreOption = None
    source: Annotated[
        str | None,
        typer.Option("--source", metavar="NAME", help="Origin of the outcomes. Default: COMMAND:FILE."),
    ] = None
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out rows that cannot be read; without it, one stops the import.")
    ] = False
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Remove what the store has of the same source: for a file that was corrected."),
    ] = False
    suite: Annotated[
        str,
        typer.Option(
            "--suite", metavar="NAME|FILE", help="Suite with the tasks for items without one: each gets the nearest."
        ),
    ] = "mmlu-pro-core"
    keywords: Annotated[
        str | None,
        typer.Option(
            "--keywords",
            metavar="FILE|tfidf",
            help="Keywords of tasks: JSON, task to a list of words; or tfidf finds them in the texts of new tasks.",
        ),
    ] = None
    no_vectors: Annotated[
        bool,
        typer.Option("--no-vectors", help="Only import: compute no vectors, so no evidence and no tasks for now."),
    ] = False
    json_: JsonOption = False


def shares_options(importer_of: Callable[..., Importer]) -> Callable[..., None]:
    """Turn a function from a command's own options to an importer into a command that also takes the shared ones.

    typer reads a command's options from its signature; this appends those of `SharedOptions` to it.
    """
    hints = get_type_hints(SharedOptions, include_extras=True)
    shared = [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in fields(SharedOptions)
    ]

    @wraps(importer_of)
    def command(**given: Any) -> None:
        options = SharedOptions(**{parameter.name: given.pop(parameter.name) for parameter in shared})
        _import(importer_of(**given), options)

    own = inspect.signature(importer_of, eval_str=True)
    signature = own.replace(parameters=[*own.parameters.values(), *shared], return_annotation=None)
    command.__dict__["__signature__"] = signature
    command.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    return command


def _import(importer: Importer, options: SharedOptions) -> None:
    from cit_core.aptitude.evidence_fit import fit_store
    from cit_core.aptitude.importers.postprocess import complete, name_tasks
    from cit_core.aptitude.suites import find_suite
    from cit_core.aptitude.task_assignment import require_keyword_finder
    from cit_core.runtime import load_scorer

    from_texts = options.keywords == TFIDF
    suite = find_suite(options.suite)  # bad options are refused before anything is imported
    words = {} if options.keywords is None or from_texts else read_keywords(Path(options.keywords))
    if from_texts:
        require_keyword_finder()
    with open_to_fill(options.store) as opened, _output.counting() as progress:
        given = {"source": options.source, "skip_bad": options.skip_bad, "replace": options.replace}
        report = importer(opened, **given, progress=partial(progress, "rows"))
        url = opened.url
        done = None
        if not options.no_vectors:
            scorer = load_scorer()
            done = complete(opened, scorer, suite, progress=progress)
            fit_store(opened, scorer, anew=report.replaced > 0, progress=progress)
        _report(report, done, url, json_=options.json_)
        for one, other in _namesakes(opened.candidates())[:NAMESAKES]:
            _output.note(
                f"{one} and {other} are names of one model and count as two; to count them together, write one of them "
                "in the file and import it again with --replace"
            )
        if done is not None and (left := len(opened.unassigned())):
            _output.note(
                f"{left:,} questions have neither a task nor a text, so their outcomes count for nothing; import the "
                "file again with --task NAME, or with --items FILE that has item_id and instruction or task"
            )
        if options.keywords is not None:  # last, so that an error in them comes after what was imported
            name_tasks(opened, words, from_texts=from_texts)
    if not report.new and report.refused_count:
        raise typer.Exit(REFUSED)


def _namesakes(candidates: Iterable[Candidate]) -> list[tuple[str, str]]:
    """Return pairs of ids that mean one model, but not where each names a host of its own."""
    from cit_core.catalogue.aliases import find_id, spellings, undated

    found: list[tuple[str, str]] = []
    by_form: dict[str, list[tuple[Candidate, set[str]]]] = {}
    for one in candidates:
        read = spellings(one.id)
        hosts = {provider for provider, _ in read if provider}
        forms = {undated(form) for _, form in read}
        near = [of for form in forms for of in by_form.get(form, ()) if not (hosts and of[1]) or hosts & of[1]]
        found += [(other.id, one.id) for other, _ in near if find_id(one.id, [other])][:1]
        for form in forms:
            by_form.setdefault(form, []).append((one, hosts))
    return found


@contextmanager
def open_to_fill(url: str | None) -> Iterator[CapabilityStore]:
    """Open the store to import into; remove a SQLite file that was created for it if nothing was imported."""
    path = sqlite_file(url)
    made = path is not None and not path.exists()
    try:
        with open_store(url, create=True) as opened:
            yield opened
            made = made and opened.version == 0
    finally:
        if path is not None and made:
            _remove_if_empty(path)


def _remove_if_empty(path: Path) -> None:
    from cit_core.store.schema import versions

    if not path.exists():
        return
    with closing(sqlite3.connect(path, timeout=0)) as connection:
        try:
            connection.execute("PRAGMA journal_mode = DELETE")  # refused if another process has the store open
            used = connection.execute(f"SELECT 1 FROM {versions.name}").fetchone()  # noqa: S608 - a name of ours
        except sqlite3.OperationalError:
            return
    if not used:
        path.unlink()
        path.with_name(f"{path.name}-queue").unlink(missing_ok=True)


def _report(report: ImportReport, done: Completed | None, url: str, *, json_: bool) -> None:
    if json_:
        refused = [{"where": where, "reason": reason} for where, reason in report.refused]
        counts = {"new": report.new, "known": report.known, "refused_count": report.refused_count}
        counts |= {"replaced": report.replaced} if report.replaced else {}
        added = {} if done is None else done._asdict()
        _output.as_json({**counts, "refused": refused, **added, "store": url})
        return
    for where, reason in report.refused:
        _output.note(f"refused: {where}: {reason}")
    if report.refused_count > len(report.refused):
        _output.note(f"refused: … and {report.refused_count - len(report.refused):,} more")
    before = f" in place of {report.replaced:,}" if report.replaced else ""
    _output.say(f"{report.new:,} new{before}, {report.known:,} known, {report.refused_count:,} refused in {url}")
    if done is not None and any(done):
        _output.say(f"new vectors: {done.encoded:,}; tasks assigned to items without one: {done.assigned:,}")
