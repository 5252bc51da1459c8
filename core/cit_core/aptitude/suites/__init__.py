"""Suites: which questions make a test, where they are kept, and where their texts come from."""

from cit_core.aptitude.suites.keeping import (
    BASICS,
    find_suite,
    generated,
    next_version,
    read_suite,
    save_suite,
    with_hashes,
)
from cit_core.aptitude.suites.sampling import core_suite_from_outcomes, distinguishability

__all__ = [
    "BASICS",
    "core_suite_from_outcomes",
    "distinguishability",
    "find_suite",
    "generated",
    "next_version",
    "read_suite",
    "save_suite",
    "with_hashes",
]
