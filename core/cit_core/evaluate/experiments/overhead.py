"""Figure 2: the time of a decision, against the size of the zoo and the length of the query."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

from cit_core.evaluate.results import Column, Figure, Series, Table
from cit_core.records import Candidate, Capability
from cit_core.router import Scorer

__all__ = ["overhead"]

SIZES = (2, 4, 8, 16, 32, 64, 128)
LENGTHS = (16, 32, 64, 128, 256)
SENTENCE = "A second train leaves the same station an hour later and follows the first one at eighty miles an hour. "


def overhead(
    scorer: Scorer, profiles: Sequence[Capability], repeats: int = 30
) -> tuple[tuple[Table, ...], tuple[Figure, ...]]:
    """Time one pass for the whole zoo, as here, and a forward for every candidate, as in the paper.

    Args:
        scorer: The network.
        profiles: Copied until there are enough.
        repeats: Number of measurements of each, alternating; the median is reported.
    """
    text = (SENTENCE * 3)[:230]
    by_size = {size: _both(scorer, text, _zoo(profiles, size), repeats) for size in SIZES}
    by_length = {
        length: _both(scorer, (SENTENCE * 30)[: 4 * length], _zoo(profiles, 16), repeats) for length in LENGTHS
    }
    return (
        (
            _table("candidates", by_size, "A query of about 50 tokens."),
            _table("tokens, about", by_length, "Sixteen candidates."),
        ),
        (
            _figure("overhead-candidates", "candidates", by_size),
            _figure("overhead-tokens", "tokens of the query, about", by_length),
        ),
    )


def _zoo(profiles: Sequence[Capability], size: int) -> list[Capability]:
    return [
        profiles[place % len(profiles)].model_copy(
            update={"candidate": Candidate(id=f"copy-{place}", notes=str(place))}
        )
        for place in range(size)
    ]


def _both(scorer: Scorer, text: str, zoo: list[Capability], repeats: int) -> tuple[float, float]:
    def one_pass() -> None:
        scorer.score([text], zoo)

    def one_by_one() -> None:
        for capability in zoo:
            scorer.score([text], [capability])

    calls: tuple[Callable[[], None], ...] = one_pass, one_by_one
    taken: list[list[float]] = [[], []]
    for call in calls:
        call()
    for _ in range(repeats):
        for place, call in enumerate(calls):
            started = time.perf_counter()
            call()
            taken[place].append(1e3 * (time.perf_counter() - started))
    return statistics.median(taken[0]), statistics.median(taken[1])


def _table(what: str, found: Mapping[int, tuple[float, float]], note: str) -> Table:
    return Table(
        title=f"Against the number of {what}",
        columns=(
            Column(what, "count"),
            Column("one pass, ms", "ms"),
            Column("one forward per candidate, ms", "ms"),
            Column("ratio", "ratio"),
        ),
        rows=tuple((size, ours, theirs, theirs / ours) for size, (ours, theirs) in found.items()),
        note=f"{note} Medians, the two in turns. Re-ranking cannot be drawn: it needs every candidate's answer first, "
        "so it waits for the slowest model and pays for all of them.",
    )


def _figure(name: str, x_label: str, found: Mapping[int, tuple[float, float]]) -> Figure:
    x = tuple(map(float, found))
    return Figure(
        name=name,
        title=f"Time of a decision against {x_label}",
        x_label=x_label,
        y_label="ms",
        series=(
            Series("one pass for the zoo (ours)", x, tuple(ours for ours, _ in found.values()), ours=True),
            Series("one forward per candidate", x, tuple(theirs for _, theirs in found.values())),
        ),
        kind="line",
        x_log=True,
    )
