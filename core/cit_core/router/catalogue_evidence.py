"""Fit the evidence that ships with the catalogue: `python -m cit_core.router.catalogue_evidence ../shared/data`.

Maintainers run it when the core set's answers or the shipped network change. The questions' texts are needed for it and
are not shipped: what is kept are weights of hashed n-grams.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from cit_core.aptitude.evidence_fit import fit_log
from cit_core.aptitude.evidence_sources import Log
from cit_core.catalogue import VECTORS_OF, catalogue_capabilities, core_suite
from cit_core.evidence.serialization import to_json
from cit_core.outcomes import read_outcomes
from cit_core.router.loading import Network, core_outcomes

__all__ = ["fit_catalogue", "main"]


def fit_catalogue(scorer: Network, texts: Mapping[str, str]) -> dict[str, Any]:
    """Fit evidence on the catalogue's answers to the core set.

    Args:
        scorer: The shipped network.
        texts: Texts of the core set's questions, by item id.
    """
    suite, outcomes = core_suite(), core_outcomes()
    outcomes = replace(outcomes, instructions=tuple(texts.get(id_, "") for id_ in suite.item_ids))
    profiles = {capability.candidate.id: capability for capability in catalogue_capabilities()}
    of_log = tuple(profiles[id_] for id_ in outcomes.candidates)
    log = Log(outcomes, None, of_log, 0)
    return {**to_json(fit_log(log, scorer), outcomes.candidates), "encoder": VECTORS_OF}


def main(folder: str) -> None:
    """Fit on the texts in a folder with `items-mmlu-pro.parquet`, and write the file that ships."""
    from cit_core.runtime import load_scorer

    table = read_outcomes(Path(folder), "mmlu-pro")
    kept = fit_catalogue(load_scorer("mini"), dict(zip(table.item_ids, table.instructions, strict=True)))
    Path(str(files("cit_core.catalogue").joinpath("evidence.json"))).write_text(json.dumps(kept) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
