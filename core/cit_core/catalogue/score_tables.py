"""Read published scores and per-item outcomes as observations of (model, effort) on (source, benchmark, task).

The tables are those of ../shared/data/more; nothing of them ships but what the link makes of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cit_core.catalogue.candidates import candidate_of
from cit_core.catalogue.expectation import FACTS, facts_of
from cit_core.catalogue.facts import AmbiguousModel, Model, find_model
from cit_core.catalogue.link import Observations
from cit_core.catalogue.linked import expected_release
from cit_core.catalogue.profiles import core_suite
from cit_core.errors import InvalidInput, MissingExtra

__all__ = ["CORE", "Score", "observations", "read_names", "read_scores", "served_today"]

CORE = "mmlu-pro"
"""Source of the columns that profiles are made of: the tasks of the core set."""
OTHERS = "others of {}"
"""Column of a task's questions outside the core set: the core set was chosen to tell models apart, so strong ones
are better on it, and a profile must mean the same whether its model sat the test or is linked to it."""
ITEMS = 300
"""Assumed where a source does not say how many items a score is the mean of."""
FEWEST_ARMS = 8
"""Minimum number of arms of a column; fewer cannot be distinguished from noise."""
ARENA = frozenset({"full", "math", "coding", "hard_6", "if", "creative_writing"})
HARNESSES = frozenset(
    {"helm_capabilities", "helm_lite", "helm_mmlu", "helm_classic", "global-mmlu-lite", "hfopenllm_v2"}
)
NOT_ACCURACY = re.compile("cost|length|time|tokens|metr", re.IGNORECASE)
STATISTICS = re.compile(r" - (#.*|truncated|Compression|Coverage|Density)$")
"""Columns of HELM that count items, tokens and cut prompts, or describe summaries: a share in [0, 1] is no accuracy."""
SOURCES: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "aider": lambda _row: True,
    "arena": lambda row: row["task"] in ARENA,
    "benchpress": lambda row: "hallucination rate" not in (row["task"] or ""),
    "bfcl": lambda row: "Acc" in row["task"],
    "eee": lambda row: (
        row["benchmark"] in HARNESSES and not row["lower_is_better"] and not STATISTICS.search(row["task"] or "")
    ),
    "epoch": lambda row: not NOT_ACCURACY.search(f"{row['benchmark']} {row['task']}"),
    "lechmazur": lambda row: row["benchmark"].startswith("NYT"),
    "livebench": lambda row: row["task"] is not None,
    "tau2": lambda _row: True,
    "terminalbench": lambda _row: True,
}
"""Score tables that speak of general ability, and which of their rows do. Left out: vectara and bullshit, which order
models as no other source does, and modelsdev, which repeats other sources."""
OUTCOMES = {"mmlu-pro": "old:outcomes-mmlu-pro", "mmlu-pro-extra": "outcomes-mmluproextra"}
"""Tables of outcomes on the items of the core set, and what the table of names calls them."""


class Score(NamedTuple):
    """One published accuracy."""

    arm: tuple[str, str]
    """Canonical model and effort; the effort is empty where the source names none."""
    column: tuple[str, str, str]
    accuracy: float
    items: float


def read_names(folder: Path) -> dict[tuple[str, str], tuple[str, str]]:
    """Read which model and effort each name of each source means.

    Raises:
        InvalidInput: If `model-names.parquet` is missing or lacks a column.
        MissingExtra: If pyarrow is not installed.
    """
    return {
        (row["source"], row["model"]): (row["canonical"], _effort(row["variant"]))
        for row in _rows(folder / "model-names.parquet")
    }


def read_scores(folder: Path) -> list[Score]:
    """Read every usable score of a folder of tables, and the accuracy of each model on each core task.

    Raises:
        InvalidInput: If a table is missing or lacks a column.
        MissingExtra: If pyarrow is not installed.
    """
    names = read_names(folder)
    scores = [score for source in SOURCES for score in _published(folder, source, names)]
    core = {id_ for ids in core_suite().items.values() for id_ in ids}
    tasks = {
        row["item_id"]: row["task"] if row["item_id"] in core else OTHERS.format(row["task"])
        for row in _rows(folder.parent / "items-mmlu-pro.parquet")
    }
    for table, source in OUTCOMES.items():
        place = folder.parent if table == CORE else folder
        scores.extend(_answered(_rows(place / f"outcomes-{table}.parquet"), source, names, tasks))
    return scores


def observations(scores: Iterable[Score]) -> Observations:
    """Turn scores into logits with their sampling variance; repeated scores of one cell are averaged.

    Every model has an arm as its maker sets it, with observations or without.
    """
    cells: dict[tuple[tuple[str, str], tuple[str, str, str]], list[Score]] = {}
    for score in scores:
        cells.setdefault((score.arm, score.column), []).append(score)
    arms_of: dict[tuple[str, str, str], int] = {}
    for _, column in cells:
        arms_of[column] = arms_of.get(column, 0) + 1
    cells = {cell: found for cell, found in sorted(cells.items()) if arms_of[cell[1]] >= FEWEST_ARMS}
    arms = sorted({arm for (model, effort), _ in cells for arm in ((model, effort), (model, ""))})
    columns = sorted({column for _, column in cells})
    arm_of, column_of = ({name: n for n, name in enumerate(names)} for names in (arms, columns))
    items_O = np.array([max(score.items for score in found) for found in cells.values()], float)
    mean_O = np.array([np.mean([score.accuracy for score in found]) for found in cells.values()], float)
    share_O = np.clip(mean_O, np.maximum(0.5 / items_O, 0.01), np.minimum(1.0 - 0.5 / items_O, 0.99))
    return Observations(
        arms=tuple(arms),
        columns=tuple(columns),
        arm_O=np.array([arm_of[arm] for arm, _ in cells], np.intp),
        column_O=np.array([column_of[column] for _, column in cells], np.intp),
        logit_O=np.log(share_O) - np.log1p(-share_O),
        variance_O=1.0 / (items_O * share_O * (1.0 - share_O)),
        facts_MF=np.array([_facts(model) for model, _ in arms]).reshape(len(arms), len(FACTS)),
    )


def _facts(name: str) -> NDArray[np.floating]:
    model = served_today(name)
    return (
        np.full(len(FACTS), np.nan) if model is None else facts_of(candidate_of(name, model), expected_release(model))
    )


def served_today(name: str) -> Model | None:
    """Return the model of the catalogue that a canonical name means; None if there is none, or several."""
    try:
        return find_model(name)
    except AmbiguousModel:
        return None


def _published(folder: Path, source: str, names: Mapping[tuple[str, str], tuple[str, str]]) -> Iterator[Score]:
    keep = SOURCES[source]
    for row in _rows(folder / f"scores-{source}.parquet"):
        arm = names.get((f"scores-{row['benchmark']}", row["model"])) or names.get((f"scores-{source}", row["model"]))
        usable = row["score"] is not None and 0.0 <= row["score"] <= 1.0
        if arm is not None and usable and keep(row):
            column = (source, row["benchmark"], row["task"] or "")
            yield Score(arm, column, float(row["score"]), float(row.get("n_items") or ITEMS))


def _answered(
    rows: Iterable[Mapping[str, Any]],
    source: str,
    names: Mapping[tuple[str, str], tuple[str, str]],
    tasks: Mapping[str, str],
) -> Iterator[Score]:
    sums: dict[tuple[tuple[str, str], str], list[float]] = {}
    for row in rows:
        arm, task = names.get((source, row["model"])), tasks.get(row["item_id"])
        if arm is not None and task is not None:
            total = sums.setdefault((arm, task), [0.0, 0.0])
            total[0] += row["correct"]
            total[1] += 1.0
    for (arm, task), (right, count) in sums.items():
        yield Score(arm, (CORE, CORE, task), (right + 0.5) / (count + 1.0), count)


def _effort(variant: str) -> str:
    """Return the effort that a variant of a name means; a model that thinks at no stated effort counts as `high`."""
    variant = variant.lower()
    if re.search(r"no[-_,]?(reason|think)|reasoning=none|^none|nothink|non-", variant):
        return "none"
    for effort in ("minimal", "xhigh", "low", "medium", "high", "max"):
        if effort in variant:
            return effort
    return "high" if "think" in variant or ("reason" in variant and "default" not in variant) else ""


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtra("pyarrow, which reads Parquet files,", "data") from error
    try:
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise InvalidInput(f"cannot read {path}: {error}") from error
    return rows
