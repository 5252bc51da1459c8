"""Questions on short Python programs. The answers come from functions beside the sources, not from running them."""

from __future__ import annotations

from collections.abc import Sequence

from cit_core.aptitude.basics.question import Dice, Question, Tasks, choice, scaled

__all__ = ["TASKS"]

TASKS = Tasks()
ASKED = "What does this Python program print?\n\n"


@TASKS.add("Program Output", "Python", "Loops", "Code Execution", "Recursion")
def program_output(dice: Dice, difficulty: float) -> Question:
    """A number, from a loop over a condition to a recursion."""
    source, answer = dice.near([_filtered_sum, _running_value, _nested_count, _collatz, _recursion], difficulty)(
        dice, difficulty
    )
    return Question(ASKED + source, str(answer))


def _filtered_sum(dice: Dice, difficulty: float) -> tuple[str, int]:
    start, length, step = dice.between(1, 30), scaled(difficulty, 8, 30), dice.between(2, 5)
    rest = dice.between(0, step - 1)
    source = f"""\
total = 0
for n in range({start}, {start + length}):
    if n % {step} == {rest}:
        total += n
print(total)"""
    return source, sum(n for n in range(start, start + length) if n % step == rest)


def _running_value(dice: Dice, difficulty: float) -> tuple[str, int]:
    x, a, b, m = dice.between(2, 20), dice.between(3, 9), dice.between(1, 20), dice.between(17, 60)
    times = scaled(difficulty, 3, 9)
    source = f"""\
x = {x}
for _ in range({times}):
    x = ({a} * x + {b}) % {m}
print(x)"""
    for _ in range(times):
        x = (a * x + b) % m
    return source, x


def _nested_count(dice: Dice, difficulty: float) -> tuple[str, int]:
    n, m = scaled(difficulty, 5, 9) + dice.between(0, 2), dice.between(3, 7)
    a, rest = dice.between(1, 9), dice.between(0, m - 1)
    source = f"""\
count = 0
for i in range(1, {n}):
    for j in range(i, {n}):
        if (i * j + {a}) % {m} == {rest}:
            count += 1
print(count)"""
    return source, sum((i * j + a) % m == rest for i in range(1, n) for j in range(i, n))


def _collatz(dice: Dice, difficulty: float) -> tuple[str, int]:
    n, stop = dice.between(20, scaled(difficulty, 60, 200)), dice.between(2, 12)
    source = f"""\
n = {n}
largest = n
steps = 0
while n > {stop}:
    n = n // 2 if n % 2 == 0 else 3 * n + 1
    largest = max(largest, n)
    steps += 1
print(largest + steps)"""
    largest, steps = n, 0
    while n > stop:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        largest, steps = max(largest, n), steps + 1
    return source, largest + steps


def _recursion(dice: Dice, difficulty: float) -> tuple[str, int]:
    a, b, c, n = dice.between(1, 9), dice.between(1, 9), dice.between(2, 3), scaled(difficulty, 5, 8)
    less = dice.between(0, 9)
    source = f"""\
def f(n):
    if n < 2:
        return {a} + {b} * n
    return f(n - 1) + {c} * f(n - 2) - {less}

print(f({n}))"""
    values = [a, a + b]
    while len(values) <= n:
        values.append(values[-1] + c * values[-2] - less)
    return source, values[n]


@TASKS.add("List Operations", "Slicing", "Comprehensions", "Sorting with Keys", "Code Reading")
def list_operations(dice: Dice, difficulty: float) -> Question:
    """A printed list; wrong options come from the usual slips."""
    values = dice.several(range(2, 60), scaled(difficulty, 6, 9))
    source, right, slips = dice.near([_comprehension, _slice, _sorted, _shared], difficulty)(dice, values)
    wrong = [*slips, right[::-1], right[:-1], [*right, values[0]], [*right[1:], *right[:1]]]
    return choice(dice, f"{ASKED}values = {values}\n{source}", str(right), map(str, wrong))


Listing = tuple[str, list[int], list[list[int]]]


def _comprehension(dice: Dice, values: Sequence[int]) -> Listing:
    times, modulus = dice.between(2, 5), dice.between(2, 4)
    return (
        f"print([{times} * v for v in values if v % {modulus}])",
        [times * v for v in values if v % modulus],
        [
            [times * v for v in values if v % modulus == 0],
            [v for v in values if v % modulus],
            [times * v for v in values],
        ],
    )


def _slice(dice: Dice, values: Sequence[int]) -> Listing:
    start, step = dice.between(0, 2), dice.between(1, 2)
    end = dice.between(-2, -1)
    return (
        f"print(values[{start}:{end}:{step}][::-1])",
        list(values[start:end:step][::-1]),
        [list(values[start:end:step]), list(values[start::step][::-1]), list(values[start + 1 : end : step][::-1])],
    )


def _sorted(dice: Dice, values: Sequence[int]) -> Listing:
    modulus, few = dice.between(3, 7), dice.between(3, 5)
    return (
        f"print(sorted(values, key=lambda v: v % {modulus})[:{few}])",
        sorted(values, key=lambda v: v % modulus)[:few],
        [
            sorted(values)[:few],
            sorted(values, key=lambda v: (v % modulus, v))[:few],
            sorted(values, key=lambda v: -(v % modulus))[:few],
        ],
    )


def _shared(dice: Dice, values: Sequence[int]) -> Listing:
    place, new, last = dice.between(0, 2), dice.between(60, 99), dice.between(60, 99)
    source = f"""\
other = values
copy = values[:]
other[{place}] = {new}
copy.append({last})
values = values + [len(copy)]
print(other[:3] + copy[:2] + values[-2:])"""
    other, copy = list(values), [*values, last]
    other[place] = new
    longer = [*other, len(copy)]
    unshared, copied = list(values), [*other, last]
    return (
        source,
        other[:3] + copy[:2] + longer[-2:],
        [
            unshared[:3] + copy[:2] + longer[-2:],
            other[:3] + copied[:2] + longer[-2:],
            other[:3] + copy[:2] + [*other, len(values)][-2:],
        ],
    )
