"""Questions from school mathematics: equations, geometry and sets."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

from cit_core.aptitude.basics.question import Dice, Question, Tasks, choice, scaled

__all__ = ["TASKS"]

TASKS = Tasks()


# -- equations --------------------------------------------------------------------------------------------------------


@TASKS.add("Linear Equations", "Solving for x", "Unknowns", "Systems of Equations", "Elementary Algebra")
def linear_equations(dice: Dice, difficulty: float) -> Question:
    """One equation in x; in the harder half two or three in as many unknowns."""
    x = dice.between(2, 20) * dice.pick([1, -1])
    if difficulty >= 0.5:
        return _system(dice, [x, *(dice.between(-15, 15) for _ in range(scaled(difficulty, 0, 2)))])
    a, b, c = dice.between(2, 9), dice.between(1, 15), dice.between(1, 30)
    d = dice.pick([factor for factor in range(-6, 10) if factor not in (0, a)])
    right = _sum([(d, "x"), (a * (x - b) + c - d * x, "")])
    return Question(f"Solve for x: {a}(x - {b}) + {c} = {right}", str(x))


def _system(dice: Dice, values: Sequence[int]) -> Question:
    """Return a system of as many equations as unknowns, with these values as its only solution."""
    rows = [[0 for _ in values]]
    while not _determinant(rows):
        rows = [[dice.pick([-5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6, 7]) for _ in values] for _ in values]
    equations = [
        f"{_sum(list(zip(row, 'xyz', strict=False)))} = {sum(map(math.prod, zip(row, values, strict=True)))}"
        for row in rows
    ]
    return Question("\n".join(["What is x, if all of these hold?", *equations]), str(values[0]))


def _determinant(rows: Sequence[Sequence[int]]) -> int:
    if len(rows) == 1:
        return rows[0][0]
    minors = ([[*row[:place], *row[place + 1 :]] for row in rows[1:]] for place in range(len(rows)))
    return sum((-1) ** place * rows[0][place] * _determinant(minor) for place, minor in enumerate(minors))


def _sum(terms: Sequence[tuple[int, str]]) -> str:
    """Format a linear expression: 3x - y + 4."""
    written = ""
    for factor, unknown in terms:
        if factor:
            sign = "-" if factor < 0 else "+"
            size = "" if unknown and abs(factor) == 1 else abs(factor)
            written += f" {sign} {size}{unknown}" if written else f"{sign.strip('+')}{size}{unknown}"
    return written


@TASKS.add("Quadratic Equations", "Roots", "Factoring", "Polynomials", "Quadratic Formula")
def quadratic_equations(dice: Dice, difficulty: float) -> Question:
    """Both roots; whole numbers first, then fractions. Wrong options have a right sum, product or size."""
    under = dice.between(1, scaled(difficulty, 1, 4))
    r, s = (Fraction(size * dice.pick([1, -1]), under) for size in dice.several(range(1, 20), 2))
    scale = math.lcm((r + s).denominator, (r * s).denominator)
    polynomial = _sum([(scale, "x^2"), (int(-scale * (r + s)), "x"), (int(scale * r * s), "")])
    wrong = [(-r, -s), (r, -s), (-r, s), (r + 1, s - 1), (r - 1, s + 1), (2 * r, s / 2), (r + s, r * s)]
    text = f"Which are the solutions of {polynomial} = 0?"
    return choice(dice, text, _roots(r, s), (_roots(a, b) for a, b in dice.shuffled(wrong) if a != b))


def _roots(*roots: Fraction) -> str:
    return " or ".join(f"x = {root}" for root in sorted(roots))


# -- geometry ---------------------------------------------------------------------------------------------------------


@TASKS.add("Geometry", "Areas", "Perimeters", "Coordinates", "Pythagorean Theorem")
def geometry(dice: Dice, difficulty: float) -> Question:
    """Shapes from a rectangle to a polygon given by its corners."""
    a, b, c = (dice.between(3, scaled(difficulty, 30, 60)) for _ in range(3))
    i, j = dice.several(range(1, 8), 2)
    across, up, long = abs(i * i - j * j) * a, 2 * i * j * a, (i * i + j * j) * a  # a right triangle of whole numbers
    shapes = [
        (f"What is the perimeter of a rectangle with sides of {a} cm and {b} cm, in cm?", 2 * (a + b)),
        (f"What is the area of a triangle with a base of {2 * a} cm and a height of {b} cm, in square cm?", a * b),
        (
            f"The parallel sides of a trapezoid are {a} cm and {a + 2 * b} cm long and {c} cm apart. "
            "What is its area in square cm?",
            (a + b) * c,
        ),
        (f"What is the surface of a box of {a} cm by {b} cm by {c} cm, in square cm?", 2 * (a * b + b * c + c * a)),
        (f"How long is the hypotenuse of a right triangle with legs of {across} cm and {up} cm, in cm?", long),
        (
            f"A path {j} m wide runs around a rectangular lawn of {a} m by {b} m, corners included. "
            "What is the area of the path in square metres?",
            2 * j * (a + b + 2 * j),
        ),
        (f"How far is the point ({b}, {-c}) from the point ({b + across}, {up - c})?", long),
        _quadrilateral(dice, a, b, c),
    ]
    text, answer = dice.near(shapes, difficulty)
    return Question(text, str(answer))


def _quadrilateral(dice: Dice, a: int, b: int, c: int) -> tuple[str, Fraction]:
    """One corner in each direction, so that no two sides cross."""
    corners = [
        (-a - 9, dice.between(-9, 9)),
        (dice.between(-9, 9), -b - 9),
        (c + 9, dice.between(-9, 9)),
        (dice.between(-9, 9), b + 9),
    ]
    sides = zip(corners, corners[1:] + corners[:1], strict=True)
    doubled = sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in sides)
    named = ", ".join(map(str, corners))
    return f"What is the area of the quadrilateral with the corners {named}, in this order?", Fraction(doubled, 2)


# -- sets -------------------------------------------------------------------------------------------------------------

OPERATIONS: dict[str, Callable[[set[int], set[int]], set[int]]] = {
    "∪": set.union,
    "∩": set.intersection,
    "\\": set.difference,
}


@TASKS.add("Set Operations", "Union", "Intersection", "Set Difference", "Elements")
def set_operations(dice: Dice, difficulty: float) -> Question:
    """The sum of the elements of what two to four sets make."""
    names, high = "ABCD"[: scaled(difficulty, 2, 4)], scaled(difficulty, 15, 30)
    sets = [set(dice.several(range(1, high), dice.between(5, 9))) for _ in names]
    text, value = names[0], sets[0]
    for name, other in zip(names[1:], sets[1:], strict=True):
        sign = dice.pick(list(OPERATIONS))
        text, value = f"({text} {sign} {name})", OPERATIONS[sign](value, other)
    given = [f"{name} = {{{', '.join(map(str, sorted(drawn)))}}}" for name, drawn in zip(names, sets, strict=True)]
    asked = f"What is the sum of the elements of {text[1:-1]}? (Of no elements it is 0; \\ is the set difference.)"
    return Question("\n".join([*given, asked]), str(sum(value)))
