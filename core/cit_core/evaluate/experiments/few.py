"""Experiment: the gain from a few random questions that every model has answered."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cit_core.calibration import sigmoid
from cit_core.errors import InvalidInput
from cit_core.evaluate.baselines import IRT, Baseline, BaselineData, KNearest, Ridge
from cit_core.evaluate.baselines.protocol import one_thread
from cit_core.evaluate.comparison import content_blind
from cit_core.evaluate.log_settings import measured_alike
from cit_core.evaluate.metrics import Interval, routed
from cit_core.evaluate.results import Cell, Column, Figure, Series, Table
from cit_core.evaluate.setting import profile_of
from cit_core.evidence import Evidence
from cit_core.outcomes import OutcomeMatrix, Split
from cit_core.records import Candidate, Capability, Task

__all__ = ["BLIND", "KNOWN", "LEVEL", "Halved", "evidence_scores", "few", "known_rows", "profiles"]

KNOWN = (8, 16, 32, 64, 256)
"""Questions that all models have answered."""
SEEDS = 10
ROUTED = 500
"""Questions of a table that are routed at most, the same for every draw."""
NOT_OFFLINE = "RouteFM is not drawn: its package installs, its weights are fetched from a network that is not there."
RESAMPLES = 2000
LEVEL, EVIDENCE, SAVE, BLIND = "best by the mean", "evidence", "SAVERouter", "content-blind"
LEARNT: tuple[tuple[Baseline, Callable[[Mapping[str, Any]], Baseline]], ...] = (
    (KNearest((4, 8, 16, 32, 64)), lambda found: KNearest((found["neighbours"],))),
    (Ridge(), lambda found: Ridge((found["alpha"],))),
    (IRT((2,), (30.0, 300.0)), lambda found: IRT((found["factors"],), (found["decay"],))),
)
"""Baselines that choose a setting on a third of what is known, and are fitted again on all of it."""

Array = NDArray[np.floating]


class Halved:
    """A table in which everyone was measured on everything, one half of it to learn from and one to route.

    Args:
        table: Outcomes.
        vectors_ID: Of its items.
        split: Its seed decides the halves.
    """

    def __init__(self, table: OutcomeMatrix, vectors_ID: NDArray[np.float32], split: Split) -> None:
        place = {id_: row for row, id_ in enumerate(table.item_ids)}
        self.table = measured_alike(table)
        self.vectors_ID = np.asarray(vectors_ID[[place[id_] for id_ in self.table.item_ids]], np.float32)
        order = np.argsort([split.fraction(f"half:{id_}") for id_ in self.table.item_ids], kind="stable")
        half = len(order) // 2
        questions = {self.table.questions[row] for row in order[:half]}
        self.pool = order[:half]
        self.routed = np.array([row for row in order[half:] if self.table.questions[row] not in questions], np.intp)
        self._rows = {text: row for row, text in enumerate(self.table.instructions)}

    def drawn(self, number: int, seed: int) -> NDArray[np.intp]:
        """Random rows of the first half; a larger number holds the smaller one."""
        return self.pool[np.random.default_rng(seed).permutation(len(self.pool))[:number]]

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of its questions."""
        return self.vectors_ID[[self._rows[text] for text in texts]]

    def texts(self, rows: NDArray[np.intp]) -> list[str]:
        """Instructions of some rows."""
        return [self.table.instructions[row] for row in rows]


def few(
    tables: Sequence[Halved],
    known: Sequence[int] = KNOWN,
    seeds: int = SEEDS,
    tell: Callable[[str], None] | None = None,
) -> tuple[tuple[Table, ...], tuple[Figure, ...]]:
    """Accuracy above the best by the mean of the same questions, for each table and number of questions.

    Args:
        tables: Where questions are drawn and routed.
        known: Numbers of questions.
        seeds: Draws of each number.
        tell: Told what is being done.
    """
    made, figures = [], []
    for one in tables:
        values: dict[str, dict[int, Array]] = {}
        for number in (number for number in known if number <= len(one.pool)):
            if tell is not None:
                tell(f"{one.table.name}: {number} questions")
            drawn = [_values(one, one.drawn(number, seed)) for seed in range(seeds)]
            for name in drawn[0]:
                values.setdefault(name, {})[number] = np.stack([of[name] for of in drawn])
        if values:
            made.append(_table(one, values, seeds))
            figures.append(_figure(one, values))
    return tuple(made), tuple(figures)


def _values(one: Halved, rows: NDArray[np.intp]) -> dict[str, Array]:
    """Outcome of every way to choose, on each question that is routed."""
    asked = one.routed[:ROUTED]
    correct_NK, correct_IK = one.table.correct_IK[asked], one.table.correct_IK[rows]
    level_K = correct_IK.mean(axis=0)
    found = {LEVEL: np.tile(level_K, (len(correct_NK), 1))}
    for baseline, again in LEARNT:
        scores = _learnt(baseline, again, one, rows, asked)
        found[baseline.name] = found[LEVEL] if scores is None else scores
    if importlib.util.find_spec("saverouter") is not None:
        found[SAVE] = _saverouter(one, rows, asked)
    found[EVIDENCE] = evidence_scores(one, rows, asked)
    values = {name: routed(scores_NK, correct_NK) for name, scores_NK in found.items()}
    return {**values, BLIND: content_blind(found[EVIDENCE], correct_NK)}


def evidence_scores(one: Halved, rows: NDArray[np.intp], asked: NDArray[np.intp]) -> Array:
    """Probabilities of our corrector without the network, which reads nothing here but these same answers.

    Args:
        one: The table.
        rows: What is known.
        asked: Rows that are routed.
    """
    outcomes = replace(one.table.rows(rows), vectors_ID=one.vectors_ID[rows])
    with one_thread():
        return np.asarray(sigmoid(Evidence(outcomes).log_odds(one.vectors_ID[asked], one.texts(asked))))


def _learnt(
    baseline: Baseline,
    again: Callable[[Mapping[str, Any]], Baseline],
    one: Halved,
    rows: NDArray[np.intp],
    asked: NDArray[np.intp],
) -> Array | None:
    """Scores of a baseline; None where a third of the questions tells nothing to choose by."""
    capabilities = profiles(one.table, rows)
    last = np.arange(len(rows)) >= len(rows) - len(rows) // 3
    try:
        chosen = baseline.fit(known_rows(one, rows, last, capabilities), one.encode)
        twice, second = np.concatenate([rows, rows]), np.arange(2 * len(rows)) >= len(rows)
        fitted = again(chosen.chosen).fit(known_rows(one, twice, second, capabilities), one.encode)  # type: ignore[attr-defined]
    except InvalidInput:
        return None
    return np.asarray(fitted.score(one.texts(asked), capabilities), np.float64)


def profiles(table: OutcomeMatrix, rows: NDArray[np.intp]) -> tuple[Capability, ...]:
    """Capabilities by the outcomes of some rows."""
    of_items = [table.tasks[row] for row in rows]
    tasks = [Task(id=id_, keywords=(id_,)) for id_ in sorted({*of_items})]
    return tuple(
        profile_of(Candidate(id=id_), tasks, of_items, table.correct_IK[rows, column])
        for column, id_ in enumerate(table.candidates)
    )


def known_rows(
    one: Halved, rows: NDArray[np.intp], validation_I: NDArray[np.bool_], capabilities: tuple[Capability, ...]
) -> BaselineData:
    """Return the data of a baseline."""
    return BaselineData(
        vectors_ID=one.vectors_ID[rows],
        tasks_I=tuple(one.table.tasks[row] for row in rows),
        correct_IM=one.table.correct_IK[rows],
        capabilities=capabilities,
        trained=(True,) * len(capabilities),
        validation_I=validation_I,
    )


def _saverouter(one: Halved, rows: NDArray[np.intp], asked: NDArray[np.intp]) -> Array:
    """SAVERouter (MIT) with every answer known, its settings for LLMRouterBench, and our vectors."""
    data, grouping, router = (importlib.import_module(f"saverouter.{part}") for part in ("data", "grouping", "router"))
    correct_IK, vectors_ID = one.table.correct_IK[rows], one.vectors_ID[rows].astype(np.float64)
    items, models = correct_IK.shape
    assigner = grouping.GroupAssigner(seed=42)
    groups = assigner.fit_predict(vectors_ID)
    query, model = (part.ravel() for part in np.indices(correct_IK.shape))
    told = data.SparseSupervision(items, models, query, model, correct_IK.ravel(), groups, models)
    with one_thread():
        fitted = router.FixedKSparseRouter(group_assigner=assigner, residual_ridge_alpha=200.0).fit(vectors_ID, told)
        return np.asarray(fitted.predict_scores(one.vectors_ID[asked].astype(np.float64)))


# ---- tables


def _interval(gain_SN: Array) -> Interval:
    """Mean in points, by a bootstrap of both draws and questions."""
    draw = np.random.default_rng(0)
    seeds, items = gain_SN.shape
    of_seeds = draw.multinomial(seeds, np.full(seeds, 1.0 / seeds), size=RESAMPLES) / seeds
    of_items = draw.multinomial(items, np.full(items, 1.0 / items), size=RESAMPLES) / items
    means = ((of_seeds @ gain_SN) * of_items).sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(100.0 * float(gain_SN.mean()), 100.0 * float(low), 100.0 * float(high))


def _table(one: Halved, values: Mapping[str, Mapping[int, Array]], seeds: int) -> Table:
    numbers = list(next(iter(values.values())))
    rows: list[tuple[Cell, ...]] = [(LEVEL, *(_interval(values[LEVEL][number]) for number in numbers))]
    for name, of in values.items():
        if name != LEVEL:
            rows.append((name, *(_interval(of[number] - values[LEVEL][number]) for number in numbers)))
    return Table(
        title=f"{one.table.name}: {len(one.table.candidates)} models, {min(ROUTED, len(one.routed)):,} questions",
        columns=(Column("router"), *(Column(f"{number} known", "points") for number in numbers)),
        rows=tuple(rows),
        note=f"First row: accuracy, %. Others: points above it. {seeds} draws; intervals over draws and questions. "
        f"Evidence without the network. Content-blind: its shares of models, drawn without a look at the question. "
        f"{NOT_OFFLINE}" + ("" if SAVE in values else " SAVERouter is drawn where its package is installed."),
        emphasis=tuple(place for place, row in enumerate(rows) if row[0] == EVIDENCE),
    )


def _figure(one: Halved, values: Mapping[str, Mapping[int, Array]]) -> Figure:
    series = []
    for name, of in values.items():
        found = [_interval(value_SN) for value_SN in of.values()]
        series.append(Series(name, tuple(map(float, of)), tuple(value.mean for value in found), ours=name == EVIDENCE))
    return Figure(
        name=f"few-{one.table.name}",
        title=f"From a handful: {one.table.name}",
        x_label="questions that all models have answered",
        y_label="accuracy, %",
        series=tuple(series),
        x_log=True,
    )
