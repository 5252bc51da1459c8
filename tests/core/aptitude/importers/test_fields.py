"""Fields of a row: absent, names, texts, lists; and values in messages are never spelt out as a whole."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cit_core.aptitude.importers.fields import (
    checked,
    identifier,
    is_absent,
    is_missing,
    listed_texts,
    number,
    shown,
    spelt_list,
    text,
)
from cit_core.errors import InvalidInput


@pytest.mark.parametrize("value", [None, "", "  ", math.nan])
def test_absent(value: Any) -> None:
    assert is_absent(value)
    assert text({"a": value}, "a") is None
    assert listed_texts(value, "a") == ()
    with pytest.raises(InvalidInput, match="has no a, no b"):
        checked({"a": value}, ("a", "b"))


@pytest.mark.parametrize(
    "value", ["nan", "NA", "NULL", "null", "None", "<NA>", "N/A", "#N/A", "NaT", "\\N", " na ", None, ""]
)
def test_words_for_a_missing_cell(value: Any) -> None:
    assert is_missing(value)


@pytest.mark.parametrize("value", ["Namibia", "no", "0", 0, False, "n"])
def test_other_words_are_none(value: Any) -> None:
    assert not is_missing(value)


def test_decimals_are_numbers() -> None:
    assert number({"a": Decimal("0.5")}, "a") == 0.5
    assert number({"a": Decimal("NaN")}, "a") is None


@pytest.mark.parametrize("value", [0, False, "0", [], 0.0])
def test_present(value: Any) -> None:
    assert not is_absent(value)


@pytest.mark.parametrize(("value", "spelt"), [("law", "law"), (7, "7"), (-1, "-1")])
def test_names_and_texts(value: Any, spelt: str) -> None:
    assert identifier({"a": value}, "a") == text({"a": value}, "a") == spelt


@pytest.mark.parametrize("value", [["law"], {"a": 1}, True, 1.5, b"law", ("law",)])
def test_what_is_no_text_is_refused_and_not_spelt(value: Any) -> None:
    with pytest.raises(InvalidInput, match=r"a is .*; it must be a text or a whole number"):
        text({"a": value}, "a")


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(InvalidInput, match="a holds the byte 0xe9, which is not valid UTF-8"):
        text({"a": b"caf\xe9".decode("utf-8", "surrogateescape")}, "a")


def test_lists_of_texts() -> None:
    assert listed_texts(["a", 2], "options") == ("a", "2")
    for value in ("a", {"a": 1}, 5):
        with pytest.raises(InvalidInput, match=r"options is .*; it must be a list of texts"):
            listed_texts(value, "options")
    with pytest.raises(InvalidInput, match="a value of options is a list"):
        listed_texts([["a"]], "options")


def test_values_in_messages_are_short() -> None:
    value: Any = []
    for _ in range(60):
        value = [value, value]  # 2**60 values, if it is spelt
    assert shown(value) == "a list"
    assert shown("x" * 1_000_000) == repr("x" * 60) + "…"
    assert (shown(1.5), shown(None), shown(True), shown(10**5_000)) == ("1.5", "None", "True", "a int")


@pytest.mark.parametrize(
    ("spelt", "texts"),
    [
        ("['a', 'b']", ["a", "b"]),
        ('["a", "b"]', ["a", "b"]),
        (" ['a' 'b'\n 'c'] ", ["a", "b", "c"]),
        ("[]", []),
        (r"""['it\'s', "a \"b\"", 'x\ny', '\u00e9\x41\101\\']""", ["it's", 'a "b"', "x\ny", "éAA\\"]),
        ("['a', 1]", None),
        ("[1, 2]", None),
        ("['a'", None),
        ("['a'] ['b']", None),
        ("a", None),
        ("[['a']]", None),
        ("[__import__('os')]", None),
    ],
)
def test_lists_that_are_spelt_in_a_text(spelt: str, texts: list[str] | None) -> None:
    assert spelt_list(spelt) == texts


@given(st.lists(st.text()))
def test_what_python_and_json_spell_is_read(texts: list[str]) -> None:
    assert spelt_list(repr(texts)) == texts
    assert spelt_list(json.dumps([one for one in texts if one.isprintable()], ensure_ascii=False)) is not None
