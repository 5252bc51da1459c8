"""Items to grade answers to."""

from typing import Any

from cit_core.records import Item

CITIES = ("Paris", "London", "Rome", "New York")


def item(answer: str | None, grader: Any = None, options: tuple[str, ...] = (), instruction: str | None = "Q?") -> Item:
    return Item(id="i", task="t", instruction=instruction, options=options, answer=answer, grader=grader)


def choice(answer: str, options: tuple[str, ...] = CITIES) -> Item:
    return item(answer, "choice", options)
