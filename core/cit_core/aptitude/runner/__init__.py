"""The aptitude test of a live model: asked once, graded, kept as it comes, and counted when it is whole."""

from cit_core.aptitude.runner.estimate import Estimate, estimate
from cit_core.aptitude.runner.runner import arun_aptitude, run_aptitude
from cit_core.aptitude.runner.runs import Progress, RunOptions, RunReport, Tally

__all__ = [
    "Estimate",
    "Progress",
    "RunOptions",
    "RunReport",
    "Tally",
    "arun_aptitude",
    "estimate",
    "run_aptitude",
]
