"""A second opinion on every question of cit-basics: each answer found from the text alone, by other means.

A referee reads what an LLM reads. It returns the answer, or for a choice the text of the one option that is right.
"""

import contextlib
import functools
import io
import itertools
import math
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from fractions import Fraction

Referee = Callable[[str, Sequence[str]], object]
REFEREES: dict[str, Referee] = {}


def referee(judge: Referee) -> Referee:
    REFEREES[judge.__name__.replace("_", "-")] = judge
    return judge


def ints(text: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"(?<!\w)-?\d+", text)]


def place_in(text: str, where: str) -> int:
    """Of an ordinal, counted from 0."""
    ordinals = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"]
    return ordinals.index(re.search(where, text)[1])


def only(found: Iterator[object] | Sequence[object]) -> object:
    """The one that is found, however often."""
    (one,) = set(found)
    return one


def evaluated(expression: str) -> Fraction:
    return Fraction(eval(re.sub(r"\d+", r"Fraction(\g<0>)", expression.replace("×", "*"))))


# -- numbers ----------------------------------------------------------------------------------------------------------


@referee
def arithmetic(text: str, options: Sequence[str]) -> object:
    return eval(text.removeprefix("What is ").removesuffix("?").replace("×", "*"))


@referee
def fractions(text: str, options: Sequence[str]) -> object:
    return evaluated(re.search(r"What is (.*)\?", text)[1])


@referee
def common_divisors(text: str, options: Sequence[str]) -> object:
    numbers = ints(text)
    if "divisor" in text:
        return max(n for n in range(1, min(numbers) + 1) if all(number % n == 0 for number in numbers))
    return next(
        n for n in range(max(numbers), math.prod(numbers) + 1, max(numbers)) if all(n % m == 0 for m in numbers)
    )


@referee
def primes(text: str, options: Sequence[str]) -> object:
    return only([n for n in options if sum(int(n) % divisor == 0 for divisor in range(1, int(n) + 1)) == 2])


@referee
def remainders(text: str, options: Sequence[str]) -> object:
    numbers = ints(text)
    return numbers[0] ** (numbers[1] if "^" in text else 1) % numbers[-1]


@referee
def number_bases(text: str, options: Sequence[str]) -> object:
    source, digits = re.search(r"Write the (decimal|base-\d+) number (\w+) in base", text).groups()
    number, base, written = (
        int(digits, int(source[5:]) if source != "decimal" else 10),
        ints(text.split(",")[0])[-1],
        [],
    )
    while number:
        number, digit = divmod(number, base)
        written.append("0123456789abcdef"[digit])
    return "".join(reversed(written))


ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}


def of_roman(numeral: str) -> int:
    values = [ROMAN[sign] for sign in numeral]
    return sum(
        -value if value < following else value for value, following in zip(values, [*values[1:], 0], strict=True)
    )


@referee
def roman_numerals(text: str, options: Sequence[str]) -> object:
    given = sum(ints(text)) or sum(map(of_roman, re.findall(r"\b[MDCLXVI]+\b", text)))
    return given if "Which number" in text else romans()[given]


@functools.cache
def romans() -> dict[int, str]:
    return {of_roman(numeral): numeral for numeral in map(roman, range(1, 4000))}


def roman(number: int) -> str:
    digits = ["", "a", "aa", "aaa", "ab", "b", "ba", "baa", "baaa", "ac"]
    places = [("M", "", ""), ("C", "D", "M"), ("X", "L", "C"), ("I", "V", "X")]
    return "".join(
        digits[int(digit)].translate(str.maketrans(dict(zip("abc", signs, strict=True))))
        for digit, signs in zip(f"{number:04}", places, strict=True)
    )


@referee
def sequences(text: str, options: Sequence[str]) -> object:
    """Every recurrence t' = p t + q t_before + r, and every pair of interwoven ones, that fits says the same."""
    terms = ints(text)

    def simple(terms: Sequence[int], qs: Sequence[int]) -> Iterator[int]:
        for p, q in itertools.product(range(-6, 7), qs):
            steps = [(b, p * b + q * a) for a, b in itertools.pairwise(terms)]
            if len(rest := {after - known for (_, known), after in zip(steps, terms[2:], strict=False)}) == 1:
                yield steps[-1][1] + rest.pop()

    found = list(simple(terms, range(-2, 3)))
    return only(found) if found else terms[-2] + terms[-2] - terms[-4]


# -- mathematics ------------------------------------------------------------------------------------------------------


@referee
def linear_equations(text: str, options: Sequence[str]) -> object:
    equations = [line.split(": ")[-1] for line in text.splitlines() if "=" in line]
    unknowns = sorted(set("xyz") & set(equations[0]))
    sides = [re.sub(r"(\d)(?=[xyz(])", r"\1*", equation).split("=") for equation in equations]
    residuals = [eval(f"lambda x=0, y=0, z=0: ({left}) - ({right})") for left, right in sides]
    fits = [
        values
        for values in itertools.product(range(-20, 21), *[range(-15, 16)] * (len(unknowns) - 1))
        if all(residual(*values) == 0 for residual in residuals)
    ]
    return only([values[0] for values in fits])


@referee
def quadratic_equations(text: str, options: Sequence[str]) -> object:
    polynomial = re.search(r"solutions of (.*) = 0", text)[1].replace("^", "**")
    value = eval("lambda x: " + re.sub(r"(\d)(?=x)", r"\1*", polynomial))
    roots = {option: [Fraction(root) for root in re.findall(r"-?\d+(?:/\d+)?", option)] for option in options}
    return only([option for option in options if all(value(root) == 0 for root in roots[option])])


@referee
def geometry(text: str, options: Sequence[str]) -> object:
    n = ints(text)
    if "quadrilateral" in text:  # two triangles, by Heron's formula
        a, b, c, d = zip(n[::2], n[1::2], strict=True)
        return Fraction(round(2 * (heron(a, b, c) + heron(a, c, d))), 2)
    if "far" in text:
        return math.isqrt((n[0] - n[2]) ** 2 + (n[1] - n[3]) ** 2)
    areas = {
        "perimeter": lambda: n[0] + n[1] + n[0] + n[1],
        "triangle with a base": lambda: n[0] * n[1] / 2,
        "trapezoid": lambda: (n[0] + n[1]) / 2 * n[2],
        "surface": lambda: 2 * n[0] * n[1] + 2 * n[1] * n[2] + 2 * n[2] * n[0],
        "hypotenuse": lambda: math.isqrt(n[0] ** 2 + n[1] ** 2),
        "path": lambda: (n[1] + 2 * n[0]) * (n[2] + 2 * n[0]) - n[1] * n[2],
    }
    return only([area() for name, area in areas.items() if name in text])


def heron(*corners: tuple[int, int]) -> float:
    a, b, c = (math.dist(p, q) for p, q in itertools.combinations(corners, 2))
    s = (a + b + c) / 2
    return math.sqrt(s * (s - a) * (s - b) * (s - c))


@referee
def set_operations(text: str, options: Sequence[str]) -> object:
    sets = {name: frozenset(ints(held)) for name, held in re.findall(r"([A-D]) = \{(.*)\}", text)}
    expression = re.search(r"elements of (.*)\? ", text)[1].translate(str.maketrans("∪∩\\", "|&-"))
    return sum(eval(expression, {}, sets))


@referee
def combinatorics(text: str, options: Sequence[str]) -> object:
    n = ints(text)
    if "meals" in text:
        return n[0] * n[1] * n[2] * n[3]
    if "code" in text:
        places, symbols, few = n
        ways = [int(symbol >= few) for symbol in range(symbols)]
        for _ in range(places - 1):
            ways = [sum(ways) - own for own in ways]
        return sum(ways)
    if "letters" in text:
        return len(set(itertools.permutations(re.findall(r"\b[A-F]\b", text))))
    if "orders" in text:
        atlases, novels, books = n
        return math.prod(range(1, atlases + 3)) * math.prod(range(1, novels + 1)) * math.prod(range(1, books + 1))
    if "Paths" in text:
        right, up, avoided = n[2], n[3], tuple(n[-2:])
        ways: dict[tuple[int, int], int] = {(0, 0): 1}
        for x, y in itertools.product(range(right + 1), range(up + 1)):
            if x or y:
                ways[x, y] = 0 if (x, y) == avoided else ways.get((x - 1, y), 0) + ways.get((x, y - 1), 0)
        return ways[right, up]
    if "at least one" in text:
        team, women, men = n
        return sum(math.comb(men, k) * math.comb(women, team - k) for k in range(1, team + 1))
    few, some, women, men = n
    return math.perm(women, few) // math.perm(few) * (math.perm(men, some) // math.perm(some))


@referee
def probability(text: str, options: Sequence[str]) -> object:
    n = ints(text)
    if "rolled" in text:
        sums = [i + j for i in range(1, n[1] + 1) for j in range(1, n[3] + 1)]
        return Fraction(sum(total >= n[4] for total in sums), len(sums))
    drawn, red, blue, wanted = n
    chances = {0: Fraction(1)}  # red balls so far
    for i in range(drawn):
        after: dict[int, Fraction] = {}
        for reds, chance in chances.items():
            share = Fraction(red - reds, red + blue - i)
            after[reds + 1] = after.get(reds + 1, Fraction(0)) + chance * share
            after[reds] = after.get(reds, Fraction(0)) + chance * (1 - share)
        chances = after
    return chances[wanted]


# -- logic ------------------------------------------------------------------------------------------------------------


@referee
def truth_tellers(text: str, options: Sequence[str]) -> object:
    said = re.findall(r'(\w+) says: "(.*?)\."', text)
    names = [name for name, _ in said]

    def true(claim: str, honest: set[str]) -> bool:
        about = [name for name in names if name in claim]
        liars = len(names) - len(honest)
        if "Exactly" in claim:
            return liars == ints(claim)[0]
        if "both" in claim:
            return len(honest & set(about)) != 1
        if "At least one" in claim:
            return not set(about) <= honest
        return (about[0] in honest) == ("honest" in claim)

    worlds = [set(chosen) for k in range(len(names) + 1) for chosen in itertools.combinations(names, k)]
    honest = only([frozenset(w) for w in worlds if all(true(claim, w) == (name in w) for name, claim in said)])
    return only([option for option in options if set(re.findall(r"[A-Z]\w+", option)) == honest])


@referee
def syllogisms(text: str, options: Sequence[str]) -> object:
    """By trying worlds: premises hold in some, and what must be true holds in each of those."""
    statement = re.compile(r"(All|No|Some) (\w+) are (not )?(\w+)\.")
    premises = statement.findall(text)
    groups = sorted({group for _, a, _, b in premises for group in (a, b)})
    beings = list(itertools.product([False, True], repeat=len(groups)))

    def holds(stated: tuple[str, str, str, str], world: Sequence[tuple[bool, ...]]) -> bool:
        kind, a, negated, b = stated
        hits = [being[groups.index(b)] != bool(negated) for being in world if being[groups.index(a)]]
        return {"All": all(hits), "No": not any(hits), "Some": any(hits)}[kind]

    def possible(size: int) -> Iterator[tuple[tuple[bool, ...], ...]]:
        left = [
            being
            for being in beings
            if all(kind == "Some" or holds((kind, *rest), [being]) for kind, *rest in premises)
        ]
        for world in [*itertools.combinations(left, size), tuple(left)]:
            if all(map(any, zip(*world, strict=True))) and all(holds(premise, world) for premise in premises):
                yield world

    worlds = [world for size in range(1, 4 if len(groups) > 3 else 9) for world in possible(size)]
    return only([o for o in options if all(holds(statement.fullmatch(o).groups(), world) for world in worlds)])


@referee
def propositional_logic(text: str, options: Sequence[str]) -> object:
    formula = re.sub(r"not ([pqrs])", r"(1-\1)", text.splitlines()[1]).replace("is equivalent to", "==")
    formula = formula.replace("implies", "<=").replace("and", "*").replace("or", "|")
    names = sorted(set("pqrs") & set(formula))
    asked = ints(text)[0]
    true = sum(
        eval(formula, {}, dict(zip(names, row, strict=True))) for row in itertools.product([0, 1], repeat=len(names))
    )
    return true * asked // 2 ** len(names)


@referee
def rankings(text: str, options: Sequence[str]) -> object:
    intro, *clues, asked = re.split(r"(?<=[.?]) ", text)
    names = re.findall(r"[A-Z]\w+", intro)

    def true(clue: str, order: Sequence[str]) -> bool:
        at = [order.index(name) for name in re.findall(r"[A-Z]\w+", clue.replace("Exactly", ""))]
        if "neither" in clue:
            return order[0] not in clue and order[-1] not in clue
        if "between" in clue:
            return abs(at[0] - at[1]) == 2
        return at[1] - at[0] == 1 if "immediately" in clue else at[0] < at[1]

    orders = [order for order in itertools.permutations(names) if all(true(clue, order) for clue in clues)]
    place = place_in(asked, r"finished (\w+)\?")
    assert len(orders) == 1
    return orders[0][place]


@referee
def swaps(text: str, options: Sequence[str]) -> object:
    holds = dict(re.findall(r"(\w+) has the (\w+)", text))
    for a, b in re.findall(r"(\w+) and (\w+) swap\.", text):
        holds[a], holds[b] = holds[b], holds[a]
    last = re.search(r"does (\w+) have", text)[1]
    return f"the {holds[last]} one"


# -- words ------------------------------------------------------------------------------------------------------------


@referee
def string_manipulation(text: str, options: Sequence[str]) -> object:
    word, steps = re.fullmatch(r'Take the word "(\w+)"; (.*)\. What do you get\?', text).groups()
    for step in steps.split("; then "):
        letters = list(word)
        if "reverse" in step:
            letters.reverse()
        elif "vowel" in step:
            letters = re.findall("[^aeiou]", word)
        elif "swap" in step:
            letters[0], letters[-1] = letters[-1], letters[0]
        elif "to the end" in step:
            for _ in range(ints(step)[0]):
                letters.append(letters.pop(0))
        elif "replace" in step:
            letters = [chr((ord(letter) - 97 + 1) % 26 + 97) for letter in letters]
        elif "2nd" in step:
            letters = [letter for place, letter in enumerate(letters, start=1) if place % 2]
        elif "double" in step:
            letters.insert(0, letters[0])
        elif "alphabetical" in step:
            letters.sort()
        else:
            letters += re.fullmatch(r'append "(\w+)"', step)[1]
        word = "".join(letters)
    return word


@referee
def letter_counting(text: str, options: Sequence[str]) -> object:
    asked, shown = text.splitlines()
    letters = "aeiou" if "vowels" in asked else re.findall(r'"(\w)"', asked)
    return sum(map(shown.count, letters))


@referee
def word_sorting(text: str, options: Sequence[str]) -> object:
    asked, shown = text.splitlines()
    place = place_in(asked, r"comes (\w+)\?")
    words = sorted(shown.split(", "))
    if "length" in asked:
        words.sort(key=len)
    if "last letter" in asked:
        words = [word[::-1] for word in sorted(word[::-1] for word in words)]
    return words[place]


def follows(text: str, line: str) -> bool:
    """Whether a line does all that a question of constrained-writing demands."""
    words = line.split(" ")
    fine = len(words) == ints(text)[0] and all(re.fullmatch("[a-z]+", word) for word in words)
    for place, demand in re.findall(r'Word (\d+) (.*?\b"?)\.(?= )', text):
        word = words[int(place) - 1] if fine else ""
        wanted = (re.findall(r'"(\w+)"', demand) or ints(demand))[0]
        kinds = {
            "is": word == wanted,
            "begins": word.startswith(str(wanted)),
            "ends": word.endswith(str(wanted)),
            "has": len(word) == wanted,
        }
        fine = fine and kinds[demand.split()[0]]
    banned = re.findall(r'The letter "(\w)" occurs nowhere', text)
    return fine and not set(banned) & set(line)


def order_in(text: str) -> object:
    """What a question of json-output asks for, as Python values."""
    lines = [
        {"product": product, "quantity": int(quantity), "price": int(price)}
        for quantity, product, price in re.findall(r"(\d+) (\w+) at (\d+) dollars each", text)
    ]
    total = sum(line["quantity"] * line["price"] for line in lines)
    order = {"customer": text.split()[0], "lines": lines, "total": total}
    return order | ({"most": max(lines, key=lambda line: line["quantity"])["product"]} if '"most"' in text else {})


# -- everyday ---------------------------------------------------------------------------------------------------------


@referee
def word_problems(text: str, options: Sequence[str]) -> object:
    has = 0
    for told in re.split(r"(?<=[.?]) ", text):
        n = ints(told)
        if "boxes" in told:
            has += n[0] * n[1]
        elif "brings" in told:
            has += n[0]
        elif "each of" in told:
            has -= n[0] * n[1]
        elif "loses" in told:
            has -= n[0]
        elif "half" in told:
            has -= has // 2
        elif "A third" in told:
            has -= has // 3
        elif "25 percent" in told:
            has -= has // 4
        elif "as many" in told:
            has += has
        elif "keeps" in told:
            has = (has - n[0]) * n[1]
        elif n:
            has = n[0]
        assert has > 0, "nobody has nothing"
    return has


def dates_in(text: str) -> list[date]:
    return [datetime.strptime(written, "%d %B %Y").date() for written in re.findall(r"\d+ [A-Z][a-z]+ \d{4}", text)]


@referee
def calendar(text: str, options: Sequence[str]) -> object:
    day, *later = dates_in(text)
    if stated := re.search(r"is a (\w+)\.", text):
        assert f"{day:%A}" == stated[1]
    if "How many days" in text:
        return next(n for n in range(1000) if day + timedelta(days=n) == later[0])
    if "Which date is the" in text:
        nth, weekday, month = re.search(r"is the (\w+) (\w+) of (.*)\?", text).groups()
        (first,) = dates_in(f"1 {month}")
        days = [first + timedelta(days=n) for n in range(31)]
        fitting = [d for d in days if f"{d:%A}" == weekday and d.month == first.month]
        return fitting[place_in(nth, "(.*)")]
    if "later" in text or "after" in text:
        day += timedelta(days=int(re.search(r"(\d+) days (?:later|after)", text)[1]))
    return day if "Which date" in text else f"{day:%A}"


@referee
def clock(text: str, options: Sequence[str]) -> object:
    hours, minutes = map(int, re.search(r"at (\d\d):(\d\d)", text).groups())
    minutes += 60 * hours + sum(60 * int(h) for h in re.findall(r"(\d+) h ", text))
    minutes += sum(map(int, re.findall(r"(\d+) min", text)))
    for shift, way in re.findall(r"are (\d+) hours (ahead|behind)", text):
        minutes += 60 * int(shift) * (1 if way == "ahead" else -1)
    return f"{minutes // 60 % 24:02}:{minutes % 60:02}"


SIZES = {
    "millimetres": 1e-3,
    "centimetres": 1e-2,
    "metres": 1,
    "kilometres": 1e3,
    "milligrams": 1e-3,
    "grams": 1,
    "kilograms": 1e3,
    "tonnes": 1e6,
    "millilitres": 1e-3,
    "centilitres": 1e-2,
    "litres": 1,
    "cubic metres": 1e3,
    "inches": 1,
    "feet": 12,
    "yards": 3 * 12,
    "miles": 1760 * 36,
    "seconds": 1,
    "minutes": 60,
    "hours": 60 * 60,
    "days": 24 * 60 * 60,
}


@referee
def unit_conversion(text: str, options: Sequence[str]) -> object:
    target, value, source = re.fullmatch(r"How many (.*) are ([\d.]+) (.*)\?", text).groups()

    def size(unit: str) -> float:
        unit, _, time = unit.partition(" per ")
        return SIZES[unit] / (SIZES[f"{time}s"] if time else 1)

    return float(value) * size(source) / size(target)


@referee
def navigation(text: str, options: Sequence[str]) -> object:
    at, heading = 0j, 1j
    for turn, steps in re.findall(r"turn (left|right|around) and walk (\d+) steps", text):
        heading *= {"left": 1j, "right": -1j, "around": -1}[turn]
        at += heading * int(steps)
    return (
        {1j: "north", 1: "east", -1j: "south", -1: "west"}[heading]
        if "direction do" in text
        else int(abs(at.real) + abs(at.imag))
    )


@referee
def tables(text: str, options: Sequence[str]) -> object:
    header, *lines = text.split("\n\n")[0].splitlines()
    rows = [dict(zip(header.split(" | "), line.split(" | "), strict=True)) for line in lines]
    asked = text.split("\n\n")[1]
    revenue = {row["product"]: int(row["units"]) * int(row["price"]) for row in rows}
    there = [row for row in rows if f"region {row['region']}" in asked]
    if "highest" in asked:
        return max(revenue.values()) - min(revenue.values())
    if "revenue" in asked:
        return sum(revenue[row["product"]] for row in there)
    if "products" in asked:
        return len([row for row in rows if int(row["price"]) >= ints(asked)[0]])
    if "region" in asked:
        return sum(int(row["units"]) for row in there)
    return next(row["units"] for row in rows if f"of {row['product']} were" in asked)


# -- programs ---------------------------------------------------------------------------------------------------------


@referee
def program_output(text: str, options: Sequence[str]) -> object:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(text.split("\n\n", 1)[1], {})
    return printed.getvalue().strip()


REFEREES["list-operations"] = program_output
