"""A suite of sums that any test can read, and LLMs that know some of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from cit_core.records import Item, Suite, Task

__all__ = ["PER_TASK", "number_of", "skilled", "suite_of", "task_of"]

PER_TASK = 10
TASKS = ("sums", "letters", "words")
"""Graded as a number, a choice and a text."""


def suite_of(*tasks: str, per_task: int = PER_TASK) -> tuple[Suite, tuple[Item, ...]]:
    """Tasks of `per_task` items each."""
    items = tuple(_item(task, number) for task in tasks or TASKS for number in range(per_task))
    suite = Suite(
        name="small",
        tasks=[Task(id=task, keywords=(f"{task} of the test",)) for task in tasks or TASKS],
        items={task: [item.id for item in items if item.task == task] for task in tasks or TASKS},
        hashes={item.id: item.digest for item in items},
    )
    return suite, items


def _item(task: str, number: int) -> Item:
    question = f"{task} {number}: what is {number} + 1?"
    if task != "letters":
        grader, answer = ("number", str(number + 1)) if task == "sums" else ("exact", f"word {number + 1}")
        return Item(id=f"{task}/{number}", task=task, instruction=question, answer=answer, grader=grader)
    options = tuple(str(number + 1 + place) for place in range(4))
    options = options[-(number % 4) :] + options[: -(number % 4)] if number % 4 else options
    text = question + "".join(f"\n({letter}) {option}" for letter, option in zip("ABCD", options, strict=True))
    answer = "ABCD"[options.index(str(number + 1))]
    return Item(id=f"{task}/{number}", task=task, instruction=text, options=options, answer=answer)


def task_of(prompt: str) -> str:
    """The task that a prompt is of."""
    return prompt.split()[0]


def number_of(prompt: str) -> int:
    """The number of the item within its task."""
    return int(prompt.split()[1].rstrip(":"))


def skilled(knows: Mapping[str, int] | Callable[[str], bool]) -> Callable[[str], str]:
    """An LLM that knows the first so many items of each task, or the prompts it is said to know."""

    def answer(prompt: str) -> str:
        known = knows(prompt) if callable(knows) else number_of(prompt) < knows.get(task_of(prompt), 0)
        right = str(number_of(prompt) + 1)
        if task_of(prompt) == "letters":
            letters = {option: letter for letter, option in re.findall(r"^\((\w)\) (\d+)$", prompt, re.M)}
            wrong = next(letter for option, letter in letters.items() if option != right)
            return f"I count them one by one.\nAnswer: {letters[right] if known else wrong}"
        word = "word " if task_of(prompt) == "words" else ""
        return f"Answer: {word}{right if known else 'none'}"

    return answer
