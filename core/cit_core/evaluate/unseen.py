"""The network under test, and for tables that it has learnt from, networks that were trained without them.

A network that ships has learnt from every table that its makers have. What it is worth on a new one is told by networks
of the same recipe that left tables out, each on those alone (`cit train --without`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cit_core.errors import InvalidInput
from cit_core.outcomes import OutcomeMatrix
from cit_core.records import Capability
from cit_core.router.loading import Network
from cit_core.runtime import load_scorer

__all__ = ["Judged", "Unseen", "judged_unseen"]


class Unseen:
    """A `Network` that reads the texts of some tables by other networks.

    Args:
        network: Reads everything else.
        of_text: Text to the network that reads it; all make the same vectors.
    """

    def __init__(self, network: Network, of_text: Mapping[str, Network]) -> None:
        others = sorted({other.name for other in of_text.values()})
        self._network, self._of_text = network, dict(of_text)
        self.name = f"{network.name}, unseen tables by {len(others)} others@{_hash(others)}"
        self.max_tokens, self.encoder = network.max_tokens, network.encoder

    def score(self, instructions: Sequence[str], capabilities: Sequence[Capability]) -> NDArray[np.float64]:
        """Return P(correct), (N, K)."""
        found = np.zeros((len(instructions), len(capabilities)))
        for network, rows in self._parts(instructions):
            found[rows] = network.score([instructions[row] for row in rows], capabilities)
        return found

    def read(
        self, instructions: Sequence[str], capabilities: Sequence[Capability]
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Return calibrated log-odds (N, K) and unit vectors (N, D)."""
        odds_NK = np.zeros((len(instructions), len(capabilities)))
        vectors: dict[int, NDArray[np.float32]] = {}
        for network, rows in self._parts(instructions):
            odds_NK[rows], read_ND = network.read([instructions[row] for row in rows], capabilities)
            vectors.update(zip(rows, read_ND, strict=True))
        return odds_NK, np.stack([vectors[row] for row in range(len(instructions))])

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return unit vectors of texts, (len(texts), D)."""
        return self._network.encode(texts)

    def _parts(self, texts: Sequence[str]) -> list[tuple[Network, list[int]]]:
        rows: dict[int, tuple[Network, list[int]]] = {}
        for row, text in enumerate(texts):
            network = self._of_text.get(text, self._network)
            rows.setdefault(id(network), (network, []))[1].append(row)
        return list(rows.values())


class Judged(NamedTuple):
    """A network under test."""

    scorer: Network
    learnt: frozenset[str]
    """Names of the tables that it has learnt from."""


def judged_unseen(network: Network, learnt: Collection[str], folder: Path, tables: Sequence[OutcomeMatrix]) -> Judged:
    """Read tables that a network has learnt from by those of its siblings that have not.

    Args:
        network: The network under test.
        learnt: Names of the tables that it has learnt from.
        folder: Folder of a run of `cit train --without`.
        tables: All tables.

    Raises:
        InvalidInput: If there is no such network in the folder, or one makes other vectors.
    """
    siblings = [load_scorer(path) for path in sorted(folder.glob("without-*/checkpoint"))]
    if not siblings:
        raise InvalidInput(
            f"{folder} has no without-NAMES/checkpoint: cit train --data FOLDER --out {folder} --without NAMES"
        )
    of_text: dict[str, Network] = {}
    unseen = set()
    for table in tables:
        sibling = next(
            (one for one in siblings if one.checkpoint.learnt and table.name not in one.checkpoint.learnt), None
        )
        if table.name in learnt and sibling is not None:
            if sibling.encoder != network.encoder:
                raise InvalidInput(f"{sibling.checkpoint.folder} makes other vectors than {network.name}")
            of_text.update(dict.fromkeys(table.instructions, sibling))
            unseen.add(table.name)
    return Judged(Unseen(network, of_text), frozenset(learnt) - unseen)


def _hash(names: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:8]
