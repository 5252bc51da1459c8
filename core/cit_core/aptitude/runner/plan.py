"""The questions of an aptitude test, with the key and the source of each answer.

The circle test asks a multiple-choice item several times with its options rotated: an LLM which knows the answer finds
it in every place, one which guesses or prefers a letter does not. Each turn is a question with a source of its own, so
a run that is resumed pays for no turn twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from statistics import fmean

from cit_core.aptitude.grading import grade, prompt, rotated
from cit_core.errors import InvalidInput
from cit_core.records import Item, Outcome, Suite, require_unique
from cit_core.store import ADAPTIVE

__all__ = ["AptitudeTest", "Question", "settle"]

SHOWN = 3
"""Ids that a message names."""


@dataclass(frozen=True)
class Question:
    """One call of an LLM."""

    item: Item
    """The item as it is asked: with its options rotated."""
    source: str
    """Source of the outcome."""

    @cached_property
    def prompt(self) -> str:
        """Text of the request."""
        return prompt(self.item)

    @property
    def key(self) -> str:
        """The same however often it is asked, by whichever process: SHA-256, 64 hex digits."""
        return hashlib.sha256(f"{self.source}\n{self.item.id}".encode()).hexdigest()


@dataclass(frozen=True)
class AptitudeTest:
    """One candidate and one suite, asked plainly or in a circle."""

    candidate: str
    suite: Suite
    items: tuple[Item, ...]
    """Items of the suite, with texts and answers."""
    circle: int = 0
    """Rotations of each multiple-choice item; 0 asks it once."""
    adaptive: bool = False
    """True if only the questions that tell most are asked."""

    @property
    def source(self) -> str:
        """Source of the items' outcomes."""
        named = f"{self.suite.name}@{self.suite.version}:{self.candidate}"
        if self.adaptive:
            return f"{ADAPTIVE}{named}"
        plain = f"aptitude:{named}"
        return f"{plain}:circle{self.circle}" if self.circle else plain

    @property
    def turn_sources(self) -> tuple[str, ...]:
        """Sources of the turns' outcomes, which never count by themselves."""
        return tuple(f"{self.source}#turn{turn}" for turn in range(self.circle))

    def goes_in_circle(self, item: Item) -> bool:
        """Return True if an item is decided by several questions."""
        return bool(self.circle and item.options)

    def questions(self, item: Item) -> tuple[Question, ...]:
        """Return the questions of an item, in order: it is right if every answer is. Rotations are spread evenly."""
        if not self.goes_in_circle(item):
            return (Question(item, self.source),)
        options, turns = len(item.options), min(self.circle, len(item.options))
        rotations = (turn * options // turns for turn in range(turns))
        return tuple(
            Question(rotated(item, turn), source) for turn, source in zip(rotations, self.turn_sources, strict=False)
        )

    def check(self) -> None:
        """Say what is wrong before a call is paid.

        Raises:
            InvalidInput: If the items are not the suite's, one cannot be asked or one cannot be graded.
        """
        require_unique((item.id for item in self.items), "items")
        task_of = {item: task.id for task in self.suite.tasks for item in self.suite.items[task.id]}
        given = {item.id: item.task for item in self.items}
        _refuse(task_of.keys() - given, "of the suite did not come; texts(suite, source) reads them all")
        _refuse(given.keys() - task_of, f"are not in suite {self.suite.name!r}; ask a suite's own items")
        _refuse((id_ for id_ in given if given[id_] != task_of[id_]), "have another task than in the suite")
        _refuse((item.id for item in self.items if not item.instruction), "have no text; --texts says where texts are")
        for item in self.items:
            for question in self.questions(item):
                grade(question.item, "")

    def in_turn(self, items: Iterable[Item]) -> Iterator[Item]:
        """Interleave tasks: the first item of each, then the second, so that an early stop covers every task."""
        of_task: dict[str, list[Item]] = {task.id: [] for task in self.suite.tasks}
        for item in items:
            of_task[item.task].append(item)
        return (item for row in zip_longest(*of_task.values()) for item in row if item is not None)


def settle(source: str, turns: Sequence[Outcome]) -> Outcome:
    """Return an item's outcome from those of its turns: right if all are; its usage is their mean, as of one query."""
    answers = [turn.answer for turn in turns if turn.answer is not None]
    prompt_tokens, completion_tokens = _mean(turns, "prompt_tokens"), _mean(turns, "completion_tokens")
    return Outcome(
        candidate=turns[0].candidate,
        item=turns[0].item,
        correct=min(turn.correct for turn in turns),
        source=source,
        when=turns[-1].when,
        cost_usd=_mean(turns, "cost_usd"),
        latency_s=_mean(turns, "latency_s"),
        prompt_tokens=None if prompt_tokens is None else round(prompt_tokens),
        completion_tokens=None if completion_tokens is None else round(completion_tokens),
        answer="\n---\n".join(answers),
    )


def _mean(turns: Sequence[Outcome], name: str) -> float | None:
    values = [value for turn in turns if (value := getattr(turn, name)) is not None]
    return fmean(values) if values else None


def _refuse(ids: Iterable[str], why: str) -> None:
    found = sorted(ids)
    if found:
        more = f" and {len(found) - SHOWN:,} more" if len(found) > SHOWN else ""
        raise InvalidInput(f"{len(found):,} items {why}: {', '.join(map(repr, found[:SHOWN]))}{more}")
