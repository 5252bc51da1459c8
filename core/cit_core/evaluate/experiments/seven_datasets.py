"""Table 1 of the paper: routing on MMLU, WinoGrande, ARC-C, TruthfulQA, BoolQ, MRPC and MNLI, zoo by zoo.

Outcomes come from sample logs of lm-evaluation-harness (`cit import lm-eval`), from `cit aptitude run` or from a table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cit_core.evaluate.comparison import SINGLE_BEST, hindsight
from cit_core.evaluate.metrics import Interval, routed
from cit_core.evaluate.predictions import EVIDENCE, NETWORK, Scores
from cit_core.evaluate.results import Cell, Column, Table
from cit_core.evaluate.setting import Setting
from cit_core.evaluate.zoos import named_zoos
from cit_core.records import Candidate

__all__ = ["SEVEN", "PaperDataset", "dataset_of", "seven_datasets"]

RESAMPLES = 1000
MOST = 16
"""Datasets with a column of their own; the table of a log with more shows means alone."""
SIZE = re.compile(r"(?<![\d.])(?:(\d+)x)?(\d+(?:\.\d+)?)b(?![a-z])", re.IGNORECASE)
MEAN = "mean"


@dataclass(frozen=True)
class PaperDataset:
    """A dataset of table 1: its column, how its tasks begin in logs, and the worked examples of a prompt."""

    name: str
    begins: str
    shots: int


SEVEN = (
    PaperDataset("MMLU", "mmlu", 5),
    PaperDataset("WinoGrande", "winogrande", 5),
    PaperDataset("ARC-C", "arc_challenge", 25),
    PaperDataset("TruthfulQA", "truthfulqa", 6),
    PaperDataset("BoolQ", "boolq", 1),
    PaperDataset("MRPC", "mrpc", 1),
    PaperDataset("MNLI", "mnli", 1),
)


def dataset_of(task: str) -> str:
    """Return the dataset of a task, in the paper's spelling; a task of none is its own.

    The Open LLM Leaderboard writes `harness|arc:challenge|25` and `harness|hendrycksTest-anatomy|5`, the harness
    `arc_challenge` and `mmlu_anatomy`.
    """
    plain = re.sub(r"[^a-z0-9]+", "_", task.lower().removeprefix("harness|").replace("hendryckstest", "mmlu")).strip(
        "_"
    )
    plain = plain.removeprefix("leaderboard_").removeprefix("glue_")
    if plain.startswith("mmlu_pro"):
        return task
    return next((known.name for known in SEVEN if re.match(rf"{known.begins}(_|$|\d)", plain)), task)


def seven_datasets(settings: Sequence[Setting], predictions: Mapping[str, Mapping[str, Scores]]) -> tuple[Table, ...]:
    """Return a table for each zoo of each setting: rows are routers, columns the datasets, and their mean.

    Args:
        settings: Held-out questions of models with a log.
        predictions: Setting to method to scores.
    """
    return tuple(
        _table(setting, predictions[setting.name], zoo, name)
        for setting in settings
        for name, zoo in _zoos(setting).items()
    )


def _zoos(setting: Setting) -> dict[str, tuple[int, ...]]:
    """Return the paper's zoos by size and date where there are two sizes or more, and all models."""
    found = named_zoos([_sized(capability.candidate) for capability in setting.capabilities])
    everyone = tuple(range(len(setting.candidates)))
    kept = {
        zoo: name for name, zoo in reversed(found.items()) if name != "all" and 1 < len(zoo) < len(everyone)
    }  # two names of the same models: the first
    return {**{name: zoo for zoo, name in reversed(kept.items())}, "all": everyone}


def _sized(candidate: Candidate) -> Candidate:
    """Read a size that is not known off the name: `qwen2-7b`, `mixtral-8x22b`."""
    found = None if candidate.params_b is not None else SIZE.search(candidate.id)
    if found is None:
        return candidate
    return candidate.model_copy(update={"params_b": float(found[1] or 1) * float(found[2])})


def _table(setting: Setting, scores: Mapping[str, Scores], zoo: tuple[int, ...], name: str) -> Table:
    correct_NK = setting.correct_NK[:, list(zoo)]
    group_N = np.array([dataset_of(group) for group in setting.groups])
    values = {method: routed(given[:, list(zoo)], correct_NK) for method, given in scores.items()}
    values |= {
        method: given[0] for method, given in hindsight(correct_NK, group_N.tolist(), [tuple(range(len(zoo)))]).items()
    }
    datasets = _in_order(group_N)
    columns = datasets if len(datasets) <= MOST else []
    rows = [
        (
            method,
            *(100.0 * float(value_N[group_N == each].mean()) for each in columns),
            _macro(value_N, group_N),
            _above(method, values, group_N),
        )
        for method, value_N in values.items()
    ]
    seven = [each.name for each in SEVEN if each.name in datasets]
    there = f"of the paper's seven: {', '.join(seven) or 'none'}; " if len(seven) < len(SEVEN) else ""
    return Table(
        title=f"{setting.title}: {name}, {len(zoo)} models",
        columns=(
            Column("router"),
            *(Column(each, "percent") for each in columns),
            Column("mean %", "percent"),
            Column("above best by aptitude", "points"),
        ),
        rows=tuple(rows),
        note=f"{there}the mean is over {len(datasets)} datasets, as in table 1. Models: "
        f"{', '.join(setting.candidates[place] for place in zoo)}.",
        emphasis=tuple(place for place, row in enumerate(rows) if row[0] in (NETWORK, EVIDENCE)),
    )


def _in_order(group_N: NDArray[np.str_]) -> list[str]:
    """Return the paper's datasets in its order, then all others."""
    there = set(group_N.tolist())
    first = [each.name for each in SEVEN if each.name in there]
    return [*first, *sorted(there - set(first))]


def _above(method: str, values: Mapping[str, NDArray[np.floating]], group_N: NDArray[np.str_]) -> Cell:
    if method == SINGLE_BEST or SINGLE_BEST not in values:
        return None
    return _macro(values[method] - values[SINGLE_BEST], group_N)


def _macro(value_N: NDArray[np.floating], group_N: NDArray[np.str_]) -> Interval:
    """Return the mean over datasets in points of 100, by a bootstrap of the questions of each."""
    draw = np.random.default_rng(0)
    parts = [100.0 * value_N[group_N == group] for group in np.unique(group_N)]
    drawn = np.zeros(RESAMPLES)
    for part in parts:
        counts = draw.multinomial(len(part), np.full(len(part), 1.0 / len(part)), size=RESAMPLES)
        drawn += counts @ part / len(part) / len(parts)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(float(np.mean([part.mean() for part in parts])), float(low), float(high))
