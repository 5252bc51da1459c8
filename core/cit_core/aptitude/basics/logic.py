"""Questions that need reasoning alone: liars, syllogisms, formulas, races and grids. Each has exactly one answer."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from functools import partial
from itertools import permutations, product
from typing import NamedTuple

from cit_core.aptitude.basics.question import ORDINALS, Dice, Question, Tasks, choice, listed, scaled
from cit_core.aptitude.basics.vocabulary import GROUPS, NAMES, THINGS

__all__ = ["TASKS"]

TASKS = Tasks()


# -- who lies ---------------------------------------------------------------------------------------------------------


class Claim(NamedTuple):
    """A statement of a speaker, and a predicate: is it true, given for each person whether they are honest?"""

    text: str
    holds: Callable[[Sequence[bool]], bool]


def _claim(dice: Dice, names: Sequence[str], speaker: int) -> Claim:
    others = [place for place in range(len(names)) if place != speaker]
    i, j = dice.several(others, 2) if len(others) > 1 else (others[0], speaker)
    liars = dice.between(1, len(names) - 1)
    claims = [
        Claim(f"{names[i]} is a liar", lambda honest: not honest[i]),
        Claim(f"{names[i]} is honest", lambda honest: honest[i]),
        Claim(
            f"Exactly {liars} of us {'is a liar' if liars == 1 else 'are liars'}",
            lambda honest: honest.count(False) == liars,
        ),
    ]
    if j != speaker:
        claims += [
            Claim(f"{names[i]} and {names[j]} are both honest or both liars", lambda honest: honest[i] == honest[j]),
            Claim(f"At least one of {names[i]} and {names[j]} is a liar", lambda honest: not (honest[i] and honest[j])),
        ]
    return dice.pick(claims)


@TASKS.add("Truth-Tellers and Liars", "Logic Puzzles", "Deduction", "Knights and Knaves", "Consistency")
def truth_tellers(dice: Dice, difficulty: float) -> Question:
    """Two to five people speak; only one division into honest people and liars fits what they say."""
    names = dice.several(NAMES, scaled(difficulty, 2, 5))
    worlds = list(product([True, False], repeat=len(names)))
    fitting: list[tuple[bool, ...]] = []
    while len(fitting) != 1:
        claims = [_claim(dice, names, speaker) for speaker in range(len(names))]
        fitting = [w for w in worlds if all(claim.holds(w) == w[who] for who, claim in enumerate(claims))]
    said = " ".join(f'{name} says: "{claim.text}."' for name, claim in zip(names, claims, strict=True))
    options = {
        world: listed([name for name, honest in zip(names, world, strict=True) if honest]) or "nobody"
        for world in worlds
    }
    rule = "Everyone here is either honest and always tells the truth, or a liar and always lies."
    return choice(dice, f"{rule} {said} Who is honest?", options[fitting[0]], dice.shuffled(options.values()))


# -- what follows -----------------------------------------------------------------------------------------------------


class Proposition(NamedTuple):
    """All, no, some or not all of one group (by its number) are of another."""

    kind: str
    a: int
    b: int

    def about(self, being: int) -> bool:
        """Return True for a witness of the proposition (all, no: a counterexample). A being has one bit per group."""
        is_b = bool(being >> self.b & 1)
        return bool(being >> self.a & 1) and is_b == (self.kind in ("No", "Some"))

    def written(self, groups: Sequence[str]) -> str:
        if self.kind == "Not all":
            return f"Some {groups[self.a]} are not {groups[self.b]}."
        return f"{self.kind} {groups[self.a]} are {groups[self.b]}."


class Theory:
    """The kinds of beings that may or must exist under some premises, if no group is empty."""

    def __init__(self, premises: Sequence[Proposition], groups: int) -> None:
        universal = [premise for premise in premises if premise.kind in ("All", "No")]
        self.beings = [being for being in range(2**groups) if not any(premise.about(being) for premise in universal)]
        witnessed = [premise.about for premise in premises if premise not in universal]
        members = [lambda being, group=group: bool(being >> group & 1) for group in range(groups)]
        self.somewhere = [[being for being in self.beings if known(being)] for known in [*witnessed, *members]]

    def implies(self, proposition: Proposition) -> bool:
        """Return True if a universal has no counterexample, or a particular a being as witness which must exist."""
        if proposition.kind in ("All", "No"):
            return not any(map(proposition.about, self.beings))
        return any(all(map(proposition.about, beings)) for beings in self.somewhere)


@TASKS.add("Syllogisms", "Categorical Logic", "Valid Conclusions", "Quantifiers", "Formal Reasoning")
def syllogisms(dice: Dice, difficulty: float) -> Question:
    """A chain of two to five premises; one conclusion on groups that no premise brings together follows."""
    groups = dice.several(GROUPS, scaled(difficulty, 3, 6))
    number = len(groups)
    far = [(a, b) for a in range(number) for b in range(number) if abs(a - b) > 1]
    conclusions = [Proposition(kind, a, b) for kind in ("All", "No", "Some", "Not all") for a, b in far]
    follow: list[Proposition] = []
    while not follow:
        links = [(a, a + 1) if dice.between(0, 2) else (a + 1, a) for a in range(number - 1)]
        premises = [Proposition(dice.pick(["All", "All", "All", "No", "Some"]), a, b) for a, b in links]
        follow = list(filter(Theory(premises, number).implies, conclusions))  # a chain never contradicts itself
    given = " ".join(premise.written(groups) for premise in dice.shuffled(premises))
    wrong = [conclusion.written(groups) for conclusion in conclusions if conclusion not in follow]
    text = f"Every group has at least one member. {given} Which of these must be true?"
    return choice(dice, text, dice.pick(follow).written(groups), dice.shuffled(wrong))


# -- what is true -----------------------------------------------------------------------------------------------------


class Formula(NamedTuple):
    """A formula of propositional logic and its value under truth values."""

    text: str
    value: Callable[[Sequence[bool]], bool]


CONNECTIVES: dict[str, Callable[[bool, bool], bool]] = {
    "and": lambda left, right: left and right,
    "or": lambda left, right: left or right,
    "implies": lambda left, right: not left or right,
    "is equivalent to": lambda left, right: left == right,
}


def _formula(dice: Dice, leaves: Sequence[int]) -> Formula:
    if len(leaves) == 1:
        place, negated = leaves[0], dice.between(0, 2) == 0
        return Formula(f"not {'pqrs'[place]}" if negated else "pqrs"[place], lambda given: given[place] != negated)
    cut = dice.between(1, len(leaves) - 1)
    left, right = _formula(dice, leaves[:cut]), _formula(dice, leaves[cut:])
    word = dice.pick(sorted(CONNECTIVES))
    return Formula(
        f"({left.text} {word} {right.text})",
        lambda given: CONNECTIVES[word](left.value(given), right.value(given)),
    )


@TASKS.add("Propositional Logic", "Truth Tables", "Boolean Formulas", "Implication", "Satisfiability")
def propositional_logic(dice: Dice, difficulty: float) -> Question:
    """Count the rows of a truth table in which a formula of three to eight leaves is true."""
    variables = scaled(difficulty, 2, 4)
    extra = [dice.between(0, variables - 1) for _ in range(scaled(difficulty, 2, 4))]
    formula = _formula(dice, dice.shuffled([*range(variables), *extra]))
    true = sum(formula.value(given) for given in product([True, False], repeat=variables))
    names = listed("pqrs"[:variables])
    asked = f"For how many of the {2**variables} ways to make {names} true or false is this formula true?"
    return Question(f'{asked} ("not" binds strongest.)\n{formula.text[1:-1]}', str(true))


# -- who came third ---------------------------------------------------------------------------------------------------


class Clue(NamedTuple):
    """A statement about a race, and a predicate: is it true of these places of the runners?"""

    text: str
    holds: Callable[[Sequence[int]], bool]


def _clues(names: Sequence[str]) -> Iterator[Clue]:
    for place, name in enumerate(names):
        yield Clue(f"{name} finished neither first nor last.", partial(_in_the_middle, place))
    for one, other in permutations(range(len(names)), 2):
        a, b = names[one], names[other]
        yield Clue(f"{a} finished before {b}.", partial(_ahead, one, other, range(1, len(names))))
        yield Clue(f"{a} finished immediately before {b}.", partial(_ahead, one, other, [1]))
        yield Clue(f"Exactly one runner finished between {a} and {b}.", partial(_ahead, one, other, [2, -2]))


def _in_the_middle(runner: int, at: Sequence[int]) -> bool:
    return 0 < at[runner] < len(at) - 1


def _ahead(one: int, other: int, by: Container[int], at: Sequence[int]) -> bool:
    return at[other] - at[one] in by


@TASKS.add("Ranking Puzzles", "Ordering", "Constraint Satisfaction", "Comparison", "Elimination")
def rankings(dice: Dice, difficulty: float) -> Question:
    """A race of three to six; the clues leave one order."""
    names = dice.several(NAMES, scaled(difficulty, 3, 6))
    left = list(permutations(range(len(names))))
    order = dice.pick(left)
    given: list[str] = []
    for clue in dice.shuffled(clue for clue in _clues(names) if clue.holds(order)):
        fitting = [places for places in left if clue.holds(places)]
        if len(fitting) < len(left):
            left, given = fitting, [*given, clue.text]
    place = dice.between(0, len(names) - 1)
    runners = listed(dice.shuffled(names))
    text = f"{runners} ran a race without ties. {' '.join(given)} Who finished {ORDINALS[place]}?"
    return choice(dice, text, names[order.index(place)], dice.shuffled(names))


# -- who has what -----------------------------------------------------------------------------------------------------


@TASKS.add("Tracking Objects", "Swaps", "State Tracking", "Following Changes", "Working Memory")
def swaps(dice: Dice, difficulty: float) -> Question:
    """Three to seven people swap what they hold, up to fourteen times."""
    names = dice.several(NAMES, scaled(difficulty, 3, 7))
    colours = dice.several(["red", "blue", "green", "yellow", "white", "black", "brown", "orange"], len(names))
    thing = dice.pick(THINGS)[:-1]
    holds = dict(zip(names, colours, strict=True))
    steps = []
    for _ in range(scaled(difficulty, 2, 14)):
        a, b = dice.several(names, 2)
        holds[a], holds[b] = holds[b], holds[a]
        steps.append(f"{a} and {b} swap.")
    last = dice.pick(names)
    start = listed([f"{name} has the {colour} {thing}" for name, colour in zip(names, colours, strict=True)])
    text = f"{start}. {' '.join(steps)} Which {thing} does {last} have now?"
    return choice(dice, text, f"the {holds[last]} one", (f"the {colour} one" for colour in dice.shuffled(colours)))
