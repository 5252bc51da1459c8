"""Builds the catalogue's core set from real outcomes: `python -m cit_core.train.catalogue ../shared/data`.

Maintainers run it when the data or the trunk changes; everyone else uses what is shipped.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

import cit_core.catalogue
from cit_core.model.config import MINI
from cit_core.model.persistence import new_network
from cit_core.records import Suite
from cit_core.train.data import OutcomeTable, Split, build_core_suite, read_outcomes
from cit_core.train.features import encode_texts

__all__ = ["write_catalogue"]


def write_catalogue(table: OutcomeTable, folder: Path) -> Suite:
    """Write core.json, responses.json and vectors.npy."""
    suite = build_core_suite(table, Split())
    place = {id_: row for row, id_ in enumerate(table.item_ids)}
    rows = [place[id_] for id_ in suite.item_ids]
    network, tokenizer = new_network(MINI)
    vectors = encode_texts(network, tokenizer, [table.instructions[row] for row in rows])
    marks = {
        model: "".join("-" if np.isnan(mark) else str(int(mark)) for mark in table.correct_IM[rows, column])
        for column, model in enumerate(table.models)
    }
    (folder / "core.json").write_text(suite.model_dump_json(indent=1) + "\n")
    (folder / "responses.json").write_text(json.dumps(marks, indent=1) + "\n")
    np.save(folder / "vectors.npy", vectors.astype(np.float16), allow_pickle=False)
    return suite


if __name__ == "__main__":
    write_catalogue(read_outcomes(Path(sys.argv[1]), "mmlu-pro"), Path(cit_core.catalogue.__file__).parent)
