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


def test_lines_and_dress() -> None:
    assert (last_line("a\nb\n\n"), last_line("")) == ("b", "")
    assert normal("**Paris**.") == normal("paris") == normal("Answer: Ｐａｒｉｓ")
