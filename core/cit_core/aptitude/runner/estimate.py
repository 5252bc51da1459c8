"""Estimate a test before it is run: calls, tokens, cost, time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from cit_core.aptitude.runner.budget import Prices, tokens_of
from cit_core.aptitude.runner.ledger import Ledger, measured_usage, settled_candidate
from cit_core.aptitude.runner.plan import AptitudeTest
from cit_core.aptitude.runner.runs import DEFAULTS, RunOptions
from cit_core.records import Candidate, Item, Suite
from cit_core.store import CapabilityStore

__all__ = ["Estimate", "estimate"]


@dataclass(frozen=True)
class Estimate:
    """Estimate of the rest of a test. A circle test may take less: an item ends with its first wrong answer."""

    candidate: str
    source: str
    items: int
    """Number of items without an outcome."""
    known: int
    """Number of items with an outcome."""
    calls: int
    """Maximum number of calls, without repeated ones."""
    prompt_tokens: int
    """Estimated from the length of the texts."""
    completion_tokens: int
    measured: bool
    """True if the length of an answer is this candidate's own mean, False if it is assumed."""
    cost_usd: float | None
    """None if the prices are not known."""
    minutes: float | None
    """None if no latency was measured and no rate is set."""
    adaptive_calls: int
    """Maximum number of calls of an adaptive test of the same suite."""
    adaptive_cost_usd: float | None
    """Cost of these calls; None if the prices are not known."""


def estimate(
    suite: Suite,
    items: Sequence[Item],
    store: CapabilityStore | None,
    *,
    candidate: str | Candidate,
    options: RunOptions = DEFAULTS,
) -> Estimate:
    """Estimate what a run with the same arguments would still take. Calls no LLM and writes nothing.

    Args:
        suite: The test.
        items: Exactly the suite's, with texts and answers.
        store: The store with the test's earlier outcomes and the candidate's mean usage; None for a new one.
        candidate: The candidate to measure; facts that are given are added to the stored ones.
        options: Options of the run.

    Raises:
        InvalidInput: If the items are not the suite's, one cannot be asked or graded, or the store knows other facts.
    """
    known = settled_candidate(candidate, () if store is None else store.candidates())
    test = AptitudeTest(known.id, suite, tuple(items), options.circle, options.adaptive)
    test.check()
    ledger, usage = Ledger(test, store), measured_usage(known.id, store)
    prices = Prices(known, usage.completion_tokens)
    latencies = [usage.latency_s]
    for question, outcome in ledger.answered():
        prices.learn(
            outcome.answer or "", outcome.completion_tokens, prompt=question.prompt, prompt_tokens=outcome.prompt_tokens
        )
        latencies.append(outcome.latency_s)
    missing = ledger.missing()
    questions = [q for item in missing for q in test.questions(item) if ledger.find(q) is None]
    costs = [prices.expected(question.prompt) for question in questions]
    every = [prices.expected(question.prompt) for item in test.items for question in test.questions(item)[:1]]
    most, of_one = min(options.most, len(every)), [cost for cost in every if cost is not None]
    return Estimate(
        candidate=known.id,
        source=test.source,
        items=len(missing),
        known=len(test.items) - len(missing),
        calls=len(questions),
        prompt_tokens=round(sum(tokens_of(question.prompt) for question in questions)),
        completion_tokens=round(prices.completion_tokens * len(questions)),
        measured=prices.measured,
        cost_usd=sum(cost for cost in costs if cost is not None) if prices.known else None,
        minutes=_minutes(len(questions), latencies, options),
        adaptive_calls=most,
        adaptive_cost_usd=most * fmean(of_one) if prices.known else None,
    )


def _minutes(calls: int, latencies: Sequence[float | None], options: RunOptions) -> float | None:
    measured = [latency for latency in latencies if latency is not None]
    bounds = []
    if measured:
        bounds.append(calls * fmean(measured) / options.concurrency / 60.0)
    if options.per_minute is not None:
        bounds.append(calls / options.per_minute)
    return max(bounds, default=None)
