"""Write the prompt of an item, and grade an answer by a program, without a judge.

Four graders: `choice` of an option, `number`, `exact` text, `regex`. What an LLM's free text says is read in `answers`
and `numerals`.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Sequence

from cit_core.aptitude.grading.answers import (
    LETTERS,
    chosen_options,
    last_line,
    normal,
    statements,
)
from cit_core.aptitude.grading.numerals import stated_number
from cit_core.aptitude.grading.thoughts import without_thoughts
from cit_core.errors import InvalidInput
from cit_core.records import Item

__all__ = ["grade", "prompt", "rotated", "with_options"]

LONGEST = 20_000
"""Characters that are read of an answer, counted from its end."""
HOW_TO_ANSWER = {
    "choice": '\n\nEnd with a line "Answer: X", where X is the letter of the right option.',
    "number": '\n\nEnd with a line "Answer: N", where N is the number.',
    "exact": '\n\nEnd with a line "Answer: ..." that holds nothing but the answer.',
    "regex": "",  # the task itself says what the answer must look like
}


# -- what an LLM is asked ---------------------------------------------------------------------------------------------


def prompt(item: Item) -> str:
    """Return the prompt of an item: its instruction and a line that says how to answer.

    Raises:
        InvalidInput: If the item has no instruction.
    """
    if not item.instruction:
        raise InvalidInput(f"item {item.id!r} has no instruction; an LLM can only be asked items with their texts")
    return item.instruction + HOW_TO_ANSWER[_grader(item)]


def with_options(question: str, options: Sequence[str]) -> str:
    """Format a multiple-choice instruction: the question, then one line `(A) text` for each option.

    Raises:
        InvalidInput: If there are more options than letters.
    """
    if len(options) > len(LETTERS):
        raise InvalidInput(f"{len(options)} options; a question may have {len(LETTERS)}, a letter each")
    return "\n".join([question, *(f"({letter}) {option}" for letter, option in zip(LETTERS, options, strict=False))])


def rotated(item: Item, turn: int) -> Item:
    """Return the same question with its options moved up by `turn` places, the first ones going last.

    Asked in every turn, an LLM that prefers a letter gains nothing by it. As many turns as options give the item again.

    Raises:
        InvalidInput: If the item has no options, or its answer is none of them.
    """
    if not item.options:
        raise InvalidInput(f"item {item.id!r} has no options to rotate; ask it as it is")
    turn %= len(item.options)
    if turn == 0:
        return item
    changes: dict[str, object] = {"options": (options := item.options[turn:] + item.options[:turn])}
    if item.instruction is not None:
        question = item.instruction.removesuffix(with_options("", item.options))
        changes["instruction"] = with_options(question, options)
    if item.answer is not None and item.answer.strip() == LETTERS[place := _right_option(item)]:
        changes["answer"] = LETTERS[(place - turn) % len(options)]
    return item.model_copy(update=changes)


# -- grading ----------------------------------------------------------------------------------------------------------


def grade(item: Item, text: str) -> float:
    """Return 1.0 if a text answers the item correctly, else 0.0.

    An item that cannot be graded raises for any text, so `grade(item, "")` checks it before an LLM is paid.

    Args:
        item: Item with an answer: a letter or an option's text, a number, a text or a regular expression, as its grader
            says.
        text: The LLM's text, its reasoning included.

    Raises:
        InvalidInput: If the item has no answer, or one that its grader cannot use.
    """
    return float(_GRADERS[_grader(item)](item, without_thoughts(text)[-LONGEST:]))


def _grader(item: Item) -> str:
    return item.grader or ("choice" if item.options else "exact")


def _answer(item: Item) -> str:
    if item.answer is None or not item.answer.strip():
        raise InvalidInput(f"item {item.id!r} has no answer to compare with; give it one, or leave it out")
    return item.answer.strip()


def _right_option(item: Item) -> int:
    answer, letters = _answer(item), LETTERS[: len(item.options)]
    if len(answer) == 1 and answer in letters:
        return letters.index(answer)
    if answer in item.options:
        return item.options.index(answer)
    needed = f"one of the letters {letters} or the text of an option" if letters else "options to choose from"
    raise InvalidInput(f"item {item.id!r} is graded as a choice and its answer is {answer!r}; it needs {needed}")


def _choice(item: Item, text: str) -> bool:
    right = _right_option(item)
    return chosen_options(text, item.options) == {right}


def _number(item: Item, text: str) -> bool:
    right = stated_number(f"Answer: {_answer(item)}")
    if right is None or not math.isfinite(right.value):
        wrong = f"item {item.id!r} is graded as a number and its answer is {item.answer!r}"
        raise InvalidInput(f"{wrong}; it needs one like 18, -3.5 or 3/4")
    found = stated_number(text)
    return found is not None and found.equals(right)


def _exact(item: Item, text: str) -> bool:
    return normal(_answer(item)) in map(normal, [text, last_line(text), *statements(text)[-1:]])


def _regex(item: Item, text: str) -> bool:
    try:
        pattern = re.compile(unicodedata.normalize("NFC", _answer(item)))
    except (re.error, OverflowError, RecursionError) as error:
        raise InvalidInput(f"item {item.id!r} has an answer that is not a regular expression: {error}") from None
    text = unicodedata.normalize("NFC", text)
    return any(pattern.fullmatch(reading) for reading in (text.strip(), last_line(text)))


_GRADERS: dict[str, Callable[[Item, str], bool]] = {
    "choice": _choice,
    "number": _number,
    "exact": _exact,
    "regex": _regex,
}
