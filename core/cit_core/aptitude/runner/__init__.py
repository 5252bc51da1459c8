"""Run the aptitude test of a live model: each question is asked once, graded and stored; a complete test counts."""

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
