"""Questions from daily life: stories with numbers, calendars, clocks, units, walks and tables."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction
from itertools import count

from cit_core.aptitude.basics.question import ORDINALS, Dice, Question, Tasks, listed, scaled
from cit_core.aptitude.basics.vocabulary import NAMES, THINGS, WORDS

__all__ = ["TASKS"]

TASKS = Tasks()


# -- stories ----------------------------------------------------------------------------------------------------------


@TASKS.add("Word Problems", "Multi-Step Reasoning", "Everyday Arithmetic", "Buying and Selling", "Quantities")
def word_problems(dice: Dice, difficulty: float) -> Question:
    """A heap of things grows and shrinks two to eight times; in the harder half the rest is sold."""
    name, friend = dice.several(NAMES, 2)
    things, has = dice.pick(THINGS), dice.between(12, 60)
    story = [f"{name} has {has} {things}."]
    for _ in range(scaled(difficulty, 2, 8)):
        told, has = _event(dice, name, friend, things, has)
        story.append(told)
    if difficulty < 0.5:
        return Question(f"{' '.join(story)} How many {things} does {name} have now?", str(has))
    price, kept = dice.between(2, 9), dice.between(1, has - 1)
    story.append(f"{name} keeps {kept} of them and sells the others for {price} dollars each.")
    return Question(f"{' '.join(story)} How many dollars does {name} get?", str((has - kept) * price))


def _event(dice: Dice, name: str, friend: str, things: str, has: int) -> tuple[str, int]:
    """Draw an event that changes how many things a person has; return its sentence and the new number, 12 or more."""
    boxes, each, some = dice.between(2, 6), dice.between(3, 12), dice.between(5, 40)
    events = [
        (f"{name} buys {boxes} boxes with {each} {things} each.", has + boxes * each),
        (f"{friend} brings {name} {some} more {things}.", has + some),
        (f"{name} gives {each} {things} to each of {boxes} friends.", has - boxes * each),
        (f"{name} loses {some} {things}.", has - some),
    ]
    if has % 2 == 0:
        events.append((f"{name} gives half of the {things} to {friend}.", has // 2))
    if has % 3 == 0:
        events.append((f"A third of {name}'s {things} break and are thrown away.", has * 2 // 3))
    if has % 4 == 0:
        events.append((f"{name} sells 25 percent of the {things}.", has * 3 // 4))
    if has < 100:
        events.append((f"{friend} gives {name} as many {things} as {name} has already.", has * 2))
    return dice.pick([event for event in events if event[1] >= 12])


# -- dates and times --------------------------------------------------------------------------------------------------

WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = [
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
]


def _written(day: date) -> str:
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


@TASKS.add("Calendar", "Dates", "Days of the Week", "Leap Years", "Date Arithmetic")
def calendar(dice: Dice, difficulty: float) -> Question:
    """Weekdays ahead, dates ahead, days between; then weekdays of bare dates and the nth one of a month."""
    day = date(dice.between(1990, 2090), 1, 1) + timedelta(days=dice.between(0, 364))
    ahead = dice.between(10, scaled(difficulty, 60, 900))
    later = day + timedelta(days=ahead)
    is_a = f"{_written(day)} is a {WEEKDAYS[day.weekday()]}."
    weekday, nth = WEEKDAYS[later.weekday()], ORDINALS[(later.day - 1) // 7]
    month, iso = f"{MONTHS[later.month - 1]} {later.year}", "Write it as YYYY-MM-DD."
    questions = [
        Question(f"{is_a} Which day of the week is it {ahead} days later?", weekday, "exact"),
        Question(f"Which date is {ahead} days after {_written(day)}? {iso}", str(later), "exact"),
        Question(f"How many days after {_written(day)} is {_written(later)}?", str(ahead)),
        Question(f"{is_a} Which date is the {nth} {weekday} of {month}? {iso}", str(later), "exact"),
        Question(f"Which day of the week is {_written(later)} in the Gregorian calendar?", weekday, "exact"),
    ]
    return dice.near(questions, difficulty)


@TASKS.add("Clock Times", "Durations", "Timetables", "Time Zones", "Time Arithmetic")
def clock(dice: Dice, difficulty: float) -> Question:
    """A journey of one to six parts; in the harder half to where the clocks show another time."""
    start, name = dice.between(0, 24 * 60 - 1), dice.pick(NAMES)
    parts = [dice.between(7, 400) for _ in range(scaled(difficulty, 1, 6))]
    ways = ["a train ride", "a walk", "a wait", "a boat trip"]
    journey = listed([f"{dice.pick(ways)} of {_taken(part)}" for part in parts])
    shift = dice.between(2, 11) * dice.pick([1, -1]) if difficulty >= 0.5 else 0
    clocks = {0: "show the same time as", 1: f"are {shift} hours ahead of", -1: f"are {-shift} hours behind"}
    text = (
        f"{name} sets out at {_clock(start)}. The journey is {journey}. Clocks at its end "
        f"{clocks[(shift > 0) - (shift < 0)]} those at its start. What do they show when {name} arrives? "
        "Write it as HH:MM on a 24-hour clock."
    )
    return Question(text, _clock(start + sum(parts) + 60 * shift), "exact")


def _taken(minutes: int) -> str:
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def _clock(minutes: int) -> str:
    return f"{minutes // 60 % 24:02d}:{minutes % 60:02d}"


# -- units ------------------------------------------------------------------------------------------------------------

UNITS: dict[str, dict[str, int]] = {
    "length": {"millimetres": 1, "centimetres": 10, "metres": 1_000, "kilometres": 1_000_000},
    "mass": {"milligrams": 1, "grams": 1_000, "kilograms": 1_000_000, "tonnes": 1_000_000_000},
    "volume": {"millilitres": 1, "centilitres": 10, "litres": 1_000, "cubic metres": 1_000_000},
    "imperial length": {"inches": 1, "feet": 12, "yards": 36, "miles": 63_360},
    "time": {"seconds": 1, "minutes": 60, "hours": 3_600, "days": 86_400},
}
PER = {"seconds": "per second", "minutes": "per minute", "hours": "per hour", "days": "per day"}


@TASKS.add("Unit Conversion", "Metric System", "Measurement", "Speed and Flow", "Length and Mass")
def unit_conversion(dice: Dice, difficulty: float) -> Question:
    """Convert a quantity into another unit; in the harder half a rate, such as miles per hour."""
    kind = dice.pick(sorted(UNITS))
    source, target = dice.several(sorted(UNITS[kind]), 2)
    factor = Fraction(UNITS[kind][source], UNITS[kind][target])
    if difficulty >= 0.5 and kind != "time":
        per, other = dice.several(sorted(PER), 2)
        factor *= Fraction(UNITS["time"][other], UNITS["time"][per])
        source, target = f"{source} {PER[per]}", f"{target} {PER[other]}"
    value = _finite(factor) * Fraction(dice.between(3, 999), 10 ** dice.between(0, 2))
    return Question(f"How many {target} are {_decimal(value)} {source}?", _decimal(value * factor))


def _finite(factor: Fraction) -> int:
    """Return the denominator without its factors 2 and 5: multiples of it, times the fraction, are finite decimals."""
    under = factor.denominator
    for prime in (2, 5):
        while under % prime == 0:
            under //= prime
    return under


def _decimal(value: Fraction) -> str:
    places = next(places for places in count() if (value * 10**places).denominator == 1)
    digits = f"{int(value * 10**places):0{places + 1}d}"
    return f"{digits[:-places]}.{digits[-places:]}" if places else digits


# -- walks ------------------------------------------------------------------------------------------------------------


@TASKS.add("Navigation", "Directions", "Spatial Reasoning", "Compass", "Turns")
def navigation(dice: Dice, difficulty: float) -> Question:
    """Three to fourteen stretches with turns between; how far away it ends, or the direction faced."""
    turns = {"turn right": 1, "turn left": -1, "turn around": 2}
    heading, x, y, told = 0, 0, 0, []
    for _ in range(scaled(difficulty, 3, 14)):
        turn, steps = dice.pick(sorted(turns)), dice.between(2, 15)
        heading = (heading + turns[turn]) % 4
        x, y = x + steps * [0, 1, 0, -1][heading], y + steps * [1, 0, -1, 0][heading]
        told.append(f"{turn} and walk {steps} steps")
    text = f"You stand on a wide square and face north. Then you {', '.join(told)}."
    if dice.between(0, 2) == 0:
        asked = "Which direction do you face now: north, east, south or west?"
        return Question(f"{text} {asked}", ["north", "east", "south", "west"][heading], "exact")
    asked = "How many steps is it back, if you walk only along the four directions of the compass?"
    return Question(f"{text} {asked}", str(abs(x) + abs(y)))


# -- tables -----------------------------------------------------------------------------------------------------------


@TASKS.add("Tables", "Looking Up Data", "Aggregation", "Filtering Rows", "Business Data")
def tables(dice: Dice, difficulty: float) -> Question:
    """Four to twelve rows: read a cell, count, add up, compare."""
    regions = dice.several(["north", "south", "east", "west"], 3)
    rows = [
        (word, dice.pick(regions), dice.between(10, 99), dice.between(2, 30))
        for word in dice.several(WORDS, scaled(difficulty, 4, 12))
    ]
    word, region, units, price = dice.pick(rows)
    there, revenues = [row for row in rows if row[1] == region], [units * price for _, _, units, price in rows]
    questions = [
        (f"How many units of {word} were sold?", units),
        (f"How many units were sold in the region {region} in all?", sum(row[2] for row in there)),
        (f"How many products have a price of {price} or more?", sum(row[3] >= price for row in rows)),
        (f"What is the revenue (units times price) of the region {region}?", sum(row[2] * row[3] for row in there)),
        ("By how much is the highest revenue (units times price) above the lowest?", max(revenues) - min(revenues)),
    ]
    asked, answer = dice.near(questions, difficulty)
    table = "\n".join(" | ".join(map(str, row)) for row in [("product", "region", "units", "price"), *rows])
    return Question(f"{table}\n\n{asked}", str(answer))
