"""Questions on counting and on probability."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import product
from math import comb, factorial, prod

from cit_core.aptitude.basics.question import Dice, Question, Tasks, choice, scaled

__all__ = ["TASKS"]

TASKS = Tasks()


@TASKS.add("Combinatorics", "Counting", "Permutations", "Combinations", "Arrangements")
def combinatorics(dice: Dice, difficulty: float) -> Question:
    """Meals, codes, teams, strings, shelves and paths."""
    a, b, c = dice.between(4, 12), dice.between(4, 12), dice.between(4, 12)
    few, some = dice.between(2, 4), dice.between(2, 4)
    kinds = [
        (
            f"A meal is one of {a} starters, one of {b} main courses, one of {c} desserts and one of {few} drinks. "
            "How many different meals are there?",
            a * b * c * few,
        ),
        (
            f"A code has {few + 1} places, each with one of {a + b} symbols. The same symbol never stands twice side "
            f"by side, and {some} of the symbols cannot stand first. How many codes are there?",
            (a + b - some) * (a + b - 1) ** few,
        ),
        (
            f"In how many ways can a team of {few} women and {some} men be chosen from {a} women and {b} men?",
            comb(a, few) * comb(b, some),
        ),
        _strings(dice, scaled(difficulty, 5, 9)),
        (
            f"A team of {few + some} is chosen from {a} women and {b} men. How many teams have at least one man?",
            comb(a + b, few + some) - comb(a, few + some),
        ),
        (
            f"{a} atlases, {few} novels and {some} dictionaries, all different, stand on one shelf. In how many orders "
            "do all the novels stand side by side and all the dictionaries side by side?",
            factorial(a + 2) * factorial(few) * factorial(some),
        ),
        _paths(few, some, a, b),
    ]
    text, answer = dice.near(kinds, difficulty)
    return Question(text, str(answer))


def _strings(dice: Dice, length: int) -> tuple[str, int]:
    letters = sorted(dice.pick("ABCDEF") for _ in range(length))
    orders = factorial(length) // prod(map(factorial, Counter(letters).values()))
    return f"How many different strings can be written with all of the letters {' '.join(letters)}?", orders


def _paths(x: int, y: int, right: int, up: int) -> tuple[str, int]:
    through = comb(x + y, x) * comb(right + up, up)
    text = (
        f"Paths lead from (0, 0) to ({x + right}, {y + up}) in steps of 1 to the right or 1 up. "
        f"How many of them do not pass through ({x}, {y})?"
    )
    return text, comb(x + right + y + up, x + right) - through


@TASKS.add("Probability", "Dice and Urns", "Chance", "Random Draws", "Likelihood")
def probability(dice: Dice, difficulty: float) -> Question:
    """Two dice; then draws from an urn without putting back. Wrong options put back, or count the opposite."""
    text, right, slips = _rolls(dice) if difficulty < 0.4 else _draws(dice, scaled(difficulty, 1, 4))
    wrong = [*slips, 1 - right, right / 2, (1 + right) / 2, Fraction(right.numerator, right.denominator + 1)]
    return choice(dice, f"{text} What is the probability of that?", str(right), map(str, wrong))


def _rolls(dice: Dice) -> tuple[str, Fraction, list[Fraction]]:
    a, b = dice.between(4, 12), dice.between(4, 12)
    least = dice.between(5, a + b - 1)
    fitting = sum(i + j >= least for i, j in product(range(1, a + 1), range(1, b + 1)))
    text = f"A fair die with the sides 1 to {a} and one with the sides 1 to {b} are rolled; the sum is {least} or more."
    return text, Fraction(fitting, a * b), [Fraction(a + b - least + 1, a + b - 1)]


def _draws(dice: Dice, drawn: int) -> tuple[str, Fraction, list[Fraction]]:
    red, blue, wanted = dice.between(4, 20), dice.between(4, 20), dice.between(1, max(1, drawn - 1))
    share = Fraction(red, red + blue)
    text = (
        f"{drawn} balls are drawn from an urn with {red} red and {blue} blue ones, without putting any back; "
        f"exactly {wanted} of the drawn balls are red."
    )
    right = Fraction(comb(red, wanted) * comb(blue, drawn - wanted), comb(red + blue, drawn))
    return text, right, [comb(drawn, wanted) * share**wanted * (1 - share) ** (drawn - wanted), share**wanted]
