"""How good linked profiles are: published scores left out, and predicted.

    python benchmarks/links.py ../shared/data/more

Left out in turns: whole (model, benchmark) blocks; all scores of an effort whose model was scored otherwise, too; and
all scores of models whose facts the catalogue knows, so that nothing but these facts is known of them. Mean errors with
95 % bootstrap intervals over models, and how many left-out scores 80 % intervals hold, their scale fitted on the other
half of the models.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cit_core.calibration import sigmoid
from cit_core.catalogue.link import Observations, deviations_from, fit_link, held_out_blocks
from cit_core.catalogue.score_tables import observations, read_scores

LEVEL, NORMAL = 0.8, 1.2815515655446004
FOLDS = 5


def held_out(seen: Observations, way: str) -> list[NDArray[np.bool_]]:
    """Return which observations are left out in each fold."""
    if way == "blocks":
        return held_out_blocks(seen, FOLDS)
    model_M = np.unique([model for model, _ in seen.arms], return_inverse=True)[1]
    scored_M = np.isin(np.arange(len(seen.arms)), seen.arm_O)
    at_effort_M = np.array([bool(effort) for _, effort in seen.arms])
    draw = np.random.default_rng(0)
    if way == "efforts":
        chosen_M = at_effort_M & (np.bincount(model_M, scored_M)[model_M] > 1)
        fold_M = draw.permutation(len(seen.arms)) % FOLDS
    else:
        assert seen.facts_MF is not None
        chosen_M = ~np.isnan(seen.facts_MF).all(axis=1)
        fold_M = (draw.permutation(model_M.max() + 1) % FOLDS)[model_M]
    return [(chosen_M & (fold_M == fold))[seen.arm_O] for fold in range(FOLDS)]


def report(seen: Observations, way: str) -> None:
    model_M = np.unique([model for model, _ in seen.arms], return_inverse=True)[1]
    model_O, accuracy_O = model_M[seen.arm_O], sigmoid(seen.logit_O)
    errors, deviations = [], []
    for held_O in held_out(seen, way):
        kept = seen.only(~held_O)
        link = fit_link(kept)
        judged_O = held_O & np.isin(seen.column_O, kept.column_O)
        if way != "models":
            judged_O &= np.isin(model_O, model_M[kept.arm_O])
        count_C = np.bincount(kept.column_O, minlength=len(seen.columns))
        mean_C = np.bincount(kept.column_O, accuracy_O[~held_O], len(seen.columns)) / np.maximum(count_C, 1)
        column = seen.column_O[judged_O]
        told = sigmoid(link.offset_C[column] + link.slope_C[column] * link.ability_M[seen.arm_O[judged_O]])
        true = accuracy_O[judged_O]
        errors.append(np.stack([model_O[judged_O], np.abs(told - true), np.abs(mean_C[column] - true)]))
        deviations.append(np.abs(deviations_from(link, seen, judged_O)))
    (model_J, *error_2J), deviation_J = np.concatenate(errors, axis=1), np.concatenate(deviations)
    of_model_J = model_J.astype(int)
    sums_3M = np.stack([np.bincount(of_model_J, weights) for weights in (*error_2J, np.ones_like(model_J))])
    sums_3M = sums_3M[:, sums_3M[2] > 0]
    draw = np.random.default_rng(0).integers(sums_3M.shape[1], size=(1000, sums_3M.shape[1]))
    drawn_R3 = sums_3M[:, draw].sum(axis=2).T
    print(f"{way} left out: {len(model_J):,} scores of {sums_3M.shape[1]} models")
    for row, name in enumerate(("link", "mean of the column")):
        low, high = np.quantile(drawn_R3[:, row] / drawn_R3[:, 2], [0.025, 0.975])
        print(f"  mean error of the {name}: {sums_3M[row].sum() / sums_3M[2].sum():.4f} [{low:.4f}, {high:.4f}]")
    half_J = (np.random.default_rng(0).permutation(model_M.max() + 1) % 2)[of_model_J]
    for half in (0, 1):
        scale = np.quantile(deviation_J[half_J == half], LEVEL) / NORMAL
        share = (deviation_J[half_J != half] < NORMAL * scale).mean()
        print(f"  80 % intervals, times {scale:.3f}, hold {100 * share:.0f} % of the other half")


def main(folder: Path) -> None:
    seen = observations(read_scores(folder))
    sources = {source for source, _, _ in seen.columns}
    print(f"{len(seen.logit_O):,} scores in {len(seen.columns)} columns of {len(sources)} sources")
    for way in ("blocks", "efforts", "models"):
        report(seen, way)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
