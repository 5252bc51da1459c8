"""Traffic for the dashboard: shares, spend compared with always the best single model, the last decisions.

Kept in memory, bounded, without a query's text; it begins anew with the process. Metrics for keeps are in `meters`.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from cit_core.calibration import population_stability
from cit_core.records import Candidate, Decision
from cit_core.router.fallback import Attempts, Failure
from cit_core.server.protocols import Usage

__all__ = ["Traffic"]

SHOWN = 50
"""Decisions that are listed."""
REMEMBERED = 1_000
"""Decisions that the curve of cost and quality is drawn from."""
VALUES = tuple(10.0 ** (power / 4) for power in range(-24, 9))
"""Worth of a correct answer along the curve [USD]."""
ENOUGH = 200
"""Decisions below which nothing is said of drift."""


class _Scored(NamedTuple):
    """A decision's numbers by candidate: P(correct), and expected cost [USD] where it is known."""

    probabilities: Mapping[str, float]
    costs: Mapping[str, float]


class Traffic:
    """Counts answers since the process began. Used in the event loop alone."""

    def __init__(self) -> None:
        self.since = time.time()
        self._answers: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._spend: Counter[str] = Counter()
        self._instead: Counter[str] = Counter()
        self._probability: Counter[str] = Counter()
        self._asked: Counter[str] = Counter()
        self._seconds: dict[str, deque[float]] = {}
        self._decision_ms: deque[float] = deque(maxlen=REMEMBERED)
        self._scored: deque[_Scored] = deque(maxlen=REMEMBERED)
        self._last: deque[dict[str, Any]] = deque(maxlen=SHOWN)
        self.fallbacks = 0

    def opened(self, decision: Decision, attempts: Attempts, reason: str) -> None:
        """Note an answer that has begun."""
        self._answers[attempts.model] += 1
        self.fallbacks += attempts.fell_back
        self._decision_ms.append(decision.latency_ms)
        costs = {one.model: one.expected_cost_usd for one in decision.ranking if one.expected_cost_usd is not None}
        self._scored.append(_Scored(decision.scores, costs))
        for model, probability in decision.scores.items():
            self._probability[model] += probability  # type: ignore[assignment]
            self._asked[model] += 1
        self._last.append(
            {
                "id": decision.id,
                "time": time.time(),
                "model": attempts.model,
                "probability": decision.scores[attempts.model],
                "expected_cost_usd": costs.get(attempts.model),
                "decision_ms": decision.latency_ms,
                "reason": reason,
            }
        )

    def failed(self, failures: Iterable[Failure]) -> None:
        """Note the candidates that failed, whether another answered or not."""
        self._failures.update(failure.model for failure in failures)

    def answered(self, model: str, candidates: Sequence[Candidate], usage: Usage, seconds: float) -> None:
        """Note a complete answer, and what every candidate would have cost for as many tokens."""
        self._seconds.setdefault(model, deque(maxlen=REMEMBERED)).append(seconds)
        for candidate in candidates:
            self._instead[candidate.id] += candidate.expected_cost(*usage) or 0.0  # type: ignore[assignment]

    def spent(self, candidate: Candidate, usage: Usage) -> None:
        """Note what an answer cost, also one that a cascade has refused."""
        self._spend[candidate.id] += candidate.expected_cost(*usage) or 0.0  # type: ignore[assignment]

    def summary(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        total, mean = self._answers.total(), self._mean_probability()
        best = max(mean, key=lambda model: mean[model], default=None)
        shares = {model: count / total for model, count in self._answers.items()}
        return {
            "since": self.since,
            "answers": total,
            "fallbacks": self.fallbacks,
            "spend_usd": self._spend.total(),
            "probability": sum(one["probability"] for one in self._last) / len(self._last) if self._last else None,
            "always_best": None
            if best is None
            else {"model": best, "spend_usd": self._instead[best], "probability": mean[best]},
            "content_blind": {
                "spend_usd": sum(share * self._instead[model] for model, share in shares.items()),
                "probability": sum(share * mean[model] for model, share in shares.items()) if shares else None,
            },
            "decision_ms": _middle(self._decision_ms),
            "shares": shares,
            "spend_by_model": dict(self._spend),
            "failures": dict(self._failures),
            "drift": self.drift(),
            "answer_s": {model: _middle(seconds) for model, seconds in self._seconds.items()},
            "decisions": list(reversed(self._last)),
            "curve": self._curve(),
        }

    def drift(self) -> float | None:
        """Compare the last quarter of the remembered decisions with those before: their highest P(correct).

        Returns:
            The population stability index: below 0.1 nothing has changed, from 0.25 on calibrate again; None for few.
        """
        if len(self._scored) < ENOUGH:
            return None
        highest = np.array([max(one.probabilities.values()) for one in self._scored])
        cut = len(highest) - len(highest) // 4
        return population_stability(highest[:cut], highest[cut:])

    def _mean_probability(self) -> dict[str, float]:
        return {model: self._probability[model] / count for model, count in self._asked.items()}

    def _curve(self) -> list[dict[str, float]]:
        """Return mean cost and P(correct) of the last decisions for every worth of a correct answer."""
        points = []
        priced = [one for one in self._scored if one.costs]
        for value in VALUES if priced else ():
            chosen = [
                max(one.costs, key=lambda model, one=one: one.probabilities[model] * value - one.costs[model])  # type: ignore[misc]
                for one in priced
            ]
            pairs = list(zip(priced, chosen, strict=True))
            points.append(
                {
                    "value_usd": value,
                    "cost_usd": statistics.fmean(one.costs[model] for one, model in pairs),
                    "probability": statistics.fmean(one.probabilities[model] for one, model in pairs),
                }
            )
        return points


def _middle(numbers: Sequence[float] | deque[float]) -> float | None:
    return statistics.median(numbers) if numbers else None
