"""`cit demo`: route example questions on this machine, without network access, a key or a store."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from cit_core.cli import _output
from cit_core.cli._options import CheckpointOption, JsonOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from cit_core.records import Decision
    from cit_core.router import Router

__all__ = ["demo"]

QUESTIONS = (
    "A bakery sells muffins at 3 for $4. Ana buys 18 muffins and pays with a $50 note. How much change does she get?",
    "An offer was posted on Monday and revoked by e-mail on Tuesday; the acceptance was posted on Wednesday. "
    "Is there a contract at common law, and when was it formed?",
    "Why does a patient with severe vomiting develop metabolic alkalosis, and how do the kidneys compensate for it?",
    "Write a Python function that merges overlapping intervals, and say what its running time is.",
    "Which grievances of the third estate led to the Tennis Court Oath of 1789?",
    "Translate into Spanish: 'The meeting was put off because hardly anyone had read the report.'",
    "A 2 kg block slides down a frictionless incline of 30 degrees from a height of 5 m. How fast is it at the bottom?",
    "Hi there! I had a long day. Any idea for a quick dinner with eggs and spinach?",
)
SHOWN = 3
"""Models shown of each ranking."""
POLICIES = ("cost:0.015", "threshold:0.7")
"""A correct answer is worth 1.5 cents; the cheapest model with P of 70 % or more."""


def demo(checkpoint: CheckpointOption = "mini", json_: JsonOption = False) -> None:
    """Route eight questions among all models of the catalogue: offline, on the CPU, without a key."""
    from cit_core.router import Router

    router = Router.from_pretrained(checkpoint)
    router.route(QUESTIONS[0])  # warm up: the first decision also reads all capabilities
    decisions = [router.route(question) for question in QUESTIONS]
    if json_:
        records = [_output.decision_record(decision, place) for place, decision in enumerate(decisions, start=1)]
        _output.as_json([{"question": text, **record} for text, record in zip(QUESTIONS, records, strict=True)])
        return
    target = _output.console()
    target.print(_best_table(decisions, f"{len(QUESTIONS)} questions among {len(router.candidates)} models"))
    if len({decision.model for decision in decisions}) == 1:
        _output.say(
            f"{decisions[0].model} is ahead on every question here. What differs is by how much, and that decides\n"
            "which model is good enough for its price:\n"
        )
    priced = [candidate.id for candidate in router.candidates if candidate.price_in is not None]
    if len(priced) > 1:
        target.print(
            _policy_table(router, f"The same where cost counts, among the {len(priced)} models whose price is known")
        )
    _tell(decisions)


def _best_table(decisions: Sequence[Decision], title: str) -> Table:
    from rich.text import Text

    rows = []
    for place, (question, decision) in enumerate(zip(QUESTIONS, decisions, strict=True), start=1):
        models, chances = Text(), Text()
        for rank, ranked in enumerate(decision.ranking[:SHOWN]):
            style = "dim" if rank else "bold green"
            models.append(ranked.model + "\n", style)
            chances.append(_output.percent(ranked.probability) + "\n", style)
        rows.append((str(place), question, models, chances))
    return _output.table(title, {"": "right", "question": "fold", "model": "fold", "P": "right"}, rows)


def _policy_table(router: Router, title: str) -> Table:
    from cit_core.policy import parse_policy

    chosen = [router.route_many(QUESTIONS, policy=parse_policy(name)) for name in POLICIES]
    rows = []
    for place, decisions in enumerate(zip(*chosen, strict=True), start=1):
        for name, one in zip(POLICIES, decisions, strict=True):
            number = str(place) if name == POLICIES[0] else ""
            rows.append((number, name, one.model, _output.percent(one.probability), _output.usd(one.expected_cost_usd)))
    columns = {"": "right", "policy": "left", "model": "fold", "P": "right", "a call costs": "right"}
    return _output.table(title, columns, rows)


def _tell(decisions: Sequence[Decision]) -> None:
    hardest = min(range(len(decisions)), key=lambda place: decisions[place].probability)
    milliseconds = median(decision.latency_ms for decision in decisions)
    _output.say(f"Question {hardest + 1} has the lowest P. Its decision, explained:\n{decisions[hardest].explain()}\n")
    _output.say(
        f"{milliseconds:.1f} ms for a decision, no LLM called. P is the probability that the answer is correct.\n"
    )
    _output.say("Next: cit route 'a question of yours' --models ID,ID     (the ids: cit models list)")
    _output.say("      cit import table results.csv --store sqlite:///my.db    (your own outcomes count at once)")
