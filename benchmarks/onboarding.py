"""Benchmark a new model that is known by its answers to the core set alone, on questions held out from training.

    python benchmarks/onboarding.py --data ../shared/data [--items 1838] [--json]

For each of the six models that were in no training run: an empty store gets the catalogue's profiles of the other
models of its strength (within 10 points of aptitude, at most five, the nearest first) as `cit models add
--from-catalogue` does, and the new model's outcomes on the 1,000 core items as `cit import table` does. Nothing is
trained. Then all held-out items with a question that occurs nowhere else are routed among them.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from cit_core import CapabilityStore, Router, load_scorer
from cit_core.aptitude.importers.catalogue_answers import add_from_catalogue
from cit_core.aptitude.importers.table import import_table
from cit_core.aptitude.item_vectors import encode_items
from cit_core.catalogue import catalogue_capabilities, core_suite
from cit_core.evaluate.metrics import paired_interval
from cit_core.evaluate.setting import unseen_items
from cit_core.outcomes import OutcomeMatrix, Split, read_outcomes
from cit_core.runtime import OnnxScorer

NEAR, MOST = 0.10, 5


def neighbours_of(model: str) -> list[str]:
    """The catalogue's models that are about as strong, the nearest first."""
    aptitude = {c.candidate.id: c.mean_accuracy for c in catalogue_capabilities()}
    others = sorted(aptitude.keys() - {model}, key=lambda id_: abs(aptitude[id_] - aptitude[model]))
    return [id_ for id_ in others if abs(aptitude[id_] - aptitude[model]) <= NEAR][:MOST]


def onboard(table: OutcomeMatrix, model: str, url: str) -> CapabilityStore:
    """An empty store, its neighbours from the catalogue, and the new model from a file of its core outcomes."""
    store = CapabilityStore(url)
    for id_ in neighbours_of(model):
        add_from_catalogue(store, id_)
    core, suite = set(core_suite().item_ids), core_suite()
    task_of = {item: task.id for task in suite.tasks for item in suite.items[task.id]}
    results = Path(url.removeprefix("sqlite:///")).with_suffix(".csv")
    with results.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["item_id", "task", "model", "correct"])
        for item, correct in zip(table.item_ids, table.correct_IK[:, table.column(model)], strict=True):
            if item in core and not np.isnan(correct):
                rows.writerow([item, task_of[item], model, correct])
    import_table([results], store)
    return store


def accuracies(
    table: OutcomeMatrix, rows: NDArray[np.intp], store: CapabilityStore, scorer: OnnxScorer
) -> tuple[int, dict[str, NDArray[np.float64]]]:
    """Size of the zoo, and the accuracy of every way to choose, item by item; NaN where not all of it was measured."""
    encode_items(store, scorer)
    suite = core_suite()
    profiles = store.capabilities(suite)
    zoo = [profile.candidate.id for profile in profiles]
    outcomes = table.correct_IK[np.ix_(rows, [table.column(id_) for id_ in zoo])]
    known = ~np.isnan(outcomes).any(axis=1)
    best = int(np.argmax([profile.mean_accuracy for profile in profiles]))
    found = {"random": outcomes.mean(axis=1), "best by aptitude": np.where(known, outcomes[:, best], np.nan)}
    for name, evidence in (("network alone", False), ("with evidence", True)):
        router = Router.from_store(store, scorer, suite=suite, evidence=evidence)
        chosen = [zoo.index(router.route(table.instructions[row]).model) for row in rows]
        found[name] = np.where(known, outcomes[np.arange(len(rows)), chosen], np.nan)
    return len(zoo), {**found, "oracle": np.where(known, outcomes.max(axis=1), np.nan)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--items", type=int, help="route at most so many items")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    table, scorer, split = read_outcomes(options.data, "mmlu-pro"), load_scorer("mini"), Split()
    rows = unseen_items(table, split)[: options.items]
    sizes, found = {}, {}
    for model in track(split.models(table.candidates)["test"], disable=options.json):
        with tempfile.TemporaryDirectory() as folder, onboard(table, model, f"sqlite:///{folder}/zoo.db") as store:
            sizes[model], found[model] = accuracies(table, rows, store, scorer)
    show(sizes, found, scorer.name, as_json=options.json)


def show(
    sizes: dict[str, int], found: dict[str, dict[str, NDArray[np.float64]]], scorer: str, *, as_json: bool
) -> None:
    """A row for every new model, and the gain over always taking the best by aptitude, mean over the zoos."""
    ways = list(next(iter(found.values())))
    rows = {
        model: {"zoo": sizes[model], "items": int((~np.isnan(values["oracle"])).sum())}
        | {way: round(100 * float(np.nanmean(values[way])), 2) for way in ways}
        for model, values in found.items()
    }
    mean = {way: np.nanmean([values[way] for values in found.values()], axis=0) for way in ways}
    gains = {way: paired_interval(100 * (mean[way] - mean["best by aptitude"])) for way in ways[2:]}
    if as_json:
        print(json.dumps({"scorer": scorer, "models": rows, "points above best by aptitude": gains}, indent=1))
        return
    grid = Table(title=f"{scorer}: each new model is known by its core answers alone; accuracy in %")
    for heading in ("new model", "zoo", "items", *ways):
        grid.add_column(heading, justify="left" if heading == "new model" else "right")
    for model, row in rows.items():
        grid.add_row(model, *(str(value) for value in row.values()))
    Console(width=120).print(grid)
    for way, (gain, low, high) in gains.items():
        Console().print(
            f"{way}: {gain:+.2f} [{low:+.2f}, {high:+.2f}] points above best by aptitude, mean over the zoos"
        )


if __name__ == "__main__":
    main()
