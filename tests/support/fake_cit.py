"""The command line with a fake zoo: three models, probabilities that depend on the text alone. Also a script."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

from cit_core import Candidate, FakeScorer, Router
from cit_core.policy import Policy

ZOO = (
    Candidate(id="small", price_in=0.1, price_out=0.2),
    Candidate(id="large", price_in=10, price_out=30),
    Candidate(id="free [beta]"),
)


def probability(instruction: str, candidate: str) -> float:
    """A number in [0, 1) that every run agrees on."""
    return int.from_bytes(hashlib.sha256(f"{candidate}\t{instruction}".encode()).digest()[:4], "big") / 2**32


class PausingScorer(FakeScorer):
    """Takes its time for every call, so that a run can be killed in the middle."""

    def score(self, instructions, capabilities):  # type: ignore[no-untyped-def]
        time.sleep(float(os.environ.get("FAKE_CIT_PAUSE", "0")))
        return super().score(instructions, capabilities)


def absolute(url: str) -> str:
    """Return how the command line shows a relative SQLite URL."""
    return f"sqlite:///{Path.cwd() / url.removeprefix('sqlite:///')}"


def open_router(checkpoint: str, store: str | None, models: Sequence[str] | None, policy: Policy) -> Router:
    """Stands where `cit_core.cli._options.open_router` stands."""
    zoo = [candidate for candidate in ZOO if models is None or candidate.id in models]
    return Router(PausingScorer(probability), zoo, policy=policy)


if __name__ == "__main__":
    from cit_core.cli import main

    main(open_router)
