"""Metrics of the gateway, in Prometheus' format."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from cit_core.records import Candidate, Decision
from cit_core.router.fallback import Attempts, Failure, Fallback
from cit_core.server.protocols import Usage

__all__ = ["Meters"]

DECISION_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
ANSWER_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
STATES = ("closed", "half-open", "open")


class Meters:
    """Counts what the gateway does. Never a query's text, a key, or a name that a caller made up."""

    media_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter("cit_requests", "Requests", ["protocol", "status"], registry=registry)
        self._decisions = Counter("cit_decisions", "Decisions", ["model", "chosen_by"], registry=registry)
        self._decision_s = Histogram("cit_decision_seconds", "Time to decide", buckets=DECISION_S, registry=registry)
        self._answer_s = Histogram(
            "cit_answer_seconds", "Time until an answer was complete", ["model"], buckets=ANSWER_S, registry=registry
        )
        self._first_s = Histogram(
            "cit_first_byte_seconds",
            "Time to the first part of an answer",
            ["model"],
            buckets=ANSWER_S,
            registry=registry,
        )
        self._tokens = Counter(
            "cit_tokens", "Tokens as providers count them", ["model", "direction"], registry=registry
        )
        self._spend = Counter("cit_spend_usd", "Tokens at the candidates' prices", ["model", "key"], registry=registry)
        self._failures = Counter("cit_failures", "Candidates that failed", ["model", "reason"], registry=registry)
        self._fallbacks = Counter("cit_fallbacks", "Answers by another than the chosen", ["model"], registry=registry)
        self._breakers = Gauge(
            "cit_breaker", "1 in the state of a candidate's breaker", ["model", "state"], registry=registry
        )
        self._steps = Counter("cit_cascade_steps", "Steps of cascades", ["model", "outcome"], registry=registry)
        self._drift = Gauge(
            "cit_drift", "Population stability index of the highest P(correct); NaN for few", registry=registry
        )
        self._active = Gauge("cit_active_requests", "Requests under way", registry=registry)
        self._waiting = Gauge("cit_waiting_requests", "Requests that wait to be decided", registry=registry)
        self._dropped = Gauge("cit_log_dropped_records", "Records that the log left out", registry=registry)
        self._reloads = Counter("cit_reloads", "Configurations taken up", ["outcome"], registry=registry)

    def began(self) -> None:
        """Count a request that begins."""
        self._active.inc()

    def ended(self, protocol: str, status: int) -> None:
        """Count a request that has ended."""
        self._active.dec()
        self._requests.labels(protocol, str(status)).inc()

    def decided(self, decision: Decision) -> None:
        """Count a decision."""
        self._decisions.labels(decision.model, decision.chosen_by).inc()
        self._decision_s.observe(decision.latency_ms / 1e3)

    def opened(self, attempts: Attempts, seconds: float) -> None:
        """Count an answer that has begun."""
        self._first_s.labels(attempts.model).observe(seconds)
        if attempts.fell_back:
            self._fallbacks.labels(attempts.model).inc()

    def failed(self, failures: Iterable[Failure]) -> None:
        """Count the candidates that failed, whether another answered or not."""
        for failure in failures:
            self._failures.labels(failure.model, failure.reason or failure.error).inc()

    def answered(self, model: str, seconds: float) -> None:
        """Count an answer that is complete, or was left."""
        self._answer_s.labels(model).observe(seconds)

    def stepped(self, report: Mapping[str, Any]) -> None:
        """Count the steps of a cascade."""
        for step in report.get("steps", ()):
            outcome = "failed" if "error" in step else "accepted" if step["accepted"] else "refused"
            self._steps.labels(step["model"], outcome).inc()

    def spent(self, candidate: Candidate, usage: Usage, key: str) -> None:
        """Count the tokens of an answer, also of one that a cascade has refused."""
        model = candidate.id
        self._tokens.labels(model, "in").inc(usage.tokens_in)
        self._tokens.labels(model, "out").inc(usage.tokens_out)
        self._spend.labels(model, key).inc(candidate.expected_cost(*usage) or 0.0)

    def reloaded(self, outcome: str) -> None:
        """Count a configuration that was read again: `taken`, or `refused` where it cannot be used."""
        self._reloads.labels(outcome).inc()

    def waiting(self, number: int) -> None:
        """Note how many requests wait to be decided."""
        self._waiting.set(number)

    def dropped(self, number: int) -> None:
        """Note how many records of the log were left out."""
        self._dropped.set(number)

    def page(self, fallback: Fallback, models: list[str], drift: float | None) -> bytes:
        """Return all metrics."""
        self._drift.set(math.nan if drift is None else drift)
        self._breakers.clear()  # of models that are no longer there
        for model in models:
            now = fallback.state(model)
            for state in STATES:
                self._breakers.labels(model, state).set(state == now)
        return generate_latest(self._registry)
