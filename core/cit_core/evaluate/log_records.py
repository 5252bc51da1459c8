"""A log of decisions as records of one query each: the decision, and all that became of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cit_core.policy import Scored
from cit_core.records import Candidate

__all__ = ["Logged", "read_logged"]

SOON_S = 600.0
"""Time in which the same query again means that the answer did not serve [s]."""


@dataclass
class Logged:
    """A decision from a log, with what became of it.

    Attributes:
        id: Of the decision.
        when_s: Time [s since 1970].
        model: The chosen candidate.
        by: What chose it.
        propensity: Probability of that choice.
        policy: The policy.
        digest: Hash of the query.
        tokens: Its estimated length.
        scored: Every candidate with its numbers, the chosen one first.
        text: The query, if texts are kept.
        region: Region of its vector.
        correct: Feedback on the chosen candidate, 0 to 1; the last that was given.
        rated: Feedback by the candidate that it is on.
        cost_usd: What the answer cost in truth, all steps of a cascade included.
        latency_s: How long it took in truth.
        shadow: How it did beside the reference: 1 better, 0.5 as good, 0 worse.
        signals: Implicit signals that it did not serve.
        answered: Candidate that answered: after a fallback or in a cascade not the chosen one.
        steps: Steps of a cascade: the candidates that were asked, with verdicts and costs.
    """

    id: str
    when_s: float
    model: str
    by: str
    propensity: float
    policy: str
    digest: str
    tokens: int
    scored: tuple[Scored, ...]
    text: str | None = None
    region: int | None = None
    tenant: str | None = None
    correct: float | None = None
    cost_usd: float | None = None
    latency_s: float | None = None
    shadow: float | None = None
    reference: str | None = None
    signals: set[str] = field(default_factory=set)
    answered: str | None = None
    steps: tuple[Mapping[str, Any], ...] = ()
    rated: dict[str, float] = field(default_factory=dict)

    @property
    def giver(self) -> str:
        """Return the candidate that answered: the chosen one where nothing else is known."""
        return self.answered or self.model

    @property
    def rating(self) -> float | None:
        """Return the feedback on the answer that was given."""
        return self.rated.get(self.giver)

    @property
    def promised(self) -> float:
        """Return P(correct) of the answer that was given, verdicts included."""
        for step in self.steps:
            if step.get("accepted"):
                return float(step.get("posterior", step["probability"]))
        return next((one.probability for one in self.scored if one.candidate.id == self.giver), self.chosen.probability)

    @property
    def chosen(self) -> Scored:
        """Return the chosen candidate with its numbers."""
        return self.scored[0]


def read_logged(records: Iterable[Mapping[str, Any]]) -> list[Logged]:
    """Join the records of a log; those of decisions that are not in it, and damaged ones, are passed over.

    The same query again within ten minutes is the signal `retried`; with another model, named by the caller,
    `switched`.
    """
    found: dict[str, Logged] = {}
    for record in records:
        with suppress(KeyError, TypeError, ValueError, IndexError):
            if record["kind"] == "decision":
                found[record["id"]] = _decision(record)
            elif (one := found.get(record["decision"])) is not None:
                _join(one, record)
    logged = list(found.values())
    _derive_signals(logged)
    return logged


def _decision(record: Mapping[str, Any]) -> Logged:
    scored = tuple(
        Scored(Candidate(id=id_), float(probability), cost, latency)
        for id_, probability, cost, latency in record["ranking"]
    )
    if scored[0].candidate.id != record["model"] or not 0.0 < record["propensity"] <= 1.0:
        raise ValueError
    return Logged(
        record["id"],
        datetime.fromisoformat(record["when"]).timestamp(),
        record["model"],
        record["by"],
        float(record["propensity"]),
        record["policy"],
        record["digest"],
        int(record["tokens"]),
        scored,
        record.get("text"),
        record.get("region"),
        record.get("tenant"),
    )


def _join(one: Logged, record: Mapping[str, Any]) -> None:
    if record["kind"] == "feedback":
        one.rated[record["model"]] = float(record["correct"])
        one.correct = one.rated.get(one.model)
    elif record["kind"] == "cascade":
        one.answered, one.steps = record["model"], tuple(record["steps"])
    elif record["kind"] == "usage":
        one.answered = record["model"]
        for name in ("cost_usd", "latency_s"):
            if record[name] is not None:
                before = getattr(one, name) if record.get("again") else None
                setattr(one, name, record[name] + (before or 0.0))
    elif record["kind"] == "shadow":
        one.shadow, one.reference = float(record["score"]), record["reference"]
    elif record["kind"] == "signal":
        one.signals.add(record["signal"])


def _derive_signals(logged: Iterable[Logged]) -> None:
    last: dict[tuple[str | None, str], Logged] = {}
    for one in sorted(logged, key=lambda one: one.when_s):
        before = last.get((one.tenant, one.digest))
        if before is not None and one.when_s - before.when_s <= SOON_S:
            by_hand = one.by == "caller" and one.model != before.model
            before.signals.add("switched" if by_hand else "retried")
        last[one.tenant, one.digest] = one
