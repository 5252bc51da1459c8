"""Benchmark a router against the choices that are possible without it."""

from cit_core.evaluate.bench import Bench, thin
from cit_core.evaluate.experiments import EXPERIMENTS
from cit_core.evaluate.results import Result

__all__ = ["EXPERIMENTS", "Bench", "Result", "thin"]
