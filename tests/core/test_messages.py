"""Messages show numbers and short texts, nobody's repr, no keys, no prompts and no control characters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cit_core.messages import closest, shown

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


class Talkative:
    """Its repr must not be called."""

    def __repr__(self) -> str:
        raise AssertionError("an error has no business with this")


class Named(str):
    """Its repr must not be called either."""

    __repr__ = Talkative.__repr__  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        (True, "True"),
        (7, "7"),
        (0.5, "0.5"),
        ("best", "'best'"),
        (10**5000, "an integer of 16,610 bits"),
        ("word " * 100, "a text of 500 characters"),
        (["sk-proj-1234567890"], "list"),
        (Talkative(), "Talkative"),
        (Named("x"), "Named"),
        (b"raw", "bytes"),
        ("\x1b]0;title\x07", r"'\x1b]0;title\x07'"),
        ("half \ud800", r"'half \ud800'"),
    ],
    ids=range(13),
)
def test_what_is_shown(value: object, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(
    "key",
    [
        "sk-proj-1234567890abcdef",
        "sk-ant-api03-abcdefgh",
        "postgresql://user:hunter2hunter2@db/zoo",
        "https://user:pw@host",
        "AIzaSyA1234567890",
        "ghp_1234567890abcdef",
        "hf_abcdefghijkl",
        "Bearer abcdefghijkl",
        "key=gsk_abcdefghijkl",
    ],
)
def test_what_looks_like_a_key_is_not_shown(key: str) -> None:
    assert shown(key) == "a text that may hold a key"


@given(JSON)
def test_whatever_comes_is_shown_on_one_short_line_of_plain_text(value: object) -> None:
    text = shown(value)
    assert len(text) <= 400
    assert text.isprintable()
    text.encode()


def test_the_closest_of_many_names() -> None:
    assert closest("large", ["small", "larger", "Large"])[0] == "Large"
    assert closest("x" * 100_000, ["x", "y"]) == ["x", "y"]
    assert closest(["large"], ["large"]) == []
    assert closest(10**5000, ["large"]) == []
