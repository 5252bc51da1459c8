"""A pickle is described, whatever its protocol; what no DataFrame needs is refused."""

from __future__ import annotations

import io
import pickle
import struct
from typing import Any

import pytest

from cit_core.aptitude.importers._pickle_machine import Call, Span, describe
from cit_core.errors import InvalidInput

VALUE = {"a": [1, -2, 2**40, 1.5, None, True, False, "x", "é"], "b": ({}, (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4))}


def described(content: bytes, most: int = 1000) -> Any:
    return describe(io.BytesIO(content), {"builtins": {"slice"}, "__builtin__": {"slice"}}, most, "too many")


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values(protocol: int) -> None:
    assert described(pickle.dumps(VALUE, protocol)) == VALUE


def test_long_texts_and_bytes_stay_in_the_file() -> None:
    content = pickle.dumps({"text": "x" * 1000, "bytes": b"y" * 1000}, 5)
    found = described(content)
    assert [found[name].is_text for name in ("text", "bytes")] == [True, False]
    for span, letter in ((found["text"], b"x"), (found["bytes"], b"y")):
        assert isinstance(span, Span)
        assert content[span.start : span.start + span.length] == letter * 1000


def test_calls_are_described_and_not_made() -> None:
    call = described(pickle.dumps(slice(1, 2, 3), 5))
    assert isinstance(call, Call)
    assert (call.name, call.arguments) == ("slice", (1, 2, 3))
    with pytest.raises(InvalidInput, match=r"the pickle names builtins\.complex.*nothing in it was run"):
        described(pickle.dumps(1j, 5))


@pytest.mark.parametrize(
    "content",
    [
        b"", b".", b"\x80\x05", b"K", b"0.", b"R.", b"b.", b"s.", b"e.", b"(e.", b"Nr\xff\xff\xff\x7f.", b"h\x05.",
        b"X\xff\xff\xff\x7fabc.", b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
        b"}]K\x01s.", b"}(K\x01u.", b"\x85.", b"\xff.",
        b"\x8b\xff\xff\xff\x7f.", b"I" + b"9" * 900 + b"\n.", b"I" + b"9" * 9000 + b"\n.", b"Np-1\n.", b"g-1\n.",
    ],
)  # fmt: skip
def test_what_is_damaged(content: bytes) -> None:
    with pytest.raises((ValueError, LookupError, TypeError, struct.error)):
        described(content)


def test_no_more_values_than_may_be() -> None:
    assert len(described(pickle.dumps([{} for _ in range(300)]))) == 300
    with pytest.raises(InvalidInput, match="too many"):
        described(pickle.dumps([{} for _ in range(1001)]))
