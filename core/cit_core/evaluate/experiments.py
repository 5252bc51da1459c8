"""The held-out comparison: unseen questions, and models that were in no training run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cit_core.errors import InvalidInput
from cit_core.evaluate.baselines import BestByAptitude, shuffles
from cit_core.evaluate.metrics import (
    Interval,
    auroc,
    bootstrap,
    brier,
    calibration_error,
    paired_interval,
    ranking_accuracy,
    routed,
)
from cit_core.router import Scorer
from cit_core.runtime.calibration import Calibration, fit_calibration
from cit_core.train.data import OutcomeTable, Split, catalogue_profiles, similar_zoos

__all__ = ["Comparison", "Row", "held_out", "unseen_items"]

Metric = Callable[[NDArray[np.floating], NDArray[np.floating]], NDArray[np.floating]]


@dataclass(frozen=True)
class Row:
    """One router in one comparison; accuracies in points of 100."""

    router: str
    accuracy: Interval
    above_random: Interval
    above_aptitude: Interval
    ranking: Interval | None
    """Share of (right, wrong) pairs of candidates in the right order; none for a fixed or an omniscient choice."""


@dataclass(frozen=True)
class Comparison:
    """Several routers over the same zoo or zoos, on the same items."""

    title: str
    items: int
    models: tuple[str, ...]
    zoos: int
    rows: tuple[Row, ...]
    probabilities: dict[str, Interval]
    """AUROC, Brier and ECE of the scorer over all (item, candidate) pairs, and against the candidates' levels alone:
    what reading the query adds. For a comparison over one zoo; empty for several."""
    ranking_above_shuffled: Interval
    """The scorer's ranking accuracy less that of its shuffled-capability control."""


def held_out(table: OutcomeTable, scorer: Scorer, split: Split | None = None) -> list[Comparison]:
    """Compare a scorer with random choice, the best model by aptitude, its shuffled control and the oracle.

    Args:
        table: Outcomes with models of the catalogue.
        scorer: Under test; it sees the catalogue's profiles, which stand on training items alone.
        split: What is held out.

    Returns:
        Unseen items with unseen models (all of them, and zoos of similar strength), then with the models trained on.

    Raises:
        InvalidInput: If nothing is held out that all models of a comparison were measured on.
        UnknownCandidate: If the catalogue does not hold a model of the table.
    """
    split = split or Split()
    rows_N = unseen_items(table, split)
    texts = [table.instructions[row] for row in rows_N]
    parts = split.models(table.models)
    level_alone = _level_alone(table, split)
    comparisons = []
    for title, models in (("unseen models", parts["test"]), ("models of the training run", parts["train"])):
        capabilities = catalogue_profiles(models)
        correct_NK = table.correct_IM[rows_N][:, [table.column(model) for model in models]]
        measured_N = np.flatnonzero(~np.isnan(correct_NK).any(axis=1))
        if not len(measured_N):
            raise InvalidInput(f"{table.name!r} has no test item that all {len(models)} {title} were measured on")
        scores_NK = scorer.score([texts[row] for row in measured_N], capabilities)
        aptitude_K = BestByAptitude().score([""], capabilities)[0]
        everyone = [tuple(range(len(models)))]
        named = str(getattr(scorer, "name", type(scorer).__name__))
        zoos = {f"{title}, all {len(models)}": everyone, f"{title}, zoos of similar strength": similar_zoos(aptitude_K)}
        for label, chosen in zoos.items():
            found = _compare(
                f"unseen items, {label}", named, models, scores_NK, correct_NK[measured_N], aptitude_K, chosen
            )
            if chosen is everyone:
                level_K = None if level_alone is None else level_alone(_odds(aptitude_K))
                found = replace(found, probabilities=_probabilities(scores_NK, correct_NK[measured_N], level_K))
            comparisons.append(found)
    return comparisons


def _level_alone(table: OutcomeTable, split: Split) -> Calibration | None:
    """P(correct) from a candidate's level and nothing else, fitted on validation items; None where there are none."""
    rows = split.items(table.item_ids)["validation"]
    parts = split.models(table.models)
    seen = parts["validation"] + parts["train"]
    if not len(rows) or not seen:
        return None
    aptitude_K = BestByAptitude().score([""], catalogue_profiles(seen))[0]
    correct_NK = table.correct_IM[rows][:, [table.column(model) for model in seen]]
    return fit_calibration(np.broadcast_to(_odds(aptitude_K), correct_NK.shape), correct_NK)


def _odds(probability: NDArray[np.floating]) -> NDArray[np.float64]:
    inside = np.clip(probability.astype(np.float64), 1e-6, 1.0 - 1e-6)
    return np.log(inside) - np.log1p(-inside)


def _probabilities(
    scores_NK: NDArray[np.floating], correct_NK: NDArray[np.floating], level_K: NDArray[np.floating] | None
) -> dict[str, Interval]:
    def over_items(metric: Callable[..., float], p_NK: NDArray[np.floating]) -> Interval:
        return bootstrap(lambda rows: metric(p_NK[rows], correct_NK[rows]), len(correct_NK))

    metrics = {"AUROC": auroc, "Brier": brier, "ECE": calibration_error}
    found = {name: over_items(metric, scores_NK) for name, metric in metrics.items()}
    if level_K is not None:
        level_NK = np.broadcast_to(level_K, correct_NK.shape)
        found["AUROC of the level alone"] = over_items(auroc, level_NK)
        gain_N = ((level_NK - correct_NK) ** 2 - (scores_NK - correct_NK) ** 2).mean(axis=1)
        found["Brier below the level alone"] = paired_interval(gain_N)
    return found


def unseen_items(table: OutcomeTable, split: Split) -> NDArray[np.intp]:
    """Test items whose question stands nowhere else: exams repeat themselves under other ids."""
    parts = split.items(table.item_ids)
    seen = {table.questions[row] for part in ("train", "validation") for row in parts[part]}
    return np.array([row for row in parts["test"] if table.questions[row] not in seen], np.intp)


def _compare(
    title: str,
    name: str,
    models: Sequence[str],
    scores_NK: NDArray[np.floating],
    correct_NK: NDArray[np.floating],
    aptitude_K: NDArray[np.floating],
    zoos: Sequence[tuple[int, ...]],
) -> Comparison:
    """Per-item values are averaged over zoos first: the bootstrap then resamples items, which is what was sampled."""
    fixed_NK = np.broadcast_to(aptitude_K, scores_NK.shape)
    chance_NK = np.zeros_like(scores_NK)

    def over_zoos(metric: Metric, scores: NDArray[np.floating]) -> NDArray[np.floating]:
        return _mean_known([metric(scores[:, list(zoo)], correct_NK[:, list(zoo)]) for zoo in zoos])

    def shuffled(metric: Metric) -> NDArray[np.floating]:
        # A score depends on the query and the profile alone, so swapping profiles is swapping columns.
        return _mean_known(
            [
                _mean_known([metric(scores_NK[:, np.array(zoo)[order]], correct_NK[:, list(zoo)]) for order in orders])
                for zoo, orders in ((zoo, shuffles(len(zoo))) for zoo in zoos)
            ]
        )

    random_N, aptitude_N = over_zoos(routed, chance_NK), over_zoos(routed, fixed_NK)
    oracle_N = np.mean([correct_NK[:, list(zoo)].max(axis=1) for zoo in zoos], axis=0)
    ours_ranking_N, control_ranking_N = over_zoos(ranking_accuracy, scores_NK), shuffled(ranking_accuracy)
    chosen: list[tuple[str, NDArray[np.floating], NDArray[np.floating] | None]] = [
        ("random", random_N, None),
        (BestByAptitude.name, aptitude_N, over_zoos(ranking_accuracy, fixed_NK)),
        (f"{name}, shuffled capability", shuffled(routed), control_ranking_N),
        (name, over_zoos(routed, scores_NK), ours_ranking_N),
        ("oracle", oracle_N, None),
    ]
    rows = tuple(
        Row(
            router=router,
            accuracy=paired_interval(100 * values_N),
            above_random=paired_interval(100 * (values_N - random_N)),
            above_aptitude=paired_interval(100 * (values_N - aptitude_N)),
            ranking=None if ranking_N is None else paired_interval(100 * ranking_N),
        )
        for router, values_N, ranking_N in chosen
    )
    return Comparison(
        title=title,
        items=len(correct_NK),
        models=tuple(models),
        zoos=len(zoos),
        rows=rows,
        probabilities={},
        ranking_above_shuffled=paired_interval(100 * (ours_ranking_N - control_ranking_N)),
    )


def _mean_known(each: Sequence[NDArray[np.floating]]) -> NDArray[np.floating]:
    """Mean over zoos for every item, over those that say something about it."""
    values = np.stack(each)
    counted = ~np.isnan(values)
    total = np.where(counted, values, 0.0).sum(axis=0)
    return np.where(counted.any(axis=0), total / np.maximum(counted.sum(axis=0), 1), np.nan)
