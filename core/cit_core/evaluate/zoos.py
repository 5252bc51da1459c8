"""Zoos: by size and date as in the paper's table 1, and seeded random ones of similar strength."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np

from cit_core.evaluate.comparison import Zoo
from cit_core.records import Candidate

__all__ = ["described", "named_zoos"]

SMALL_B, LARGE_B = 10.0, 60.0
"""Limits in billions of parameters: below the first a model is small; from the second on, or of unknown size, large."""


def named_zoos(candidates: Sequence[Candidate]) -> dict[str, Zoo]:
    """Return the zoos of the paper's table 1, built from sizes and release dates alone.

    `smaller-scale` the five newest small models; `smaller-mixed` and the three oldest small ones; `middle-mixed` the
    five and everything of middle size; `larger-mixed` these and the three newest large ones; `high-performance` those
    three; `all` every model.
    """
    newest = sorted(range(len(candidates)), key=lambda k: (candidates[k].released or date.min, candidates[k].id))[::-1]
    size = [candidate.params_b if candidate.params_b is not None else np.inf for candidate in candidates]
    small = [k for k in newest if size[k] < SMALL_B]
    middle = [k for k in newest if SMALL_B <= size[k] < LARGE_B]
    large = [k for k in newest if size[k] >= LARGE_B]
    five, three = small[:5], large[:3]
    zoos = {
        "smaller-scale": five,
        "smaller-mixed": five + [k for k in small[-3:] if k not in five],
        "middle-mixed": five + middle,
        "larger-mixed": five + middle + three,
        "high-performance": three,
        "all": newest,
    }
    return {name: tuple(sorted(zoo)) for name, zoo in zoos.items() if len(zoo) > 1}


def described(zoos: Sequence[Zoo]) -> str:
    """Return the number of `random_zoos` as a phrase."""
    return f"one zoo of {len(zoos[0])}" if len(zoos) == 1 else f"{len(zoos)} zoos of similar strength"
