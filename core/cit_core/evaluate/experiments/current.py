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
from cit_core.evaluate.cost_metrics import Curve, hull_mixture
from cit_core.evaluate.experiments.cascades import DRAWS, Draw, query_usd, same_quality
from cit_core.evaluate.experiments.ways import Zoo, route_all, ways_of
from cit_core.evaluate.log_settings import measured_alike
from cit_core.evaluate.metrics import Interval, auroc, calibration_error, routed
from cit_core.evaluate.results import Cell, Column, Figure, Table
from cit_core.outcomes import OutcomeMatrix, Split
from cit_core.router.loading import Network
from cit_core.router.scorer import in_level_order

__all__ = [
    "ALONE",
    "COLUMNS",
    "FEWEST_QUESTIONS",
    "HULL",
    "KNOBS",
    "Known",
    "current",
    "heights",
    "read_known",
    "resampled",
]

FEWEST_MODELS = 3
FEWEST_QUESTIONS, MOST_QUESTIONS = 80, 800
RESAMPLES = 300
KNOBS = 400
"""Values of a right answer that are tried."""
ALONE = "By published scores alone"
"""Beginning of the title of the table."""
MEAN = "mean"
HULL = "Height above the hull of single models"
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
    "lose 0.5 points at most, and used on the other, in turns: all that is known of a table's outcomes. The mixture by "
    "published levels knows no more than that; the other one knows what each model got right on that half."
)
HULL_NOTE = (
    "Accuracy at every value of a right answer less that of the best mixture of two models that costs no more, drawn "
    "without a look at the question; mean over costs, from the cheapest model to the one with the highest published "
    "level. By published levels: these choose the two models. In hindsight: the table's outcomes do."
)

Array = NDArray[np.float64]


class Known(NamedTuple):
    """A table as the router without a store meets it.

    `scores_NK` are the network's (`network_NK`) in the order of levels, `half_DN` the questions that calibrate in each
    of D draws.
    """

    name: str
    ids: tuple[str, ...]
    instructions: list[str]
    level_K: Array
    network_NK: Array
    scores_NK: Array
    correct_NK: Array
    usd_K: list[float | None]
    half_DN: NDArray[np.bool_]

    @property
    def zoo(self) -> Zoo | None:
        """What a replay takes; None where a model has no price. Of equals by level, the cheapest is the best."""
        if None in self.usd_K:
            return None
        cost_K = np.array(self.usd_K, np.float64)
        best = int(np.lexsort((cost_K, -self.level_K))[0])
        return Zoo(self.scores_NK, self.correct_NK, cost_K, np.zeros_like(self.scores_NK), best)


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
    found = read_known(tables, scorer, split, tell)
    each = [resampled(one) for one in found]
    shown: list[tuple[Cell, ...]] = [_row(one, drawn) for one, drawn in zip(found, each, strict=True)]
    mean = [np.mean([drawn[at] for drawn in each], axis=0) for at in range(len(each[0]))]
    shown.append((MEAN, None, None, *map(_interval, mean)))
    title = f"{ALONE}: {len(found)} tables"
    told = Table(title=title, columns=COLUMNS, rows=tuple(shown), note=NOTE, emphasis=(len(found),))
    return (told, *_heights(found), *_costs(found)), ()


def read_known(
    tables: Sequence[OutcomeMatrix], scorer: Network, split: Split, tell: Callable[[str], None] = lambda _what: None
) -> list[Known]:
    """Return the tables of which the catalogue knows enough models, read by a network; arguments as for `current`.

    Raises:
        InvalidInput: If there is none.
    """
    found = []
    for table in tables:
        models = public_profiles(table.candidates)
        if len(models) >= FEWEST_MODELS:
            tell(f"{table.name}: {len(models)} models of the catalogue")
            found.append(_known(table, models, scorer, split))
    if not found:
        raise InvalidInput(f"no table has {FEWEST_MODELS} models with published scores; `cit models list` shows them")
    return found


def _known(table: OutcomeMatrix, models: Sequence[Resolved], scorer: Network, split: Split) -> Known:
    profiles = {one.capability.candidate.id: one.capability for one in models}
    alike = measured_alike(table.of_models(list(profiles)))
    order = np.argsort([split.fraction(f"current:{id_}") for id_ in alike.item_ids], kind="stable")[:MOST_QUESTIONS]
    some = alike.rows(order)
    of_some = [profiles[id_] for id_ in some.candidates]
    network_NK = np.asarray(scorer.score(some.instructions, of_some), np.float64)
    return Known(
        name=table.name,
        ids=some.candidates,
        instructions=list(some.instructions),
        level_K=np.array([capability.mean_accuracy for capability in of_some]),
        network_NK=network_NK,
        scores_NK=in_level_order(network_NK, of_some, ordered_by_level(models)),
        correct_NK=some.correct_IK.astype(np.float64),
        usd_K=[query_usd(id_, profiles) for id_ in some.candidates],
        half_DN=np.array(
            [[split.fraction(f"calibrate-{draw}:{id_}") < 0.5 for id_ in some.item_ids] for draw in range(DRAWS)]
        ),
    )


def resampled(one: Known) -> list[Array]:
    """Return the measurements of `COLUMNS`, first on all questions and then on resamples of them, (1 + R,) each."""
    drawn = _drawn(len(one.correct_NK))
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
    return [level, own, own - level, *errors, *_drawn_means((plain_N, *gains))]


def _drawn(count: int) -> list[NDArray[np.intp]]:
    """Return the rows of all questions, and then of every resample."""
    generator = np.random.default_rng(0)
    return [np.arange(count), *(generator.integers(count, size=count) for _ in range(RESAMPLES))]


def _drawn_means(values: Sequence[NDArray[np.floating]]) -> list[Array]:
    """Return the mean of values (N,) in points, on all questions and on resamples, (1 + R,) each."""
    drawn = _drawn(len(values[0]))
    return [100.0 * np.array([values_N[rows].mean() for rows in drawn]) for values_N in values]


def _row(one: Known, drawn: Sequence[Array]) -> tuple[Cell, ...]:
    return one.name, len(one.ids), len(one.correct_NK), *map(_interval, drawn)


def _interval(drawn_R: Array) -> Interval:
    low, high = np.nanquantile(drawn_R[1:], [0.025, 0.975])
    return Interval(float(drawn_R[0]), float(low), float(high))


def _heights(found: Sequence[Known]) -> tuple[Table, ...]:
    each = {one.name: _drawn_means(heights(one, one.zoo)) for one in found if one.zoo is not None}
    if not each:
        return ()
    each[MEAN] = [np.mean(drawn, axis=0) for drawn in zip(*each.values(), strict=True)]
    columns = (Column("table"), Column("by published levels", "points"), Column("in hindsight", "points"))
    rows: list[tuple[Cell, ...]] = [(name, *map(_interval, drawn)) for name, drawn in each.items()]
    return (Table(title=HULL, columns=columns, rows=tuple(rows), note=HULL_NOTE, emphasis=(len(each) - 1,)),)


def heights(one: Known, zoo: Zoo) -> tuple[Array, Array]:
    """Return each question's part in the height above two hulls of single models: by level, and in hindsight, (N,)."""
    cost_K = zoo.cost_K
    played = route_all(zoo, np.geomspace(cost_K.min() / 10.0, 1e5 * cost_K.max(), KNOBS))
    usd_F = played.usd_FN.mean(axis=1)
    step_F = np.gradient(usd_F) if usd_F[-1] > usd_F[0] else np.ones(KNOBS)
    found: list[Array] = []
    for quality_K in (one.level_K, one.correct_NK.mean(axis=0)):
        shares_FK = np.stack([hull_mixture(Curve(cost_K, quality_K), usd) for usd in usd_F])
        found.append(step_F @ (played.correct_FN - shares_FK @ one.correct_NK.T) / step_F.sum())
    return found[0], found[1]


def _costs(found: Sequence[Known]) -> tuple[Table, ...]:
    draws, sizes = {}, {}
    for one in found:
        if one.zoo is not None and len(one.correct_NK) >= FEWEST_QUESTIONS:
            draws[one.name] = [_draw(one, one.zoo, half_N) for half_N in one.half_DN]
            sizes[one.name] = len(one.ids)
    return same_quality(draws, sizes, (), COST_NOTE)[0] if draws else ()


def _draw(one: Known, zoo: Zoo, half_N: NDArray[np.bool_]) -> Draw:
    rows_N = np.concatenate([np.flatnonzero(half_N), np.flatnonzero(~half_N)])
    return Draw(rows_N, ways_of(zoo, half_N, (), KNOBS, one.level_K))
