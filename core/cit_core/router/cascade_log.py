"""What a log of decisions says about a cascade's verifier: `cascade.fitted(logged_verdicts("decisions.jsonl"))`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cit_core.router.decision_log import read_log

if TYPE_CHECKING:
    from cit_core.store import CapabilityStore

__all__ = ["logged_verdicts"]

ENOUGH = 10
"""Refused answers with feedback from which on they speak for all refused ones."""


class _Verified(NamedTuple):
    """A verified answer of a cascade."""

    score: float
    probability: float
    accepted: bool
    correct: float | None


def logged_verdicts(source: str | Path | CapabilityStore) -> list[tuple[float, float]]:
    """Return the score of each verified answer in a log and how right it was, for `Cascade.fitted`.

    Users see accepted answers alone, so there is feedback on these alone, as a rule. How often a refused answer was
    right follows from what was promised: P(right) of all verified answers is that of the accepted ones and of the
    refused ones together. Where at least ten refused answers have feedback of their own, they speak for themselves.

    Args:
        source: The log: a file or a store.

    Raises:
        InvalidInput: If there is no such file.
    """
    verified = _verified(source)
    accepted, refused = ([one for one in verified if one.accepted is kind] for kind in (True, False))
    rated, told = ([one for one in some if one.correct is not None] for some in (accepted, refused))
    pairs = [(one.score, float(one.correct or 0.0)) for one in rated]
    if len(told) >= ENOUGH or not (rated and refused):
        return pairs + [(one.score, float(one.correct or 0.0)) for one in told]
    promised = sum(one.probability for one in verified)
    right = sum(float(one.correct or 0.0) for one in rated) / len(rated) * len(accepted)
    each = min(max((promised - right) / len(refused), 0.0), 1.0)
    every = len(accepted) / len(rated)  # as many refused answers as accepted ones have feedback
    return pairs + [(refused[int(place * every)].score, each) for place in range(int(len(refused) / every))]


def _verified(source: str | Path | CapabilityStore) -> list[_Verified]:
    steps: dict[str, list[Mapping[str, Any]]] = {}
    feedback: dict[tuple[str, str], float] = {}
    for record in read_log(source):
        with suppress(KeyError, TypeError, ValueError):
            if record["kind"] == "cascade":
                steps[record["decision"]] = record["steps"]
            elif record["kind"] == "feedback":
                feedback[record["decision"], record["model"]] = float(record["correct"])
    found = []
    for id_, each in steps.items():
        for step in each:
            with suppress(KeyError, TypeError, ValueError):
                correct = feedback.get((id_, step["model"]))
                found.append(_Verified(float(step["score"]), step["probability"], bool(step["accepted"]), correct))
    return found
