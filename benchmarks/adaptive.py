"""Rank new models by the adaptive test: Spearman with their accuracy on other questions, beside 1,000 and 100 asked.

    python benchmarks/adaptive.py --data ../shared/data [--draws 10]

Half of a table's questions are the bank (1,000 at most), half of its models are known on it; the others take the test,
and are judged on the other half of the questions. Tables: korbench, zeroeval, bfcl2024, mmlu-pro.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from scipy.stats import spearmanr

from cit_core.aptitude.runner.adaptive import AdaptiveTest
from cit_core.evaluate.log_settings import measured_alike
from cit_core.evaluate.metrics import Interval
from cit_core.evaluate.results import Cell, Column, Table
from cit_core.evaluate.tables import as_rich
from cit_core.outcomes import OutcomeMatrix, read_outcomes

TABLES = ("korbench", "zeroeval", "bfcl2024", "mmlu-pro")
BANK, MOST = 1000, 100


def adaptive(table: OutcomeMatrix, bank: NDArray[np.intp], known: NDArray[np.intp], model: int) -> tuple[float, int]:
    """Return the accuracy on the bank that the test estimates for a model, and the number of its questions."""
    ids = [table.item_ids[row] for row in bank]
    tasks = [table.tasks[row] for row in bank]
    test = AdaptiveTest(ids, tasks, table.correct_IK[np.ix_(bank, known)], precision=0.0, most=MOST)
    answer = dict(zip(ids, table.correct_IK[bank, model].tolist(), strict=True))
    asked = 0
    while (id_ := test.next()) is not None:
        test.learn(id_, answer[id_])
        asked += 1
    return test.accuracy, asked


def ranks(table: OutcomeMatrix, draws: int, tell: Callable[[str], None]) -> dict[str, list[float]]:
    """Return Spearman's coefficients of each way to measure, one for each draw."""
    found: dict[str, list[float]] = {"whole bank": [], f"{MOST} random": [], f"{MOST} adaptive": []}
    for seed in range(draws):
        tell(f"{table.name}: draw {seed + 1} of {draws}")
        draw = np.random.default_rng(seed)
        rows, models = draw.permutation(len(table)), draw.permutation(len(table.candidates))
        half = len(rows) // 2
        bank, other = rows[: min(half, BANK)], rows[half:]
        known, new = models[: len(models) // 2], models[len(models) // 2 :]
        truth = table.correct_IK[np.ix_(other, new)].mean(axis=0)
        of_100 = np.array([table.correct_IK[draw.permutation(bank)[:MOST], model].mean() for model in new])
        told = {
            "whole bank": table.correct_IK[np.ix_(bank, new)].mean(axis=0),
            f"{MOST} random": of_100,
            f"{MOST} adaptive": np.array([adaptive(table, bank, known, model)[0] for model in new]),
        }
        for name, values in told.items():
            found[name].append(float(spearmanr(values, truth).statistic))
    return found


def interval(values: list[float]) -> Interval:
    """Mean over draws, with a 95 % interval by a bootstrap of the draws."""
    given = np.array(values)
    means = np.random.default_rng(0).choice(given, (2000, len(given))).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(given.mean()), float(low), float(high))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--draws", type=int, default=10)
    options = parser.parse_args()
    console = Console(stderr=True)
    rows: list[tuple[Cell, ...]] = []
    for name in TABLES:
        folder = options.data if (options.data / f"items-{name}.parquet").exists() else options.data / "more"
        table = measured_alike(read_outcomes(folder, name))
        found = ranks(table, options.draws, console.print)
        gap = [a - b for a, b in zip(found[f"{MOST} adaptive"], found["whole bank"], strict=True)]
        rows.append((name, *(interval(values) for values in (*found.values(), gap))))
    names = ("whole bank", f"{MOST} random", f"{MOST} adaptive", "adaptive less whole")
    columns = (Column("table"), *(Column(name, "precise") for name in names))
    title = "Spearman with accuracy on other questions, new models"
    Console().print(as_rich(Table(title, columns, tuple(rows))))


if __name__ == "__main__":
    main()
