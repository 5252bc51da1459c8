"""Expected cost and quality of policies on given queries, and the knob at which one keeps its promise.

Axes: N queries, K candidates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cit_core.errors import InvalidInput
from cit_core.evaluate.cost_metrics import Curve, hull_mixture
from cit_core.evaluate.metrics import Interval, mean_interval, ratio_interval
from cit_core.evaluate.results import Figure, Series
from cit_core.messages import closest, shown
from cit_core.policy import Budget, Policy, Quality, Share
from cit_core.policy.hull import RecentQueries
from cit_core.records import Decision

__all__ = ["Calibrated", "Outlook", "calibrate_policy", "curve_figure", "outlook_of"]

Array = NDArray[np.float64]
MOST_PAIRS = 4_000_000
"""Pairs of candidates on a query that are looked at for values of a knob."""
KNOBS = 160
"""Values of a knob that are tried, and points of the curve."""


@dataclass(frozen=True)
class Outlook:
    """Expectations of every candidate on every query.

    Attributes:
        ids: The candidates.
        probability_NK: P(correct).
        cost_NK: Expected cost [USD].
        correct_NK: Labels in [0, 1], NaN where there is none.
    """

    ids: tuple[str, ...]
    probability_NK: Array
    cost_NK: Array
    correct_NK: Array

    def __len__(self) -> int:
        return len(self.probability_NK)

    @property
    def quality_NK(self) -> Array:
        """Return the label where there is one, and else P(correct)."""
        return np.where(np.isnan(self.correct_NK), self.probability_NK, self.correct_NK)

    @property
    def labelled(self) -> float:
        """Return the share of (query, candidate) with a label."""
        return float((~np.isnan(self.correct_NK)).mean())

    def rows(self, which_N: NDArray[np.intp]) -> Outlook:
        """Return the outlook on some queries."""
        return Outlook(self.ids, self.probability_NK[which_N], self.cost_NK[which_N], self.correct_NK[which_N])

    def at_value(self, value: float) -> NDArray[np.intp]:
        """Return the choices (N,) of the highest value x P - cost; the cheaper of equals."""
        utility_NK = self.probability_NK - self.cost_NK / value
        tied_NK = utility_NK >= utility_NK.max(axis=1, keepdims=True) - 1e-15
        chosen: NDArray[np.intp] = np.where(tied_NK, self.cost_NK, np.inf).argmin(axis=1)
        return chosen

    def best(self) -> NDArray[np.intp]:
        """Return the choices (N,) of `best`."""
        top_NK = self.probability_NK >= self.probability_NK.max(axis=1, keepdims=True)
        chosen: NDArray[np.intp] = np.where(top_NK, self.cost_NK, np.inf).argmin(axis=1)
        return chosen

    def of(self, values_NK: Array, chosen_N: NDArray[np.intp]) -> Array:
        """Return the values (N,) of the choices."""
        picked: Array = values_NK[np.arange(len(values_NK)), chosen_N]
        return picked


class Calibrated(NamedTuple):
    """A policy with its knob, and what to expect of it.

    `cost_usd` is of a query, `quality` the mean P(correct), corrected by labels where there are any; `kept` is quality
    relative to `best`, `spent` cost relative to it. `held_out` is (quality kept, cost) with the knob found on one half
    of the queries and applied to the other.
    """

    policy: Policy
    knob: str
    value: float
    cost_usd: Interval
    quality: Interval
    kept: Interval
    spent: Interval
    held_out: tuple[float, float]
    shares: Mapping[str, float]
    best: tuple[float, float]
    mixture_quality: float


def outlook_of(decisions: Sequence[Decision], labels: Sequence[Mapping[str, float]] | None = None) -> Outlook:
    """Read the outlook off decisions: candidates that every one of them ranks with a price.

    Args:
        decisions: One for each query.
        labels: Of each query, candidate id to how well it answers it.

    Raises:
        InvalidInput: If no candidate is ranked with a price everywhere, or a label is of none.
    """
    if not decisions:
        raise InvalidInput("there is no query to calibrate on; give JSON lines with id and instruction")
    both = list(zip(decisions, labels or [{}] * len(decisions), strict=True))
    both = [pair for pair in both if pair[0].chosen_by != "default"]
    if not both:
        raise InvalidInput("none of the queries could be decided; they need a text")
    rows = [{one.model: one for one in decision.ranking} for decision, _ in both]
    ids = [id_ for id_ in rows[0] if all(id_ in row and row[id_].expected_cost_usd is not None for row in rows)]
    if not ids:
        raise InvalidInput("no candidate has a known price on every query; `cit models add` takes prices")
    known = {id_ for row in rows for id_ in row}
    given = [label for _, label in both]
    for label in given:
        for id_ in label.keys() - known:
            near = ", ".join(closest(id_, known))
            raise InvalidInput(f"a label is of {shown(id_)}, which is no candidate; closest: {near}")
    return Outlook(
        tuple(ids),
        np.array([[row[id_].probability for id_ in ids] for row in rows]),
        np.array([[row[id_].expected_cost_usd for id_ in ids] for row in rows], np.float64),
        np.array([[label.get(id_, np.nan) for id_ in ids] for label in given], np.float64),
    )


def calibrate_policy(outlook: Outlook, policy: Policy) -> Calibrated:
    """Find the knob of `quality:`, `budget:` or `share:` on these queries.

    Raises:
        InvalidInput: If it is another policy, or the queries cannot show it.
    """
    if len(outlook) < 2:
        raise InvalidInput(f"got {len(outlook)} queries; a calibration needs 2, and says something from about 100 on")
    found: Policy = policy
    if isinstance(policy, Quality):
        knob, value = "value", _value_for_quality(outlook, policy.share)
        found = Quality(policy.share, value=float(f"{value:.6g}"))
    elif isinstance(policy, Budget) and policy.window_s is None:
        knob, value = "value", _value_for_cost(outlook, policy.limit / policy.window_queries)
    elif isinstance(policy, Share):
        knob, value = "bonus", _bonus_for_share(outlook, policy)
    else:
        raise InvalidInput(
            f"policy {policy.name} has no knob to calibrate; use quality:0.98, budget:1.50/1k or share:M=20%"
        )
    chosen_N = _choices(outlook, policy, value)
    best_N = outlook.best()
    cost_N, quality_N = outlook.of(outlook.cost_NK, chosen_N), outlook.of(outlook.quality_NK, chosen_N)
    best_cost_N, best_quality_N = outlook.of(outlook.cost_NK, best_N), outlook.of(outlook.quality_NK, best_N)
    singles = Curve(outlook.cost_NK.mean(axis=0), outlook.quality_NK.mean(axis=0))
    return Calibrated(
        found,
        knob,
        value,
        mean_interval(cost_N),
        mean_interval(quality_N),
        ratio_interval(quality_N, best_quality_N),
        ratio_interval(cost_N, best_cost_N),
        _held_out(outlook, policy),
        {id_: float((chosen_N == place).mean()) for place, id_ in enumerate(outlook.ids)},
        (float(best_cost_N.mean()), float(best_quality_N.mean())),
        float(hull_mixture(singles, float(cost_N.mean())) @ singles.quality_P),
    )


def _choices(outlook: Outlook, policy: Policy, value: float) -> NDArray[np.intp]:
    if not isinstance(policy, Share):
        return outlook.at_value(value)
    bonus_NK = outlook.probability_NK.copy()
    bonus_NK[:, _column(outlook, policy)] += value
    chosen: NDArray[np.intp] = bonus_NK.argmax(axis=1)
    return chosen


def _value_for_quality(outlook: Outlook, share: float) -> float:
    """Return the least value from which on every higher one keeps the share of the quality of `best`."""
    goal = share * outlook.of(outlook.quality_NK, outlook.best()).mean()
    values = _values(outlook)
    kept = np.array([outlook.of(outlook.quality_NK, outlook.at_value(v)).mean() >= goal - 1e-12 for v in values])
    last_miss = np.flatnonzero(~kept)
    place = 0 if not len(last_miss) else min(int(last_miss[-1]) + 1, len(values) - 1)
    return float(values[place])


def _value_for_cost(outlook: Outlook, usd: float) -> float:
    recent = RecentQueries(len(outlook))
    for cost_K, chance_K in zip(outlook.cost_NK, outlook.probability_NK, strict=True):
        recent.add(zip(cost_K.tolist(), chance_K.tolist(), strict=True))
    slope = recent.multiplier(usd).value
    return 1.0 / slope if slope > 0.0 else float(_values(outlook)[-1])


def _bonus_for_share(outlook: Outlook, policy: Share) -> float:
    place = _column(outlook, policy)
    recent = RecentQueries(len(outlook))
    for chance_K in outlook.probability_NK:
        recent.add((float(k == place), float(chance)) for k, chance in enumerate(chance_K))
    return -recent.multiplier(policy.share, is_exact=True).value


def _column(outlook: Outlook, policy: Share) -> int:
    if policy.model not in outlook.ids:
        near = ", ".join(closest(policy.model, outlook.ids))
        raise InvalidInput(f"share is of {shown(policy.model)}, which is no candidate with a price; closest: {near}")
    return outlook.ids.index(policy.model)


def _values(outlook: Outlook) -> Array:
    """Return values of an answer [USD] between which something changes, lowest first."""
    some = slice(0, max(1, MOST_PAIRS // len(outlook.ids) ** 2))
    outlook = Outlook(outlook.ids, outlook.probability_NK[some], outlook.cost_NK[some], outlook.correct_NK[some])
    gain_NKK = outlook.probability_NK[:, :, None] - outlook.probability_NK[:, None, :]
    more_NKK = outlook.cost_NK[:, :, None] - outlook.cost_NK[:, None, :]
    edges = (more_NKK / np.where(gain_NKK > 0.0, gain_NKK, np.nan)).ravel()
    edges = np.sort(edges[np.isfinite(edges) & (edges > 0.0)])
    if not len(edges):
        return np.array([1.0])
    grid = np.quantile(edges, np.linspace(0.0, 1.0, KNOBS))
    return np.unique(np.concatenate([[edges[0] / 2.0], grid, [edges[-1] * 2.0]]))


def _held_out(outlook: Outlook, policy: Policy) -> tuple[float, float]:
    """Return (quality kept, cost of a query), each half with the knob of the other."""
    half_N = np.random.default_rng(0).permutation(len(outlook)) % 2 == 0
    cost, quality, best = [], [], []
    for known_N in (half_N, ~half_N):
        known, new = outlook.rows(np.flatnonzero(known_N)), outlook.rows(np.flatnonzero(~known_N))
        if isinstance(policy, Quality):
            value = _value_for_quality(known, policy.share)
        elif isinstance(policy, Share):
            value = _bonus_for_share(known, policy)
        else:
            assert isinstance(policy, Budget)
            value = _value_for_cost(known, policy.limit / policy.window_queries)
        chosen_N = _choices(new, policy, value)
        cost.append(new.of(new.cost_NK, chosen_N))
        quality.append(new.of(new.quality_NK, chosen_N))
        best.append(new.of(new.quality_NK, new.best()))
    total = np.concatenate(best).mean()
    return float(np.concatenate(quality).mean() / max(total, 1e-300)), float(np.concatenate(cost).mean())


def curve_figure(outlook: Outlook, found: Calibrated, name: str = "calibration") -> Figure:
    """Return the figure of quality against cost: routing, single models, their mixture, and the policy."""
    points = []
    for value in _values(outlook)[:: max(1, KNOBS // 40)]:
        chosen_N = outlook.at_value(float(value))
        quality = mean_interval(outlook.of(outlook.quality_NK, chosen_N))
        points.append((1e3 * float(outlook.of(outlook.cost_NK, chosen_N).mean()), quality))
    points.sort(key=lambda point: point[0])
    mean_K, quality_K = 1e3 * outlook.cost_NK.mean(axis=0), outlook.quality_NK.mean(axis=0)
    order = np.argsort(mean_K)
    at = found.cost_usd.mean * 1e3
    x = [cost for cost, _ in points]
    routed = Series(
        "routing",
        tuple(x),
        tuple(one.mean for _, one in points),
        tuple(one.low for _, one in points),
        tuple(one.high for _, one in points),
        ours=True,
    )
    singles = Series(
        "single models",
        tuple(mean_K[order].tolist()),
        tuple(quality_K[order].tolist()),
        labels=tuple(outlook.ids[place] for place in order),
        joined=False,
    )
    low, high = (found.quality.low,), (found.quality.high,)
    chosen = Series(found.policy.name, (at,), (found.quality.mean,), low, high, joined=False)
    is_log = min(*x, *mean_K) > 0.0
    title = "Expected quality against cost"
    return Figure(name, title, "USD per 1,000 queries", "quality", (routed, singles, chosen), x_log=is_log)
