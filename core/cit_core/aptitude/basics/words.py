"""Questions on letters and words, and on following instructions exactly."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import NamedTuple

from cit_core.aptitude.basics.question import ORDINALS, Dice, Question, Tasks, listed, scaled
from cit_core.aptitude.basics.vocabulary import NAMES, THINGS, WORDS

__all__ = ["TASKS"]

TASKS = Tasks()
ALPHABET = "abcdefghijklmnopqrstuvwxyz"


# -- letters ----------------------------------------------------------------------------------------------------------


@TASKS.add("String Manipulation", "Reversing Words", "Letters", "Step-by-Step Instructions", "Spelling")
def string_manipulation(dice: Dice, difficulty: float) -> Question:
    """Two to six changes to a word, one after the other."""
    shift, other = dice.between(2, 3), dice.pick(WORDS)
    changes: list[tuple[str, Callable[[str], str]]] = [
        ("write its letters in reverse order", lambda word: word[::-1]),
        ("remove every vowel (a, e, i, o, u)", lambda word: "".join(sign for sign in word if sign not in "aeiou")),
        ("swap its first and its last letter", lambda word: word[-1] + word[1:-1] + word[0]),
        (f"move its first {shift} letters to the end", lambda word: word[shift:] + word[:shift]),
        ("replace each letter by the next one of the alphabet (z by a)", _next_letters),
        ("remove its 2nd, 4th, 6th letter and so on", lambda word: word[::2]),
        ("double its first letter", lambda word: word[0] + word),
        ("put its letters in alphabetical order", lambda word: "".join(sorted(word))),
        (f'append "{other}"', lambda word: word + other),
    ]
    start = word = dice.pick(WORDS)
    steps: list[str] = []
    for text, change in dice.shuffled(changes):
        if len(change(word)) > 3 and change(word) != word and len(steps) < scaled(difficulty, 2, 6):
            word = change(word)
            steps.append(text)
    return Question(f'Take the word "{start}"; {"; then ".join(steps)}. What do you get?', word, "exact")


def _next_letters(word: str) -> str:
    return "".join(ALPHABET[(ALPHABET.index(letter) + 1) % 26] for letter in word)


@TASKS.add("Counting Letters", "Character Frequency", "Vowels", "Attention to Detail", "Text Inspection")
def letter_counting(dice: Dice, difficulty: float) -> Question:
    """One letter in a few words; the vowels, or two letters, in many."""
    words = dice.several(WORDS, scaled(difficulty, 3, 16))
    text = " ".join(words)
    one, two = dice.several(sorted(set(text) - {" "}), 2)
    wanted = [
        (f'the letter "{one}"', one),
        (f'the letter "{one}" or the letter "{two}"', one + two),
        ("vowels (a, e, i, o or u)", "aeiou"),
    ]
    asked, letters = dice.near(wanted, difficulty)
    return Question(
        f"How many letters of this text are {asked}?\n{text}", str(sum(letter in letters for letter in text))
    )


@TASKS.add("Alphabetical Order", "Sorting Words", "Lexicographic Order", "Lists", "Ranks")
def word_sorting(dice: Dice, difficulty: float) -> Question:
    """Find the word at a place in alphabetical order, in order of length, or in order of reversed spelling."""
    words = dice.several(WORDS, scaled(difficulty, 5, 18))
    orders: list[tuple[str, Callable[[str], tuple[int, str]]]] = [
        ("alphabetically", lambda word: (0, word)),
        (
            "by their length, shortest first, and alphabetically where the length is the same",
            lambda word: (len(word), word),
        ),
        ("by their last letter, then by the one before it, and so on backwards", lambda word: (0, word[::-1])),
    ]
    how, key = dice.near(orders, difficulty)
    place = dice.between(0, min(len(words), len(ORDINALS)) - 1)
    text = f"These words are sorted {how}. Which one comes {ORDINALS[place]}?\n{', '.join(words)}"
    return Question(text, sorted(words, key=key)[place], "exact")


# -- doing as one is told ---------------------------------------------------------------------------------------------


class Demand(NamedTuple):
    """A condition on one word of a line: in words, as a pattern, and a word that meets it."""

    text: str
    pattern: str
    example: str


@TASKS.add("Following Instructions", "Constrained Writing", "Exact Word Counts", "Lipograms", "Precision")
def constrained_writing(dice: Dice, difficulty: float) -> Question:
    """A line of so many words, some of which are prescribed; in the harder half without a certain letter."""
    number = scaled(difficulty, 4, 12) + dice.between(0, 2)
    banned = dice.pick("aeiorstln") if difficulty >= 0.5 else ""
    demands = {place: _demand(dice, banned) for place in sorted(dice.several(range(number), scaled(difficulty, 2, 5)))}
    line = [demands.get(place, Demand("", "[a-z]+", "mmm")) for place in range(number)]
    conditions = [f"Word {place + 1} {demand.text}." for place, demand in demands.items()]
    if banned:
        conditions.append(f'The letter "{banned}" occurs nowhere.')
    text = (
        f"Write one line of exactly {number} English words with a single space between them, in lower-case letters "
        f"without punctuation. {' '.join(conditions)} Reply with that line and nothing else."
    )
    pattern = (f"(?!.*{banned})" if banned else "") + " ".join(word.pattern for word in line)
    return Question(text, pattern, "regex", example=" ".join(word.example for word in line))


def _demand(dice: Dice, banned: str) -> Demand:
    first, last = dice.pick("bcdfghlmprstw".replace(banned, "")), dice.pick("dehknrsty".replace(banned, ""))
    word, length = dice.pick([word for word in WORDS if not banned or banned not in word]), dice.between(3, 8)
    demands = [
        Demand(f'is "{word}"', word, word),
        Demand(f'begins with "{first}"', f"{first}[a-z]*", f"{first}mmm"),
        Demand(f'ends with "{last}"', f"[a-z]*{last}", f"mmm{last}"),
        Demand(f"has exactly {length} letters", f"[a-z]{{{length}}}", "m" * length),
    ]
    return dice.pick(demands)


@TASKS.add("JSON", "Structured Output", "Data Formats", "Following a Schema", "Extraction")
def json_output(dice: Dice, difficulty: float) -> Question:
    """An order as a JSON object, with one to five lines and numbers that must be worked out."""
    name, things = dice.pick(NAMES), dice.several(THINGS, scaled(difficulty, 1, 5))
    quantities = dice.several(range(2, 41), len(things))
    lines = [(thing, quantity, dice.between(2, 30)) for thing, quantity in zip(things, quantities, strict=True)]
    order: dict[str, object] = {
        "customer": name,
        "lines": [dict(zip(("product", "quantity", "price"), line, strict=True)) for line in lines],
        "total": sum(quantity * price for _, quantity, price in lines),
    }
    keys = '"total" (quantity times price, summed over the lines)'
    if difficulty >= 0.5:
        order["most"] = things[quantities.index(max(quantities))]
        keys += ' and "most" (the product with the highest quantity)'
    bought = listed([f"{quantity} {thing} at {price} dollars each" for thing, quantity, price in lines])
    text = (
        f"{name} buys {bought}. Write this order as one JSON object with these keys in this order: "
        f'"customer", "lines" (a list of objects with the keys "product", "quantity" and "price", in the order given), '
        f"{keys}. Reply with the JSON and nothing else, not even a code fence around it."
    )
    return Question(text, _json_pattern(order), "regex", example=json.dumps(order))


def _json_pattern(value: object) -> str:
    """Return a pattern for a value as JSON, with any white space."""
    if isinstance(value, dict):
        pairs = (rf"{_json_pattern(key)}\s*:\s*{_json_pattern(held)}" for key, held in value.items())
        return rf"\{{\s*{_between(pairs)}\s*\}}"
    if isinstance(value, list):
        return rf"\[\s*{_between(map(_json_pattern, value))}\s*\]"
    return json.dumps(value)


def _between(parts: Iterable[str]) -> str:
    return r"\s*,\s*".join(parts)
