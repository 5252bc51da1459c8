"""How good linked profiles are: whole (model, benchmark) blocks of published scores left out, and predicted.

    python benchmarks/links.py ../shared/data/more

Mean errors with 95 % bootstrap intervals over models, and how many left-out scores 80 % intervals hold, their scale
fitted on the other half of the models.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from cit_core.calibration import sigmoid
from cit_core.catalogue.link import fit_link, held_out_blocks, left_out_deviations
from cit_core.catalogue.score_tables import observations, read_scores

LEVEL, NORMAL = 0.8, 1.2815515655446004


def main(folder: Path) -> None:
    seen = observations(read_scores(folder))
    model_M = np.unique([model for model, _ in seen.arms], return_inverse=True)[1]
    model_O, accuracy_O = model_M[seen.arm_O], sigmoid(seen.logit_O)
    errors, deviations = [], []
    for held_O in held_out_blocks(seen):
        kept = seen.only(~held_O)
        link = fit_link(kept)
        judged_O = held_O & np.isin(model_O, model_M[kept.arm_O]) & np.isin(seen.column_O, kept.column_O)
        count_C = np.bincount(kept.column_O, minlength=len(seen.columns))
        mean_C = np.bincount(kept.column_O, accuracy_O[~held_O], len(seen.columns)) / np.maximum(count_C, 1)
        column = seen.column_O[judged_O]
        told = sigmoid(link.offset_C[column] + link.slope_C[column] * link.ability_M[seen.arm_O[judged_O]])
        true = accuracy_O[judged_O]
        errors.append(np.stack([model_O[judged_O], np.abs(told - true), np.abs(mean_C[column] - true)]))
        deviations.append(np.abs(left_out_deviations(seen, held_O)))
    (model_J, *error_2J), deviation_J = np.concatenate(errors, axis=1), np.concatenate(deviations)
    of_model_J = model_J.astype(int)
    sums_3M = np.stack([np.bincount(of_model_J, weights) for weights in (*error_2J, np.ones_like(model_J))])
    sums_3M = sums_3M[:, sums_3M[2] > 0]
    draw = np.random.default_rng(0).integers(sums_3M.shape[1], size=(1000, sums_3M.shape[1]))
    drawn_R3 = sums_3M[:, draw].sum(axis=2).T
    sources = {source for source, _, _ in seen.columns}
    print(f"{len(seen.logit_O):,} scores in {len(seen.columns)} columns of {len(sources)} sources")
    print(f"{len(model_J):,} scores of {sums_3M.shape[1]} models left out")
    for row, name in enumerate(("link", "mean of the column")):
        low, high = np.quantile(drawn_R3[:, row] / drawn_R3[:, 2], [0.025, 0.975])
        print(f"mean error of the {name}: {sums_3M[row].sum() / sums_3M[2].sum():.3f} [{low:.3f}, {high:.3f}]")
    half_J = (np.random.default_rng(0).permutation(model_M.max() + 1) % 2)[of_model_J]
    for half in (0, 1):
        scale = np.quantile(deviation_J[half_J == half], LEVEL) / NORMAL
        print(
            f"80 % intervals hold {100 * (deviation_J[half_J != half] < NORMAL * scale).mean():.0f} % of the other half"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
