"""`cit import`: outcomes that were measured elsewhere become facts in a store."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from cit_core.cli import _output
from cit_core.cli._group import REFUSED
from cit_core.cli._options import JsonOption, StoreOption, open_store, sqlite_file

if TYPE_CHECKING:
    from cit_core.aptitude.importers import ImportReport
    from cit_core.aptitude.importers.postprocess import Completed
    from cit_core.store import CapabilityStore

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Import outcomes that were measured elsewhere into a store.")

DEFAULT_SUITE = "mmlu-pro-core"
TFIDF = "tfidf"

SourceOption = Annotated[
    str | None,
    typer.Option("--source", metavar="NAME", help="Where the outcomes come from; COMMAND:FILE if not given."),
]
SkipBadOption = Annotated[bool, typer.Option("--skip-bad", help="Leave bad rows out; without it one stops the import.")]
ModelOption = Annotated[
    str | None, typer.Option("--model", metavar="ID", help="Who answered, if the files do not say it, or say it badly.")
]
SuiteOption = Annotated[
    str,
    typer.Option("--suite", metavar="NAME|FILE", help="Whose nearest task goes to items that come without one."),
]
KeywordsOption = Annotated[
    str | None,
    typer.Option(
        "--keywords",
        metavar="FILE|tfidf",
        help="JSON, task to a list of words; or find new tasks' words in their texts.",
    ),
]
NoVectorsOption = Annotated[
    bool, typer.Option("--no-vectors", help="Only import: no vectors, so no evidence and no tasks for now.")
]


def _files(what: str) -> Any:
    return typer.Argument(metavar="FILE", help=what, show_default=False)


@app.callback()
def import_() -> None:
    """Import outcomes that were measured elsewhere into a store."""


@app.command()
def table(
    files: Annotated[list[Path], _files("CSV, JSONL or Parquet.")],
    store: StoreOption = None,
    items: Annotated[
        Path | None,
        typer.Option("--items", metavar="FILE", help="A second table with instruction and task per item_id."),
    ] = None,
    source: SourceOption = None,
    task: Annotated[
        str | None,
        typer.Option("--task", metavar="NAME", help="Of items that come without one, in place of the nearest."),
    ] = None,
    skip_bad: SkipBadOption = False,
    suite: SuiteOption = DEFAULT_SUITE,
    keywords: KeywordsOption = None,
    no_vectors: NoVectorsOption = False,
    json_: JsonOption = False,
) -> None:
    """Import tables with item_id, model and correct: who answered which question, and how well."""
    from cit_core.aptitude.importers.table import check_tables, import_table

    check_tables(files, items=items, skip_bad=skip_bad)  # refused before a store is made for them
    chosen = partial(import_table, files, items=items, task=task)
    _import(partial(chosen, source=source, skip_bad=skip_bad), store, After(suite, keywords, no_vectors), json_=json_)


@app.command("lm-eval")
def lm_eval(
    files: Annotated[list[Path], _files("samples_TASK_TIME.jsonl or .parquet.")],
    store: StoreOption = None,
    model: ModelOption = None,
    metric: Annotated[
        str | None, typer.Option("--metric", metavar="NAME", help="What says whether an answer is right.")
    ] = None,
    filter_: Annotated[
        str | None,
        typer.Option("--filter", metavar="NAME", help="Which of the harness's filters counts; the first by default."),
    ] = None,
    source: SourceOption = None,
    skip_bad: SkipBadOption = False,
    suite: SuiteOption = DEFAULT_SUITE,
    keywords: KeywordsOption = None,
    no_vectors: NoVectorsOption = False,
    json_: JsonOption = False,
) -> None:
    """Import samples that lm-evaluation-harness has logged, or details of the Open LLM Leaderboard."""
    from cit_core.aptitude.importers.lm_eval import import_lm_eval

    chosen = partial(import_lm_eval, files, model=model, metric=metric, filter_=filter_)
    _import(partial(chosen, source=source, skip_bad=skip_bad), store, After(suite, keywords, no_vectors), json_=json_)


@app.command()
def inspect(
    files: Annotated[list[Path], _files("Logs: .json or .eval.")],
    store: StoreOption = None,
    model: ModelOption = None,
    scorer: Annotated[
        str | None, typer.Option("--scorer", metavar="NAME", help="Whose score counts, where samples have several.")
    ] = None,
    source: SourceOption = None,
    skip_bad: SkipBadOption = False,
    suite: SuiteOption = DEFAULT_SUITE,
    keywords: KeywordsOption = None,
    no_vectors: NoVectorsOption = False,
    json_: JsonOption = False,
) -> None:
    """Import logs of Inspect (inspect_ai)."""
    from cit_core.aptitude.importers.inspect_logs import import_inspect

    chosen = partial(import_inspect, files, model=model, scorer=scorer)
    _import(partial(chosen, source=source, skip_bad=skip_bad), store, After(suite, keywords, no_vectors), json_=json_)


@app.command("mmlu-pro")
def mmlu_pro(
    files: Annotated[list[Path], _files("model_outputs_MODEL_5shots.zip, or .json.")],
    store: StoreOption = None,
    model: ModelOption = None,
    source: SourceOption = None,
    skip_bad: SkipBadOption = False,
    suite: SuiteOption = DEFAULT_SUITE,
    keywords: KeywordsOption = None,
    no_vectors: NoVectorsOption = False,
    json_: JsonOption = False,
) -> None:
    """Import answers to MMLU-Pro as its repository publishes them (eval_results)."""
    from cit_core.aptitude.importers.mmlu_pro import import_mmlu_pro

    _import(
        partial(import_mmlu_pro, files, model=model, source=source, skip_bad=skip_bad),
        store,
        After(suite, keywords, no_vectors),
        json_=json_,
    )


@app.command()
def routerbench(
    files: Annotated[list[Path], _files("routerbench_0shot.pkl, or the same table as .csv.")],
    store: StoreOption = None,
    source: SourceOption = None,
    skip_bad: SkipBadOption = False,
    suite: SuiteOption = DEFAULT_SUITE,
    keywords: KeywordsOption = None,
    no_vectors: NoVectorsOption = False,
    json_: JsonOption = False,
) -> None:
    """Import RouterBench. Nothing that its pickles name is run."""
    from cit_core.aptitude.importers.routerbench import import_routerbench

    _import(
        partial(import_routerbench, files, source=source, skip_bad=skip_bad),
        store,
        After(suite, keywords, no_vectors),
        json_=json_,
    )


@app.command()
def embedllm(
    files: Annotated[list[Path], _files("train.csv, val.csv, test.csv.")],
    store: StoreOption = None,
    questions: Annotated[
        Path | None,
        typer.Option("--questions", metavar="FILE", help="question_order.csv, for tables without the texts."),
    ] = None,
    source: SourceOption = None,
    skip_bad: SkipBadOption = False,
    suite: SuiteOption = DEFAULT_SUITE,
    keywords: KeywordsOption = None,
    no_vectors: NoVectorsOption = False,
    json_: JsonOption = False,
) -> None:
    """Import EmbedLLM: right or wrong for 112 models."""
    from cit_core.aptitude.importers.embedllm import import_embedllm

    chosen = partial(import_embedllm, files, questions=questions)
    _import(partial(chosen, source=source, skip_bad=skip_bad), store, After(suite, keywords, no_vectors), json_=json_)


class After(NamedTuple):
    """What is done once the outcomes are in."""

    suite: str
    keywords: str | None
    no_vectors: bool


def _import(run: Callable[..., ImportReport], store: str | None, after: After, *, json_: bool) -> None:
    from cit_core.aptitude.importers.postprocess import complete, name_tasks
    from cit_core.aptitude.suites import find_suite
    from cit_core.aptitude.task_assignment import require_keyword_finder
    from cit_core.runtime import load_scorer

    suite, words = find_suite(after.suite), _words(after.keywords)  # refused before anything is imported
    if after.keywords == TFIDF:
        require_keyword_finder()
    with _opened(store) as opened, _output.counting() as progress:
        report = run(opened, progress=partial(progress, "rows"))
        url = opened.url
        done = None if after.no_vectors else complete(opened, load_scorer(), suite, progress=progress)
        _report(report, done, url, json_=json_)
        if after.keywords is not None:  # last: a slip in them is told beside what was imported
            name_tasks(opened, words, from_texts=after.keywords == TFIDF)
    if not report.new and report.refused_count:
        raise typer.Exit(REFUSED)


def _words(given: str | None) -> dict[str, list[str]]:
    from cit_core.cli.aptitude_build import read_keywords

    return {} if given in (None, TFIDF) else read_keywords(Path(str(given)))


@contextmanager
def _opened(url: str | None) -> Iterator[CapabilityStore]:
    """The store to import into; a file that was made for it goes again if nothing came into it."""
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
            connection.execute("PRAGMA journal_mode = DELETE")  # refused if anybody else has the store open
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
        added = {} if done is None else done._asdict()
        _output.as_json({**counts, "refused": refused, **added, "store": url})
        return
    for where, reason in report.refused:
        _output.note(f"refused: {where}: {reason}")
    if report.refused_count > len(report.refused):
        _output.note(f"refused: … and {report.refused_count - len(report.refused):,} more")
    _output.say(f"{report.new:,} new, {report.known:,} known, {report.refused_count:,} refused in {url}")
    if done is not None and any(done):
        _output.say(f"new vectors: {done.encoded:,}; the nearest task for items without one: {done.assigned:,}")
