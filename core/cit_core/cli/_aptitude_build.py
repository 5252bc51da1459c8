"""`cit aptitude build`: sample a short test from outcomes, and measure how well it ranks models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cit_core.cli import _output
from cit_core.cli._keyword_file import read_keywords
from cit_core.cli._options import JsonOption, StoreOption, open_store
from cit_core.errors import InvalidInput

if TYPE_CHECKING:
    from cit_core.aptitude.suites.agreement import Agreement
    from cit_core.outcomes import OutcomeMatrix
    from cit_core.records import Item, Suite
    from cit_core.store import CapabilityStore

__all__ = ["build"]


def build(
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Name of the suite.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="File to write the suite to.", show_default=False)],
    outcomes: Annotated[
        list[Path] | None,
        typer.Argument(metavar="OUTCOMES", help="Tables of item_id, model and correct: CSV, JSONL or Parquet."),
    ] = None,
    store: StoreOption = None,
    items: Annotated[
        Path | None,
        typer.Option("--items", metavar="FILE", help="A table of task, instruction, options and answer per item_id."),
    ] = None,
    tasks: Annotated[int, typer.Option("--tasks", metavar="N", min=1, help="Number of tasks.")] = 50,
    shots: Annotated[int, typer.Option("--shots", metavar="N", min=1, help="Items per task.")] = 20,
    seed: Annotated[
        int,
        typer.Option("--seed", metavar="N", min=0, help="Random seed; the same seed and outcomes give the same suite."),
    ] = 0,
    keywords: Annotated[
        Path | None,
        typer.Option(
            "--keywords",
            metavar="FILE",
            help="Keywords of tasks: JSON, task to a list of words; TF-IDF finds those of other tasks.",
        ),
    ] = None,
    held_out: Annotated[
        float,
        typer.Option(
            "--held-out", metavar="SHARE", min=0.0, max=1.0, help="Share of the models to measure the agreement on."
        ),
    ] = 0.3,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out rows that cannot be read; without it, one stops the command.")
    ] = False,
    json_: JsonOption = False,
) -> None:
    """Build a short test from outcomes: the questions that tell models apart best.

    Reports how well such a test ranks held-out models, compared with all the other questions.
    """
    from cit_core.aptitude.suites import next_version, save_suite, with_hashes
    from cit_core.aptitude.suites.agreement import held_out_agreement
    from cit_core.aptitude.suites.responses import known_items, responses_of
    from cit_core.aptitude.suites.sources import by_id, read_items
    from cit_core.aptitude.task_assignment import describe_tasks
    from cit_core.core_suite import core_suite_from_outcomes

    before, words = _before(name, out), read_keywords(keywords)
    given = {} if items is None else by_id(read_items(items))
    with _output.console(stderr=True).status("Reading outcomes"), _opened(outcomes or [], store, skip_bad) as opened:
        known = known_items(opened, given.values())
        responses, stored_tasks = responses_of(opened, known), opened.tasks()
    _say_left_out(known.values())
    measured = [known[id_] for id_ in responses.item_ids]
    described = describe_tasks(measured, words, stored_tasks)
    options: dict[str, Any] = {"number_of_tasks": tasks, "shots": shots, "seed": seed}
    matrix = responses.item_ids, responses.tasks, responses.correct_IK
    suite = next_version(with_hashes(core_suite_from_outcomes(name, *matrix, described, **options), known), before)
    agreed, reason = None, None
    try:
        agreed = held_out_agreement(responses, described, share=held_out, **options)
    except InvalidInput as error:
        reason = str(error)
    save_suite(suite, out)
    _report(suite, out, responses, agreed, reason, json_=json_)


def _say_left_out(items: Iterable[Item]) -> None:
    from cit_core.store import UNASSIGNED

    number = sum(item.task == UNASSIGNED for item in items)
    if number:
        _output.note(f"{number:,} items have no task and were left out; --items FILE can say their tasks")


def _before(name: str, out: Path) -> Suite | None:
    """Return the suite to rebuild, if there is one."""
    from cit_core.aptitude.suites import BASICS, read_suite
    from cit_core.catalogue import core_suite

    if name.partition(":")[0] in (BASICS, core_suite().name):
        raise InvalidInput(
            f"--name {name!r} is the name of a shipped suite; give another, so that outcomes are not mixed up"
        )
    if not out.exists():
        return None
    before = read_suite(out)
    if before.name != name:
        raise InvalidInput(f"{out} holds suite {before.name!r}; give another --out, or --name {before.name}")
    return before


@contextmanager
def _opened(tables: list[Path], store: str | None, skip_bad: bool) -> Iterator[CapabilityStore]:
    """Open the given store, or a temporary one into which the tables are imported."""
    from cit_core.aptitude.importers.table import import_table

    if bool(tables) == (store is not None):
        raise InvalidInput("give tables of outcomes or --store URL, one of the two")
    if store is not None:
        with open_store(store) as opened:
            yield opened
        return
    with TemporaryDirectory() as folder, open_store(f"sqlite:///{folder}/outcomes.db", create=True) as opened:
        report = import_table(tables, opened, skip_bad=skip_bad)
        for where, why in report.refused:
            _output.note(f"left out: {where}: {why}")
        yield opened


def _report(
    suite: Suite, out: Path, responses: OutcomeMatrix, agreed: Agreement | None, reason: str | None, *, json_: bool
) -> None:
    if json_:
        counts = {"tasks": len(suite.tasks), "items": len(suite.item_ids), "hashes": bool(suite.hashes)}
        table = {"items": len(responses.item_ids), "models": len(responses.candidates)}
        record = {"suite": suite.name, "version": suite.version, "out": str(out), **counts, "sampled_from": table}
        _output.as_json({**record, "agreement": None if agreed is None else asdict(agreed), "no_agreement": reason})
        return
    _output.say(
        f"{out}: suite {suite.name!r} version {suite.version} with {len(suite.item_ids):,} items of {len(suite.tasks)} "
        f"tasks, sampled from {len(responses.item_ids):,} items that {len(responses.candidates)} models answered"
    )
    if not suite.hashes:
        _output.note("no content hashes: texts or answers of its items are not known; --items FILE says them")
    if agreed is None:
        _output.note(f"how well it ranks models is not known: {reason}")
        return
    _output.say(
        f"its ranking of models against the full table's: Spearman {agreed.rho:.3f} (95 % interval {agreed.low:.3f} to "
        f"{agreed.high:.3f} over items), for {len(agreed.models)} models held out of the sampling, {agreed.short:,} "
        f"items against {agreed.others:,} others"
    )
