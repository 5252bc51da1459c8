"""Resuming: whatever a kill leaves of the output, the next run ends with the file of an uninterrupted one."""

from __future__ import annotations

import io
import json

import fake_cit
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cit_core import Best
from cit_core.cli._decision_file import CHUNK, DecisionFile, Tally, decide
from cit_core.cli._query_file import Query
from cit_core.errors import InvalidInput

ROUTER = fake_cit.open_router("", None, None, Best())
IDS = [candidate.id for candidate in ROUTER.candidates]


def run(queries: list[Query], stream: io.BytesIO) -> Tally:
    stream.seek(0)
    return decide(ROUTER, iter(queries), DecisionFile(stream, "d.jsonl", IDS))


def without_latency(stream: io.BytesIO) -> list[dict]:
    return [{**json.loads(line), "latency_ms": 0} for line in stream.getvalue().splitlines()]


def test_every_cut_of_the_output_is_mended():
    queries = [Query("first", "What is 1 + 1?"), Query(2, "And 2 + 2?"), Query('"é\n', "And 3 + 3?")]
    whole = io.BytesIO()
    assert run(queries, whole) == Tally(decided=3)
    for cut in range(len(whole.getvalue()) + 1):
        stream = io.BytesIO(whole.getvalue()[:cut])
        lines = whole.getvalue()[:cut].count(b"\n")
        assert run(queries, stream) == Tally(decided=3 - lines, resumed=lines)
        assert without_latency(stream) == without_latency(whole)
        assert stream.getvalue()[: cut if lines == 3 else 0] == whole.getvalue()[: cut if lines == 3 else 0]


@settings(deadline=None)
@given(st.integers(1, 3 * CHUNK), st.lists(st.floats(0, 1), min_size=1, max_size=4))
def test_any_number_of_cuts_at_any_length(count, cuts):
    queries = [Query(number, f"What is {number}?") for number in range(count)]
    whole = io.BytesIO()
    run(queries, whole)
    stream = io.BytesIO()
    for cut in cuts:
        run(queries, stream)
        stream = io.BytesIO(stream.getvalue()[: int(cut * len(stream.getvalue()))])
    run(queries, stream)
    assert without_latency(stream) == without_latency(whole)


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_what_is_not_ours_is_never_touched(text):
    """Any file that is not the beginning of our own output is refused and stays byte for byte."""
    queries = [Query("q1", "What is 1 + 1?")]
    stream = io.BytesIO(text)
    if b'{"id": "q1"'.startswith(text) or text.startswith(b'{"id": "q1"'):
        return
    with pytest.raises(InvalidInput):
        run(queries, stream)
    assert stream.getvalue() == text


def test_a_line_cut_before_its_newline_is_decided_again_not_doubled():
    queries = [Query("a", "What is 1 + 1?")]
    whole = io.BytesIO()
    run(queries, whole)
    stream = io.BytesIO(whole.getvalue().rstrip(b"\n"))
    assert run(queries, stream) == Tally(decided=1)
    assert without_latency(stream) == without_latency(whole)


def test_input_is_read_one_chunk_ahead_at_most():
    """Memory stays bounded: nothing is decided before it is needed, nothing read that is not being decided."""
    read = 0

    def endless():
        nonlocal read
        while True:
            read += 1
            yield Query(read, f"What is {read}?")

    written = DecisionFile(io.BytesIO(), "d.jsonl", IDS)
    most = 0

    class Enough(Exception): ...

    def append(lines):
        nonlocal most
        most = max(most, len(lines))
        if read >= 5 * CHUNK:
            raise Enough

    written.append = append  # type: ignore[method-assign]
    with pytest.raises(Enough):
        decide(ROUTER, endless(), written)
    assert (read, most) == (5 * CHUNK, CHUNK)
