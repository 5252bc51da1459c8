"""`cit bench`: benchmark the router against baselines on held-out outcomes."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cit_core.cli import _output
from cit_core.cli._options import DEFAULT_STORE, CheckpointOption, JsonOption, open_store, reads_catalogue, settings
from cit_core.cli._whole_file import write_whole
from cit_core.errors import InvalidInput, StoreError

if TYPE_CHECKING:
    from cit_core.aptitude.evidence_sources import Log
    from cit_core.evaluate import Bench, Result
    from cit_core.evaluate.experiments.pictures import Pictured
    from cit_core.evaluate.predictions import Method
    from cit_core.outcomes import OutcomeMatrix, Split
    from cit_core.records import Capability
    from cit_core.router.loading import Network

__all__ = ["bench"]

CATALOGUE = "mmlu-pro"
"""Name of the table that the catalogue's models were measured on."""


def bench(
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="FOLDER",
            help="Folder of items-NAME.parquet and outcomes-NAME.parquet: mmlu-pro, and any others as logs; "
            "halves, few, current, cost and pictures also read its subfolder more/.",
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            "--store",
            metavar="URL",
            help="Use the outcomes of a store as a log. Without --data: the settings' store, else your own.",
        ),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NAME", help="Run this experiment. Repeatable. Default: all.")
    ] = None,
    paper: Annotated[
        bool, typer.Option("--paper", help="Run table 1 of the paper on the logs: routers by datasets, in its zoos.")
    ] = False,
    encoder: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="Also kNN, MLP and forest on this encoder's vectors (table 2): hub id or folder."
        ),
    ] = None,
    with_relatives: Annotated[
        bool, typer.Option("--relatives", help="Also EquiRouter, R2-Router, Avengers-Pro, GraphRouter and RouterDC.")
    ] = False,
    checkpoint: CheckpointOption = "mini",
    unseen: Annotated[
        Path | None,
        typer.Option(
            "--unseen",
            metavar="FOLDER",
            help="A run of `cit train` that left tables out: tables that the network has learnt from are judged by "
            "networks that have not.",
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A smaller run on fewer questions: minutes, and wider intervals.")
    ] = False,
    work: Annotated[
        Path | None,
        typer.Option("--work", metavar="FOLDER", help="Cache for slow results, with which an interrupted run resumes."),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option("--output", metavar="FOLDER", help="Write each result as JSON; pages are made from all of them."),
    ] = None,
    docs: Annotated[
        Path | None,
        typer.Option("--docs", metavar="FOLDER", help="Write benchmarks.md and its figures from the results there."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write one page that opens from disk.")
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Benchmark the router against ten baselines on held-out questions. Calls no LLM.

    With --output and pages to make, and without --data and --store, no experiment runs: existing results are shown.
    """
    from cit_core.evaluate.results import read_results, write_result

    if data is None and store is None and (results is None or (docs is None and html is None)):
        if reads_catalogue(None):
            raise InvalidInput(
                "give outcomes, as --data FOLDER or --store URL; or existing results to make pages from, as "
                "--output FOLDER with --docs FOLDER or --html FILE"
            )
        store = settings().store or DEFAULT_STORE
    if docs is not None and results is None:
        raise InvalidInput("--docs needs --output FOLDER, the results to show")
    made: list[Result] = []
    if data is not None or store is not None:
        with _status() as tell:
            chosen = [*(only or ()), *(["paper"] if paper and "paper" not in (only or ()) else [])]
            opened = _open(data, store, checkpoint, unseen, encoder, with_relatives, quick, work, tell)
            for result in opened.run(chosen):
                made.append(result)
                if results is not None:
                    write_result(result, results)
                if not json_:
                    _show(result)
    if json_:
        _output.as_json([_record(result) for result in made])
    _write_pages(made if results is None else read_results(results), docs, html)


def _open(
    data: Path | None,
    store: str | None,
    checkpoint: str,
    unseen: Path | None,
    encoder: str | None,
    with_relatives: bool,
    quick: bool,
    work: Path | None,
    tell: Callable[[str], None],
) -> Bench:
    from cit_core.evaluate import Bench, thin
    from cit_core.evaluate.baselines import baselines, quick_baselines, relatives
    from cit_core.evaluate.experiments.newer import with_extra
    from cit_core.outcomes import Split
    from cit_core.router.loading import open_scorer

    split = Split()
    catalogue, logs = (None, []) if data is None else _tables(data)
    more = [] if data is None else _more(data / "more")
    told: dict[str, Capability] = {}
    scorer, stored = open_scorer(checkpoint), None
    if store is not None:
        log, told, stored = _stored(store, scorer)
        logs.append(log)
    scorer, learnt = _judged(scorer, checkpoint, unseen, split, catalogue, logs, more)
    if quick:
        catalogue = None if catalogue is None else thin(catalogue, split)
        logs = [thin(log, split) for log in logs]
        more = [thin(table, split) for table in more]
    if checkpoint != "mini":
        _output.note(f"rows named `mini` show {scorer.name}")
    return Bench(
        catalogue=catalogue,
        logs=logs,
        more=more,
        pictured=None if data is None else _pictured(data / "more"),
        with_newer=None if data is None or catalogue is None else with_extra(catalogue, data / "more"),
        scorer=scorer,
        command=shlex.join(["cit", *sys.argv[1:]]),
        stored=stored,
        told=told,
        learnt=learnt,
        folder=work,
        split=split,
        chosen=(*(quick_baselines() if quick else baselines()), *(relatives() if with_relatives else ())),
        also=() if encoder is None else _encoded(encoder, quick=quick),
        quick=quick,
        tell=tell,
    )


def _encoded(encoder: str, *, quick: bool) -> tuple[Method, ...]:
    """Return table 2's learners on vectors of another encoder."""
    from cit_core.evaluate.baselines import MLP, Forest, KNearest, baselines, quick_baselines
    from cit_core.evaluate.predictions import encoded_methods
    from cit_core.paper.text_encoder import text_encoder  # needs torch

    learners = [
        one for one in (quick_baselines() if quick else baselines()) if isinstance(one, KNearest | MLP | Forest)
    ]
    return encoded_methods(Path(encoder).name, text_encoder(encoder), learners)


def _judged(
    scorer: Network,
    checkpoint: str,
    unseen: Path | None,
    split: Split,
    catalogue: OutcomeMatrix | None,
    logs: list[OutcomeMatrix],
    more: list[OutcomeMatrix],
) -> tuple[Network, Collection[str]]:
    """Return what is judged, and the tables beside the catalogue's that it was trained on."""
    from cit_core.router.loading import is_run

    if is_run(checkpoint):
        if unseen is not None:
            raise InvalidInput("--unseen is for `mini`, not for a run of `cit train --preset paper`")
        from cit_core.evaluate.leakage import logs_learnt_from  # needs torch, as the run does

        return scorer, logs_learnt_from(Path(checkpoint), split, catalogue, logs)
    from cit_core.runtime import OnnxScorer

    tables = [*logs, *more]
    names = set(scorer.checkpoint.learnt) if isinstance(scorer, OnnxScorer) else set()
    learnt: Collection[str] = names & {table.name for table in tables}
    if unseen is not None:
        from cit_core.evaluate.unseen import judged_unseen

        scorer, learnt = judged_unseen(scorer, learnt, unseen, tables)
    if learnt:
        _output.note(
            f"{scorer.name} has learnt from questions of {', '.join(sorted(learnt))}: only the test questions of the "
            "split are held out of these; --unseen FOLDER judges whole tables by networks that left them out"
        )
    return scorer, learnt


def _tables(data: Path) -> tuple[OutcomeMatrix, list[OutcomeMatrix]]:
    from cit_core.outcomes import read_outcomes

    names = sorted(path.stem.removeprefix("outcomes-") for path in data.glob("outcomes-*.parquet"))
    return read_outcomes(data, CATALOGUE), [read_outcomes(data, name) for name in names if name != CATALOGUE]


def _more(folder: Path) -> list[OutcomeMatrix]:
    """Return the tables there that experiments know by name."""
    from cit_core.evaluate.experiments import OF_TABLES
    from cit_core.outcomes import read_outcomes

    names = dict.fromkeys(name for of in OF_TABLES.values() for name in of)
    return [read_outcomes(folder, name) for name in names if (folder / f"outcomes-{name}.parquet").is_file()]


def _pictured(folder: Path) -> Pictured | None:
    """Return the questions about pictures there, if there are any."""
    from cit_core.evaluate.experiments.pictures import PICTURED, read_pictured

    return read_pictured(folder) if (folder / f"outcomes-{PICTURED}.parquet").is_file() else None


def _stored(url: str, scorer: Network) -> tuple[OutcomeMatrix, dict[str, Capability], Log]:
    """Read a store as its router would: questions without vectors get theirs, where the store can be written."""
    from cit_core.aptitude.evidence_sources import log_of, with_texts
    from cit_core.aptitude.item_vectors import encode_items
    from cit_core.evaluate.log_settings import stored_outcomes

    with open_store(url) as opened:
        told = {capability.candidate.id: capability for capability in opened.capabilities()}
        table = stored_outcomes(opened)
        try:
            encode_items(opened, scorer)
        except StoreError as error:
            _output.note(f"questions without a vector are not known to evidence: {error}")
        return table, told, with_texts(opened, log_of(opened, scorer))


@contextmanager
def _status() -> Iterator[Callable[[str], None]]:
    """Show the current step on stderr if that is a terminal."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    stderr = _output.console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as bars:
        task = bars.add_task("", total=None)
        yield lambda what: bars.update(task, description=what)


def _show(result: Result) -> None:
    from cit_core.evaluate.tables import as_rich, provenance

    _output.say(f"\n{result.title}. {result.question}\nHeld out: {result.held_out}\n")
    for table in result.tables:
        _output.show(as_rich(table))
    _output.say(provenance(result.facts))


def _record(result: Result) -> object:
    from cit_core.evaluate.results import as_record

    return as_record(result)


def _write_pages(found: list[Result], docs: Path | None, html: Path | None) -> None:
    if docs is not None:
        from cit_core.evaluate.figures import write_figures
        from cit_core.evaluate.tables import benchmarks_page

        write_figures(found, docs / "figures")
        write_whole(docs / "benchmarks.md", benchmarks_page(found, "figures"))
    if html is not None:
        from cit_core.evaluate.page import html_page

        write_whole(html, html_page(found))
