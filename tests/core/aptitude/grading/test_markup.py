"""Markup of an answer: what is left says the same in plain signs."""

from __future__ import annotations

import pytest

from cit_core.aptitude.grading import grade
from cit_core.aptitude.grading.markup import readable
from cit_core.records import Item


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        (r"\boxed{\sqrt{2}}", "\nAnswer: \\sqrt{2}\n"),
        (r"\boxed{\{1, 2\}} and \fbox{3}", "\nAnswer: \\{1, 2\\}\n and \nAnswer: 3\n"),
        (r"\boxed{a \boxed{b}}", "\nAnswer: a {b}\n"),
        (r"\boxed{never closed", r"\boxed{never closed"),
        (r"\frac{3}{4}, \dfrac34, 1\frac{1}{2}, 2½", "3/4, 3/4, 1 1/2, 2 1/2"),
        (r"\frac{x+1}{2}, \frac{\sqrt{3}}{2}", r"(x+1)/2, (\sqrt{3})/2"),
        (r"\frac123", r"\frac123"),
        (r"x^{2}, x², e^{-x}, 10⁻³", "x^2, x^2, e^-x, 10^-3"),
        (r"\left(1, 2\right)", "(1, 2)"),
        (r"18^\circ, 20\%, \$5, US$5", "18°, 20%, 5, 5"),
        ("_Answer: C_ of snake_case", "Answer: C of snake_case"),
        ("- one\n* two", "one\ntwo"),
        ("> one\n> 2, x > 3", "one\n2, x > 3"),
        ("<b>B</b>, <B>, a <b and c> d, 101<sub>2</sub>", "B, <B>, a <b and c> d, 101<sub>2</sub>"),
        ('<p class="x">1 m<sup>2</sup></p>', "\n1 m^2\n"),
        (r"\underline{\mathbf{1}} \checkmark ~~2~~", "{1}  "),
        ("<final_answer>B</final_answer>", "\nAnswer: B\n"),
        (
            "<output>42</output> of <solution>\n1 + 1\n= 2\n</solution>",
            "\nAnswer: 42\n of <solution>\n1 + 1\n= 2\n</solution>",
        ),
        ('{"answer": "New York", "why": "it is"}', "{\nAnswer: New York\n, why: it is}"),
        ("{'final_answer': 'it's'}", "{\nAnswer: it's\n}"),
    ],
)
def test_readable(text: str, plain: str) -> None:
    assert readable(text) == plain


@pytest.mark.parametrize(
    "text",
    [
        "The answer is 12.\n\n```xml\n<result>7</result>\n```",
        "The answer is 12, as `<output>7</output>` shows.",
        "```xml\n<result>12</result>\n```",
        "<solution>We add 5 and 7. So we get 12.</solution>",
    ],
)
def test_a_tag_that_is_quoted_or_holds_a_derivation_states_nothing(text: str) -> None:
    item = Item(id="e", task="t", instruction="q", answer="12", grader="number")
    assert grade(item, text) == 1.0


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (r"\sqrt{2}", r"Thus \boxed{\sqrt{2}}."),
        ("x^{2}+1", r"\boxed{x^2+1}"),
        (r"\frac{\sqrt{3}}{2}", r"So $\boxed{\dfrac{\sqrt{3}}{2}}$"),
        ("(1,2)", r"\boxed{\left(1,2\right)}"),
    ],
)
def test_a_box_may_have_braces_in_it(answer: str, text: str) -> None:
    assert grade(Item(id="e", task="t", instruction="q", answer=answer), text) == 1.0
    assert grade(Item(id="e", task="t", instruction="q", answer="x+1/2"), r"\boxed{\frac{x+1}{2}}") == 0.0
