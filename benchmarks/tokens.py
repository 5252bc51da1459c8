"""Measure how well the length of an answer is predicted: python benchmarks/tokens.py [--data ../shared/data/more].

Beside each model's mean answer, on questions held out by a seeded hash of their ids, for tables whose outcomes have
completion tokens; and of LiveBench's mean tokens per task, for each model by the effect of tasks on all the others.
Ratios of mean errors, with 95 % intervals over questions or models: squared error and deviance are least for the
expected length; the absolute error is least for the median, which no cost is made of. Calls no model.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cit_core.evaluate.metrics import Interval, ratio_interval
from cit_core.evidence.answer_lengths import fit_answer_lengths, poisson_deviance
from cit_core.outcomes import Split
from cit_core.runtime import load_scorer

ENCODED = 64


class Answers(NamedTuple):
    """Questions and the tokens of their answers."""

    ids: list[str]
    texts: list[str]
    models: list[str]
    tokens: NDArray[np.float64]


def read(folder: Path, name: str) -> Answers:
    """Read a table, of the models with tokens."""
    items = pq.read_table(folder / f"items-{name}.parquet").to_pydict()
    outcomes = pq.read_table(folder / f"outcomes-{name}.parquet").to_pydict()
    models = sorted(set(outcomes["model"]))
    row, column = ({id_: at for at, id_ in enumerate(ids)} for ids in (items["item_id"], models))
    tokens = np.full((len(row), len(models)), np.nan)
    for item, model, count in zip(outcomes["item_id"], outcomes["model"], outcomes["completion_tokens"], strict=True):
        if count is not None:
            tokens[row[item], column[model]] = count
    return Answers(items["item_id"], items["instruction"], models, tokens)


def vectors_of(texts: list[str], kept: Path | None) -> NDArray[np.float32]:
    """Return the vectors of texts, from a file where there is one."""
    if kept is not None and kept.exists():
        found: NDArray[np.float32] = np.load(kept)
        return found
    scorer = load_scorer("mini")
    vectors = np.concatenate([scorer.encode(texts[at : at + ENCODED]) for at in range(0, len(texts), ENCODED)])
    if kept is not None:
        np.save(kept, vectors)
    return vectors


def compare(told: Answers, vectors: NDArray[np.float32], train: NDArray[np.intp], test: NDArray[np.intp]) -> None:
    """Fit on some questions, and print the errors on others."""
    began = time.perf_counter()
    fitted = fit_answer_lengths(vectors[train], [told.texts[row] for row in train], told.tokens[train], told.models)
    took = time.perf_counter() - began
    means = np.nanmean(told.tokens[train], axis=0)
    tokens = told.tokens[test]
    flat = np.broadcast_to(means, tokens.shape)
    ours = flat * (
        1.0 if fitted is None else fitted.ratios(vectors[test], [told.texts[row] for row in test], told.models)
    )
    print(f"fitted on {len(train):,} questions in {took:.1f} s, tried on {len(test):,}; ours / mean answer [95 %]")
    print(f"{'model':32} {'mean':>6}  {'squared error':20} {'deviance':20} {'absolute error':20} {'bias':>6}")
    for at, model in enumerate(told.models):
        known = ~np.isnan(tokens[:, at])
        print(_line(model, tokens[known, at], ours[known, at], flat[known, at]))
    whole = ~np.isnan(tokens).any(axis=1)
    print(_line("one answer of each", *(matrix[whole].sum(axis=1) for matrix in (tokens, ours, flat))))


def compare_tasks(folder: Path) -> None:
    """Predict each model's tokens on LiveBench's tasks from its mean and the effect of tasks on the other models."""
    rows = [row for row in pq.read_table(folder / "scores-livebench.parquet").to_pylist() if row["out_tokens"]]
    models, tasks = (sorted({row[name] for row in rows}) for name in ("model", "task"))
    tokens = np.full((len(models), len(tasks)), np.nan)
    for row in rows:
        tokens[models.index(row["model"]), tasks.index(row["task"])] = row["out_tokens"]
    relative = tokens / tokens.mean(axis=1, keepdims=True)
    way = np.log(tokens) - np.log(tokens).mean(axis=1, keepdims=True)
    effect = np.exp((way.sum(axis=0) - way) / (len(models) - 1))
    ours, flat = effect / effect.mean(axis=1, keepdims=True), np.ones_like(tokens)
    print(
        f"LiveBench: {len(models)} models x {len(tasks)} tasks, relative to the model's mean; ours / mean answer [95 %]"
    )
    for name, errors in {
        "squared error": ((relative - ours) ** 2, (relative - flat) ** 2),
        "deviance": (poisson_deviance(relative, ours), poisson_deviance(relative, flat)),
        "absolute error": (np.abs(relative - ours), np.abs(relative - flat)),
    }.items():
        print(f"{name:16} {_shown(ratio_interval(*(error.mean(axis=1) for error in errors)))}")


def _line(name: str, tokens: NDArray[np.float64], ours: NDArray[np.float64], flat: NDArray[np.float64]) -> str:
    found = (
        ratio_interval((tokens - ours) ** 2, (tokens - flat) ** 2),
        ratio_interval(poisson_deviance(tokens, ours), poisson_deviance(tokens, flat)),
        ratio_interval(np.abs(tokens - ours), np.abs(tokens - flat)),
    )
    bias = 100.0 * (ours.mean() / tokens.mean() - 1.0)
    return f"{name:32} {tokens.mean():6.0f}  {' '.join(f'{_shown(one):20}' for one in found)} {bias:+5.1f}%"


def _shown(one: Interval) -> str:
    return f"{one.mean:.3f} [{one.low:.3f}, {one.high:.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/more"))
    parser.add_argument("--table", default="medagents")
    parser.add_argument("--vectors", type=Path, help="file that keeps the vectors between runs")
    parser.add_argument("--part", choices=("validation", "test"), default="test")
    parser.add_argument("--questions", type=int, nargs="*", default=[100, 300, 1000, 0], help="0 for all of them")
    options = parser.parse_args()
    compare_tasks(options.data)
    told = read(options.data, options.table)
    vectors, parts = vectors_of(told.texts, options.vectors), Split().items(told.ids)
    for number in options.questions:
        drawn = np.random.default_rng(0).permutation(parts["train"])[: number or None]
        compare(told, vectors, drawn, parts[options.part])


if __name__ == "__main__":
    main()
