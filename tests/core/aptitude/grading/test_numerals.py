"""Numbers are read as a whole, however they are written, or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cit_core.aptitude.grading import grade
from cit_core.aptitude.grading.numerals import is_number, numbers, stated_number
from cit_core.errors import InvalidInput
from cit_core.records import Item


def item(answer: str) -> Item:
    return Item(id="n", task="t", instruction="q", answer=answer, grader="number")


@pytest.mark.parametrize("text", ["12", "-3.5", "3,5", "1,234", "3/4", "½", "35 %", "$35", "−5", "1 000", "1e3", "٣"])
def test_what_is_a_number(text: str) -> None:
    assert is_number(text)


@pytest.mark.parametrize(
    "text", ["", "12 apples", "1,2,3", "10:30", "2024-03-05", "5 or 6", "1/0", "nan", "v1.2", "5-3"]
)
def test_what_is_more_than_a_number_or_none(text: str) -> None:
    assert not is_number(text)


@pytest.mark.parametrize(
    ("signs", "value"),
    [
        *[("四十二", "42"), ("十", "10"), ("一百零五", "105"), ("二〇二四", "2024"), ("两百", "200"), ("负五", "-5")],
        *[
            ("三万五千", "35000"),
            ("一亿二千万", "120000000"),
            ("一万亿", "1000000000000"),
            ("三億五千万零一", "350000001"),
        ],
    ],
)
def test_chinese_and_japanese_numbers_in_words(signs: str, value: str) -> None:
    for text in (signs, f"答案是{signs}。", f"答えは{signs}です。", f"答案：{signs}元", f"先算。\n{signs}"):
        assert grade(item(value), text) == 1.0


@pytest.mark.parametrize(
    "text", ["答案是一般情况", "一" * 5_000, "答案是三角形", "一或二", "答案不是一", "三分之一", "答案是第一", "一样"]
)
def test_signs_that_are_parts_of_words_are_no_numbers(text: str) -> None:
    assert [grade(item(value), text) for value in ("1", "2", "3")] == [0.0, 0.0, 0.0]


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


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("3.5", r"\boxed{3\frac{1}{2}}"),
        ("1.5", r"Answer: $1\frac12$"),
        ("0.75", r"\boxed{\frac34}"),
        ("-3.5", r"\boxed{-\frac72}"),
        ("0.5", r"\boxed{\cfrac{1}{2}}"),
        ("3.5", r"\boxed{\frac{7}2}"),
        ("3.5", r"\boxed{\left(3.5\right)}"),
        ("1000", "Answer: 10^3"),
        ("1000", "Answer: 10³"),
        ("1024", "Answer: $2^{10}$"),
        ("0.005", "Answer: 5×10⁻³"),
        ("5000", "Answer: 5·10^3"),
        ("18", "Answer: US$18"),
        ("18", "Answer: R$ 18"),
        ("18", "Answer: Rs.18"),
        ("18", r"\boxed{\$18}"),
        ("1234567", "Answer: 12,34,567"),
        ("100000", "Answer: ₹1,00,000"),
        ("12345", r"\boxed{12\ 345}"),
        ("12345", "La réponse est 12 345."),
        ("0.5", "Answer: ½"),
        ("3.5", "Answer: 3½"),
        ("1500000", "Answer: 1.5 million"),
        ("30000", "答案：3万"),
        ("24", "Answer: 2 dozen"),
        ("-5", "Answer: minus 5"),
        ("-7", "Answer: - 7"),
        ("7", "Answer:\n- 7"),
        ("18", "Answer: 18 m/s"),
        ("18", "Answer: 18 m^2"),
        ("18", "Answer: 18 km²"),
        ("18", "Answer: 18°"),
        ("18", r"\boxed{18^{\circ}}"),
        ("18", "The answer is 18!"),
        ("18", "Answer: 18 = 2 × 9"),
        ("18", "Answer: 2 m × 9 = 18 m"),
        ("120", "Answer: 60 km/h × 2 h = 120 km"),
        ("1.4142136", "Answer: √2 ≈ 1.4142136"),
        ("18", "The answer is not 17 but 18."),
        ("0.5", "Answer: 1/2 or 0.5"),
        ("3", "答案是3千克"),
        ("18", "Answer: 18 - that is all"),
        ("18", "=> 18"),
        ("18", "Answer: ~18"),
        ("18", "Answer: <18>"),
        ("-42", "The temperature is - 42 degrees."),
        ("12345", "12 345 km"),
        ("42", "Answer:- 42"),
        ("42", "Total:- 42"),
        ("42", "Total - 42"),
        ("42", "Total cost - $42"),
        ("42", "So the profit - 42 dollars."),
        ("42", "Il y a au moins 42 pommes."),
        ("42", "La respuesta es al menos 42."),
        ("42", "Più o meno 42"),
        ("-42", "La respuesta es menos 42."),
        ("42", "She needs 42 m² of carpet."),
        ("42", "**42 cm²**"),
        ("42", "42 m/s²"),
        ("42", r"It covers \( 42 \, \text{cm}^2 \)."),
        ("42", "42 m<sup>2</sup>"),
        ("42", "<b>42</b>"),
        ("42", "Answer: <strong>42</strong> apples"),
        ("42", "<p>42</p>"),
        ("42", "> 42"),
        ("42", r"\boxed{\underline{42}}"),
        ("42", r"\mathbf 42"),
        ("42", r"\therefore 42"),
        ("42", r"42 \checkmark"),
        ("42", r"$42 \blacksquare$"),
        ("42", "~~43~~ 42"),
        ("42", "答：一共有（42）个苹果。"),
        ("42", "四十二（42）"),
        ("42", "정답(42)"),
        ("42", "Total(42)"),
        ("206", "There are 206 bones in the human body, down from about 270 at birth."),
        ("42", "There are 42 (approximately 41.9)."),
        ("42", "The total is 42, about 5 more than expected."),
        ("42", "The answer is 42 apples and 0 oranges."),
        ("42", "Answer: 42, 6 per day"),
        ("42", "Answer: 42; 6 × 7"),
        ("42", "Answer: 42 minutes or 0.7 hours"),
        ("42", "Answer: 42 to 2 significant figures"),
        ("42", "42 kg*m/s"),
        ("42", "There are 42 students: 20 boys and 22 girls."),
    ],
)
def test_a_number_in_any_notation(answer: str, text: str) -> None:
    assert grade(item(answer), text) == 1.0


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("15.5", r"\boxed{3\frac{1}{2}}"),
        ("2", "Answer: 18 m^2"),
        ("3", r"\boxed{\frac{x+1}{3}}"),
        ("9", "Answer: 18 = 2 × 9"),
        ("5", "Answer: 5 or 6, so 5"),
        ("5", "Answer: 18 - 5"),
        ("2", "Answer: 2 hours 30 minutes"),
        ("10", "Answer: 10% of 200"),
        ("5", "Answer: 5π with r = 5"),
        ("3", "Answer: 3 apples + 4 apples"),
        ("2", "Answer: 2 million 500 thousand"),
        ("-4", "Answer: -2^2"),
        ("9", "Answer: 9^999999999"),
        ("17", "It is 17 or 18"),
        ("17", "The answer can't be 17."),
        ("17", "I don't think that the answer is 17."),
        ("3.4", r"\boxed{(3,4)}"),
        ("8", r"\boxed{\log_2 8}"),
        ("101", r"\boxed{101_2}"),
        ("5", "Answer: 5i"),
        ("18", "Answer: 18 +/- 2"),
        *(("-42", f"{text} 42") for text in ("Answer: x -", "y = x -", "100 kg -", "Total cost -", "the total minus")),
        *(("42", f"{text} 42") for text in ("Answer: x -", "y = x -", "100 kg -", "the total minus", "x moins")),
        *(("-42", f"{text} 42") for text in ("Il y a au moins", "Al menos", "Più o meno", r"Answer: \sqrt{x} -")),
        *(("42", f"{text} 42") for text in ("half of", "twice", "50% of", "I cannot solve", "3 times", "f(", "x>")),
        ("42", "42 squared"),
        ("42", "42 is incorrect."),
        ("270", "There are 206 bones in the human body, down from about 270 at birth."),
        ("3100", "He has 3 100 dollar bills"),
        ("3100", "3 100-watt bulbs"),
        ("100", "3 100-watt bulbs"),
        ("345", "Il y a 12 345 habitants dans la ville"),
        ("42", "Half of 42"),
        ("42", "The temperature is - 42 degrees."),
        ("22", "There are 42 students: 20 boys and 22 girls."),
        ("5", "Answer: 5 cm or 6 cm"),
        ("5", "Answer: 1 apple or 5 apples"),
        ("2", "So it is x^2"),
    ],
)
def test_a_part_of_a_number_is_none(answer: str, text: str) -> None:
    assert grade(item(answer), text) == 0.0


PLACES = ["Answer: {}", "The answer is {}.", r"Thus $\boxed{{{}}}$", "So it is {}", "{}", "答案是{}。"]
BEHIND = [
    r"\pi",
    "π",
    r"\sqrt{3}",
    "^3",
    "×3",
    " * 3",
    " / 7",
    "!=6",
    " + x",
    "-3",
    "³",
    "k",
    " bn",
    " mil",
    ":30",
    " or 3",
]
BEFORE = [
    r"\sqrt{{{}}}",
    "√{}",
    r"\log {}",
    "sqrt({})",
    "3 + {}",
    "3 × {}",
    "7/{}",
    "-{}",
    "minus {}",
    "not {}",
    "x > {}",
    "±{}",
]


@given(st.integers(10, 10**6), st.sampled_from(PLACES), st.sampled_from(BEHIND))
def test_what_changes_a_number_behind_it_is_never_left_out(number: int, place: str, behind: str) -> None:
    assert grade(item(str(number)), place.format(f"{number}{behind}")) == 0.0


@given(st.integers(10, 10**6), st.sampled_from(PLACES), st.sampled_from(BEFORE))
def test_what_changes_a_number_before_it_is_never_left_out(number: int, place: str, before: str) -> None:
    assert grade(item(str(number)), place.format(before.format(number))) == 0.0


@given(
    st.integers(10, 10**6),
    st.integers(10, 10**6),
    st.sampled_from(PLACES[:3]),
    st.sampled_from([" or ", " and ", ", "]),
)
def test_of_two_numbers_none_is_chosen(one: int, other: int, place: str, joint: str) -> None:
    said = place.format(f"{one}{joint}{other}")
    assert grade(item(str(one)), said) == grade(item(str(other)), said) == float(one == other)


@pytest.mark.parametrize("answer", [r"\sqrt{2}", "5 or 6", "5π", "1/0"])
def test_an_item_whose_number_is_not_clear_is_refused(answer: str) -> None:
    with pytest.raises(InvalidInput, match="needs one like 18"):
        grade(item(answer), "")
