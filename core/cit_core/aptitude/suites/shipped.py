"""Builds the catalogue's core set from real outcomes: `python -m cit_core.aptitude.suites.shipped ../shared/data`.

Maintainers run it when the data or the trunk changes; users load the shipped file.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

import cit_core.catalogue
from cit_core.aptitude.suites import save_suite, with_hashes
from cit_core.aptitude.suites.sources import texts
from cit_core.catalogue import known_tasks
from cit_core.core_suite import build_core_suite
from cit_core.mini.config import MINI
from cit_core.mini.features import encode_texts
from cit_core.mini.weights import new_network
from cit_core.outcomes import OutcomeMatrix, Split, read_outcomes
from cit_core.records import Suite
from cit_core.runtime import OnnxScorer

__all__ = ["hashed_core_suite", "write_catalogue", "write_task_vectors"]


def hashed_core_suite(table: OutcomeMatrix, items: Path) -> Suite:
    """Return the core set with its content hashes.

    Args:
        table: The table from which it is sampled.
        items: The table with the texts and answers of its items.
    """
    suite = build_core_suite(table, Split())
    return with_hashes(suite, {item.id: item for item in texts(suite, items)})


def write_catalogue(table: OutcomeMatrix, items: Path, folder: Path) -> Suite:
    """Write core.json, responses.json and vectors.npy."""
    suite = hashed_core_suite(table, items)
    place = {id_: row for row, id_ in enumerate(table.item_ids)}
    rows = [place[id_] for id_ in suite.item_ids]
    network, tokenizer = new_network(MINI)
    vectors = encode_texts(network, tokenizer, [table.instructions[row] for row in rows])
    marks = {
        model: "".join("-" if np.isnan(mark) else str(int(mark)) for mark in table.correct_IK[rows, column])
        for column, model in enumerate(table.candidates)
    }
    save_suite(suite, folder / "core.json")
    (folder / "responses.json").write_text(json.dumps(marks, indent=1) + "\n")
    np.save(folder / "vectors.npy", vectors.astype(np.float16), allow_pickle=False)
    return suite


def write_task_vectors(scorer: OnnxScorer, folder: Path) -> None:
    """Write task_vectors.npy, with the network that reads profiles by it."""
    vectors_TD = scorer.encode([task.description for task in known_tasks()])
    np.save(folder / "task_vectors.npy", vectors_TD, allow_pickle=False)


if __name__ == "__main__":
    data = Path(sys.argv[1])
    package = Path(cit_core.catalogue.__file__).parent
    write_catalogue(read_outcomes(data, "mmlu-pro"), data / "items-mmlu-pro.parquet", package)
    write_task_vectors(OnnxScorer("mini"), package)
