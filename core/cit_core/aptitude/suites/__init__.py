"""Suites of questions: sampling, files, and the sources of their texts."""

from cit_core.aptitude.suites.registry import (
    BASICS,
    find_suite,
    generated,
    next_version,
    read_suite,
    save_suite,
    with_hashes,
)

__all__ = [
    "BASICS",
    "find_suite",
    "generated",
    "next_version",
    "read_suite",
    "save_suite",
    "with_hashes",
]
