"""Characters that mean the same are read as the same."""

from __future__ import annotations

import unicodedata

import pytest

from cit_core.aptitude.grading import grade
from cit_core.aptitude.grading.characters import plain_characters
from cit_core.records import Item


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Ａｎｓｗｅｒ：　Ｃ", "Answer: C"),
        ("（Ｂ）", "(B)"),
        ("１２３．５", "123.5"),
        ("٤٢ and ४२", "42 and 42"),
        ("1\u2009234\u2009567", "1234567"),
        ("1\u202f234,5", "1234.5"),
        ("1\u00a0234", "1234"),
        ("1'234'567", "1234567"),
        ("1.234.567", "1234567"),
        ("1.234,56", "1234.56"),
        ("3,5 kg", "3.5 kg"),
        ("(3,5) and (3,5 kg)", "(3,5) and (3.5 kg)"),
        ("1,234", "1,234"),
        ("1, 2, 3 and 1,2,3", "1, 2, 3 and 1,2,3"),
        ("1.5 and 192.168.1.1", "1.5 and 192.168.1.1"),
        ("x² + ½", "x² + ½"),
        ("3\u20094", "3\u20094"),
        ("plain text, as it is.", "plain text, as it is."),
    ],
)
def test_plain_characters(text: str, plain: str) -> None:
    assert plain_characters(text) == plain


@pytest.mark.parametrize(
    "text", ["１２３４５６７", "1\u2009234\u2009567", "Answer: 1'234'567", "Antwort: 1.234.567", "١٢٣٤٥٦٧"]
)
def test_a_number_in_any_dress(text: str) -> None:
    assert grade(Item(id="n", task="t", instruction="q", answer="1234567", grader="number"), text) == 1.0


@pytest.mark.parametrize("answer", ["Café", "서울", "Zürich", "İstanbul"])
@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_accents_may_be_composed_or_not(answer: str, forms: tuple[str, str]) -> None:
    """Some tokenizers and file systems take accented letters and Korean syllables apart."""
    right, said = (unicodedata.normalize(form, answer) for form in forms)
    options = (unicodedata.normalize(forms[0], "Köln"), right)
    assert grade(Item(id="e", task="t", instruction="q", answer=right), f"Answer: {said}") == 1.0
    assert grade(Item(id="r", task="t", instruction="q", answer=f"{right}!*", grader="regex"), said) == 1.0
    choice = Item(id="c", task="t", instruction="q", answer="B", options=options)
    assert [grade(choice, text) for text in (said, f"Answer: {said}", unicodedata.normalize(forms[1], "Köln"))] == [
        1,
        1,
        0,
    ]
