"""Parts of a task: a question, draws that are the same on every platform, and a table of tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Literal, NamedTuple, TypeVar

from cit_core.aptitude.grading.answers import LETTERS

__all__ = ["ORDINALS", "Dice", "Make", "Question", "Recipe", "Tasks", "choice", "listed", "scaled"]

T = TypeVar("T")
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


class Question(NamedTuple):
    """A question with its answer, before it gets an id.

    Attributes:
        text: Without the options.
        answer: The answer for `grade`: a number, a text, the letter of an option or a regular expression.
        grader: Method of comparing an answer.
        options: Options of a choice.
        example: For a regular expression: a text that it accepts.
    """

    text: str
    answer: str
    grader: Literal["choice", "number", "exact", "regex"] = "number"
    options: tuple[str, ...] = ()
    example: str | None = None


class Dice:
    """Draws that are the same on every Python and platform.

    They use `Random.random()` alone: the only sequence that Python promises never to change.
    """

    def __init__(self, seed: str) -> None:
        source = Random()  # noqa: S311 - puzzles, not secrets
        source.seed(seed, version=2)
        self._random = source.random

    def between(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + int(self._random() * (high - low + 1))

    def pick(self, values: Sequence[T]) -> T:
        """One of the values."""
        return values[self.between(0, len(values) - 1)]

    def near(self, values: Sequence[T], difficulty: float) -> T:
        """Draw one of the values, which are ordered from easy to hard, near the difficulty."""
        place = int(difficulty * len(values))
        return self.pick(values[max(0, place - 1) : place + 1])

    def several(self, values: Iterable[T], number: int) -> list[T]:
        """Draw a number of different values, in random order."""
        left = list(values)
        return [left.pop(self.between(0, len(left) - 1)) for _ in range(number)]

    def shuffled(self, values: Iterable[T]) -> list[T]:
        """Return all values in random order."""
        left = list(values)
        return self.several(left, len(left))


def scaled(difficulty: float, easy: int, hard: int) -> int:
    """A whole number on the way from easy to hard."""
    return int(easy + (hard - easy) * difficulty + 0.5)


def choice(dice: Dice, text: str, right: str, wrong: Iterable[str], number: int = 4) -> Question:
    """Return a multiple-choice question; the right option is equally likely in every place.

    Args:
        dice: Places the options.
        text: The question.
        right: The right option.
        wrong: Others, those that are taken first; the right one among them, or one twice, does no harm.
        number: Maximum number of options.
    """
    options = dice.shuffled([option for option in dict.fromkeys(wrong) if option != right][: number - 1])
    place = dice.between(0, len(options))
    options.insert(place, right)
    return Question(text, LETTERS[place], "choice", tuple(options))


def listed(names: Sequence[str], word: str = "and") -> str:
    """Join names into a phrase: Ann, Bob and Cleo."""
    return f" {word} ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


Make = Callable[[Dice, float], Question]
"""Makes one question from draws and a difficulty in [0, 1)."""


class Recipe(NamedTuple):
    """A task's keywords and the function that makes its questions."""

    keywords: tuple[str, ...]
    make: Make


class Tasks(dict[str, Recipe]):
    """The tasks of a theme by name."""

    def add(self, *keywords: str) -> Callable[[Make], Make]:
        """Enter the decorated function, under its own name with hyphens."""

        def enter(make: Make) -> Make:
            self[make.__name__.replace("_", "-")] = Recipe(keywords, make)
            return make

        return enter
