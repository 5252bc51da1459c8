"""Experiment: tables of which nothing is known, among models of which published scores are: the router without a store.

Axes: N questions, K candidates, R resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cit_core.catalogue.resolve import Resolved, ordered_by_level, public_profiles
from cit_core.errors import InvalidInput
from cit_core.evaluate.comparison import content_blind
from cit_core.evaluate.experiments.cascades import KNOBS, Draw, Zoo, query_usd, same_quality, ways_of
from cit_core.evaluate.log_settings import measured_alike
from cit_core.evaluate.metrics import Interval, auroc, calibration_error, routed
from cit_core.evaluate.results import Cell, Column, Figure, Table
from cit_core.outcomes import OutcomeMatrix, Split
from cit_core.router.loading import Network
from cit_core.router.scorer import in_level_order

__all__ = ["ALONE", "current"]

FEWEST_MODELS = 3
MOST_QUESTIONS = 800
RESAMPLES = 300
ALONE = "By published scores alone"
"""Beginning of the title of the table."""
COLUMNS = (
    Column("table"),
    Column("models", "count"),
    Column("questions", "count"),
    Column("AUROC of the level", "precise"),
    Column("AUROC", "precise"),
    Column("above the level's", "signed"),
    Column("ECE of the level", "precise"),
    Column("ECE", "precise"),
    Column("level, %", "percent"),
    Column("above it", "points"),
    Column("content-blind", "points"),
    Column("best single in hindsight", "points"),
)
NOTE = (
    "A table is read by a network that has learnt nothing of it, nor are these tables sources of the published scores "
    "(BFCL's later versions are). Candidates are the models of a table that the catalogue knows by its name there; the "
    "level is the mean accuracy of the profile, the same for every question; the router keeps its order where one of "
    f"the models is known by published scores alone. At most {MOST_QUESTIONS} questions, by a "
    "seeded hash. Content-blind: the router's shares of models, drawn without a look at the question."
)
COST_NOTE = (
    "Always the best is the model with the highest published level. Knobs are chosen on one half of the questions to "
    "lose 0.5 points at most, and used on the other, in turns: all that is known of a table's outcomes."
)

Array = NDArray[np.float64]


class _Known(NamedTuple):
    """A table as the router without a store meets it."""

    name: str
    ids: tuple[str, ...]
    level_K: Array
    scores_NK: Array
    correct_NK: Array
    usd_K: list[float | None]
    half_N: NDArray[np.bool_]


def current(
    tables: Sequence[OutcomeMatrix], scorer: Network, split: Split, tell: Callable[[str], None] = lambda _what: None
) -> tuple[tuple[Table, ...], tuple[Figure, ...]]:
    """Return how well the router without a store tells questions and models apart, and its cost at equal quality.

    Args:
        tables: Outcomes that neither the network nor the catalogue has seen.
        scorer: The shipped network.
        split: Its seed decides which questions are taken, and which calibrate.
        tell: Told what is being done.

    Raises:
        InvalidInput: If no table has enough models that the catalogue knows.
    """
    found = []
    for table in tables:
        models = public_profiles(table.candidates)
        if len(models) >= FEWEST_MODELS:
            tell(f"{table.name}: {len(models)} models of the catalogue")
            found.append(_known(table, models, scorer, split))
    if not found:
        raise InvalidInput(f"no table has {FEWEST_MODELS} models with published scores; `cit models list` shows them")
    each = [_resampled(one) for one in found]
    shown: list[tuple[Cell, ...]] = [_row(one, drawn) for one, drawn in zip(found, each, strict=True)]
    mean = [np.mean([drawn[at] for drawn in each], axis=0) for at in range(len(each[0]))]
    shown.append(("mean", None, None, *map(_interval, mean)))
    title = f"{ALONE}: {len(found)} tables"
    told = Table(title=title, columns=COLUMNS, rows=tuple(shown), note=NOTE, emphasis=(len(found),))
    return (told, *_costs(found)), ()


def _known(table: OutcomeMatrix, models: Sequence[Resolved], scorer: Network, split: Split) -> _Known:
    profiles = {one.capability.candidate.id: one.capability for one in models}
    alike = measured_alike(table.of_models(list(profiles)))
    order = np.argsort([split.fraction(f"current:{id_}") for id_ in alike.item_ids], kind="stable")[:MOST_QUESTIONS]
    some = alike.rows(order)
    of_some = [profiles[id_] for id_ in some.candidates]
    level_K = np.array([capability.mean_accuracy for capability in of_some])
    ids = ordered_by_level(models)
    scores_NK = in_level_order(np.asarray(scorer.score(some.instructions, of_some), np.float64), of_some, ids)
    usd = [query_usd(id_, profiles) for id_ in some.candidates]
    half_N = np.array([split.fraction(f"calibrate:{id_}") < 0.5 for id_ in some.item_ids])
    return _Known(table.name, some.candidates, level_K, scores_NK, some.correct_IK.astype(np.float64), usd, half_N)


def _resampled(one: _Known) -> list[Array]:
    """Return every measurement, first on all questions and then on resamples of them, (1 + R,)."""
    count = len(one.correct_NK)
    generator = np.random.default_rng(0)
    drawn = [np.arange(count), *(generator.integers(count, size=count) for _ in range(RESAMPLES))]
    level_NK = np.broadcast_to(one.level_K, one.correct_NK.shape)
    plain_N = routed(level_NK, one.correct_NK)
    gains = [
        routed(one.scores_NK, one.correct_NK) - plain_N,
        content_blind(one.scores_NK, one.correct_NK) - plain_N,
        one.correct_NK[:, one.correct_NK.mean(axis=0).argmax()] - plain_N,
    ]
    level = np.array([auroc(level_NK[rows], one.correct_NK[rows]) for rows in drawn])
    own = np.array([auroc(one.scores_NK[rows], one.correct_NK[rows]) for rows in drawn])
    errors = [
        np.array([calibration_error(given[rows], one.correct_NK[rows]) for rows in drawn])
        for given in (level_NK, one.scores_NK)
    ]
    points = [100.0 * np.array([values_N[rows].mean() for rows in drawn]) for values_N in (plain_N, *gains)]
    return [level, own, own - level, *errors, *points]


def _row(one: _Known, drawn: Sequence[Array]) -> tuple[Cell, ...]:
    return one.name, len(one.ids), len(one.correct_NK), *map(_interval, drawn)


def _interval(drawn_R: Array) -> Interval:
    low, high = np.nanquantile(drawn_R[1:], [0.025, 0.975])
    return Interval(float(drawn_R[0]), float(low), float(high))


def _costs(found: Sequence[_Known]) -> tuple[Table, ...]:
    draws, sizes = {}, {}
    for one in found:
        if None in one.usd_K or len(one.correct_NK) < 2 * KNOBS:
            continue
        cost_K = np.array(one.usd_K, np.float64)
        zoo = Zoo(one.scores_NK, one.correct_NK, cost_K, np.zeros_like(one.scores_NK), int(one.level_K.argmax()))
        rows_N = np.concatenate([np.flatnonzero(one.half_N), np.flatnonzero(~one.half_N)])
        draws[one.name] = [Draw(rows_N, ways_of(zoo, one.half_N, (), KNOBS))]
        sizes[one.name] = len(cost_K)
    return same_quality(draws, sizes, (), COST_NOTE)[0] if draws else ()
