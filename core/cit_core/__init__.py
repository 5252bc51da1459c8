"""cit-router: the LLM most likely to get each query right, predicted in milliseconds without calling any LLM."""

from typing import TYPE_CHECKING

from cit_core.errors import CITError
from cit_core.policy import Best, Constraints, CostAware, Threshold
from cit_core.records import Candidate, Capability, Decision, Item, Outcome, Task
from cit_core.router import FakeScorer, Router, Scorer
from cit_core.runtime import load_scorer

if TYPE_CHECKING:
    from cit_core.store import CapabilityStore

__all__ = [
    "Best",
    "CITError",
    "Candidate",
    "Capability",
    "CapabilityStore",
    "Constraints",
    "CostAware",
    "Decision",
    "FakeScorer",
    "Item",
    "Outcome",
    "Router",
    "Scorer",
    "Task",
    "Threshold",
    "load_scorer",
]


def __getattr__(name: str) -> object:
    """Import the store when it is used: routing alone need not wait for SQLAlchemy."""
    if name == "CapabilityStore":
        from cit_core.store import CapabilityStore

        return CapabilityStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
