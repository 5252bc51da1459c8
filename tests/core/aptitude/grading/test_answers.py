"""What a text states: its options, its numbers, its last line."""

from __future__ import annotations

import pytest

from cit_core.aptitude.grading.answers import chosen_options, last_line, normal, numbers, stated_number, statements

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
    ],
)
def test_statements(text: str, stated: list[str]) -> None:
    assert [part.rstrip(". ") for part in statements(text)] == [part.rstrip(". ") for part in stated]


@pytest.mark.parametrize(
    ("text", "places"), [("(B)", {1}), ("Answer: A or B", {0, 1}), ("blue", {2}), ("", set()), ("none of them", set())]
)
def test_chosen_options(text: str, places: set[int]) -> None:
    assert chosen_options(text, OPTIONS) == places


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1,234.5 and -3", [1234.5, -3.0]),
        ("1 3/4", [1.75]),
        ("6.02 × 10^23", [6.02e23]),
        ("１２", [12.0]),
        ("none", []),
    ],
)
def test_numbers(text: str, values: list[float]) -> None:
    assert [number.value for number in numbers(text)] == pytest.approx(values)


def test_the_last_result_is_the_stated_one() -> None:
    found = stated_number("3 + 4 = 7\nThe answer is 3 + 4 = 7.")
    assert found is not None
    assert found.value == 7
    assert stated_number("no number") is None


def test_lines_and_dress() -> None:
    assert (last_line("a\nb\n\n"), last_line("")) == ("b", "")
    assert normal("**Paris**.") == normal("paris") == normal("Answer: Ｐａｒｉｓ")
