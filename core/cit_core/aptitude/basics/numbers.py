"""Questions on whole numbers and fractions."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from cit_core.aptitude.basics.question import Dice, Question, Tasks, choice, listed, scaled

__all__ = ["TASKS"]

TASKS = Tasks()


@TASKS.add("Mental Arithmetic", "Addition and Subtraction", "Multiplication", "Order of Operations", "Large Numbers")
def arithmetic(dice: Dice, difficulty: float) -> Question:
    """Two to five operations in a row, with the brackets that they need."""
    high = scaled(difficulty, 99, 4999)
    value = dice.between(12, high)
    text, is_sum = str(value), False
    for _ in range(scaled(difficulty, 2, 5)):
        operation = dice.pick("+-×")
        other = dice.between(12, 99 if operation == "×" else high)
        if operation == "×":
            text, value, is_sum = f"({text}) × {other}" if is_sum else f"{text} × {other}", value * other, False
        else:
            text, is_sum = f"{text} {operation} {other}", True
            value += other if operation == "+" else -other
    return Question(f"What is {text}?", str(value))


@TASKS.add("Fractions", "Common Denominators", "Lowest Terms", "Rational Numbers", "Adding Fractions")
def fractions(dice: Dice, difficulty: float) -> Question:
    """Sums of two to four fractions; the harder half is multiplied too."""

    def drawn() -> Fraction:
        under = dice.between(3, scaled(difficulty, 12, 30))
        return Fraction(dice.between(1, 2 * under - 1), under)

    value = drawn()
    text = str(value)
    for _ in range(scaled(difficulty, 1, 3)):
        operation, other = dice.pick("+-"), drawn()
        text = f"{text} {operation} {other}"
        value += other if operation == "+" else -other
    if difficulty >= 0.5:
        factor = drawn()
        text, value = f"({text}) × ({factor})", value * factor
    return Question(f"What is {text}? Give a fraction in lowest terms.", str(value))


@TASKS.add("Greatest Common Divisor", "Least Common Multiple", "Divisibility", "Factors", "Euclidean Algorithm")
def common_divisors(dice: Dice, difficulty: float) -> Question:
    """The greatest common divisor or least common multiple of two or three numbers."""
    shared = dice.between(3, scaled(difficulty, 15, 60))
    numbers = [shared * dice.between(3, scaled(difficulty, 20, 40)) for _ in range(2 + (difficulty > 0.6))]
    if dice.pick([True, False]):
        return Question(
            f"What is the greatest common divisor of {listed(list(map(str, numbers)))}?", str(math.gcd(*numbers))
        )
    return Question(f"What is the least common multiple of {listed(list(map(str, numbers)))}?", str(math.lcm(*numbers)))


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, math.isqrt(number) + 1))


@TASKS.add("Prime Numbers", "Factorisation", "Composite Numbers", "Primality", "Divisors")
def primes(dice: Dice, difficulty: float) -> Question:
    """The one prime among composites that neither 2, 3 nor 5 divides."""
    high = scaled(difficulty, 400, 9000)
    numbers = [number for number in range(high // 4, high) if math.gcd(number, 30) == 1]
    prime = dice.pick([number for number in numbers if _is_prime(number)])
    composites = dice.several([number for number in numbers if not _is_prime(number)], 3)
    return choice(dice, "Which of these numbers is prime?", str(prime), map(str, composites))


@TASKS.add("Remainders", "Modular Arithmetic", "Long Division", "Powers Modulo", "Congruences")
def remainders(dice: Dice, difficulty: float) -> Question:
    """Remainder of a number, in the harder part of a power."""
    modulus = dice.pick([number for number in range(7, scaled(difficulty, 24, 98)) if _is_prime(number)])
    if difficulty < 0.4:
        number = dice.between(1_000, scaled(difficulty, 10_000, 1_000_000))
        return Question(f"What is the remainder when {number} is divided by {modulus}?", str(number % modulus))
    base, exponent = dice.between(2, modulus - 1), dice.between(5, scaled(difficulty, 12, 300))
    text = f"What is the remainder when {base}^{exponent} ({base} to the power of {exponent}) is divided by {modulus}?"
    return Question(text, str(pow(base, exponent, modulus)))


def _in_base(number: int, base: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, base)
        digits = "0123456789abcdef"[digit] + digits
    return digits


@TASKS.add("Number Bases", "Binary", "Hexadecimal", "Positional Notation", "Digits")
def number_bases(dice: Dice, difficulty: float) -> Question:
    """Write a decimal number, in the harder half one of another base, in a given base."""
    number = dice.between(60, scaled(difficulty, 500, 20_000))
    source, target = dice.several([2, 3, 4, 5, 6, 7, 8, 9, 12, 16], 2)
    given = f"decimal number {number}" if difficulty < 0.5 else f"base-{source} number {_in_base(number, source)}"
    text = f"Write the {given} in base {target}, without a prefix or subscript, with letters a to f for digits above 9."
    return Question(text, _in_base(number, target), "exact")


@TASKS.add("Roman Numerals", "Numeral Systems", "Ancient Numbers", "Symbols for Numbers", "Notation")
def roman_numerals(dice: Dice, difficulty: float) -> Question:
    """Read one, write one, add two."""
    number, other = dice.between(40, 1999), dice.between(40, 1999)
    if difficulty < 0.25:
        return Question(f"Which number is the Roman numeral {_roman(number)}?", str(number))
    if difficulty < 0.6:
        return Question(f"Write {number + other} as a Roman numeral.", _roman(number + other), "exact")
    text = f"What is {_roman(number)} + {_roman(other)}? Answer with a Roman numeral."
    return Question(text, _roman(number + other), "exact")


def _roman(number: int) -> str:
    values = [1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1]
    written = ""
    for value, sign in zip(
        values, ["M", "CM", "D", "CD", "C", "XC", "L", "XL", "X", "IX", "V", "IV", "I"], strict=True
    ):
        times, number = divmod(number, value)
        written += sign * times
    return written


@TASKS.add("Number Sequences", "Patterns", "Recurrences", "Next Term", "Inductive Reasoning")
def sequences(dice: Dice, difficulty: float) -> Question:
    """The term after seven that follow one rule."""
    a, b = dice.between(3, 30), dice.between(2, 5)
    rules: list[tuple[int, Callable[[list[int]], int]]] = [  # terms to start from, and the next after those so far
        (1, lambda terms: terms[-1] + a * b),
        (2, lambda terms: 2 * terms[-1] - terms[-2] + a),
        (1, lambda terms: b * terms[-1] + a),
        (2, lambda terms: terms[-1] + terms[-2] + a),
        (2, lambda terms: terms[-2] + a if len(terms) % 2 else terms[-2] * b),
        (2, lambda terms: b * terms[-1] - terms[-2]),
    ]
    start, following = dice.near(rules, difficulty)
    first = dice.between(2, 40)
    terms = [first, first + dice.between(1, 20)][:start]
    while len(terms) < 8:
        terms.append(following(terms))
    shown = ", ".join(map(str, terms[:7]))
    return Question(f"One rule makes this sequence. Which number comes next: {shown}, ...?", str(terms[7]))
