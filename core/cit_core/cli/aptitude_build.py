"""`cit aptitude build`: a short test of one's own, sampled from outcomes, and how far its ranking can be trusted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cit_core.cli import _output
from cit_core.cli._options import JsonOption, StoreOption, open_store
from cit_core.errors import InvalidInput

if TYPE_CHECKING:
    from cit_core.aptitude.suites.agreement import Agreement
    from cit_core.outcomes import OutcomeMatrix
    from cit_core.records import Item, Suite
    from cit_core.store import CapabilityStore

__all__ = ["build", "read_keywords"]


def build(
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Of the suite.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the suite goes.", show_default=False)],
    outcomes: Annotated[
        list[Path] | None,
        typer.Argument(metavar="OUTCOMES", help="Tables of item_id, model and correct: CSV, JSONL or Parquet."),
    ] = None,
    store: StoreOption = None,
    items: Annotated[
        Path | None,
        typer.Option("--items", metavar="FILE", help="A table of task, instruction, options and answer per item_id."),
    ] = None,
    tasks: Annotated[int, typer.Option("--tasks", min=1, help="In the suite.")] = 50,
    shots: Annotated[int, typer.Option("--shots", min=1, help="Items of each task.")] = 20,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed and outcomes give the same suite.")] = 0,
    keywords: Annotated[
        Path | None,
        typer.Option("--keywords", metavar="FILE", help="JSON, task to a list of words; TF-IDF finds what it lacks."),
    ] = None,
    held_out: Annotated[
        float, typer.Option("--held-out", min=0.0, max=1.0, help="Share of the models that the agreement is shown on.")
    ] = 0.3,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave bad rows out; without it one stops the command.")
    ] = False,
    json_: JsonOption = False,
) -> None:
    """Build a short test from outcomes: the questions that tell models apart best.

    Shows how well such a test ranks models that it was not made from, beside all the other questions.
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
    """The suite that is to be built again, if there is one."""
    from cit_core.aptitude.suites import BASICS, read_suite
    from cit_core.catalogue import core_suite

    if name.partition(":")[0] in (BASICS, core_suite().name):
        raise InvalidInput(f"--name {name!r} is a shipped suite's; give another, so that outcomes are not mixed up")
    if not out.exists():
        return None
    before = read_suite(out)
    if before.name != name:
        raise InvalidInput(f"{out} holds suite {before.name!r}; give another --out, or --name {before.name}")
    return before


def read_keywords(path: Path | None) -> dict[str, list[str]]:
    """Task to a list of words, from a JSON file; nothing for no file."""
    from cit_core.aptitude.importers.files import read_json

    given = {} if path is None else read_json(path)
    lists = given.values() if isinstance(given, dict) else [None]
    if not all(isinstance(words, list) and words and all(isinstance(word, str) for word in words) for words in lists):
        raise InvalidInput(f'{path} must hold a JSON object of tasks, each with a list of words: {{"task": ["word"]}}')
    return given


@contextmanager
def _opened(tables: list[Path], store: str | None, skip_bad: bool) -> Iterator[CapabilityStore]:
    """The store that is given, or a passing one that the tables are imported into: both count outcomes alike."""
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
