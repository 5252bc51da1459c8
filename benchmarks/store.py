"""Measure the store's write speed: python benchmarks/store.py --rows 200000 [--only-import] [--turns 5].

Prints rows per second for SQLite and, if CIT_TEST_POSTGRES_URL is set, for PostgreSQL (in a schema of its own that is
dropped afterwards): building the records and adding them, adding them again, and computing every capability. Then the
import of as many rows from Parquet beside plain `sqlite3.executemany` of the same rows into the same table, in turns.
"""

from __future__ import annotations

import os
import resource
import sqlite3
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from statistics import median
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from cit_core.aptitude.importers.table import import_table
from cit_core.records import Candidate, Item, Outcome, Suite, Task
from cit_core.store import CapabilityStore

CANDIDATES, TASKS, SUITE_ITEMS = 100, 50, 1_000
PLAIN = {
    "candidate": "model",
    "item": "item_id",
    "correct": "correct",
    "cost_usd": "cost_usd",
    "latency_s": "latency_s",
    "prompt_tokens": "prompt_tokens",
    "completion_tokens": "completion_tokens",
}
"""Field of an outcome to its column in a table."""

T = TypeVar("T")


def main(
    rows: Annotated[int, typer.Option(min=CANDIDATES, help="Outcomes to add.")] = 200_000,
    turns: Annotated[int, typer.Option(min=1, help="Imports of each kind.")] = 5,
    *,
    only_import: Annotated[bool, typer.Option("--only-import", help="Parquet beside sqlite3 alone.")] = False,
) -> None:
    """Measure the store."""
    console = Console()
    if not only_import:
        _measure_stores(rows, console)
    with tempfile.TemporaryDirectory() as folder:
        for order in ("item by item", "model by model"):
            console.print(_measure_import(Path(folder), rows // CANDIDATES, order, turns))


def _measure_stores(rows: int, console: Console) -> None:
    table = Table(title=f"{rows:,} outcomes of {CANDIDATES} candidates, {TASKS} tasks")
    for name in ("store", "add", "add again", "capabilities", "with a suite", "size", "peak memory"):
        table.add_column(name, justify="left" if name == "store" else "right")
    with ExitStack() as opened:
        urls = {"SQLite": f"sqlite:///{opened.enter_context(tempfile.TemporaryDirectory())}/store.db"}
        if server := os.environ.get("CIT_TEST_POSTGRES_URL"):
            urls["PostgreSQL"] = opened.enter_context(schema_of_its_own(server))
        for name, url in urls.items():
            table.add_row(name, *_measure(url, rows, console))
    console.print(table)


def _measure_import(folder: Path, per_candidate: int, order: str, turns: int) -> str:
    """Import Parquet and write the same rows with sqlite3 alone, in turns; CPU of this process."""
    import pyarrow
    import pyarrow.parquet

    outcomes = [outcome.model_dump(include=set(PLAIN)) for outcome in _outcomes(per_candidate)]
    if order == "model by model":
        outcomes.sort(key=lambda outcome: str(outcome["candidate"]))
    columns = {name: [outcome[given] for outcome in outcomes] for given, name in PLAIN.items()}
    pyarrow.parquet.write_table(pyarrow.table(columns), path := folder / "outcomes.parquet")
    keys = {id_: key for name in ("model", "item_id") for key, id_ in enumerate(dict.fromkeys(columns[name]), start=1)}
    measured = [columns[name] for name in list(PLAIN.values())[2:]]
    pairs = ([keys[id_] for id_ in columns[name]] for name in ("model", "item_id"))
    plain = list(zip(*pairs, *measured, strict=True))
    times: dict[str, list[float]] = {"import": [], "sqlite3": []}
    for number in range(turns):
        with CapabilityStore(f"sqlite:///{folder}/{order}-{number}.db") as store:
            started = time.process_time()
            import_table([path], store)
            times["import"].append(time.process_time() - started)
        times["sqlite3"].append(_write_plainly(folder / f"plain-{order}-{number}.db", plain))
    mine, theirs = median(times["import"]), median(times["sqlite3"])
    ratios = [one / other for one, other in zip(*times.values(), strict=True)]
    return (
        f"{len(plain):,} rows of Parquet, {order}: import {mine:.2f} s of CPU, sqlite3.executemany {theirs:.2f} s; "
        f"ratio {mine / theirs:.2f} (from {min(ratios):.2f} to {max(ratios):.2f})"
    )


def _write_plainly(path: Path, rows: list[tuple[object, ...]]) -> float:
    CapabilityStore(f"sqlite:///{path}").close()
    with closing(sqlite3.connect(path)) as connection:
        started = time.process_time()
        with connection:
            connection.executemany(
                "INSERT INTO outcomes (candidate_key, item_key, correct, cost_usd, latency_s, prompt_tokens, "
                'completion_tokens, source_key, "when") VALUES (?, ?, ?, ?, ?, ?, ?, 1, 0)',
                rows,
            )
        return time.process_time() - started


def _measure(url: str, rows: int, console: Console) -> list[str]:
    per_candidate = rows // CANDIDATES
    tasks = [Task(id=f"task-{n}", keywords=("some", "words")) for n in range(TASKS)]
    suite_items = min(SUITE_ITEMS, per_candidate)
    suite = Suite(name="s", tasks=(tasks[0],), items={"task-0": tuple(f"item-{n}" for n in range(suite_items))})
    with CapabilityStore(url) as store, Progress(console=console, transient=True) as progress:
        with store.transaction() as writer:
            writer.add_tasks(tasks)
            writer.add_items(Item(id=f"item-{n}", task=f"task-{n % TASKS}") for n in range(per_candidate))
            writer.add_candidates(Candidate(id=f"model-{n}") for n in range(CANDIDATES))
        bar = progress.add_task("adding", total=2 * rows)
        add, _ = _timed(
            lambda: store.add_outcomes(
                _outcomes(per_candidate), progress=lambda done: progress.update(bar, completed=done)
            )
        )
        again, summary = _timed(
            lambda: store.add_outcomes(
                _outcomes(per_candidate), progress=lambda done: progress.update(bar, completed=rows + done)
            )
        )
        if summary.new or store.outcome_count() != per_candidate * CANDIDATES:
            raise SystemExit("the store has lost or doubled outcomes")
        every, _ = _timed(store.capabilities)
        some, _ = _timed(lambda: store.capabilities(suite))
        size = _size(url)
    speeds = [f"{seconds:.1f} s, {rows / seconds:,.0f}/s" for seconds in (add, again)]
    return [*speeds, f"{every:.2f} s", f"{some:.2f} s", f"{size / 1e6:.0f} MB", f"{_peak() / 1e6:.0f} MB"]


def _outcomes(per_candidate: int) -> Iterator[Outcome]:
    """Item by item, as an evaluation log has them: the order that costs the index most."""
    for item in range(per_candidate):
        for model in range(CANDIDATES):
            yield Outcome(
                candidate=f"model-{model}",
                item=f"item-{item}",
                correct=(item * 31 + model * 17) % 10 > 3,
                source="benchmark",
                cost_usd=0.001,
                latency_s=1.0 + (item * 7919 + model * 104_729) % 1009 / 1000,
                prompt_tokens=100 + item % 97,
                completion_tokens=200 + (item * 31 + model * 7) % 389,
            )


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def _size(url: str) -> int:
    engine = create_engine(url)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            size = pages * connection.exec_driver_sql("PRAGMA page_size").scalar_one()
        else:
            mine = "relkind = 'r' AND relnamespace = current_schema::regnamespace"
            size = connection.scalar(text(f"SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE {mine}"))  # noqa: S608
    engine.dispose()
    return int(size)


def _peak() -> float:
    """Peak resident memory of this process [bytes]; PostgreSQL's own is not in it."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak if sys.platform == "darwin" else peak * 1024)


@contextmanager
def schema_of_its_own(server: str) -> Iterator[str]:
    """Make a schema in a PostgreSQL database, drop it afterwards; yields the URL of a store in it."""
    engine, schema = create_engine(server), f"benchmark_{uuid.uuid4().hex}"
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    try:
        url = make_url(server).update_query_dict({"options": f"-csearch_path={schema}"})
        yield url.render_as_string(hide_password=False)
    finally:
        with engine.begin() as connection:
            connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
        engine.dispose()


if __name__ == "__main__":
    typer.run(main)
