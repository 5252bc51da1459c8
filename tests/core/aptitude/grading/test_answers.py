"""What a text states: its options, its last line."""

from __future__ import annotations

import pytest

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
CITIES = ("Paris", "London", "Berlin", "Madrid")
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
        (CITIES, "The answer is B. Paris is incorrect.", "B"),
        (CITIES, "**B**\n\nParis is not in England.", "B"),
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
        (CITIES, "The answer is B. Wait, let me double-check: yes, B.", {1}),
        (CITIES, "Answer: B. Sorry, I cannot explain further.", {1}),
        (CITIES, "The answer is B. Actually A is also common.", {1}),
        (CITIES, "The answer is B. Hmm, actually it's A.", {0}),
        (CITIES, "The answer is A... wait, no, it's B.", {1}),
        (CITIES, "The answer is B. Wait, that is wrong.", {0, 1, 2, 3}),
        (CITIES, "The answer is B. Wait, that isn't right.", {0, 1, 2, 3}),
        (CITIES, "The answer is B. Wait, is it not (C)?", {0, 1, 2, 3}),
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
    assert chosen_options(text, CITIES) != {1}


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
    assert chosen_options(text, CITIES) == {1}


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
