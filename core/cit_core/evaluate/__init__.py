"""Benchmark a router against the choices that are possible without it."""

from cit_core.evaluate.bench import EXPERIMENTS, Bench, thin
from cit_core.evaluate.results import Result

__all__ = ["EXPERIMENTS", "Bench", "Result", "thin"]
