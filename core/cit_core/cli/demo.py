"""`cit demo`: route example questions on this machine, without network access, a key or a store."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median
from typing import TYPE_CHECKING

from cit_core.catalogue.default_zoo import DEFAULT_ZOO
from cit_core.cli import _output
from cit_core.cli._options import CheckpointOption, JsonOption

if TYPE_CHECKING:
    from rich.table import Table

    from cit_core.records import Decision, Ranked
    from cit_core.router import Router

__all__ = ["POLICY", "QUESTIONS", "demo"]

QUESTIONS = (
    "What is the capital of Australia?",
    "What is 17 times 23?",
    "Translate into French: 'Where is the station?'",
    "Write a Python function that merges overlapping intervals, and say what its running time is.",
    "Why does severe vomiting lead to metabolic alkalosis?",
    "Which grievances of the third estate led to the Tennis Court Oath of 1789?",
    "An offer was posted on Monday and revoked by e-mail on Tuesday; the acceptance was posted on Wednesday. "
    "Is there a contract at common law, and when was it formed?",
    "Compute the integral of x^2 e^{-x^3} from 0 to infinity and justify each step.",
)
POLICY = "threshold:0.85"
"""The cheapest model with P of 85 % or more; the best one if none has it."""
POLICIES = ("best", POLICY, "cost:0.05")
"""`cost:0.05`: a correct answer is worth five cents."""


def demo(checkpoint: CheckpointOption = "mini", json_: JsonOption = False) -> None:
    """Route eight questions among models that people call today: offline, on the CPU, without a key."""
    from cit_core.router import Router

    router = Router.from_models(DEFAULT_ZOO, checkpoint=checkpoint, policy=POLICY)
    router.route(QUESTIONS[0])  # warm up: the first decision also reads all capabilities
    decisions = [router.route(question) for question in QUESTIONS]
    if json_:
        records = [_output.decision_record(decision, place) for place, decision in enumerate(decisions, start=1)]
        _output.as_json([{"question": text, **record} for text, record in zip(QUESTIONS, records, strict=True)])
        return
    title = f"{len(QUESTIONS)} questions among {len(DEFAULT_ZOO)} models: the cheapest with P of 85 % ({POLICY})"
    _output.show(_decisions_table(decisions, title))
    _output.show(_policy_table(router))
    hardest = min(decisions, key=lambda decision: decision.probability)
    _output.say(f"The hardest question is number {decisions.index(hardest) + 1}:\n{hardest.explain(top=3)}\n")
    milliseconds = median(decision.latency_ms for decision in decisions)
    _output.say(f"{milliseconds:.1f} ms for a decision, no LLM called. P is the probability of a correct answer.\n")
    _output.say("Next: cit models list")
    _output.say(f"      cit route 'a question of yours' --policy {POLICY}")


def _decisions_table(decisions: Sequence[Decision], title: str) -> Table:
    rows = [
        (str(place), question, decision.model, _output.percent(decision.probability), _thousand([decision.ranking[0]]))
        for place, (question, decision) in enumerate(zip(QUESTIONS, decisions, strict=True), start=1)
    ]
    columns = {"": "right", "question": "fold", "goes to": "left", "P": "right", "$/1,000\ncalls": "right"}
    return _output.table(title, columns, rows)


def _policy_table(router: Router) -> Table:
    """Build a table of what each policy would cost, below the best single model."""
    by_policy = {name: [d.ranking for d in router.route_many(QUESTIONS, policy=name)] for name in POLICIES}
    single = {model: [_of(model, ranking) for ranking in by_policy["best"]] for model in DEFAULT_ZOO}
    best = max(DEFAULT_ZOO, key=lambda model: _mean(single[model]))
    chosen = {f"always {best}": single[best]}
    chosen |= {name: [ranking[0] for ranking in rankings] for name, rankings in by_policy.items() if name != "best"}
    rows = [
        (
            name,
            str(len({one.model for one in ranked})),
            _output.percent(_mean(ranked)),
            _thousand(ranked),
            f"{1 - _cost(ranked) / _cost(single[best]):.0%}",
        )
        for name, ranked in chosen.items()
    ]
    columns = {"policy": "fold", "models": "right", "mean P": "right", "$/1,000\ncalls": "right", "saved": "right"}
    return _output.table("Beside always the model that is best in the mean", columns, rows)


def _of(model: str, ranking: Sequence[Ranked]) -> Ranked:
    return next(ranked for ranked in ranking if ranked.model == model)


def _mean(ranked: Sequence[Ranked]) -> float:
    return fmean(one.probability for one in ranked)


def _thousand(ranked: Sequence[Ranked]) -> str:
    """Format USD for a thousand calls like these."""
    return f"{1000 * _cost(ranked):.2f}"


def _cost(ranked: Sequence[Ranked]) -> float:
    return fmean(one.expected_cost_usd or 0.0 for one in ranked)
