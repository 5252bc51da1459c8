"""What a text states: its options, its last line."""

from __future__ import annotations

import string

import pytest
from graded_items import CITIES, choice
from hypothesis import given
from hypothesis import strategies as st

from cit_core.aptitude.grading import grade
from cit_core.aptitude.grading.answers import chosen_options, last_line, normal, statements

OPTIONS = ("red", "green", "blue")


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("The answer is 5.\nNo: the answer is 6.", ["5.", "6."]),
        ("\\boxed{7}", ["7"]),
        ("<answer>8</answer>", ["8"]),
        ("#### 9", ["9"]),
        ("答案是C。", ["C. ."]),
        ("nothing", []),
        ("The answer can't be 5.", []),
        ("I do not think that the answer is 5.", []),
        ("I could not say. The answer may be 5.", ["5."]),
    ],
)
def test_statements(text: str, stated: list[str]) -> None:
    assert [part.rstrip(". ") for part in statements(text)] == [part.rstrip(". ") for part in stated]


@pytest.mark.parametrize(
    ("text", "places"), [("(B)", {1}), ("Answer: A or B", {0, 1}), ("blue", {2}), ("", set()), ("none of them", set())]
)
def test_chosen_options(text: str, places: set[int]) -> None:
    assert chosen_options(text, OPTIONS) == places


METALS = ("Copper", "Rubber", "Iron", "Gold")
CAPITALS = ("Paris", "London", "Berlin", "Madrid")
PEOPLE = ("Einstein", "Newton", "Bohr", "Curie")
CONDUCTS = "Rubber does not conduct electricity."


@pytest.mark.parametrize(
    ("options", "text", "right"),
    [
        (METALS, f"The answer is B. {CONDUCTS}", "B"),
        (METALS, f"Answer: B\n\n{CONDUCTS}", "B"),
        (METALS, "**B) Rubber** does not conduct electricity.", "B"),
        (METALS, f"Answer: {CONDUCTS}", "B"),
        (METALS, "(B) Rubber - wrong material for wires", "B"),
        (METALS, f"The answer is (B). {CONDUCTS} (A) Copper conducts electricity.", "B"),
        (METALS, "Answer: B\n\nRubber is not a conductor; (A) is one.", "B"),
        (METALS, "Correct answer: B. Rubber isn't a conductor. Option A is the best conductor.", "B"),
        (METALS, "We don't need more data and select (B).", "B"),
        (METALS, "The statement that is not true is (B).", "B"),
        (METALS, "Answer: A is incorrect, B is right.", "B"),
        (METALS, "The answer cannot be A, C, or D, so it must be B.", "B"),
        (CAPITALS, "The answer is B. Paris is incorrect.", "B"),
        (CAPITALS, "**B**\n\nParis is not in England.", "B"),
        (PEOPLE, "The correct answer is A. Newton is incorrect since he lived earlier.", "A"),
        (PEOPLE, "Answer: (A)\n- Newton: incorrect\n- Bohr: incorrect", "A"),
        (("Yes", "No"), "Answer: A\n\nNo does not fit.", "A"),
    ],
)
def test_what_is_stated_goes_before_what_is_ruled_out(options: tuple[str, ...], text: str, right: str) -> None:
    assert chosen_options(text, options) == {"ABCD".index(right)}


QUIPS = ("Wait, what?", "Sorry, no", "He says sorry, and leaves.", "I mean it")


@pytest.mark.parametrize(
    ("options", "text", "right"),
    [
        (("Yes", "No"), "Answer: No, a whale is a mammal.", {1}),
        (("Yes", "No"), "The answer is no, I believe.", {1}),
        (("Yes", "No"), "Answer: **No**, a whale is a mammal.", {1}),
        (("Yes", "No"), "Answer: (B) No, a whale is a mammal.", {1}),
        (QUIPS, "Answer: Wait, what?", {0}),
        (QUIPS, "Answer: B) Sorry, no", {1}),
        (QUIPS, "Answer: C) He says sorry, and leaves.", {2}),
        (CAPITALS, "The answer is B. Wait, let me double-check: yes, B.", {1}),
        (CAPITALS, "Answer: B. Sorry, I cannot explain further.", {1}),
        (CAPITALS, "The answer is B. Actually A is also common.", {1}),
        (CAPITALS, "The answer is B. Hmm, actually it's A.", {0}),
        (CAPITALS, "The answer is A... wait, no, it's B.", {1}),
        (CAPITALS, "The answer is B. Wait, that is wrong.", {0, 1, 2, 3}),
        (CAPITALS, "The answer is B. Wait, that isn't right.", {0, 1, 2, 3}),
        (CAPITALS, "The answer is B. Wait, is it not (C)?", {0, 1, 2, 3}),
    ],
)
def test_an_answer_is_taken_back_only_for_another_one(options: tuple[str, ...], text: str, right: set[int]) -> None:
    assert chosen_options(text, options) == right


@pytest.mark.parametrize(
    "text",
    [
        *("La respuesta no es B.", "La respuesta no es B, es A.", "A resposta não é B", "La risposta non è B"),
        *("Đáp án không phải là B", "答案不是B", "不选B", "答えはBではありません", "정답은 B가 아닙니다"),
        *("It's unlikely that the answer is B.", "If the answer is B, then London would be in France. So A."),
    ],
)
def test_a_denied_option_is_not_chosen(text: str) -> None:
    assert chosen_options(text, CAPITALS) != {1}


@pytest.mark.parametrize(
    "text",
    [
        *(
            "정답은 B이며 A가 아닙니다.",
            "答えはBで、Aではありません。",
            "答案是B，不是A。",
            "No, la respuesta correcta es B.",
        ),
        *("I have no doubt that the answer is B.", "If the population matters, the answer is B."),
    ],
)
def test_a_denial_of_something_else_denies_no_statement(text: str) -> None:
    assert chosen_options(text, CAPITALS) == {1}


@pytest.mark.parametrize(
    ("options", "text", "places"),
    [
        (("4", "8", "16", "32"), "Answer: 4 or 8", {0, 1}),
        (("4", "8", "16", "32"), "Answer: 16 or 32", {2, 3}),
        (("4", "8", "16", "32"), "Answer: 4 + 4 = 8", {1}),
        (("4", "8", "16", "32"), "Answer: 16 × 2 = 32", {3}),
        (("4", "8", "16", "32"), "Answer: 16/3", set()),
        (("4", "8", "16", "32"), "Answer: 4 - the fourth power of the root", {0}),
        (("1/2", "1/4", "3/4", "1"), "Answer: 1/8", set()),
        (("1/2", "1/4", "3/4", "1"), "Answer: 1 1/2", set()),
        (("10 m", "20 m"), "Answer: 10 m/s", set()),
    ],
)
def test_a_part_of_a_number_is_no_option(options: tuple[str, ...], text: str, places: set[int]) -> None:
    assert chosen_options(text, options) == places


def test_lines_and_dress() -> None:
    assert (last_line("a\nb\n\n"), last_line("")) == ("b", "")
    assert normal("**Paris**.") == normal("paris") == normal("Answer: Ｐａｒｉｓ")


# -- a choice ---------------------------------------------------------------------------------------------------------

SAYS_LETTER = [
    "{L}",
    "({L})",
    "({l})",
    "**{L}**",
    "{L}.",
    "{L}) {text}",
    "({L}) {text}",
    "{L}. {text}",
    "{L}: {text}, of course",
    "Answer: {L}",
    "answer: {l}",
    "Answer: **{L}**",
    "**Answer:** {L}",
    "**Answer: {L}**",
    "Answer:\n\n{L}",
    "Answer: {L}) {text}",
    "Answer: {L} - {text}",
    "Answer ({L})",
    "Answer - {L}",
    "__Answer__: '{L}'",
    "<think>It may be (A).</think> <answer>{L}</answer>",
    "The answer is {L}",
    "The answer is ({L}).",
    "The answer is {L} because the others are wrong.",
    "The correct answer is: ({L}) {text}",
    "The answer to this question is therefore option {L}.",
    "So the correct option is {L}.",
    "I choose ({L}).",
    "I would choose {L}",
    "I'd go with {L}.",
    "Option {L}",
    "{L} is the answer.",
    "({L}) is correct, for many reasons.",
    "{L}\n\nBecause nothing else fits.",
    "Thinking...\n\n{L}",
    "### Final Answer\n\n{L}",
    "#### {L}",
    r"\boxed{{{L}}}",
    r"The answer is $\boxed{{\text{{{L}}}}}$.",
    r"Hence \[\boxed{{({L})\ \text{{{text}}}}}\]",
    'My answer: "{L}"',
    "(A) would be nice, and (B) too. The answer is ({L}).",
    "The answer is B. No, wait: the answer is {L}.",
    "(A) no\n(B) no\n(C) no\nSo it must be one of them:\n({L})",
    "{L} - {text}",
    "{L} {text}",
    "{L}\t{text}",
    "_Answer: {L}_",
    "Answer: {{{L}}}",
    "Answer: <{L}>",
    "{{'answer': '{L}'}}",
    '{{"answer": "{L}"}}',
    "Choice {L}",
    "Letter: {L}",
    "My choice: {L}",
    "Thus, {L}",
    "It's {L}.",
    "The answer is {L}, since the others are incorrect.",
    "The answer is most likely {L}.",
    "The answer is indeed ({L}).",
    "(A), or (B)?\nAns: {L}",
    "Selected option: {L}",
    "選項{L}",
    "<result>\n{L}\n</result>",
]
"""A letter L, or l in lower case, of an option with this text."""


@pytest.mark.parametrize("said", SAYS_LETTER)
@pytest.mark.parametrize("right", "ABCD")
def test_a_letter_is_found_wherever_an_llm_puts_it_and_no_other_one_is(said: str, right: str) -> None:
    text = said.format(L=right, l=right.lower(), text=CITIES["ABCD".index(right)])
    assert [grade(choice(letter), text) for letter in "ABCD"] == [float(letter == right) for letter in "ABCD"]


@given(st.integers(2, 26), st.sampled_from(SAYS_LETTER[:20]), st.data())
def test_any_number_of_options_up_to_the_alphabet(number: int, said: str, data: st.DataObject) -> None:
    options = tuple(f"thing {n}" for n in range(number))
    right = data.draw(st.integers(0, number - 1))
    letter = string.ascii_uppercase[right]
    text = said.format(L=letter, l=letter.lower(), text=options[right])
    assert chosen_options(text, options) == {right}
    assert grade(choice(letter, options), text) == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n ",
        "I do not know.",
        "A train leaves a station.",
        "A good question! I like a riddle.",
        "The answer is a matter of debate.",
        "Answer: A Matter of Debate",
        "The answer is unclear.",
        "I think a lot.",
        "Answer: A or B",
        "Answer: A, B",
        "Answer: (A) and (C)",
        "Answer: A/B",
        "(A) fits, and (B) fits as well.",
        "(A) first\n(B) second\n(C) third\n(D) fourth",
        "The answer is not (A).",
        "It is not (A)",
        "Answer: E",
        "Answer: none of them",
        "Parisian",
    ],
)
def test_prose_several_letters_and_silence_are_no_choice(text: str) -> None:
    assert [grade(choice(letter), text) for letter in "ABCD"] == [0, 0, 0, 0]


RULES_OUT = [
    "({L}) is incorrect.",
    "{L} is wrong",
    "({L}) {text} is clearly wrong.",
    "{L}: incorrect",
    "I would not choose {L}",
    "I wouldn't go with option {L}.",
    "The answer can't be {L}.",
    "The answer isn't {L}.",
    "The answer is definitely not ({L}).",
    "The answer is not {text}.",
    "The answer can't be {text}.",
    "I do not think that the answer is {L}.",
    "I'd rule out ({L}).",
    "Neither ({L}) nor the others.",
    "It cannot be ({L}) {text}.",
]
"""A letter L, or the text of an option, that is said to be wrong."""


@given(st.sampled_from(RULES_OUT), st.sampled_from("ABCD"))
def test_an_option_that_is_ruled_out_is_not_chosen(said: str, letter: str) -> None:
    text = said.format(L=letter, text=CITIES["ABCD".index(letter)])
    assert chosen_options(text, CITIES) == set()


@given(st.sampled_from(SAYS_LETTER[9:20]), st.lists(st.sampled_from(RULES_OUT), max_size=4), st.permutations("ABCD"))
def test_what_is_ruled_out_before_or_after_changes_no_statement(said: str, out: list[str], letters: list[str]) -> None:
    right, *others = letters
    lines = [frame.format(L=other, text=CITIES["ABCD".index(other)]) for frame, other in zip(out, others, strict=False)]
    stated = said.format(L=right, l=right.lower(), text=CITIES["ABCD".index(right)])
    assert chosen_options("\n".join([*lines, stated]), CITIES) == {"ABCD".index(right)}
    assert chosen_options("\n".join([stated, "", *lines]), CITIES) == {"ABCD".index(right)}


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("The answer is not A, it is C.", {2}),
        ("The answer isn't Paris but Rome.", {2}),
        ("A is wrong. B is wrong. D is wrong. So C.", {2}),
        ("(A) is incorrect.\n(B) is incorrect.\n(C) is correct.\n(D) is incorrect.", {2}),
        ("The answer is A. No wait, B.", {1}),
        ("The answer is A. Wait, I am not sure.", {0, 1, 2, 3}),
        ("The answer is A? No, C.", {2}),
        ("The answer is Rome or Paris", {0, 2}),
        ("The answer is Rome, of course", {2}),
        ("Answer: C) London", {1, 2}),
        ("Choose C, not D.", {2}),
    ],
)
def test_what_is_taken_back_or_left_open(text: str, right: set[int]) -> None:
    assert chosen_options(text, CITIES) == right


@pytest.mark.parametrize(
    ("options", "text", "right"),
    [
        (("guilty", "not guilty"), "The answer is not guilty.", 1),
        (("true", "false"), "B: false", 1),
        (("cannot exist", "must exist"), "(A) cannot exist", 0),
        (("guilty", "not guilty"), "It is not A, it is B.", 1),
        (("3480 N", "- 3480 N"), "Answer: - 3480 N", 1),
        (("It is not so", "It is so"), "Answer: (A) It is not so", 0),
    ],
)
def test_options_that_deny_something(options: tuple[str, ...], text: str, right: int) -> None:
    assert chosen_options(text, options) == {right}


def test_the_last_statement_wins() -> None:
    text = "At first the answer is A. Then again, the answer is B. Really? Answer: C"
    assert [grade(choice(letter), text) for letter in "ABC"] == [0, 0, 1]
    assert grade(choice("A"), "Answer: A\nAnswer: B or C") == 0, "undecided in the end"
    assert grade(choice("A"), "Answer: A\nThat is what the answer is about.") == 1, "which states nothing"


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("Rome", "C"),
        ("rome.", "C"),
        ("The capital is Rome.", "C"),
        ("Answer: Rome", "C"),
        ("Answer: the best one\nAnswer: Rome, of course", "C"),
        ("Let us see.\n\n**New York**", "D"),
        ("It is not Paris, it is London", "B"),
    ],
)
def test_an_option_may_be_spelt_out(text: str, right: str) -> None:
    assert [grade(choice(letter), text) for letter in "ABCD"] == [float(letter == right) for letter in "ABCD"]


@pytest.mark.parametrize(
    ("options", "text", "right"),
    [
        (("York", "New York"), "Answer: New York", 1),
        (("York", "New York"), "Answer: York", 0),
        (("4", "4.5", "45"), "Answer: 4.5", 1),
        (("4", "4.5", "45"), "It is 4", 0),
        (("A dog", "A cat"), "Answer: A cat", 1),
        (("B cells", "T cells"), "Answer: B cells", 0),
        (("B cells", "T cells"), "Answer: B", 1),
        (("B", "A"), "Answer: B", 1),
        (("Java", "C"), "Answer: C", 1),
        (("Java", "C", "C++"), "Answer: C++", 2),
        (("Java", "C++", "C"), "Answer: C", 2),
        (("$5", "$50"), "Answer: $50", 1),
        (("**bold**", "plain"), "bold", 0),
        (("1/2", "1/3"), r"\boxed{\frac{1}{3}}", 1),
        (("C:", "D:", "A:", "B:"), "Answer: C:", 0),
    ],
)
def test_options_that_look_like_letters_or_like_one_another(options: tuple[str, ...], text: str, right: int) -> None:
    assert chosen_options(text, options) == {right}


def test_an_option_without_a_text_has_a_letter_only() -> None:
    assert chosen_options("Answer: who knows", ("", "x")) == set()
    assert chosen_options("Answer: A", ("", "x")) == {0}


def test_two_options_with_the_same_text_need_a_letter() -> None:
    assert chosen_options("Answer: so", ("so", "so", "no")) == {0, 1}
    assert grade(choice("B", ("so", "so", "no")), "Answer: so") == 0
    assert grade(choice("B", ("so", "so", "no")), "Answer: B") == 1


def test_the_answer_may_be_the_text_of_an_option() -> None:
    assert grade(choice("Rome"), "Answer: C") == grade(choice("Rome"), "Answer: Rome") == 1
    assert grade(choice("Rome"), "Answer: B") == 0
    assert grade(choice("B", ("B", "A")), "Answer: B") == 1, "a letter in range is a letter"
    assert grade(choice("B", ("B", "A")), "Answer: A") == 0
