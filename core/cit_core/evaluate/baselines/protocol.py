"""Protocol of a baseline, and the fitted scorer.

Axes: N queries, K candidates, M models, D width.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from cit_core.errors import MissingExtra, UnknownCandidate
from cit_core.evaluate.baselines.baseline_data import Array, BaselineData
from cit_core.records import Capability
from cit_core.router import Scorer

__all__ = ["Baseline", "Encode", "Fitted", "Predict", "Uses", "bench_module", "by_column", "one_thread"]

Uses = Literal["profile", "responses"]
"""Data used of a candidate: its profile alone, or its own item-level outcomes (of a new model: its core answers)."""
Encode = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts to unit trunk vectors, (N, D)."""
Predict = Callable[[NDArray[np.float32], Sequence[Capability]], Array]
"""Vectors of queries (N, D) and K capabilities to P(correct), (N, K)."""


class Baseline(Protocol):
    """Something that becomes a scorer by looking at outcomes."""

    name: str
    uses: Uses

    def fit(self, data: BaselineData, encode: Encode) -> Scorer:
        """Learn from training items, choose hyper-parameters on validation items.

        Args:
            data: The data to learn from.
            encode: Gives the vectors of the queries that the scorer is asked about later.

        Raises:
            InvalidInput: If it uses responses and a model has none.
            MissingExtra: If the `bench` extra is not installed.
        """
        ...


@dataclass(frozen=True)
class Fitted:
    """A baseline after its fit; satisfies `Scorer`."""

    name: str
    encode: Encode = field(repr=False)
    predict: Predict = field(repr=False)
    chosen: Mapping[str, object]
    """Hyper-parameters, as chosen on validation items."""

    def score(self, instructions: Sequence[str], capabilities: Sequence[Capability]) -> Array:
        """Return P(correct) of N queries for K candidates, (N, K).

        Raises:
            UnknownCandidate: If the baseline uses responses and has not seen a candidate.
        """
        if not instructions or not capabilities:
            return np.zeros((len(instructions), len(capabilities)))
        return np.clip(self.predict(self.encode(instructions), capabilities), 0.0, 1.0).astype(np.float64)


def by_column(name: str, ids: Sequence[str], predict: Callable[[NDArray[np.float32]], Array]) -> Predict:
    """Make a predictor of a baseline that knows models by their ids, not by their profiles.

    Args:
        name: Name of the baseline.
        ids: Ids of the M models.
        predict: Vectors of queries (N, D) to P(correct) for every one of them, (N, M).
    """
    columns = {id_: column for column, id_ in enumerate(ids)}

    def look_up(vectors_ND: NDArray[np.float32], capabilities: Sequence[Capability]) -> Array:
        asked = [capability.candidate.id for capability in capabilities]
        for id_ in asked:
            if id_ not in columns:
                raise UnknownCandidate(id_, columns, f"what {name!r} was fitted on")
        return predict(vectors_ND)[:, [columns[id_] for id_ in asked]]

    return look_up


def bench_module(name: str) -> Any:
    """Import a part of scikit-learn or SciPy.

    Raises:
        MissingExtra: If it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtra(f"{name.partition('.')[0]}, which the baselines need,", "bench") from error


def one_thread() -> AbstractContextManager[Any]:
    """Hold BLAS and OpenMP to one thread: several pools on the same few cores wait for each other most of the time.

    On two cores that are in use, one thread is two to a hundred times as fast.
    """
    limited: AbstractContextManager[Any] = bench_module("threadpoolctl").threadpool_limits(1)
    return limited
