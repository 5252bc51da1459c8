"""Newer relatives beside evidence and kNN: half of a table learns, the other half is routed among all its models.

    python benchmarks/relatives.py --data ../shared/data [--tables llmrouter korbench] [--work FOLDER] [--output FOLDER]

Tables lie in the folder or in its `more/`. `--work` keeps vectors, and reads those that `cit bench --work` has kept.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from pathlib import Path

import numpy as np
from rich.console import Console

from cit_core.evaluate.baselines import KNearest, relatives
from cit_core.evaluate.bench import Bench
from cit_core.evaluate.experiments.few import LEVEL, Halved, evidence_scores, known_rows, profiles
from cit_core.evaluate.metrics import auroc, paired_interval, routed
from cit_core.evaluate.results import Column, Result, Table, facts, write_result
from cit_core.evaluate.samples import at_most
from cit_core.evaluate.tables import as_rich
from cit_core.outcomes import OutcomeMatrix, Split, read_outcomes
from cit_core.runtime import load_scorer

COLUMNS = (
    Column("router"),
    Column("accuracy %", "percent"),
    Column("above the level", "points"),
    Column("evidence above it", "points"),
    Column("AUROC", "precise"),
    Column("s to fit", "count"),
)


def table_of(halved: Halved) -> Table:
    """Return all ways on one table."""
    rows, texts = halved.pool, halved.texts(halved.routed)
    correct_NK = halved.table.correct_IK[halved.routed]
    capabilities = profiles(halved.table, rows)
    known = known_rows(halved, rows, np.random.default_rng(0).random(len(rows)) < 0.2, capabilities)
    scores = {LEVEL: np.tile(halved.table.correct_IK[rows].mean(axis=0), (len(texts), 1))}
    seconds: dict[str, float] = {}
    for baseline in (KNearest(), *relatives()):
        started = time.monotonic()
        scores[baseline.name] = baseline.fit(known, halved.encode).score(texts, capabilities)
        seconds[baseline.name] = time.monotonic() - started
    scores["evidence"] = evidence_scores(halved, rows, halved.routed)
    value = {name: 100.0 * routed(given, correct_NK) for name, given in scores.items()}
    found = tuple(
        (
            name,
            paired_interval(value[name]),
            None if name == LEVEL else paired_interval(value[name] - value[LEVEL]),
            None if name == "evidence" else paired_interval(value["evidence"] - value[name]),
            auroc(given, correct_NK),
            seconds.get(name),
        )
        for name, given in scores.items()
    )
    title = f"{halved.table.name}: {len(capabilities)} models, {len(rows):,} questions known, {len(texts):,} routed"
    return Table(title, COLUMNS, found, emphasis=(len(found) - 1,))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tables", nargs="+", default=["llmrouter", "korbench"])
    parser.add_argument("--work", type=Path)
    parser.add_argument("--output", type=Path, help="folder for relatives.json")
    options = parser.parse_args()
    started = time.monotonic()
    scorer = load_scorer("mini")
    read: list[OutcomeMatrix] = []
    for name in options.tables:
        there = (options.data / f"outcomes-{name}.parquet").is_file()
        read.append(at_most(read_outcomes(options.data if there else options.data / "more", name), Split()))
    bench = Bench(None, read, scorer, shlex.join(["python", *sys.argv]), folder=options.work)
    tables = tuple(table_of(Halved(table, bench.encoded(table), Split())) for table in read)
    result = Result(
        experiment="relatives",
        title="Newer relatives",
        question="Do the routers of 2024 to 2026 choose better than evidence, from the same outcomes and vectors?",
        held_out="Half of each table's questions by a seeded hash; each relative in its essentials, on our vectors.",
        tables=tables,
        figures=(),
        facts=facts(
            shlex.join(["python", *sys.argv]),
            data={table.name: table.digest() for table in read},
            checkpoint=scorer.name,
            seconds=round(time.monotonic() - started, 1),
        ),
    )
    if options.output is not None:
        write_result(result, options.output)
    for table in result.tables:
        Console(width=140).print(as_rich(table))


if __name__ == "__main__":
    main()
