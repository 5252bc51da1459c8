"""The suite `cit-basics`: every item is drawn from its id, so a longer suite begins with the shorter one."""

from __future__ import annotations

from cit_core.aptitude.basics import chance, everyday, logic, mathematics, numbers, programs, words
from cit_core.aptitude.basics.question import Dice, Question, Recipe
from cit_core.aptitude.grading import with_options
from cit_core.errors import InvalidInput
from cit_core.records import Item, Suite, Task

__all__ = ["RECIPES", "basics", "examples"]

RECIPES: dict[str, Recipe] = {
    name: recipe
    for theme in (numbers, mathematics, chance, logic, words, everyday, programs)
    for name, recipe in theme.TASKS.items()
}
"""Task name to how its questions are made."""
ATTEMPTS = 1_000
"""At a question that the suite does not have yet."""


def basics(seed: int = 0, shots: int = 20) -> tuple[Suite, tuple[Item, ...]]:
    """The suite `cit-basics` with its items.

    The same seed gives the same questions on every platform; a new seed gives questions that are published nowhere. The
    first items of a task are the same for any number of shots, and any number of them spreads from easy to hard.

    Args:
        seed: 0 makes `cit-basics`, any other `cit-basics:SEED`.
        shots: Items of each task.

    Returns:
        The suite, with the digests of its items; and the items, with their answers, task by task.

    Raises:
        InvalidInput: If `shots` is less than 1, or more than there are different questions of a task.
    """
    items = {name: _items(name, seed, shots) for name in RECIPES}
    suite = Suite(
        name=f"cit-basics:{seed}" if seed else "cit-basics",
        tasks=tuple(Task(id=_task_id(name), keywords=recipe.keywords) for name, recipe in RECIPES.items()),
        items={_task_id(name): tuple(item.id for item in made) for name, made in items.items()},
        hashes={item.id: item.digest for made in items.values() for item in made},
    )
    return suite, tuple(item for made in items.values() for item in made)


def examples(seed: int = 0, shots: int = 20) -> dict[str, str]:
    """Return a text that matches the answer's regular expression, for each item which has one: item id to text."""
    return {
        _item_id(name, seed, place): question.example
        for name in RECIPES
        for place, question in enumerate(_questions(name, seed, shots))
        if question.example is not None
    }


def _task_id(name: str) -> str:
    return f"basics-{name}"  # a task's id is one in the whole store: others have an "arithmetic" too


def _item_id(name: str, seed: int, place: int) -> str:
    return f"cit-basics/{seed}/{name}/{place:02d}"


def _items(name: str, seed: int, shots: int) -> list[Item]:
    return [
        Item(
            id=_item_id(name, seed, place),
            task=_task_id(name),
            instruction=with_options(question.text, question.options),
            options=question.options,
            answer=question.answer,
            grader=question.grader,
        )
        for place, question in enumerate(_questions(name, seed, shots))
    ]


def _questions(name: str, seed: int, shots: int) -> list[Question]:
    if shots < 1:
        raise InvalidInput(f"shots is {shots}; a task needs 1 question or more")
    asked: dict[object, Question] = {}
    while len(asked) < shots:
        place = len(asked)
        drawn = (RECIPES[name].make(Dice(f"{seed}/{name}/{place}/{n}"), _spread(place)) for n in range(ATTEMPTS))
        new = next((question for question in drawn if (question.text, frozenset(question.options)) not in asked), None)
        if new is None:
            raise InvalidInput(f"task {name!r} has no {shots} different questions; ask for {place} shots or fewer")
        asked[new.text, frozenset(new.options)] = new
    return list(asked.values())


def _spread(place: int) -> float:
    """0, 1/2, 1/4, 3/4, 1/8, ...: the binary digits mirrored (van der Corput, 1935)."""
    return int(f"{place:b}"[::-1], 2) / 2.0 ** place.bit_length()
