"""The router, its scorers, the parts that adapters need, and feedback."""

from cit_core.pictures import Picture
from cit_core.router.batching import Batching
from cit_core.router.cascade import Cascade, CascadeRun
from cit_core.router.cascade_log import logged_verdicts
from cit_core.router.engine import MAX_CHARACTERS
from cit_core.router.fallback import Attempts, Failure, Fallback
from cit_core.router.query import CHARACTERS_PER_TOKEN, Query, estimate_tokens
from cit_core.router.reliability import Rates, Reliability, ScoreRatio, fit_reliability
from cit_core.router.router import Router
from cit_core.router.scorer import FakeScorer, Scorer
from cit_core.router.sticky import Conversation, Sticky
from cit_core.router.verifiers import Agreement, Answer, FollowsSchema, Judge, Matches, MeanLogprob, Verdict
from cit_core.runtime.picture_reader import Pictures

Failover = Fallback
"""The name that earlier releases and LangChain's users know; the same class."""

__all__ = [
    "CHARACTERS_PER_TOKEN",
    "MAX_CHARACTERS",
    "Agreement",
    "Answer",
    "Attempts",
    "Batching",
    "Cascade",
    "CascadeRun",
    "Conversation",
    "Failover",
    "Failure",
    "FakeScorer",
    "Fallback",
    "FollowsSchema",
    "Judge",
    "Matches",
    "MeanLogprob",
    "Picture",
    "Pictures",
    "Query",
    "Rates",
    "Reliability",
    "Router",
    "ScoreRatio",
    "Scorer",
    "Sticky",
    "Verdict",
    "estimate_tokens",
    "fit_reliability",
    "logged_verdicts",
]
