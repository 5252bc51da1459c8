"""Queries as JSON lines, read one by one."""

from __future__ import annotations

import pytest

from cit_core.cli._query_file import Query, in_chunks, read_queries, require_text
from cit_core.errors import InvalidInput


def test_lines_become_queries() -> None:
    lines = [
        b'\xef\xbb\xbf{"id": 1, "instruction": "a", "more": [1]}\n',
        b"\n",
        '{"id": "1", "instruction": "é"}'.encode(),
    ]
    assert list(read_queries(lines, "q")) == [Query(1, "a"), Query("1", "é")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"not json", "q line 1: not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "nested too deeply|not JSON"),
        (b"[1]", "got list"),
        (b'{"instruction": "a"}', "no id"),
        (b'{"id": 1}', "no instruction"),
        (b'{"id": 1.5, "instruction": "a"}', "id is float"),
        (b'{"id": true, "instruction": "a"}', "id is bool"),
        (b'{"id": 1, "instruction": null}', "instruction is NoneType"),
        (b'{"id": 1, "instruction": " "}', "is empty"),
        (b'{"id": 1, "instruction": "\\ud800"}', "not valid Unicode"),
        (b'{"id": ' + b"9" * 5000 + b', "instruction": "a"}', "q line 1"),
    ],
)
def test_any_other_line_is_refused_with_its_number(line: bytes, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        list(read_queries([line], "q"))


def test_an_id_is_unique() -> None:
    line = b'{"id": 1, "instruction": "a"}'
    with pytest.raises(InvalidInput, match="q line 3: id 1 is on line 1 already"):
        list(read_queries([line, b"", line], "q"))


def test_chunks_hand_out_what_came_before_an_error():
    lines = [
        b'{"id": 1, "instruction": "a"}',
        b'{"id": 2, "instruction": "b"}',
        b'{"id": 3, "instruction": "c"}',
        b"oh",
    ]
    chunks = in_chunks(read_queries(lines, "q"), 2)
    assert [len(next(chunks)), len(next(chunks))] == [2, 1]
    with pytest.raises(InvalidInput, match="q line 4: not JSON"):
        next(chunks)


def test_a_text_of_spaces_is_refused_with_its_name() -> None:
    with pytest.raises(InvalidInput, match="the query is empty"):
        require_text("  ", "the query")
    require_text("a", "the query")
