"""What questions are made with: dice that are fair and repeatable, numbers from easy to hard, wrong options."""

from collections import Counter

from cit_core.aptitude.basics.question import Dice, choice, listed, scaled
from cit_core.aptitude.grading.answers import LETTERS


def test_dice_are_fair_and_repeatable() -> None:
    assert [Dice("a").between(1, 6) for _ in range(3)] == [Dice("a").between(1, 6)] * 3
    dice = Dice("b")
    rolls = Counter(dice.between(1, 6) for _ in range(6000))
    assert set(rolls) == set(range(1, 7))
    assert all(abs(count - 1000) < 150 for count in rolls.values())
    firsts = Counter(dice.shuffled("abc")[0] for _ in range(3000))
    assert all(abs(firsts[letter] - 1000) < 130 for letter in "abc")
    assert sorted(dice.several("abcde", 5)) == list("abcde")
    assert len(set(dice.several(range(9), 4))) == 4


def test_near_stays_near() -> None:
    dice = Dice("c")
    near = {difficulty: {dice.near("abcd", difficulty) for _ in range(99)} for difficulty in (0.0, 0.3, 0.5, 0.999)}
    assert near == {0.0: {"a"}, 0.3: {"a", "b"}, 0.5: {"b", "c"}, 0.999: {"c", "d"}}


def test_scaled_goes_from_easy_to_hard() -> None:
    assert [scaled(difficulty, 2, 6) for difficulty in (0, 0.25, 0.5, 0.999)] == [2, 3, 4, 6]


def test_a_choice_takes_the_first_wrong_options_that_are_wrong() -> None:
    made = choice(Dice("d"), "?", "a", ["b", "a", "b", "c", "d", "e"])
    assert set(made.options) == set("abcd")
    assert made.options[LETTERS.index(made.answer)] == "a"
    assert set(choice(Dice("d"), "?", "a", "ab").options) == set("ab")


def test_lists_in_words() -> None:
    assert [listed(["a", "b", "c"][:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]
