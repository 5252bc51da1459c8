"""The router, what predicts for it, and what is told to it afterwards."""

from cit_core.router.router import CHARACTERS_PER_TOKEN, MAX_CHARACTERS, Router
from cit_core.router.scorer import FakeScorer, Scorer

__all__ = ["CHARACTERS_PER_TOKEN", "MAX_CHARACTERS", "FakeScorer", "Router", "Scorer"]
