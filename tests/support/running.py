"""Runs of an aptitude test in virtual time, for the tests of the runner."""

from __future__ import annotations

from typing import Any

from small_suite import suite_of
from virtual_time import run_virtually

from cit_core.aptitude.runner import RunOptions, RunReport, arun_aptitude
from cit_core.records import Candidate
from cit_core.store import CapabilityStore

__all__ = ["ITEMS", "PRICED", "SKILL", "SOURCE", "SUITE", "accuracies", "run"]

SUITE, ITEMS = suite_of()
SOURCE = "aptitude:small@1:fake"
SKILL = {"sums": 8, "letters": 5, "words": 3}
PRICED = Candidate(id="fake", price_in=1.0, price_out=10.0)


def run(client: Any, store: CapabilityStore, *, suite: Any = (SUITE, ITEMS), **options: Any) -> RunReport:
    """A run with these options, in virtual time; `candidate` and `progress` are the runner's own."""
    named = {name: options.pop(name) for name in ("candidate", "progress") if name in options}
    return run_virtually(arun_aptitude(client, *suite, store, options=RunOptions(**options), **named))


def accuracies(store: CapabilityStore, candidate: str = "fake") -> dict[str, float]:
    """What counts in the store."""
    return {result.task.id: result.accuracy for result in store.capability(candidate).results}
