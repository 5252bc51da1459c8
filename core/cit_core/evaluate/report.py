"""Report on a log: shares, spend beside always the best and a blind mixture, quality, drift, what to do next."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np
from numpy.typing import NDArray

from cit_core.calibration import population_stability, stability_of_counts
from cit_core.errors import InvalidInput
from cit_core.evaluate.cost_metrics import Curve, cost_at_quality
from cit_core.evaluate.log_records import Logged
from cit_core.evaluate.metrics import Interval, bootstrap, calibration_error, mean_interval, ratio_interval
from cit_core.evaluate.off_policy import off_policy
from cit_core.evaluate.replay import OWN_CHOICES
from cit_core.evaluate.results import Cell, Column, Figure, Series, Table
from cit_core.router.decision_log import SIGNALS

__all__ = ["Report", "report_on"]

Array = NDArray[np.float64]
DRIFTED = 0.25
"""Index from which on a distribution counts as another one; from 0.1 on it is watched."""
FEW = 50
"""Answers below which nothing is concluded from a mean."""


@dataclass(frozen=True)
class Report:
    """Tables, figures and advice, with the numbers that programs read."""

    title: str
    tables: tuple[Table, ...]
    figures: tuple[Figure, ...]
    advice: tuple[str, ...]
    numbers: dict[str, object]


def report_on(logged: Sequence[Logged]) -> Report:
    """Report on a log.

    Raises:
        InvalidInput: If there is no decision in it.
    """
    if not logged:
        raise InvalidInput("the log holds no decision; route with Router(log=...) first")
    ordered = sorted(logged, key=lambda one: one.when_s)
    priced = [one for one in ordered if all(scored.cost is not None for scored in one.scored)]
    spend = _spend(priced) if len(priced) > 1 else {}
    quality, drift = _quality(ordered), _drift(ordered)
    days = [datetime.fromtimestamp(one.when_s, timezone.utc).date().isoformat() for one in (ordered[0], ordered[-1])]
    cascades = _cascades([one for one in ordered if one.steps])
    tables = [_share_table(ordered), *_spend_table(spend), *_cascade_table(cascades), *_quality_table(quality)]
    tables.append(_drift_table(drift))
    numbers: dict[str, object] = {
        "queries": len(ordered),
        "from": days[0],
        "to": days[1],
        "shares": {model: len(mine) / len(ordered) for model, mine in _by_model(ordered).items()},
        "spend": {name: _plain(value) for name, value in spend.items()},
        "cascades": {name: _plain(value) for name, value in cascades.items()},
        "quality": {name: _plain(value) for name, value in quality.items()},
        "drift": drift,
    }
    advice = _advice(ordered, spend, quality, drift)
    title = f"{len(ordered):,} decisions, {days[0]} to {days[1]}"
    return Report(title, tuple(tables), tuple(_figures(ordered, priced)), advice, {**numbers, "advice": list(advice)})


# -- money ------------------------------------------------------------------------------------------------------------


def _paid(one: Logged) -> float:
    """Return what an answer cost: in truth where that is known, and else what was expected."""
    expected = one.chosen.cost
    return one.cost_usd if one.cost_usd is not None else float(expected or 0.0)


def _comparable(one: Logged) -> float:
    """Return what an answer was expected to cost, as others are compared with it; of a cascade, what its steps did."""
    return _paid(one) if one.steps else float(one.chosen.cost or 0.0)


def _top(one: Logged) -> tuple[float, float]:
    """Return P(correct) and expected cost of the most likely candidate, the cheaper of equals."""
    best = max(one.scored, key=lambda scored: (scored.probability, -float(scored.cost or 0.0)))
    return best.probability, float(best.cost or 0.0)


def _spend(priced: Sequence[Logged]) -> dict[str, Interval | float]:
    """Compare spend with always the best and with the cheapest mixture of single models of the same quality."""
    routed_N = np.array([_comparable(one) for one in priced])
    best_N = np.array([_top(one)[1] for one in priced])
    chance_N = np.array([one.promised for one in priced])
    ids = sorted(set.intersection(*({scored.candidate.id for scored in one.scored} for one in priced)))
    rows = [{scored.candidate.id: scored for scored in one.scored} for one in priced]
    cost_NK = np.array([[float(row[id_].cost or 0.0) for id_ in ids] for row in rows])
    chance_NK = np.array([[row[id_].probability for id_ in ids] for row in rows])

    def of_mixture(rows_N: NDArray[np.intp]) -> float:
        singles = Curve(cost_NK[rows_N].mean(axis=0), chance_NK[rows_N].mean(axis=0))
        reached = min(float(chance_N[rows_N].mean()), float(singles.quality_P.max()))
        return float(routed_N[rows_N].mean()) / max(cost_at_quality(singles, reached), 1e-300)

    actual = [one for one in priced if one.cost_usd is not None and one.giver == one.model and not one.steps]
    found: dict[str, Interval | float] = {
        "usd_per_query": mean_interval(np.array([_paid(one) for one in priced])),
        "total_usd": float(sum(_paid(one) for one in priced)),
        "expected_usd_per_query": mean_interval(routed_N),
        "best_usd_per_query": mean_interval(best_N),
        "relative_to_best": ratio_interval(routed_N, best_N),
        "saved_usd": float((best_N - routed_N).sum()),
        "mean_probability": mean_interval(chance_N),
        "best_mean_probability": mean_interval(np.array([_top(one)[0] for one in priced])),
    }
    if ids:
        single_N = cost_NK[:, int(chance_NK.mean(axis=0).argmax())]
        found["relative_to_single"] = ratio_interval(routed_N, single_N)
        found["relative_to_mixture"] = bootstrap(of_mixture, len(priced))
    if actual:
        expected_N = np.array([float(one.chosen.cost or 0.0) for one in actual])
        true_N = np.array([_paid(one) for one in actual])
        found["actual_to_expected"] = ratio_interval(true_N, expected_N)
    return found


def _cascades(verified: Sequence[Logged]) -> dict[str, Interval | float]:
    """Return how cascades went: how often the first answer was accepted, and the bill beside the policy's choice."""
    if len(verified) < 2:
        return {}
    first_N = np.array([float(bool(one.steps[0].get("accepted"))) for one in verified])
    paid_N = np.array([_paid(one) for one in verified])
    choice_N = np.array([float(one.chosen.cost or 0.0) for one in verified])
    checked_N = np.array([sum(float(step.get("verify_usd") or 0.0) for step in one.steps) for one in verified])
    return {
        "queries": float(len(verified)),
        "steps": mean_interval(np.array([float(len(one.steps)) for one in verified])),
        "first_accepted": mean_interval(first_N),
        "usd_per_query": mean_interval(paid_N),
        "verification_usd_per_query": mean_interval(checked_N),
        "relative_to_choice": ratio_interval(paid_N, choice_N),
    }


def _cascade_table(cascades: dict[str, Interval | float]) -> list[Table]:
    names = {
        "queries": ("queries", "count"),
        "steps": ("candidates asked", "precise"),
        "first_accepted": ("share with the first answer accepted", "precise"),
        "usd_per_query": ("a query, all steps", "usd"),
        "verification_usd_per_query": ("of it for verification", "usd"),
        "relative_to_choice": ("relative to the policy's choice alone", "ratio"),
    }
    rows = tuple((label, _written(cascades[name], kind)) for name, (label, kind) in names.items() if name in cascades)
    return [Table("Cascades", (Column("what"), Column("USD or count")), rows)] if rows else []


# -- quality ----------------------------------------------------------------------------------------------------------


def _quality(ordered: Sequence[Logged]) -> dict[str, Interval | float]:
    """Return feedback, the doubly robust estimate of `best`, shadow comparisons, signals and calibration."""
    found: dict[str, Interval | float] = {}
    rated = [one for one in ordered if one.rating is not None]
    if len(rated) > 1:
        correct_N = np.array([float(one.rating or 0.0) for one in rated])
        chance_N = np.array([one.promised for one in rated])
        found["feedback"] = mean_interval(correct_N)
        found["promised"] = mean_interval(chance_N)
        found["calibration_error"] = calibration_error(chance_N, correct_N)
        free = [one for one in rated if one.by in OWN_CHOICES and one.correct is not None]
        if any(one.propensity < 1.0 for one in free):
            estimate = off_policy(
                np.array([float(one.correct or 0.0) for one in free]),
                np.array([one.propensity for one in free]),
                np.array([float(one.chosen.probability >= _top(one)[0]) for one in free]),
                np.array([one.chosen.probability for one in free]),
                np.array([_top(one)[0] for one in free]),
            )
            if estimate.doubly_robust is not None:
                found["best_by_doubly_robust"] = estimate.doubly_robust
    compared = [one for one in ordered if one.shadow is not None]
    if len(compared) > 1:
        found["shadow"] = mean_interval(np.array([float(one.shadow or 0.0) for one in compared]))
    found["explored"] = sum(one.by == "exploration" for one in ordered) / len(ordered)
    for signal in SIGNALS:
        found[signal] = sum(signal in one.signals for one in ordered) / len(ordered)
    return found


# -- drift ------------------------------------------------------------------------------------------------------------


def _drift(ordered: Sequence[Logged]) -> dict[str, float]:
    """Compare the last quarter of the log with what was before it."""
    cut = len(ordered) - len(ordered) // 4
    if cut < FEW or len(ordered) - cut < FEW:
        return {}
    facts: dict[str, Callable[[Logged], float]] = {
        "P(correct) of the choice": lambda one: one.chosen.probability,
        "highest P(correct)": lambda one: _top(one)[0],
        "length of the query": lambda one: float(one.tokens),
    }
    found = {
        name: population_stability(
            np.array([fact(one) for one in ordered[:cut]]), np.array([fact(one) for one in ordered[cut:]])
        )
        for name, fact in facts.items()
    }
    found["model"] = _of_kinds([one.model for one in ordered], cut)
    if all(one.region is not None for one in ordered):
        found["region of the query"] = _of_kinds([str(one.region) for one in ordered], cut)
    return found


def _of_kinds(kinds: Sequence[str], cut: int) -> float:
    places = {kind: place for place, kind in enumerate(sorted(set(kinds)))}
    numbers = np.array([places[kind] for kind in kinds])
    return stability_of_counts(*(np.bincount(part, minlength=len(places)) for part in (numbers[:cut], numbers[cut:])))


# -- what people read -------------------------------------------------------------------------------------------------


def _by_model(ordered: Sequence[Logged]) -> dict[str, list[Logged]]:
    found: dict[str, list[Logged]] = defaultdict(list)
    for one in ordered:
        found[one.giver].append(one)
    return dict(sorted(found.items(), key=lambda pair: -len(pair[1])))


def _share_table(ordered: Sequence[Logged]) -> Table:
    columns = (
        Column("model"),
        Column("queries", "count"),
        Column("share, %", "percent"),
        Column("USD", "usd"),
        Column("mean P(correct)", "precise"),
        Column("feedback", "precise"),
        Column("rated", "count"),
    )
    rows = []
    for model, mine in _by_model(ordered).items():
        rated = np.array([one.rating for one in mine if one.rating is not None], np.float64)
        rows.append(
            (
                model,
                len(mine),
                100.0 * len(mine) / len(ordered),
                float(sum(_paid(one) for one in mine)),
                float(np.mean([one.promised for one in mine])),
                mean_interval(rated) if len(rated) > 1 else None,
                len(rated),
            )
        )
    return Table("Models", columns, tuple(rows))


def _spend_table(spend: dict[str, Interval | float]) -> list[Table]:
    if not spend:
        return []
    names = {
        "usd_per_query": ("a query, as paid", "usd"),
        "total_usd": ("in all, as paid", "usd"),
        "expected_usd_per_query": ("a query, as expected", "usd"),
        "best_usd_per_query": ("a query, always the best, as expected", "usd"),
        "saved_usd": ("saved beside always the best", "usd"),
        "relative_to_best": ("relative to always the best", "ratio"),
        "relative_to_single": ("relative to the best single model for all queries", "ratio"),
        "relative_to_mixture": ("relative to single models mixed to the same quality", "ratio"),
        "actual_to_expected": ("bills relative to what was expected", "ratio"),
    }
    note = (
        "Paid is what was billed, where that is logged. Comparisons are of expected costs, for what others would have "
        "billed is not known. Intervals are 95 %, by a bootstrap over queries."
    )
    rows = tuple((label, _written(spend[name], kind)) for name, (label, kind) in names.items() if name in spend)
    return [Table("Spend", (Column("what"), Column("USD")), rows, note)]


def _written(value: Interval | float, kind: str) -> str:
    from cit_core.evaluate.tables import written

    return written(value, kind)  # type: ignore[arg-type]


def _quality_table(quality: dict[str, Interval | float]) -> list[Table]:
    names = {
        "feedback": "feedback on the answers",
        "promised": "P(correct) of the same answers",
        "best_by_doubly_robust": "always the best, by doubly robust estimate",
        "shadow": "beside the reference model: 0.5 is as good",
        "calibration_error": "gap between P(correct) and feedback (ECE)",
        "explored": "share tried by chance",
        "retried": "share asked again within ten minutes",
        "aborted": "share broken off",
        "switched": "share in which another model was chosen by hand",
    }
    rows = tuple((label, quality[name]) for name, label in names.items() if name in quality)
    note = "Feedback and shadow answers are those that came, which may not be a fair sample."
    return [Table("Quality", (Column("what"), Column("mean", "precise")), rows, note)]


def _drift_table(drift: dict[str, float]) -> Table:
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (name, value, "changed" if value >= DRIFTED else "") for name, value in drift.items()
    )
    note = "Population stability index of the last quarter of the log beside the rest; from 0.25 on it is another one."
    if not rows:
        rows = (("too few decisions to tell", None, ""),)
    return Table("Drift", (Column("of"), Column("PSI", "precise"), Column("")), rows, note)


def _figures(ordered: Sequence[Logged], priced: Sequence[Logged]) -> list[Figure]:
    found = []
    if len(priced) > 1:
        start = priced[0].when_s
        thinned = np.unique(np.linspace(0, len(priced) - 1, 200).astype(int))
        hours = np.array([(one.when_s - start) / 3600.0 for one in priced])
        lines = {
            "routed": (np.cumsum([_comparable(one) for one in priced]), True),
            "always the best": (np.cumsum([_top(one)[1] for one in priced]), False),
        }
        series = tuple(
            Series(name, tuple(hours[thinned]), tuple(total[thinned]), ours=ours)
            for name, (total, ours) in lines.items()
        )
        found.append(Figure("spend", "Spend so far", "hours", "USD", series))
    rated = [one for one in ordered if one.rating is not None]
    if len(rated) >= FEW:
        found.append(_reliability(rated))
    return found


def _reliability(rated: Sequence[Logged]) -> Figure:
    chance_N = np.array([one.promised for one in rated])
    correct_N = np.array([float(one.rating or 0.0) for one in rated])
    parts = [part for part in np.array_split(np.argsort(chance_N), 8) if len(part) > 1]
    means = [mean_interval(correct_N[part]) for part in parts]
    series = Series(
        "feedback",
        tuple(float(chance_N[part].mean()) for part in parts),
        tuple(one.mean for one in means),
        tuple(one.low for one in means),
        tuple(one.high for one in means),
        ours=True,
    )
    return Figure("calibration", "What was promised, and feedback", "P(correct)", "feedback", (series,), "diagonal")


def _advice(
    ordered: Sequence[Logged],
    spend: dict[str, Interval | float],
    quality: dict[str, Interval | float],
    drift: dict[str, float],
) -> tuple[str, ...]:
    said = []
    rated = sum(one.correct is not None for one in ordered)
    if rated < FEW:
        said.append(f"only {rated} answers have feedback: give some with `router.feedback`, or compare with a Shadow")
    if _is_off(quality.get("feedback"), quality.get("promised")):
        said.append("P(correct) is not what feedback says: `cit calibrate` fits the store's evidence to it")
    bills = spend.get("actual_to_expected")
    if isinstance(bills, Interval) and (bills.low > 1.1 or bills.high < 0.9):
        said.append(f"bills are {bills.mean:.2f} times what is expected: `cit aptitude run` measures answer lengths")
    mixture = spend.get("relative_to_mixture")
    if isinstance(mixture, Interval) and mixture.high >= 1.0:
        said.append(
            "no saving beside a content-blind mixture is shown: try `cit calibrate --quality 0.98` on your queries"
        )
    shadow = quality.get("shadow")
    if isinstance(shadow, Interval) and shadow.high < 0.5:
        said.append("the reference model answers better: raise the quality or the budget of the policy")
    said += [
        f"{name} has changed (PSI {value:.2f}): calibrate again" for name, value in drift.items() if value >= DRIFTED
    ]
    if all(one.propensity == 1.0 for one in ordered) and rated >= FEW:
        said.append("nothing was explored, so other policies are judged by P(correct) alone: explore='epsilon:0.02'")
    return tuple(said) or ("nothing stands out: go on",)


def _is_off(one: object, other: object) -> bool:
    if not (isinstance(one, Interval) and isinstance(other, Interval)):
        return False
    return one.high < other.low or one.low > other.high


def _plain(value: Interval | float) -> list[float] | float | None:
    if isinstance(value, Interval):
        return list(value)
    return value if math.isfinite(value) else None
