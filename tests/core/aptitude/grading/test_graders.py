"""Grading: what LLMs really write is read as they mean it, and what they do not say earns nothing."""

import math
import string

import pytest
from graded_items import CITIES, choice, item
from hypothesis import assume, given
from hypothesis import strategies as st

from cit_core.aptitude.grading import grade, prompt, rotated, with_options
from cit_core.errors import InvalidInput
from cit_core.records import Item


def test_a_grader_that_is_not_given_is_choice_with_options_and_exact_without() -> None:
    assert grade(item("C", None, CITIES), "(C)") == 1
    assert grade(item("C"), "(C)") == 0
    assert grade(item("C"), "c.") == 1


# -- a number ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("18", "18"),
        ("18", "The answer is 18."),
        ("18", "#### 18"),
        ("18", "9 twice is 20 minus 2.\n#### 18\nThank you for asking all 3 questions."),
        ("18", "It costs $20 - $2 = $18 a day for 3 days\n#### 18"),
        ("18", r"\boxed{18}"),
        ("18", r"Thus $x = \boxed{18\text{ cm}}$."),
        ("18", "**Answer:** 18 apples"),
        ("18", "Answer: **18**"),
        ("18", "Answer:\n18"),
        ("18", "Answer: 18 (that is 2 × 9)"),
        ("18", "Answer: x = 18"),
        ("18", "The answer is x=18."),
        ("18", "18km"),
        ("18", "€18.00"),
        ("18", "2 × 9 = 18"),
        ("18", "Answer: 2 × 9 = 18"),
        ("18", "With 2 boxes of 9, that is 18 in 2 boxes"),
        ("18", "Of 20 I give away 2. I keep 18"),
        ("18", "17? No.\nAnswer: 17\nAnswer: 18\nI hope that this helps you 100 %!"),
        ("-5", "Answer: -5"),
        ("-5", "Answer: −5"),
        ("-5", "x = -5"),
        ("-5", "-$5"),
        ("5", "10-5=5"),
        ("1234", "1,234"),
        ("1234", "1{,}234"),
        ("1234567", "$1,234,567.00"),
        ("0.5", ".5"),
        ("0.5", "Answer: 1/2"),
        ("1/2", "0.5"),
        ("0.75", r"Answer: \frac{3}{4}"),
        ("-0.75", "Answer: -3/4"),
        ("1.75", "Answer: 1 3/4"),
        ("-1.75", "Answer: -1 3/4"),
        ("602300", "6.023e5"),
        ("602300", "6.023 × 10^5"),
        ("602300", r"$6.023 \times 10^{5}$"),
        ("0.00012", "1.2E-4"),
        ("15", "15%"),
        ("0.15", "15 %"),
        ("0.15", r"15\%"),
        ("15%", "0.15"),
        ("15%", "15"),
        ("15%", "15 percent"),
        ("15", "1500%"),
        ("0.3333333", "1/3"),
        ("0", "0.0"),
        ("0", "Answer: -0"),
        ("7", "007"),
        ("2", "Answer: 2nd"),
    ],
)
def test_a_number_is_read_however_it_is_written(answer: str, text: str) -> None:
    assert grade(item(answer, "number"), text) == 1


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("18", ""),
        ("18", "eighteen"),
        ("18", "Answer: 18 km\nAnswer: 19"),
        ("5", "-5"),
        ("-5", "5"),
        ("18", "118"),
        ("18", "1.8"),
        ("3", "Answer: 3,5"),
        ("35", "Answer: 3,5"),
        ("3", "Answer: 3 + 4 = 7"),
        ("12345678", "12345679"),
        ("0.3333", "1/3"),
        ("0", "1e-9"),
        ("15", "0.15"),
        ("1", "1/0"),
        ("2", "H2O"),
        ("1", "1e400"),
        ("9", "9" * 30_000),
    ],
)
def test_other_numbers_are_wrong(answer: str, text: str) -> None:
    assert grade(item(answer, "number"), text) == 0


@given(
    st.integers(-(10**15), 10**15), st.sampled_from(["{}", "{:,}", "Answer: {}", "#### {:,}", "It is {:,}.", "{}.0"])
)
def test_whole_numbers_agree_to_the_last_digit(number: int, written: str) -> None:
    assert grade(item(str(number), "number"), written.format(number)) == 1
    if "." not in written:
        assert grade(item(str(number), "number"), written.format(number + 1)) == 0


@given(st.floats(-1e12, 1e12, allow_subnormal=False), st.sampled_from(["Answer: {!r}", "{:.12e}", "so x = {!r}."]))
def test_others_agree_up_to_a_millionth(number: float, written: str) -> None:
    assume(number == 0 or abs(number) > 1e-6)
    assume(number != int(number))
    assert grade(item(repr(number), "number"), written.format(number)) == 1
    assert grade(item(repr(number), "number"), written.format(number * (1 + 1e-8))) == 1
    assert grade(item(repr(number), "number"), written.format(number * (1 + 1e-5))) == 0


@given(st.integers(-500, 500), st.integers(1, 500))
def test_fractions_are_their_values(over: int, under: int) -> None:
    assert grade(item(f"{over}/{under}", "number"), f"Answer: {over / under:.15g}") == 1
    assert grade(item(repr(over / under), "number"), f"Answer: {over}/{under}") == 1
    assert math.isclose(over / under, (over + 1) / under) == grade(
        item(f"{over + 1}/{under}", "number"), f"{over}/{under}"
    )


# -- a text -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("Paris", "Paris"),
        ("Paris", "  paris.  "),
        ("Paris", '"Paris"'),
        ("Paris", "“Paris.”"),
        ("Paris", "‘Paris’."),
        ("Paris", "**Paris**"),
        ("Paris", "`Paris`"),
        ("Paris", "Answer: Paris"),
        ("Paris", "**Answer:** *Paris*"),
        ("Paris", "answer:   PARIS."),
        ("Paris", "The answer is Paris."),
        ("Paris", "First I think.\n\nThen I say:\nParis\n\n"),
        ("Paris", "Answer: Rome? No.\nAnswer: Paris\nYou are welcome!"),
        ("Paris", r"\boxed{\text{Paris}}"),
        ("'Paris.'", "Paris"),
        ("a  b", "Answer: A b"),
        ("2034-05-10", "Answer: 2034-05-10."),
        ("one\ntwo", "ONE\n\ntwo"),
        (".", "."),
        ("2*3", "2*3"),
    ],
)
def test_a_text_is_compared_without_its_dress(answer: str, text: str) -> None:
    assert grade(item(answer, "exact"), text) == 1


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("Paris", ""),
        ("Paris", "Rome"),
        ("Paris", "Paris is nice"),
        ("Paris", "Not Paris"),
        ("Paris", "Paris\nRome"),
        ("Paris", "Answer: Paris\nAnswer: Rome"),
        (".", ""),
        ("a b", "ab"),
        ("2*3", "23"),
    ],
)
def test_another_text_is_wrong(answer: str, text: str) -> None:
    assert grade(item(answer, "exact"), text) == 0


# -- a pattern --------------------------------------------------------------------------------------------------------


def test_a_pattern_must_match_all_of_the_answer_or_of_its_last_line() -> None:
    three = item(r"[a-z]+( [a-z]+){2}", "regex")
    assert grade(three, " one two three\n") == 1
    assert grade(three, "Here you are:\n\n  one two three  \n") == 1
    assert grade(three, "one two three four") == 0
    assert grade(three, "one two three\nDone.") == 0
    assert grade(three, "One two three") == 0
    assert grade(item(r"\{\s*\}", "regex"), "\n{\n\n}\n") == 1, "over several lines"


@pytest.mark.parametrize("pattern", ["(", "a{99999999999}", "[z-a]", "(?P<n>a)(?P<n>b)", "(?<=a+)b"])
def test_a_pattern_that_is_none_names_the_item(pattern: str) -> None:
    with pytest.raises(InvalidInput, match="item 'i' has an answer that is not a regular expression"):
        grade(item(pattern, "regex"), "text")


# -- all of them ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grader", ["choice", "number", "exact", "regex", None])
@pytest.mark.parametrize("answer", [None, "", " \n"])
def test_an_item_without_an_answer_is_refused_before_anything_is_read(grader: str | None, answer: str | None) -> None:
    with pytest.raises(InvalidInput, match="item 'i' has no answer to compare with"):
        grade(item(answer, grader, CITIES), "")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (item("E", "choice", CITIES), "answer is 'E'; it needs one of the letters ABCD or the text of an option"),
        (item("AB", "choice", CITIES), "answer is 'AB'; it needs one of the letters ABCD"),
        (item("A", "choice"), "answer is 'A'; it needs options to choose from"),
        (item("many", "number"), "answer is 'many'; it needs one like 18, -3.5 or 3/4"),
        (item("1e999", "number"), "answer is '1e999'"),
    ],
)
def test_an_answer_that_its_grader_cannot_use_says_what_is_needed(wrong: Item, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        grade(wrong, "")


ALL = [choice("B"), item("18", "number"), item("Paris", "exact"), item("[a-z]+", "regex")]


@given(st.sampled_from(ALL), st.text() | st.text("AaBb()[]*\\${}#. \n=:0123456789/,%-answeris", max_size=80))
def test_any_text_is_right_or_wrong(asked: Item, text: str) -> None:
    assert grade(asked, text) in (0.0, 1.0)


@pytest.mark.parametrize(
    "bit",
    [
        "#",
        "#### a",
        "*",
        "(",
        " ",
        "\n",
        "9",
        "9 ",
        "1,234",
        "is ",
        "= ",
        "answer",
        "answer: ",
        "\\frac{",
        "\\boxed",
        "A",
        "(A) ",
        "`",
        "not ",
        "\\boxed{",
        "\\frac{{}",
        "^{",
        "_a",
        "1 or ",
        "5 million ",
        "- ",
        "isn't ",
        "A is ",
        "wait, ",
        "<|a",
    ],
)
@pytest.mark.parametrize("asked", ALL, ids=lambda asked: asked.grader)
def test_no_text_makes_the_reading_hang(asked: Item, bit: str) -> None:
    """Were a pattern of ours quadratic, these would take minutes."""
    assert grade(asked, bit * (100_000 // len(bit)) + "!") == 0


def test_of_a_long_text_the_end_is_read() -> None:
    thinking = "Is it 17 or 19? " * 5_000
    assert grade(item("18", "number"), f"{thinking}\nAnswer: 18") == 1
    assert grade(item("18", "number"), f"Answer: 18\n{thinking}") == 0
    assert grade(item("a+", "regex"), "b" * 10 + "a" * 20_000) == 1


# -- what is asked ----------------------------------------------------------------------------------------------------


def test_a_prompt_is_the_instruction_and_how_to_answer() -> None:
    instruction = with_options("Where?", CITIES)
    asked = prompt(item("C", "choice", CITIES, instruction))
    assert asked == instruction + '\n\nEnd with a line "Answer: X", where X is the letter of the right option.'
    assert prompt(item("3", "number")) == 'Q?\n\nEnd with a line "Answer: N", where N is the number.'
    assert prompt(item("a", "exact")) == prompt(item("a"))
    assert prompt(item("a", "exact")).endswith('"Answer: ..." that holds nothing but the answer.')
    assert prompt(item("a+", "regex")) == "Q?", "the task says it"


@pytest.mark.parametrize("instruction", [None, ""])
def test_a_text_that_is_missing_cannot_be_asked(instruction: str | None) -> None:
    with pytest.raises(InvalidInput, match="item 'i' has no instruction"):
        prompt(item("a", "exact", (), instruction))


def test_options_stand_under_the_question_a_letter_each() -> None:
    assert with_options("Where?", ["here", "there"]) == "Where?\n(A) here\n(B) there"
    assert with_options("Where?", []) == "Where?"
    assert with_options("?", ["x"] * 26).endswith("(Z) x")
    with pytest.raises(InvalidInput, match="27 options; a question may have 26"):
        with_options("?", ["x"] * 27)


# -- the circle test --------------------------------------------------------------------------------------------------

QUESTIONS = st.tuples(
    st.text(min_size=1, max_size=20),
    st.lists(st.text(min_size=1, max_size=9), min_size=1, max_size=10),
    st.integers(0, 9),
)


def asked(question: str, options: list[str], right: int) -> Item:
    return item(string.ascii_uppercase[right % len(options)], None, tuple(options), with_options(question, options))


def test_a_turn_moves_every_option_up_one_and_the_answer_with_it() -> None:
    once = rotated(asked("Where?", ["here", "there", "nowhere"], 2), 1)
    assert once.options == ("there", "nowhere", "here")
    assert once.instruction == "Where?\n(A) there\n(B) nowhere\n(C) here"
    assert once.answer == "B"
    assert rotated(asked("Where?", ["here", "there", "nowhere"], 0), 1).answer == "C"


@given(QUESTIONS, st.integers(-20, 20), st.integers(-20, 20))
def test_turns_add_up_and_a_full_circle_is_none(question: tuple[str, list[str], int], one: int, other: int) -> None:
    start = asked(*question)
    assert rotated(rotated(start, one), other) == rotated(start, one + other)
    assert rotated(start, len(start.options)) is rotated(start, 0) is start


@given(QUESTIONS, st.integers(-20, 20))
def test_the_right_option_stays_the_right_one(question: tuple[str, list[str], int], turn: int) -> None:
    start = asked(*question)
    turned = rotated(start, turn)
    letters = string.ascii_uppercase
    assert turned.options[letters.index(turned.answer)] == start.options[letters.index(start.answer)]
    assert turned.instruction == with_options(question[0], turned.options)
    assert grade(turned, f"Answer: {turned.answer}") == 1
    assert (turned.id, turned.task) == (start.id, start.task)


def test_space_around_an_answer_is_none_of_it() -> None:
    assert grade(choice(" C\n"), "(C)") == grade(item(" a+ ", "regex"), "aa") == 1
    assert rotated(choice(" C\n"), 1).answer == "B"


def test_an_answer_that_is_a_text_or_missing_stays() -> None:
    assert rotated(choice("Rome"), 1).answer == "Rome"
    assert rotated(item(None, None, CITIES), 1).answer is None


def test_an_instruction_without_the_options_gets_them() -> None:
    assert rotated(choice("C"), 1).instruction == with_options("Q?", [*CITIES[1:], CITIES[0]])
    assert rotated(item("C", None, CITIES, None), 1).instruction is None


def test_without_options_there_is_nothing_to_rotate() -> None:
    with pytest.raises(InvalidInput, match="item 'i' has no options to rotate"):
        rotated(item("3", "number"), 0)
    with pytest.raises(InvalidInput, match="needs one of the letters"):
        rotated(choice("X"), 1)
