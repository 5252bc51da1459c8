"""Request bodies: whatever JSON comes, nothing but the model is changed."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cit_core.errors import CITError
from cit_core.server.bodies import read_body

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.just("model"), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text(max_size=5), JSON, max_size=4), st.text(), st.sampled_from([None, 1, "\t"]), st.booleans()
)
def test_nothing_but_the_model_changes(fields: dict[str, Any], model: str, indent: Any, ascii_: bool) -> None:
    asked = {**fields, "model": "cit"}
    raw = f" {json.dumps(asked, indent=indent, ensure_ascii=ascii_)}\n"
    try:
        body = read_body(raw.encode())
    except UnicodeEncodeError:
        return  # lone surrogates are no UTF-8
    assert body.fields == asked
    changed = body.with_fields({"model": model})
    assert json.loads(changed) == {**asked, "model": model}
    assert body.with_fields({"model": "cit"}) == raw.encode()


@given(st.binary(max_size=30) | st.text(alphabet='{}[]":,model \\u1e9', max_size=30).map(str.encode))
def test_anything_else_is_refused_with_one_error(raw: bytes) -> None:
    try:
        said = str(read_body(raw).fields["model"])
    except CITError as error:
        said = str(error)
    assert len(said) < 200


def test_of_two_models_the_last_is_read_and_both_are_replaced() -> None:
    body = read_body(b'{"model":"a","model":"b"}')
    assert body.fields["model"] == "b"
    assert body.with_fields({"model": "c"}) == b'{"model":"c","model":"c"}'


@pytest.mark.parametrize(
    "raw", ["", "{}x", '{"model":"a"} {}', '{"model":"a",}', '{"model" "a"}', "nul", '{,"model":"a"}']
)
def test_what_the_standard_parser_refuses_is_refused(raw: str) -> None:
    with pytest.raises(json.JSONDecodeError):
        json.loads(raw)
    with pytest.raises(CITError):
        read_body(raw.encode())


def test_numbers_are_not_rounded() -> None:
    raw = b'{"model":"a","t":0.10000000000000000001,"n":1e400}'
    assert read_body(raw).fields["n"] == math.inf
    assert read_body(raw).with_fields({"model": "b"}) == raw.replace(b'"a"', b'"b"')


def test_fields_are_replaced_or_added() -> None:
    body = read_body(b'{ "n":1.0 ,"model":"a" , "max_tokens": 9\n}')
    changed = body.with_fields({"model": "b", "max_tokens": 5, "reasoning": {"effort": "low"}, "x": 1})
    assert changed == b'{ "n":1.0 ,"model":"b" , "max_tokens": 5, "reasoning": {"effort": "low"}, "x": 1\n}'
