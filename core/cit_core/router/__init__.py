"""The router, its scorers, the parts that adapters need, and feedback."""

from cit_core.router.batching import Batching
from cit_core.router.engine import MAX_CHARACTERS
from cit_core.router.fallback import Attempts, Failure, Fallback
from cit_core.router.query import CHARACTERS_PER_TOKEN, Query, estimate_tokens
from cit_core.router.router import Router
from cit_core.router.scorer import FakeScorer, Scorer
from cit_core.router.sticky import Conversation, Sticky

Failover = Fallback
"""The name that earlier releases and LangChain's users know; the same class."""

__all__ = [
    "CHARACTERS_PER_TOKEN",
    "MAX_CHARACTERS",
    "Attempts",
    "Batching",
    "Conversation",
    "Failover",
    "Failure",
    "FakeScorer",
    "Fallback",
    "Query",
    "Router",
    "Scorer",
    "Sticky",
    "estimate_tokens",
]
