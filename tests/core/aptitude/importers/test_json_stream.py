"""JSON from a stream: in pieces of any size, of values of any kind, and with the parts skipped that nobody asks for."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cit_core.aptitude.importers import json_stream
from cit_core.aptitude.importers.json_stream import JsonStream, parse_json
from cit_core.aptitude.importers.limits import DEFAULT_LIMITS, Limits
from cit_core.errors import InvalidInput

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def stream(text: str, limits: Limits = DEFAULT_LIMITS) -> JsonStream:
    return JsonStream(io.StringIO(text), limits)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(VALUES), st.integers(1, 7), st.integers(0, 3))
def test_elements_come_as_they_are_wherever_the_text_is_cut(values: list[Any], chunk: int, skip: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "CHUNK", chunk)
        read = stream(json.dumps(values, indent=skip or None))
        found = []
        for place, _ in enumerate(read.elements()):
            if skip and place % skip:
                read.skip()
                found.append(values[place])
            else:
                found.append(read.value())
        read.end()
    assert found == values


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.text(), VALUES), st.integers(1, 7))
def test_members(values: dict[str, Any], chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "CHUNK", chunk)
        read = stream(json.dumps(values, ensure_ascii=False))
        assert [(name, read.value()) for name in read.members()] == list(values.items())


@pytest.mark.parametrize(
    "text", ["", "[", "[1", "[1,", "[1 2]", "[1]]", '["a', '{"a"', '{"a": ', '{"a" 1}', "{a: 1}", "[tru]", "[1,]x"]
)
def test_what_is_no_json(text: str) -> None:
    def read_all() -> None:
        read = stream(text)
        if text.startswith("{"):
            for _ in read.members():
                read.value()
        else:
            for _ in read.elements():
                read.value()
        read.end()

    with pytest.raises(InvalidInput, match="is not JSON"):
        read_all()


@pytest.mark.parametrize(
    ("limits", "text", "says"),
    [
        (
            {"record_bytes": 50},
            json.dumps("x" * 60),
            "is a JSON record of 62 bytes or more; the limit record_bytes is 50",
        ),
        ({"record_values": 50}, "[" + "0," * 60 + "0]", "values or more; the limit record_values is 50"),
        ({"depth": 5}, "[" * 7 + "]" * 7, "of more than 5 levels; the limit depth is 5"),
        ({}, "9" * 301, "a number of 301 digits; it may have 300"),
    ],
)
def test_limits(limits: dict[str, int], text: str, says: str) -> None:
    for read in (lambda: parse_json(text, Limits(**limits)), lambda: stream(text, Limits(**limits)).value()):
        with pytest.raises(InvalidInput, match=says):
            read()


def test_commas_and_brackets_in_a_text_are_no_values() -> None:
    text = json.dumps({"a": "1,2,[3]{4}\\" * 1_000, "b": 'a "quote", and'})
    assert parse_json(text, Limits(record_values=10))["b"] == 'a "quote", and'


def test_depth_within_the_limit() -> None:
    assert parse_json("[" * 5 + "1" + "]" * 5, Limits(depth=5)) == [[[[[1]]]]]
