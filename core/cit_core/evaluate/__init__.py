"""Benchmark a router against the choices that are possible without it."""

from cit_core.evaluate.bench import Bench
from cit_core.evaluate.experiments import EXPERIMENTS
from cit_core.evaluate.results import Result
from cit_core.evaluate.samples import thin

__all__ = ["EXPERIMENTS", "Bench", "Result", "thin"]
