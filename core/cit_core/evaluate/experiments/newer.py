"""Figures 1 and 5 with models that came after the catalogue's: tables that have outcomes of such, and their dates.

Axes: I items, K candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cit_core.catalogue import catalogue_candidates
from cit_core.catalogue.facts import find_model
from cit_core.evaluate.experiments.releases import coverage, releases
from cit_core.evaluate.predictions import Scores
from cit_core.evaluate.results import Figure, Table
from cit_core.evaluate.setting import Setting
from cit_core.outcomes import OutcomeMatrix
from cit_core.records import Candidate, Capability

__all__ = ["NEWER", "newer", "newer_facts", "with_extra"]

EXTRA = "outcomes-mmlu-pro-extra.parquet"
"""Outcomes of further models on the items of mmlu-pro."""
ONE_GPU_B = 35.0
"""Open models below this many billions of parameters run on one GPU: today's small ones."""


class _Known(NamedTuple):
    """Facts that the catalogue lacks or has otherwise."""

    released: str | None = None
    """Day, YYYY-MM-DD; the catalogue's if None."""
    params_b: float | None = None
    """Size of a model with open weights [billions]; None for a closed one."""


NEWER: Mapping[str, Mapping[str, _Known]] = {
    "mmlu-pro": {
        "DeepSeek-R1-Distill-Qwen-7B-nothinking": _Known("2025-01-20", 7.6),
        "llama33": _Known("2024-12-06", 70.6),
        "minimax-m2.5-nvfp4-32768": _Known("2026-02-12", 229.0),
    },
    "reasoninggym": {
        "anthropic/claude-3.5-sonnet": _Known(),
        "deepseek/deepseek-r1": _Known("2025-01-20", 671.0),
        "google/gemma-3-27b-it": _Known("2025-03-12", 27.4),
        "meta-llama/llama-3.3-70b-instruct": _Known("2024-12-06", 70.6),
        "meta-llama/llama-4-maverick": _Known("2025-04-05", 400.0),
        "meta-llama/llama-4-scout": _Known("2025-04-05", 109.0),
        "mistralai/mistral-small-3.1-24b-instruct": _Known("2025-03-17", 24.0),
        "openai/o3-mini": _Known("2025-01-31"),
        "qwen/qwq-32b": _Known("2025-03-05", 32.8),
    },
    "medagents": {
        "DeepSeek-R1": _Known("2025-01-20", 671.0),
        "DeepSeek-V3": _Known("2024-12-26", 671.0),
        "Llama-3.3-70B-Instruct-Turbo": _Known("2024-12-06", 70.6),
        "QwQ-32B-Preview": _Known("2024-11-28", 32.8),
        "claude-3-5-haiku": _Known(),
        "claude-3-5-sonnet": _Known(),
        "gpt-4o": _Known(),
        "gpt-4o-mini": _Known(),
        "o1-mini": _Known(),
        "o3-mini": _Known("2025-01-31"),
    },
}
"""Table to its newer models."""


def newer_facts(table: str) -> dict[str, Capability]:
    """Return what is known of the models of a table: days of release and sizes, of the catalogue or `NEWER`."""
    found = {candidate.id: candidate for candidate in catalogue_candidates()} if table == "mmlu-pro" else {}
    for id_, known in NEWER[table].items():
        model = find_model(id_.rpartition("/")[2])
        day = known.released or (None if model is None else model.released)
        found[id_] = Candidate(
            id=id_, released=None if day is None else date.fromisoformat(str(day)), params_b=known.params_b
        )
    return {id_: Capability(candidate=candidate) for id_, candidate in found.items()}


def with_extra(catalogue: OutcomeMatrix, folder: Path) -> OutcomeMatrix | None:
    """Return the catalogue's table with the newer models that were measured on nearly all of its items.

    Args:
        catalogue: The table mmlu-pro.
        folder: Where the outcomes of further models are.
    """
    path = folder / EXTRA
    if not path.is_file():
        return None
    import pyarrow.parquet as pq

    added = tuple(NEWER["mmlu-pro"])
    rows = pq.read_table(path, columns=["item_id", "model", "correct"]).to_pylist()
    place, column = {id_: row for row, id_ in enumerate(catalogue.item_ids)}, {id_: k for k, id_ in enumerate(added)}
    correct_IK = np.full((len(catalogue), len(added)), np.nan)
    for row in rows:
        if row["model"] in column and row["item_id"] in place:
            correct_IK[place[row["item_id"]], column[row["model"]]] = row["correct"]
    return replace(
        catalogue,
        candidates=(*catalogue.candidates, *added),
        correct_IK=np.hstack([catalogue.correct_IK, correct_IK]),
        circle_IK=None,
    )


def newer(
    settings: Sequence[Setting], scores_of: Callable[[Setting], Mapping[str, Scores]]
) -> tuple[tuple[Table, ...], tuple[Figure, ...]]:
    """Releases and coverage on each table, with days and sizes of `newer_facts`.

    Args:
        settings: Settings of the tables.
        scores_of: Scores of every method.
    """
    tables: list[Table] = []
    figures: list[Figure] = []
    for setting in settings:
        made, drawn = releases(setting, scores_of(setting), name=f"releases-{setting.name}")
        days = sorted(str(c.candidate.released) for c in setting.capabilities if c.candidate.released is not None)
        tables.append(replace(made, title=f"{setting.name}: {made.title.lower()}, {days[0][:7]} to {days[-1][:7]}"))
        figures.append(replace(drawn, title=f"{drawn.title} ({setting.name})"))
        against = _best_closed(setting)
        small = [c.candidate for c in setting.capabilities if (c.candidate.params_b or np.inf) < ONE_GPU_B]
        if against is not None and len(small) > 1:
            made, drawn = coverage(setting, ONE_GPU_B, against, name=f"coverage-{setting.name}")
            tables.append(replace(made, title=f"{setting.name}: {made.title[0].lower()}{made.title[1:]}"))
            figures.append(replace(drawn, title=f"{drawn.title} ({setting.name})"))
    return tuple(tables), tuple(figures)


def _best_closed(setting: Setting) -> str | None:
    """Return the model without open weights that answers most."""
    closed = [k for k, c in enumerate(setting.capabilities) if c.candidate.params_b is None]
    best = max(closed, key=lambda k: float(setting.correct_NK[:, k].mean()), default=None)
    return None if best is None else setting.candidates[best]
