"""Find the training data of a run of `cit train --preset paper`, which must not be tested on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from cit_core.errors import InvalidInput
from cit_core.outcomes import OutcomeMatrix, Split
from cit_core.paper.recipe import read_recipe

__all__ = ["logs_learnt_from"]


def logs_learnt_from(
    run: Path, split: Split, catalogue: OutcomeMatrix | None, logs: Sequence[OutcomeMatrix]
) -> tuple[str, ...]:
    """Return the names of the logs that a run has learnt from; items are recognised by their ids.

    Args:
        run: Folder of the run.
        split: The benchmark's split.
        catalogue: Outcomes of the catalogue's models, some of which are new in the benchmark.
        logs: Other outcomes, all of each.

    Raises:
        InvalidInput: If it has learnt from items or models that the benchmark holds out, or does not record its data.
    """
    own = read_recipe(run / "recipe.yaml").split
    if own.seed != split.seed or own.test_items < split.test_items:
        raise InvalidInput(
            f"{run} has seen questions that the benchmark holds out: its split has seed {own.seed!r} and test_items "
            f"{own.test_items}; train with seed {split.seed!r} and at least {split.test_items}"
        )
    try:
        facts = json.loads((run / "run.json").read_text(encoding="utf-8"))
        models = {*facts["models"]["train"], *facts["models"]["validation"]}
        items = set(json.loads((run / "items.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(
            f"{run} does not say in run.json and items.json what the run has learnt from: {error!r}"
        ) from error
    new = set() if catalogue is None else models.intersection(split.models(catalogue.candidates)["test"])
    if new:
        raise InvalidInput(
            f"{run} has learnt from {', '.join(sorted(new))}, which the benchmark holds out as new; train it without "
            "them, or judge it on a store alone: --store URL without --data"
        )
    return tuple(log.name for log in logs if items.intersection(log.item_ids))
