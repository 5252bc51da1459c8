"""Data classes of a run: options, progress and report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

from cit_core.errors import InvalidInput

__all__ = ["DEFAULTS", "Progress", "RunOptions", "RunReport", "Tally"]


def _require(fits: bool, name: str, value: object, range_: str) -> None:
    if not fits:
        raise InvalidInput(f"{name} is {value!r}; it must be {range_}")


@dataclass(frozen=True)
class RunOptions:
    """Options of a run.

    Raises:
        InvalidInput: If a number is out of its range.
    """

    concurrency: int = 8
    """Maximum number of requests at a time."""
    per_minute: float | None = None
    """Maximum number of requests started in a minute, evenly spaced; None for no limit."""
    timeout_s: float = 120.0
    """Time limit of one request, in seconds."""
    attempts: int = 6
    """Maximum number of attempts at a question before it counts as failed."""
    max_cost_usd: float | None = None
    """Limit on the cost of this test, earlier runs included; None for no limit."""
    max_failed: float = 0.05
    """Share of the items that may fail; if more do, nothing is published."""
    circle: int = 0
    """Rotations in which a multiple-choice item is asked; all must be right. 0 asks it once, as it is."""
    retest: bool = False
    """Ask every item again: what this test gave before is removed first."""
    adaptive: bool = False
    """Ask only the questions that tell most, chosen by the answers so far."""
    precision: float = 0.02
    """Standard error of the accuracy on the suite at which an adaptive test ends."""
    most: int = 100
    """Maximum number of questions of an adaptive test."""

    def __post_init__(self) -> None:
        _require(self.concurrency >= 1, "concurrency", self.concurrency, "1 or more")
        _require(self.per_minute is None or 0 < self.per_minute < inf, "per_minute", self.per_minute, "above 0")
        _require(0 < self.timeout_s < inf, "timeout_s", self.timeout_s, "above 0")
        _require(self.attempts >= 1, "attempts", self.attempts, "1 or more")
        _require(self.max_cost_usd is None or self.max_cost_usd >= 0, "max_cost_usd", self.max_cost_usd, "0 or more")
        _require(0 <= self.max_failed < 1, "max_failed", self.max_failed, "a share: 0 or more and below 1")
        _require(self.circle >= 0, "circle", self.circle, "0 or more")
        _require(0 < self.precision < 1, "precision", self.precision, "a standard error: above 0 and below 1")
        _require(self.most >= 1, "most", self.most, "1 or more")
        _require(not (self.adaptive and self.circle), "circle", self.circle, "0 in an adaptive test")


DEFAULTS = RunOptions()


@dataclass(frozen=True)
class Tally:
    """Items that were answered, and how many of them rightly."""

    right: float = 0.0
    answered: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.right + other.right, self.answered + other.answered)

    @property
    def share(self) -> float:
        """Right among the answered."""
        return self.right / self.answered


@dataclass(frozen=True)
class Progress:
    """Progress of a run."""

    total: int
    """Number of items of the test, the most that are asked where it is adaptive."""
    done: int
    """Number of items with an outcome, from this run or an earlier one."""
    answered: int
    """Number of items answered by this run."""
    failed: int
    retries: int
    """Number of repeated requests."""
    cost_usd: float
    """Cost of this test so far, earlier runs included; an answer without a known price counts 0."""
    tasks: Mapping[str, Tally]
    """Result of every task that has an answer."""
    reasons: Mapping[str, int] = field(default_factory=dict)
    """Reason to number of items that failed for it."""
    trouble: str | None = None
    """Error of the last request that had to be repeated."""


@dataclass(frozen=True)
class RunReport:
    """Result of a run."""

    candidate: str
    source: str
    """Source of the outcomes in the store."""
    total: int
    """Number of items of the test, the most that are asked where it is adaptive."""
    known: int
    """Number of items that had an outcome before this run."""
    answered: int
    """Number of items that this run answered."""
    failed: tuple[tuple[str, str], ...]
    """(Item, reason) of each item that this run could not answer."""
    tasks: Mapping[str, Tally]
    """Result of every task that has an answer, earlier runs included. Of an adaptive test they are estimates for all of
    a task's items, with the number of those that were asked."""
    cost_usd: float
    """Cost of this test, earlier runs included; an answer without a known price counts 0."""
    retries: int
    stopped: str | None
    """Reason if not every item was tried, else None."""
    published: bool
    """True if the outcomes count in the candidate's capability."""
    error: float | None = None
    """Standard error of the accuracy on the suite, of an adaptive test."""
    cut_off: int = 0
    """Number of answers of this run that ended at the limit of their tokens, and were graded as they came."""

    @property
    def asked(self) -> int:
        """Items that this run tried."""
        return self.answered + len(self.failed)

    @property
    def right(self) -> dict[str, float]:
        """Task to the share of right answers."""
        return {task: tally.share for task, tally in self.tasks.items()}

    @property
    def mean_accuracy(self) -> float | None:
        """Mean over tasks, each counting once; None where nothing was answered."""
        return sum(self.right.values()) / len(self.right) if self.right else None

    @property
    def reasons(self) -> dict[str, int]:
        """Why items failed and how many did, the most frequent reason first."""
        return dict(Counter(reason for _, reason in self.failed).most_common())
