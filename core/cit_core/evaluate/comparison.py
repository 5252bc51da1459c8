"""Compare ways to choose over one zoo or several, with intervals over items.

Per-item values are averaged over zoos first; the bootstrap then resamples items, which is what was sampled.

Axes: N items, K candidates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cit_core.evaluate.metrics import Interval, auroc, bootstrap, brier, calibration_error, paired_interval, routed

__all__ = [
    "BLIND",
    "HINDSIGHT",
    "ORACLE",
    "SINGLE_BEST",
    "Judged",
    "Zoo",
    "blind_values_of",
    "content_blind",
    "hindsight",
    "judge",
    "values_of",
]

SINGLE_BEST = "single best by aptitude"
BLIND = "{}, content-blind"
"""The control of a router: its shares of models, drawn without a look at the query."""
BEST_IN_HINDSIGHT = "single best in hindsight"
BEST_PER_GROUP = "best per dataset in hindsight"
ORACLE = "oracle"
HINDSIGHT = (BEST_IN_HINDSIGHT, BEST_PER_GROUP, ORACLE)
"""Ways to choose that need the answers: bounds, not competitors."""

Array = NDArray[np.float64]
Zoo = tuple[int, ...]
"""Columns of the candidates."""


@dataclass(frozen=True)
class Judged:
    """One way to choose, over all zoos of a comparison; accuracies in points of 100."""

    name: str
    accuracy: Interval
    above_single_best: Interval
    above_best_baseline: Interval | None
    """Against the best of the ways that were named as baselines; None for those themselves and for hindsight."""
    worst_zoo: float
    """Points above the single best, in the zoo where that is least."""
    gap_recovered: float | None
    """(routed - single best) / (oracle - single best); None where the oracle gains nothing."""


def values_of(scores_NK: Array, correct_NK: Array, zoos: Sequence[Zoo]) -> Array:
    """Return the outcome of the highest score for each zoo and item, (Z, N)."""
    return np.stack([routed(scores_NK[:, list(zoo)], correct_NK[:, list(zoo)]) for zoo in zoos])


def content_blind(scores_NK: Array, correct_NK: Array) -> Array:
    """Return the expected outcome (N,) if models are drawn with the shares of the highest scores, without the query."""
    best_NK = scores_NK == scores_NK.max(axis=1, keepdims=True)
    share_K = (best_NK / best_NK.sum(axis=1, keepdims=True)).mean(axis=0)
    return np.asarray(correct_NK @ share_K)


def blind_values_of(scores_NK: Array, correct_NK: Array, zoos: Sequence[Zoo]) -> Array:
    """Return the outcomes of the content-blind control, (Z, N)."""
    return np.stack([content_blind(scores_NK[:, list(zoo)], correct_NK[:, list(zoo)]) for zoo in zoos])


def hindsight(correct_NK: Array, groups: Sequence[str], zoos: Sequence[Zoo]) -> dict[str, Array]:
    """Return values (Z, N) of the choices that know the answers."""
    group_N = np.array(groups)
    found: dict[str, list[Array]] = {name: [] for name in HINDSIGHT}
    for zoo in zoos:
        mine = correct_NK[:, list(zoo)]
        found[BEST_IN_HINDSIGHT].append(mine[:, mine.mean(axis=0).argmax()])
        per_group = np.empty(len(mine))
        for group in np.unique(group_N):
            inside = group_N == group
            per_group[inside] = mine[inside][:, mine[inside].mean(axis=0).argmax()]
        found[BEST_PER_GROUP].append(per_group)
        found[ORACLE].append(mine.max(axis=1))
    return {name: np.stack(values) for name, values in found.items()}


def judge(values: Mapping[str, Array], baselines: Iterable[str]) -> tuple[Judged, ...]:
    """Judge every way to choose.

    Args:
        values: Name to (Z, N); `SINGLE_BEST` and `ORACLE` among them.
        baselines: Names that ours are compared with; the best of them by accuracy is taken.
    """
    mean = {name: 100.0 * value.mean(axis=0) for name, value in values.items()}
    single, oracle = mean[SINGLE_BEST], mean[ORACLE]
    competing = [name for name in baselines if name in mean]
    best = max(competing, key=lambda name: float(mean[name].mean())) if competing else None
    room = float((oracle - single).mean())
    return tuple(
        Judged(
            name=name,
            accuracy=paired_interval(value),
            above_single_best=paired_interval(value - single),
            above_best_baseline=None
            if best is None or name in competing or name in HINDSIGHT
            else paired_interval(value - mean[best]),
            worst_zoo=float(100.0 * (values[name] - values[SINGLE_BEST]).mean(axis=1).min()),
            gap_recovered=float((value - single).mean()) / room if room > 0.0 else None,
        )
        for name, value in mean.items()
    )


def probabilities(scores_NK: Array, correct_NK: Array) -> dict[str, Interval]:
    """Return AUROC, Brier and ECE over all (item, candidate) pairs."""
    metrics = {"AUROC": auroc, "Brier": brier, "ECE": calibration_error}
    return {
        name: bootstrap(lambda rows, metric=metric: metric(scores_NK[rows], correct_NK[rows]), len(correct_NK))  # type: ignore[misc]
        for name, metric in metrics.items()
    }


def reliability(scores_NK: Array, correct_NK: Array, bins: int = 10) -> tuple[Array, Array, NDArray[np.intp]]:
    """Return mean probability, accuracy and size of the bins of equal width that are not empty."""
    p, y = scores_NK.ravel(), correct_NK.ravel()
    bin_of = np.minimum((p * bins).astype(int), bins - 1)
    size = np.bincount(bin_of, minlength=bins)
    kept = size > 0
    mean = np.bincount(bin_of, p, bins)[kept] / size[kept]
    return mean, np.bincount(bin_of, y, bins)[kept] / size[kept], size[kept]
